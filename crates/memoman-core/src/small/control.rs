//! Functions of the control structure in fewer instructions, for the small build.

use core::ptr;

use super::free_list::free_size;
use crate::config::{HEADER, SL_WORDS};
use crate::control::{Control, WILDERNESS};
use crate::life;
use crate::pools::refresh;
use crate::size_class::{block_size_for, floor_bin};

const WORD_BITS: usize = usize::BITS as usize;

impl Control {
    /// Lays an instance without pools into `mem`. `life` is the number of its first life.
    ///
    /// # Safety
    /// `mem` is aligned for a word, `max_block` is at most [`MAX_BLOCK_LIMIT`], and
    /// `size_for(max_block)` bytes at `mem` may be written.
    pub(crate) unsafe fn init(mem: *mut u8, max_block: usize, life: usize) -> *mut Control {
        let control: *mut Control = mem.cast();
        // SAFETY: the memory may be written (caller); all-zero is a valid Control.
        unsafe {
            let bins = Control::bins_for(max_block);
            ptr::write_bytes(mem, 0, Control::size_for(max_block));
            (*control).life = life;
            (*control).cookie = life::seal(life);
            (*control).top_bin = bins - 1;
            let max_size = block_size_for(max_block);
            (*control).max_size = max_size;
            (*control).limit = max_size - HEADER;
            for bin in 0..bins {
                Control::head(control, bin).write(Control::list_end(control));
            }
            refresh(control);
        }
        control
    }

    /// The bin that a size maps to; sizes beyond the last bin map to it.
    #[inline(never)]
    pub(crate) fn bin_of(&self, size: usize) -> usize {
        floor_bin(size).min(self.top_bin)
    }

    /// The first bin at or above `bin` that is not empty, or the wilderness's: two find-first-set,
    /// no loop.
    ///
    /// # Safety
    /// `bin` is at most `top_bin + 1`.
    #[inline(always)]
    pub(crate) unsafe fn serving_bin(&self, bin: usize) -> usize {
        let mut word = bin / WORD_BITS;
        debug_assert!(word < SL_WORDS);
        // SAFETY: `bin` is below BINS_MAX (caller; proved above), so its word exists.
        let mut bits = unsafe { *self.sl_bitmap.get_unchecked(word) };
        bits &= usize::MAX << (bin % WORD_BITS);
        if bits == 0 {
            // Words above this one; the shift is split so that it stays below the word's width.
            let words = self.fl_bitmap & ((usize::MAX << 1) << word);
            if words == 0 {
                return WILDERNESS;
            }
            word = words.trailing_zeros() as usize;
            // SAFETY: I1: a first-level bit is set only for an existing word that is not zero.
            bits = unsafe { *self.sl_bitmap.get_unchecked(word) };
        }
        word * WORD_BITS + bits.trailing_zeros() as usize
    }

    /// The largest request, in bytes, that would succeed: that of the last non-empty bin's head or
    /// the wilderness. O(1).
    ///
    /// # Safety
    /// `this` is a live instance.
    pub(crate) unsafe fn largest(this: *mut Control) -> usize {
        // SAFETY: live (caller). An empty list's head is outside the pools, and no request gets an
        // overwritten block: both have size 0.
        unsafe {
            let size_in = |bin: usize| free_size(this, Control::head(this, bin).read());
            let listed = size_in((*this).last_nonempty().unwrap_or(WILDERNESS));
            let size = listed.max(size_in(WILDERNESS));
            size.min((*this).max_size).saturating_sub(HEADER)
        }
    }
}
