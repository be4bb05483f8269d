//! The control structure: bitmaps, bin heads, counters. It lies in the caller's memory and is the
//! whole state of an instance.
//!
//! ```text
//!  │ used │ bounds │ cookie │ counters │ bitmaps │ pools │ handler │ life │ hooks ││ heads[…] │
//!  └ fixed part: this struct                                                    ┘└ `top_bin` + 1
//! ```
//!
//! `check` is a hash of the words that only control-plane calls change: validation detects an
//! overwritten control structure before it follows a pointer in it.

use core::ffi::c_void;
use core::hint::assert_unchecked;
use core::{ptr, slice};

use crate::block::{Block, Link};
use crate::config::{HEADER, MAX_BLOCK_LIMIT, QUANTUM, QUANTUM_LOG2, SL_WORDS, WORD};
use crate::hash;
#[cfg(not(memoman_small))]
use crate::hooks::Hooks;
use crate::life;
use crate::misuse::MisuseHandler;
use crate::pool::{Pool, PoolHeader};
use crate::size_class::{LINEAR_BELOW, block_size_for, ceil_bin, large_bin};

/// Fixed part of the control structure. The bins' heads follow it.
#[repr(C)]
pub struct Control {
    /// Bytes of live blocks, headers included.
    pub(crate) used: usize,
    /// The `prev_link` of the list's end ([`Control::list_end`]): takes writes, so that a push
    /// needs no branch, and is never read. 0 in an emptied heap of one pool, as in a new one.
    pub(crate) absorber: usize,
    /// Lowest payload address of any pool; `usize::MAX` without pools.
    pub(crate) low: usize,
    /// Quanta from `low` to the end of the highest pool; 0 without pools.
    pub(crate) quanta: usize,
    /// End of the highest pool: every payload lies below it; 0 without pools. A free block that
    /// ends here is the wilderness.
    pub(crate) high: usize,
    /// Bounds of the heads and the pools, where a word may point at a free block: lowest address,
    /// and words from there on.
    pub(crate) links_low: usize,
    pub(crate) links: usize,
    /// The seal of this life's headers ([`life::seal`]); 0 on 32-bit targets, which have none.
    pub(crate) cookie: usize,
    /// Index of the last bin, whose blocks are each large enough for any request.
    pub(crate) top_bin: usize,
    /// Block size of the largest request, in bytes.
    pub(crate) max_size: usize,
    /// The largest request in bytes; 0 while the instance is intercepted.
    pub(crate) limit: usize,
    /// Highest `used` since creation or reset.
    pub(crate) peak: usize,
    /// Blocks in use.
    pub(crate) live_blocks: usize,
    /// One bit for each word of `sl_bitmap`: set when the word is not zero.
    pub(crate) fl_bitmap: usize,
    /// One bit for each bin: set when its list is not empty.
    pub(crate) sl_bitmap: [usize; SL_WORDS],
    /// Number of requests refused for lack of memory.
    pub(crate) failed_requests: usize,
    /// Pools in address order.
    pub(crate) first_pool: *mut PoolHeader,
    pub(crate) last_pool: *mut PoolHeader,
    /// Bytes of all pools, each between its rounded bounds.
    pub(crate) pool_bytes: usize,
    /// Bytes of the pools' own headers and sentinels.
    pub(crate) overhead: usize,
    pub(crate) handler: Option<MisuseHandler>,
    pub(crate) handler_user: *mut c_void,
    /// The number of this life ([`mod@crate::life`]).
    pub(crate) life: usize,
    /// Hash of the words that only control-plane calls change.
    pub(crate) check: usize,
    /// In the fixed part, so that no overwritten word leads to them.
    #[cfg(not(memoman_small))]
    pub(crate) hooks: Hooks,
}

/// Words from `low` to `limit`, and from `first_pool` to `life`: what `check` covers.
pub(crate) const HASHED_FIRST: usize = 9;
pub(crate) const HASHED_LAST: usize = 7;

/// Index of the lowest set bit of a word that is not zero.
#[inline(always)]
fn lowest_bit(word: usize) -> usize {
    word.trailing_zeros() as usize
}

const WORD_BITS: usize = usize::BITS as usize;

/// The bin of the wilderness, the free block that ends the highest pool: it is split only when no
/// other bin has a block for a request. No size maps to this bin.
pub(crate) const WILDERNESS: usize = 0;

/// Bins of every instance: those of single sizes (whose mapping then needs no upper bound) and one
/// for all larger sizes.
pub(crate) const BINS_MIN: usize = (LINEAR_BELOW >> QUANTUM_LOG2) + 1;

impl Control {
    /// Bins of an instance for requests up to `max_block` bytes: every block of the last one is
    /// large enough for any of them.
    pub(crate) const fn bins_for(max_block: usize) -> usize {
        let bins = ceil_bin(block_size_for(max_block)) + 1;
        if bins < BINS_MIN { BINS_MIN } else { bins }
    }

    /// Bytes of a control structure with this many bins, in whole quanta.
    pub(crate) const fn bytes_of(bins: usize) -> usize {
        (size_of::<Control>() + bins * WORD).next_multiple_of(QUANTUM)
    }

    /// Bytes of the control structure for requests up to `max_block` bytes; 0 when that is above
    /// [`MAX_BLOCK_LIMIT`].
    #[cfg_attr(memoman_small, inline(never))]
    pub(crate) const fn size_for(max_block: usize) -> usize {
        if max_block > MAX_BLOCK_LIMIT {
            0
        } else {
            Control::bytes_of(Control::bins_for(max_block))
        }
    }

    /// Lays an instance without pools into `mem`. `life` is the number of its first life.
    ///
    /// # Safety
    /// `mem` is aligned for a word, `max_block` is at most [`MAX_BLOCK_LIMIT`], and
    /// `size_for(max_block)` bytes at `mem` may be written.
    #[cfg(not(memoman_small))]
    pub(crate) unsafe fn init(mem: *mut u8, max_block: usize, life: usize) -> *mut Control {
        let control: *mut Control = mem.cast();
        // SAFETY: the memory may be written (caller); all-zero is a valid Control.
        unsafe { ptr::write_bytes(control, 0, 1) };
        // SAFETY: the memory was just initialised; no other reference to it exists.
        let this = unsafe { &mut *control };
        this.life = life;
        this.cookie = life::seal(life);
        this.top_bin = Control::bins_for(max_block) - 1;
        // After `top_bin`, which gives the end of the heads.
        this.set_bounds(usize::MAX, 0);
        this.max_size = block_size_for(max_block);
        this.limit = this.max_size - HEADER;
        this.check = this.checksum();
        // SAFETY: the heads, and the padding after them, are part of the memory that may be written
        // (caller).
        unsafe {
            Control::empty_bins(control);
            let padding: *mut u8 = Control::head(control, (*control).top_bin + 1).cast();
            let bytes = (*control).bytes() - (padding.addr() - mem.addr());
            ptr::write_bytes(padding, 0, bytes);
        }
        control
    }

    /// Begins the next life, which invalidates every header; the pools must be laid out anew.
    pub(crate) fn reseal(&mut self) {
        self.life = self.life.wrapping_add(1);
        self.cookie = life::seal(self.life);
        self.check = self.checksum();
    }

    /// The value that `check` must have.
    #[inline(never)]
    pub(crate) fn checksum(&self) -> usize {
        let this = ptr::from_ref(self);
        // SAFETY: words of this structure, in two runs: `layout_asserts` checks their places.
        unsafe {
            let hash = hash::mix_at(this.addr(), (&raw const (*this).low).cast(), HASHED_FIRST);
            hash::extend(hash, (&raw const (*this).first_pool).cast(), HASHED_LAST)
        }
    }

    /// "No block" in heads and links: the control structure's address. Every call has it in a
    /// register, and unlike null it does not make zeros written over a link the list's end.
    #[inline(always)]
    pub(crate) fn list_end(this: *mut Control) -> Block {
        Block::at(this.cast())
    }

    /// Empties every list and clears both bitmaps.
    ///
    /// # Safety
    /// `top_bin` of `this` is set, and its heads may be written.
    pub(crate) unsafe fn empty_bins(this: *mut Control) {
        // SAFETY: the heads, bounded by `top_bin`, may be written (caller).
        unsafe {
            (*this).fl_bitmap = 0;
            (*this).sl_bitmap = [0; SL_WORDS];
            let end = Control::list_end(this);
            slice::from_raw_parts_mut(Control::head(this, 0), (*this).top_bin + 1).fill(end);
        }
    }

    /// Bytes of this instance's control structure.
    pub(crate) fn bytes(&self) -> usize {
        Control::bytes_of(self.top_bin + 1)
    }

    /// The instance has a cache: blocks may have its mark.
    #[cfg(not(memoman_small))]
    #[inline(always)]
    pub(crate) fn has_cache(&self) -> bool {
        !self.hooks.cache.is_null()
    }

    #[cfg(memoman_small)]
    pub(crate) fn has_cache(&self) -> bool {
        false
    }

    /// Bytes in free blocks, headers included.
    #[inline(always)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.pool_bytes
            .wrapping_sub(self.overhead)
            .wrapping_sub(self.used)
    }

    /// Lowest payload address and highest end of all pools, from the ends of their list.
    ///
    /// # Safety
    /// The list of pools is sound.
    pub(crate) unsafe fn outer_bounds(&self) -> (usize, usize) {
        let low = Pool::new(self.first_pool).map_or(usize::MAX, |pool| pool.first_block().addr());
        // SAFETY: a pool of the list, which is sound (caller).
        let high = Pool::new(self.last_pool).map_or(0, |pool| unsafe { pool.end() });
        (low, high)
    }

    /// Quanta between the outer bounds; 0 without pools.
    pub(crate) fn quanta_between(low: usize, high: usize) -> usize {
        high.saturating_sub(low) >> QUANTUM_LOG2
    }

    /// Sets the outer bounds of the pools, and what follows from them.
    pub(crate) fn set_bounds(&mut self, low: usize, high: usize) {
        let start = ptr::from_ref(self).addr();
        self.low = low;
        self.high = high;
        self.quanta = Control::quanta_between(low, high);
        self.links_low = start.min(low);
        self.links = (high.max(start + self.bytes()) - self.links_low) / WORD;
    }

    /// `address` may be the payload of a block: it is aligned and lies between the pools' outer
    /// bounds. One compare: the rotation moves stray low bits to the top.
    #[inline(always)]
    pub(crate) fn may_be_payload(&self, address: usize) -> bool {
        let quanta = address.wrapping_sub(self.low).rotate_right(QUANTUM_LOG2);
        quanta < self.quanta
    }

    /// `address` may be that of a link: it is aligned and lies between the bounds of heads and
    /// pools.
    #[inline(always)]
    pub(crate) fn may_be_link(&self, address: usize) -> bool {
        let words = address
            .wrapping_sub(self.links_low)
            .rotate_right(WORD.trailing_zeros());
        words < self.links
    }

    /// The bin that a size maps to; sizes beyond the last bin map to it.
    #[cfg(not(memoman_small))]
    #[inline(always)]
    pub(crate) fn bin_of(&self, size: usize) -> usize {
        if size < LINEAR_BELOW {
            size >> QUANTUM_LOG2
        } else {
            self.bin_of_large(size)
        }
    }

    /// [`Control::bin_of`] a size that is at least [`LINEAR_BELOW`].
    #[inline(always)]
    pub(crate) fn bin_of_large(&self, size: usize) -> usize {
        let bin = large_bin(size).min(self.top_bin);
        // SAFETY: `size` is at least `LINEAR_BELOW` (caller); `top_bin` is at least that size's bin
        // (`BINS_MIN`).
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
        // The heads lie directly after the fixed part.
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
        let bits = unsafe { self.sl_bitmap.get_unchecked_mut(word) };
        // Rare. (Tested first: the old value then needs no register of its own.)
        if *bits == 0 {
            self.fl_bitmap |= 1 << word;
        }
        *bits |= 1 << (bin % WORD_BITS);
    }

    /// Marks `bin` as empty.
    #[inline(always)]
    pub(crate) fn unmark(&mut self, bin: usize) {
        let word = bin / WORD_BITS;
        debug_assert!(word < SL_WORDS);
        // SAFETY: a bin is at most `top_bin`, which is below BINS_MAX, so its word exists.
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

    /// The last bin that is not empty; the wilderness's only when all others are empty.
    #[inline(always)]
    pub(crate) fn last_nonempty(&self) -> Option<usize> {
        let word = self.fl_bitmap.checked_ilog2()? as usize;
        debug_assert!(word < SL_WORDS);
        // SAFETY: I1: a first-level bit is set only for an existing word that is not zero.
        let bits = unsafe { *self.sl_bitmap.get_unchecked(word) };
        let bit = bits.checked_ilog2()?;
        Some(word * WORD_BITS + bit as usize)
    }

    /// The largest request, in bytes, that would succeed: that of the last non-empty bin's head or
    /// the wilderness. O(1).
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
            // An overwritten header counts as 0: no request gets the block.
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

    /// Counts a block of `size` bytes that leaves use.
    #[inline(always)]
    pub(crate) fn count_freed(&mut self, size: usize) {
        self.used = self.used.wrapping_sub(size);
        self.live_blocks = self.live_blocks.wrapping_sub(1);
    }

    /// Counts a block of `size` bytes that comes into use.
    #[inline(always)]
    pub(crate) fn count_taken(&mut self, size: usize) {
        self.live_blocks = self.live_blocks.wrapping_add(1);
        self.count_grown(size);
    }

    /// Counts `size` more bytes in use (wrapped around: fewer).
    #[inline(always)]
    pub(crate) fn count_grown(&mut self, size: usize) {
        self.used = self.used.wrapping_add(size);
        // A branch, since a new peak is rare: without one, each call waits for `peak`.
        if self.used > self.peak {
            self.peak = self.used;
        }
    }
}
