//! The control structure: bitmaps, bin heads, counters. It lies in the caller's memory and is the
//! whole state of an instance.
//!
//! ```text
//!  Control │ bounds │ cookie │ counters │ fl_bitmap │ sl_bitmap[…] │ pools │ handler ││ heads[bins] │
//!          └ fixed part: this struct                                                 ┘└ as many as asked for
//! ```
//!
//! The words that only control-plane calls change are covered by `check`, a hash of them, so that
//! validation can tell an overwritten control structure before it trusts a pointer in it.

use core::ffi::c_void;
use core::hint::assert_unchecked;
use core::{ptr, slice};

use crate::block::{Block, Link};
use crate::config::{HEADER, MAX_BLOCK_LIMIT, QUANTUM, QUANTUM_LOG2, SIZE_LIMIT, SL_WORDS, WORD};
use crate::hash;
use crate::misuse::MisuseHandler;
use crate::pool::{Pool, PoolHeader};
use crate::size_class::{LINEAR_BELOW, block_size_for, ceil_bin, large_bin};

/// Fixed part of the control structure. The bins' heads follow it.
#[repr(C)]
pub struct Control {
    /// Address of the lowest payload of any pool; `usize::MAX` without pools.
    pub(crate) low: usize,
    /// Quanta from there to the end of the highest pool; 0 without pools.
    pub(crate) quanta: usize,
    /// End of the highest pool: no payload lies at or above it; 0 without pools. The block that ends here is the
    /// wilderness.
    pub(crate) high: usize,
    /// Lowest address where a word may point at a free block, and words from there to the highest: heads and pools.
    pub(crate) links_low: usize,
    pub(crate) links: usize,
    /// The seal of this instance's headers, in place above the size, until the next reset. 32-bit headers have none;
    /// there it only tells one reset from another.
    pub(crate) cookie: usize,
    /// Index of the last bin. It holds every block that serves any request.
    pub(crate) top_bin: usize,
    /// Block size of the greatest request.
    pub(crate) max_size: usize,
    /// The greatest request in bytes; 0 while the instance is intercepted.
    pub(crate) limit: usize,
    /// Bytes that live blocks take, headers included.
    pub(crate) used: usize,
    /// Highest `used` since creation or reset.
    pub(crate) peak: usize,
    /// Blocks in use.
    pub(crate) live_blocks: usize,
    /// Requests refused for want of memory.
    pub(crate) failed_requests: usize,
    /// One bit for each word of `sl_bitmap`: set when the word is not zero.
    pub(crate) fl_bitmap: usize,
    /// One bit for each bin: set when its list is not empty.
    pub(crate) sl_bitmap: [usize; SL_WORDS],
    /// Pools in address order.
    pub(crate) first_pool: *mut PoolHeader,
    pub(crate) last_pool: *mut PoolHeader,
    /// Bytes of all pools, each between its rounded bounds.
    pub(crate) pool_bytes: usize,
    /// Bytes that the pools take for themselves.
    pub(crate) overhead: usize,
    pub(crate) handler: Option<MisuseHandler>,
    pub(crate) handler_user: *mut c_void,
    /// Hash of the words that only control-plane calls change.
    pub(crate) check: usize,
}

/// The seal of the instance at `address`, another one than `before`: the bits above a size, the uppermost of them set, so
/// that neither pointers, nor small integers, nor text look like a header.
pub(crate) fn cookie_for(address: usize, before: usize) -> usize {
    let bits = if WORD == 8 {
        !SIZE_LIMIT & !(QUANTUM - 1)
    } else {
        usize::MAX
    };
    let cookie = (hash::mix(&[address, before]) | 1 << (usize::BITS - 1)) & bits;
    if cookie == before {
        cookie ^ (1 << (usize::BITS - 2))
    } else {
        cookie
    }
}

/// Words from `low` to `limit`, and from `first_pool` to `handler_user`: what `check` covers.
pub(crate) const HASHED_FIRST: usize = 9;
pub(crate) const HASHED_LAST: usize = 6;

/// Index of the lowest set bit of a word that is not zero.
#[inline(always)]
fn lowest_bit(word: usize) -> usize {
    word.trailing_zeros() as usize
}

const WORD_BITS: usize = usize::BITS as usize;

/// The wilderness's bin: what no bin serves is cut from the free block that ends the highest pool. No size maps to it.
pub(crate) const WILDERNESS: usize = 0;

/// Bins that every instance has: those of single sizes, which need no upper bound then, and one for all greater ones.
pub(crate) const BINS_MIN: usize = (LINEAR_BELOW >> QUANTUM_LOG2) + 1;

impl Control {
    /// Bins that an instance for requests up to `max_block` bytes needs: the last one's every block serves any of them.
    pub(crate) const fn bins_for(max_block: usize) -> usize {
        let bins = ceil_bin(block_size_for(max_block)) + 1;
        if bins < BINS_MIN { BINS_MIN } else { bins }
    }

    /// Bytes of the control structure for requests up to `max_block`; 0 when no instance can serve them.
    pub(crate) const fn size_for(max_block: usize) -> usize {
        if max_block > MAX_BLOCK_LIMIT {
            0
        } else {
            size_of::<Control>() + Control::bins_for(max_block) * WORD
        }
    }

    /// Lays an instance without pools into `mem`.
    ///
    /// # Safety
    /// `mem` is aligned for a word, `max_block` is at most [`MAX_BLOCK_LIMIT`], and
    /// `size_for(max_block)` bytes at `mem` may be written.
    #[cfg(not(memoman_small))]
    pub(crate) unsafe fn init(mem: *mut u8, max_block: usize) -> *mut Control {
        let control: *mut Control = mem.cast();
        // SAFETY: the caller gives this memory; all-zero is a valid Control.
        unsafe { ptr::write_bytes(mem, 0, Control::size_for(max_block)) };
        // SAFETY: the memory was just initialised; no other reference to it exists.
        let this = unsafe { &mut *control };
        this.cookie = cookie_for(mem.addr(), 0);
        this.top_bin = Control::bins_for(max_block) - 1;
        // The heads' end is among the bounds: only now it is known.
        this.set_bounds(usize::MAX, 0);
        this.max_size = block_size_for(max_block);
        this.limit = this.max_size - HEADER;
        this.check = this.checksum();
        // SAFETY: the heads are part of the memory that the caller gives.
        unsafe { Control::empty_bins(control) };
        control
    }

    /// Draws another seal: what looks like a header in the pools does so no more. They must be laid out anew.
    pub(crate) fn reseal(&mut self) {
        self.cookie = cookie_for(ptr::from_ref(self).addr(), self.cookie);
        self.check = self.checksum();
    }

    /// What `check` must be.
    #[inline(never)]
    pub(crate) fn checksum(&self) -> usize {
        let this = ptr::from_ref(self);
        // SAFETY: words of this structure, in two runs: their places are proved in `proofs`.
        unsafe {
            let hash = hash::mix_at(this.addr(), this.cast(), HASHED_FIRST);
            hash::extend(hash, (&raw const (*this).first_pool).cast(), HASHED_LAST)
        }
    }

    /// What stands for "no block" in heads and links: the control structure's own address. Not null, so that a list cannot
    /// be cut short by zeros written over a link; and at hand in every call.
    #[inline(always)]
    pub(crate) fn list_end(this: *mut Control) -> Block {
        Block::at(this.cast())
    }

    /// Empties every list and clears both bitmaps.
    ///
    /// # Safety
    /// `this` has its seal and `top_bin`, and its heads may be written.
    pub(crate) unsafe fn empty_bins(this: *mut Control) {
        // SAFETY: the caller's duties; `top_bin` bounds the heads.
        unsafe {
            (*this).fl_bitmap = 0;
            (*this).sl_bitmap = [0; SL_WORDS];
            let end = Control::list_end(this);
            slice::from_raw_parts_mut(Control::head(this, 0), (*this).top_bin + 1).fill(end);
        }
    }

    /// Bytes of this instance's control structure.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Control>() + (self.top_bin + 1) * WORD
    }

    /// Bytes in free blocks, headers included.
    #[inline(always)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.pool_bytes
            .wrapping_sub(self.overhead)
            .wrapping_sub(self.used)
    }

    /// Lowest payload and end of all pools, from the ends of the list.
    ///
    /// # Safety
    /// The list of pools is sound.
    pub(crate) unsafe fn outer_bounds(&self) -> (usize, usize) {
        let low = Pool::new(self.first_pool).map_or(usize::MAX, |pool| pool.first_block().addr());
        // SAFETY: a pool of the list (caller).
        let high = Pool::new(self.last_pool).map_or(0, |pool| unsafe { pool.end() });
        (low, high)
    }

    /// Takes over the outer bounds of the pools.
    pub(crate) fn set_bounds(&mut self, low: usize, high: usize) {
        let start = ptr::from_ref(self).addr();
        self.low = low;
        self.high = high;
        self.quanta = high.saturating_sub(low) >> QUANTUM_LOG2;
        self.links_low = start.min(low);
        self.links = (high.max(start + self.bytes()) - self.links_low) / WORD;
    }

    /// `address` may be the payload of a block: it lies between the pools' outer bounds. Alignment and both bounds are
    /// one compare: the rotation moves stray low bits to the top.
    #[inline(always)]
    pub(crate) fn may_be_payload(&self, address: usize) -> bool {
        let quanta = address.wrapping_sub(self.low).rotate_right(QUANTUM_LOG2);
        quanta < self.quanta
    }

    /// `address` may be that of a link: a word of the heads or of a pool.
    #[inline(always)]
    pub(crate) fn may_be_link(&self, address: usize) -> bool {
        let words = address
            .wrapping_sub(self.links_low)
            .rotate_right(WORD.trailing_zeros());
        words < self.links
    }

    /// The bin that a size maps to: the last one takes whatever exceeds the classes.
    #[cfg(not(memoman_small))]
    #[inline(always)]
    pub(crate) fn bin_of(&self, size: usize) -> usize {
        if size < LINEAR_BELOW {
            size >> QUANTUM_LOG2
        } else {
            self.bin_of_large(size)
        }
    }

    /// The same for a size that is at least [`LINEAR_BELOW`].
    #[inline(always)]
    pub(crate) fn bin_of_large(&self, size: usize) -> usize {
        let bin = large_bin(size).min(self.top_bin);
        // SAFETY: `size` is at least `LINEAR_BELOW`, and `top_bin` the bin of that at least.
        unsafe { assert_unchecked(bin >= LINEAR_BELOW >> QUANTUM_LOG2) };
        bin
    }

    /// A free block of this size at this place is the wilderness: it ends the highest pool.
    #[inline(always)]
    pub(crate) fn is_wilderness(&self, block: Block, size: usize) -> bool {
        block.addr() + size == self.high
    }

    /// The bin of a free block.
    #[cfg_attr(not(memoman_small), inline(always))]
    #[cfg_attr(memoman_small, inline(never))]
    pub(crate) fn bin_of_block(&self, block: Block, size: usize) -> usize {
        if self.is_wilderness(block, size) {
            WILDERNESS
        } else {
            self.bin_of(size)
        }
    }

    /// Address of the head of `bin`, which is at most `top_bin`.
    #[inline(always)]
    pub(crate) fn head(this: *mut Control, bin: usize) -> Link {
        // The heads lie right behind the fixed part.
        this.wrapping_add(1).cast::<Block>().wrapping_add(bin)
    }

    /// The bin whose head is at `link`, if it is one of this instance's.
    #[inline(always)]
    pub(crate) fn bin_of_head(this: *mut Control, link: Link, top_bin: usize) -> Option<usize> {
        let offset = link.addr().wrapping_sub(this.wrapping_add(1).addr());
        (offset <= top_bin * WORD).then_some(offset / WORD)
    }

    /// Marks `bin` as not empty.
    #[inline(always)]
    pub(crate) fn mark(&mut self, bin: usize) {
        let word = bin / WORD_BITS;
        debug_assert!(word < SL_WORDS);
        // SAFETY: a bin is at most `top_bin`, which is below BINS_MAX, so its word exists.
        unsafe { *self.sl_bitmap.get_unchecked_mut(word) |= 1 << (bin % WORD_BITS) };
        // The first word, that of the small sizes, is rarely without a bit.
        if word > 0 || self.fl_bitmap & 1 == 0 {
            self.fl_bitmap |= 1 << word;
        }
    }

    /// Marks `bin` as empty.
    #[inline(always)]
    pub(crate) fn unmark(&mut self, bin: usize) {
        let word = bin / WORD_BITS;
        debug_assert!(word < SL_WORDS);
        // SAFETY: as for `mark`.
        let bits = unsafe { self.sl_bitmap.get_unchecked_mut(word) };
        *bits &= !(1 << (bin % WORD_BITS));
        if *bits == 0 {
            self.fl_bitmap &= !(1 << word);
        }
    }

    /// The first bin at or above `bin` that is not empty: two find-first-set, no loop.
    #[inline(always)]
    pub(crate) fn first_nonempty(&self, bin: usize) -> Option<usize> {
        let word = bin / WORD_BITS;
        if word >= SL_WORDS {
            return None;
        }
        // SAFETY: tested above.
        let bits =
            unsafe { *self.sl_bitmap.get_unchecked(word) } & (usize::MAX << (bin % WORD_BITS));
        if bits != 0 {
            return Some(word * WORD_BITS + lowest_bit(bits));
        }
        // Words above this one; the shift is split so that it stays below the word's width.
        let words = self.fl_bitmap & ((usize::MAX << 1) << word);
        if words == 0 {
            return None;
        }
        let word = lowest_bit(words);
        debug_assert!(word < SL_WORDS);
        // SAFETY: I1: a first-level bit is set only for an existing word that is not zero.
        let bits = unsafe { *self.sl_bitmap.get_unchecked(word) };
        Some(word * WORD_BITS + lowest_bit(bits))
    }

    /// The last bin that is not empty; the wilderness's is the last to be named.
    #[inline(always)]
    pub(crate) fn last_nonempty(&self) -> Option<usize> {
        let word = self.fl_bitmap.checked_ilog2()? as usize;
        debug_assert!(word < SL_WORDS);
        // SAFETY: as in `first_nonempty`.
        let bits = unsafe { *self.sl_bitmap.get_unchecked(word) };
        let bit = bits.checked_ilog2()?;
        Some(word * WORD_BITS + bit as usize)
    }

    /// The greatest request that can succeed now: the head of the last non-empty bin, or the wilderness. O(1).
    ///
    /// # Safety
    /// `this` is a live instance.
    #[cfg(not(memoman_small))]
    pub(crate) unsafe fn largest(this: *mut Control) -> usize {
        // SAFETY: live (caller); shared access only.
        let control = unsafe { &*this };
        let size_in = |bin: usize| {
            // SAFETY: I1: the bin has a head, and a head is a free block of a pool.
            let header = unsafe { Control::head(this, bin).read().header(control.cookie) };
            // Overwritten: no request would get it.
            if header.is_plain_free() {
                header.size()
            } else {
                0
            }
        };
        let listed = control.last_nonempty().map_or(0, size_in);
        let wilderness = if control.sl_bitmap[0] & 1 << WILDERNESS != 0 {
            size_in(WILDERNESS)
        } else {
            0
        };
        let size = listed.max(wilderness);
        size.min(control.max_size).saturating_sub(HEADER)
    }

    /// One block less in use, of `size` bytes.
    #[inline(always)]
    pub(crate) fn count_freed(&mut self, size: usize) {
        self.used = self.used.wrapping_sub(size);
        self.live_blocks = self.live_blocks.wrapping_sub(1);
    }

    /// One block more in use, of `size` bytes.
    #[inline(always)]
    pub(crate) fn count_taken(&mut self, size: usize) {
        self.live_blocks = self.live_blocks.wrapping_add(1);
        self.count_grown(size);
    }

    /// `size` bytes more in use (or, wrapped around, less).
    #[inline(always)]
    pub(crate) fn count_grown(&mut self, size: usize) {
        self.used = self.used.wrapping_add(size);
        // Without a branch: a new peak costs the same.
        self.peak = self.peak.max(self.used);
    }
}
