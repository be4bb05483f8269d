//! One block: its header word, its neighbours, its links while it is free.
//!
//! ```text
//!         ┌ block N ───────────────────────────────┐┌ block N+1 ──
//!  used:  │ seal│size│flags │ payload …………………………………… ││ header │ …
//!  free:  │ seal│size│flags │ next_free │ prev_link │ … │ prev_phys ││ header (PREV_FREE=1) │ …
//!                           ▲ a Block is this address   ▲ last word of the FREE block's payload
//! ```
//!
//! A [`Block`] is its payload's address, the pointer that the user holds. Sizes include the header,
//! so `payload + size` is the next payload. `prev_phys` (the ghost) overlaps the previous block's
//! last payload word and exists only while that block is free.
//!
//! `prev_link` is the address of the word that points here: the `next_free` of the preceding block
//! in the list (which is that block's payload address) or the bin's head. Unlinking then needs
//! neither the size class nor a test for the head.
//!
//! The *seal* fills the sixteen spare bits of a 64-bit header with a value that the instance
//! derived at its creation or last reset: the top bit is set, the other 15 are a hash. A word that
//! is not a header of that instance decodes to a size of 2^48 or more and fails the bounds test
//! that every call makes. A header that stops being that of a block in use is marked FREE, so no
//! stale header passes for a live one.

use core::ptr;

#[cfg(not(memoman_small))]
use crate::cache::Entry;
use crate::config::{BLOCK_MIN, HEADER, QUANTUM, QUANTUM_LOG2, SIZE_BITS, SIZE_LIMIT, WORD};

/// The block is free.
pub(crate) const FREE: usize = 1;
/// The previous block is free: its last payload word is our `prev_phys`.
pub(crate) const PREV_FREE: usize = 2;
/// The block ends its pool and has no payload. Its size field holds the distance back to the pool's
/// first byte. Or it is a block in an instance's cache, whose header is otherwise that of one in
/// use.
pub(crate) const SENTINEL: usize = 4;
/// All flags.
pub(crate) const FLAGS: usize = FREE | PREV_FREE | SENTINEL;
/// All bits below the quantum.
const LOW_BITS: usize = QUANTUM - 1;
/// The bits above the size.
const SEAL_BITS: usize = !(SIZE_LIMIT | LOW_BITS);

/// The seal of a header: 0 on 32-bit targets, whose headers have no spare bits.
#[inline(always)]
const fn seal(cookie: usize) -> usize {
    if WORD == 8 { cookie } else { 0 }
}

/// A header word with its seal taken off: size in the upper bits, flags below the quantum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header(usize);

impl Header {
    #[inline(always)]
    pub(crate) const fn used(size: usize) -> Header {
        Header(size)
    }

    #[inline(always)]
    pub(crate) const fn free(size: usize) -> Header {
        Header(size ^ FREE)
    }

    #[inline(always)]
    pub(crate) const fn sentinel(distance: usize) -> Header {
        Header(distance | SENTINEL)
    }

    /// Replaces the header of a block absorbed by the free block before it, so that a second free
    /// is detected.
    #[inline(always)]
    pub(crate) const fn tombstone() -> Header {
        Header(FREE)
    }

    /// A used header of another size with this header's PREV_FREE.
    #[inline(always)]
    pub(crate) const fn resized(self, size: usize) -> Header {
        Header(size | (self.0 & PREV_FREE))
    }

    #[inline(always)]
    pub(crate) const fn with_prev_free(self) -> Header {
        Header(self.0 | PREV_FREE)
    }

    /// Block size in bytes, header included; any value up to `usize::MAX` when the word is no
    /// header.
    #[inline(always)]
    pub(crate) const fn size(self) -> usize {
        self.0 & !LOW_BITS
    }

    /// [`Header::size`], and [`SENTINEL`] where that is set: in a block of the cache.
    #[inline(always)]
    pub(crate) const fn marked_size(self) -> usize {
        self.0 & (!LOW_BITS | SENTINEL)
    }

    #[inline(always)]
    pub(crate) const fn is_free(self) -> bool {
        self.0 & FREE != 0
    }

    #[inline(always)]
    pub(crate) const fn is_prev_free(self) -> bool {
        self.0 & PREV_FREE != 0
    }

    #[inline(always)]
    pub(crate) const fn is_sentinel(self) -> bool {
        self.0 & SENTINEL != 0
    }

    /// A used block that is no sentinel, with or without PREV_FREE: the only state of a live block.
    #[inline(always)]
    pub(crate) const fn is_plain_used(self) -> bool {
        self.0 & LOW_BITS & !PREV_FREE == 0
    }

    /// A used block of this size, with or without PREV_FREE.
    #[inline(always)]
    pub(crate) const fn is_used_of(self, size: usize) -> bool {
        self.0 & !PREV_FREE == size
    }

    /// A used block of fewer than `most` bytes, a multiple of the quantum. One compare: the
    /// rotation moves stray flags to the top, beside a wrong seal.
    #[inline(always)]
    pub(crate) const fn is_used_below(self, most: usize) -> bool {
        self.is_used_below_quanta(most >> QUANTUM_LOG2)
    }

    /// [`Header::is_used_below`] so many quanta.
    #[inline(always)]
    pub(crate) const fn is_used_below_quanta(self, most: usize) -> bool {
        (self.0 & !PREV_FREE).rotate_right(QUANTUM_LOG2) < most
    }

    /// [`Header::is_plain_used`] after a block in use, and sealed: no bit beside the size is set.
    #[inline(always)]
    pub(crate) const fn is_plain_used_after_used(self) -> bool {
        self.0 & (SEAL_BITS | LOW_BITS) == 0
    }

    /// A used block of a possible size after a block in use: [`Header::may_follow_used`], neither
    /// free nor a sentinel.
    #[inline(always)]
    pub(crate) const fn is_possible_used_after_used(self) -> bool {
        (WORD == 8 || self.0 >= BLOCK_MIN)
            && self.0.wrapping_sub(BLOCK_MIN) & (SEAL_BITS | LOW_BITS) == 0
    }

    /// A free block whose previous block is used: the state of every free block (I4).
    #[inline(always)]
    pub(crate) const fn is_plain_free(self) -> bool {
        self.0 & LOW_BITS == FREE
    }

    /// A plain free block of this size. XOR takes one register less than a
    /// comparison with `size | FREE`.
    #[inline(always)]
    pub(crate) const fn is_free_of(self, size: usize) -> bool {
        self.0 ^ size == FREE
    }

    /// The size of a plain free block ([`Header::is_plain_free`]).
    #[inline(always)]
    pub(crate) const fn free_size(self) -> Option<usize> {
        // Without FREE, such a header is the size.
        let size = self.0 ^ FREE;
        if size & LOW_BITS == 0 {
            Some(size)
        } else {
            None
        }
    }

    /// The header of a cached block, unless it is that of a sentinel.
    #[inline(always)]
    pub(crate) const fn is_cached(self) -> bool {
        self.is_sealed() && self.0 & LOW_BITS & !PREV_FREE == SENTINEL
    }

    /// The seal is that of this instance. Always true on 32-bit targets, which have no seal.
    #[inline(always)]
    pub(crate) const fn is_sealed(self) -> bool {
        self.0 & SEAL_BITS == 0
    }

    /// A possible header after a block in use: sealed, PREV_FREE and the stray bit clear, the size
    /// at least that of the smallest block. One mask tests all of it: a smaller size wraps around
    /// into the seal.
    #[inline(always)]
    pub(crate) const fn may_follow_used(self) -> bool {
        let suspect = SEAL_BITS | PREV_FREE | (LOW_BITS & !FLAGS);
        (WORD == 8 || self.0 >= BLOCK_MIN) && self.0.wrapping_sub(BLOCK_MIN) & suspect == 0
    }

    /// A free block's header or a tombstone: the block here has been freed.
    pub(crate) const fn was_freed(self) -> bool {
        self.is_sealed() && self.is_free() && !self.is_sentinel() && !self.has_stray_bits()
    }

    /// Low bits that no header has.
    #[inline(always)]
    pub(crate) const fn has_stray_bits(self) -> bool {
        self.0 & LOW_BITS & !FLAGS != 0
    }
}

/// A block: its payload address.
///
/// # Safety of the methods
/// `self` is the payload address of a block (or sentinel) in a pool of a live instance: the word
/// before it, its header, may be read and written; of a free block, also the first two words of the
/// payload (the links) and the last one (the ghost of the next block).
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block(*mut u8);

/// The word that points at a free block: a bin's head, or the `next_free` of another free block.
pub(crate) type Link = *mut Block;

impl Block {
    #[inline(always)]
    pub(crate) const fn at(payload: *mut u8) -> Block {
        Block(payload)
    }

    /// The block of a pointer that a caller gives back. That may have been narrowed to the payload,
    /// as the pointer in a `Box` is: header and neighbours are reached with the provenance of the
    /// pool's memory, which `add_pool` exposes.
    #[inline(always)]
    pub(crate) fn returned(payload: *const u8) -> Block {
        Block(ptr::with_exposed_provenance_mut(payload.addr()))
    }

    #[inline(always)]
    pub(crate) const fn payload(self) -> *mut u8 {
        self.0
    }

    #[inline(always)]
    pub(crate) fn addr(self) -> usize {
        self.0.addr()
    }

    #[inline(always)]
    pub(crate) fn is_aligned(self) -> bool {
        self.addr().is_multiple_of(QUANTUM)
    }

    #[inline(always)]
    fn header_ptr(self) -> *mut usize {
        self.0.wrapping_sub(HEADER).cast()
    }

    /// Reads the header.
    #[inline(always)]
    pub(crate) unsafe fn header(self, cookie: usize) -> Header {
        // SAFETY: the header precedes the payload (see `Block`).
        Header(unsafe { self.header_ptr().read() } ^ seal(cookie))
    }

    /// The seal in this block's header.
    #[inline(always)]
    pub(crate) unsafe fn seal(self) -> usize {
        // SAFETY: the header precedes the payload (see `Block`).
        unsafe { self.header_ptr().read() & SEAL_BITS }
    }

    /// Writes the header.
    #[inline(always)]
    pub(crate) unsafe fn set_header(self, cookie: usize, header: Header) {
        // SAFETY: the header precedes the payload (see `Block`).
        unsafe { self.header_ptr().write(header.0 ^ seal(cookie)) }
    }

    /// Sets FREE in the header of a block in use after a block in use.
    #[inline(always)]
    pub(crate) unsafe fn set_free(self) {
        // SAFETY: the header precedes the payload (see `Block`).
        unsafe { *self.header_ptr() |= FREE }
    }

    /// Clears FREE.
    #[inline(always)]
    pub(crate) unsafe fn set_used(self) {
        // SAFETY: the header precedes the payload (see `Block`).
        unsafe { *self.header_ptr() &= !FREE }
    }

    /// The header word, seal and all.
    #[inline(always)]
    pub(crate) unsafe fn word(self) -> usize {
        // SAFETY: the header precedes the payload (see `Block`).
        unsafe { self.header_ptr().read() }
    }

    /// Changes the mark of a cached block, whose header word is `word`; returns the new one. The
    /// whole word is written: a processor that reads a word of which a byte has just been written
    /// waits.
    #[inline(always)]
    pub(crate) unsafe fn toggle_cached(self, word: usize) -> usize {
        // SAFETY: the header precedes the payload (see `Block`).
        unsafe { self.header_ptr().write(word ^ SENTINEL) }
        word ^ SENTINEL
    }

    /// The entry after a cached block.
    #[cfg(not(memoman_small))]
    #[inline(always)]
    pub(crate) unsafe fn cached_next(self) -> Entry {
        // SAFETY: a cached block's payload starts with these two words (caller).
        unsafe { self.0.cast::<Entry>().read() }
    }

    /// The guard of a cached block.
    #[cfg(not(memoman_small))]
    #[inline(always)]
    pub(crate) unsafe fn cached_guard(self) -> usize {
        // SAFETY: a cached block's payload starts with these two words (caller).
        unsafe { self.0.cast::<usize>().wrapping_add(1).read() }
    }

    /// Writes both words of a cached block.
    #[cfg(not(memoman_small))]
    #[inline(always)]
    pub(crate) unsafe fn set_cached(self, next: Entry, guard: usize) {
        // SAFETY: a block in use has at least these two words (caller).
        unsafe {
            self.0.cast::<Entry>().write(next);
            self.0.cast::<usize>().wrapping_add(1).write(guard);
        }
    }

    /// Sets PREV_FREE. The seal lies above the flags, so this needs no cookie.
    #[inline(always)]
    pub(crate) unsafe fn set_prev_free(self) {
        // SAFETY: the header precedes the payload (see `Block`).
        unsafe { *self.header_ptr() |= PREV_FREE }
    }

    /// Clears PREV_FREE: the word before the header is the previous block's user data again.
    #[inline(always)]
    pub(crate) unsafe fn clear_prev_free(self) {
        // SAFETY: the header precedes the payload (see `Block`).
        unsafe { *self.header_ptr() &= !PREV_FREE }
    }

    /// Usable bytes, read without the instance: of the seal, only the uppermost bit is tested,
    /// which every seal has. 0 when the header word is not that of a block in use.
    #[inline(always)]
    pub(crate) unsafe fn usable_size(self) -> usize {
        if !self.is_aligned() {
            return 0;
        }
        // SAFETY: the header precedes the payload (see `Block`); aligned as tested.
        let word = unsafe { self.header_ptr().read() };
        let header = Header(if WORD == 8 {
            word & (usize::MAX >> (usize::BITS - SIZE_BITS))
        } else {
            word
        });
        let sealed = WORD == 4 || word >> (usize::BITS - 1) != 0;
        if sealed && header.is_plain_used() && header.size() >= BLOCK_MIN {
            header.size() - HEADER
        } else {
            0
        }
    }

    /// The block `size` bytes on: the next block of one of `size` bytes, or the place of a
    /// remainder.
    #[inline(always)]
    pub(crate) fn offset(self, size: usize) -> Block {
        Block(self.0.wrapping_add(size))
    }

    #[inline(always)]
    fn prev_phys_ptr(self) -> *mut Block {
        self.0.wrapping_sub(HEADER + WORD).cast()
    }

    /// The previous block. PREV_FREE of this block is set (caller).
    #[inline(always)]
    pub(crate) unsafe fn prev_phys(self) -> Block {
        // SAFETY: PREV_FREE is set (caller), so the word is the free neighbour's ghost and not user
        // data.
        unsafe { self.prev_phys_ptr().read() }
    }

    /// Confirms the size of a free block: the ghost at its end leads back to it, and the header
    /// there has its seal, is in use and has PREV_FREE. (The ghost alone could be a link of another
    /// free block; ghost and seal could be those of a block merged since, whose header says FREE.)
    #[inline(always)]
    pub(crate) unsafe fn ends_after(self, size: usize) -> bool {
        let next = self.offset(size);
        // SAFETY: both headers and the ghost lie inside the instance's bounds (caller).
        unsafe {
            let difference = next.header_ptr().read() ^ self.header_ptr().read();
            // Rotated, seal and flags are adjacent: the mask fits into the instruction.
            let told = (difference ^ (FREE | PREV_FREE)).rotate_left(usize::BITS - SIZE_BITS);
            let mask = (SEAL_BITS | FREE | PREV_FREE).rotate_left(usize::BITS - SIZE_BITS);
            next.prev_phys() == self && told & mask == 0
        }
    }

    /// Writes the ghost: `prev` lies right before `self` and is free.
    #[inline(always)]
    pub(crate) unsafe fn set_prev_phys(self, prev: Block) {
        // SAFETY: the word is the last one of the free block's payload (caller).
        unsafe { self.prev_phys_ptr().write(prev) }
    }

    /// This block's `next_free` word: the target of the next block's `prev_link`.
    #[inline(always)]
    pub(crate) fn next_link(self) -> Link {
        self.0.cast()
    }

    #[inline(always)]
    pub(crate) unsafe fn next_free(self) -> Block {
        // SAFETY: a free block's payload starts with its links (caller).
        unsafe { self.next_link().read() }
    }

    #[inline(always)]
    pub(crate) unsafe fn set_next_free(self, next: Block) {
        // SAFETY: a free block's payload starts with its links (caller).
        unsafe { self.next_link().write(next) }
    }

    #[inline(always)]
    fn prev_link_ptr(self) -> *mut Link {
        self.0.wrapping_add(WORD).cast()
    }

    #[inline(always)]
    pub(crate) unsafe fn prev_link(self) -> Link {
        // SAFETY: a free block's payload starts with its links (caller).
        unsafe { self.prev_link_ptr().read() }
    }

    #[inline(always)]
    pub(crate) unsafe fn set_prev_link(self, link: Link) {
        // SAFETY: a free block's payload starts with its links (caller).
        unsafe { self.prev_link_ptr().write(link) }
    }
}

/// A block that [`crate::Tlsf::free`] has just coalesced and listed.
#[derive(Clone, Copy)]
pub struct FreeBlock(pub(crate) Block);
