//! One block: its header word, its neighbours, its links while it is free.
//!
//! ```text
//!                ┌ block N ───────────────────────────────┐┌ block N+1 ──
//!  used:         │ seal│size│flags │ payload …………………………………… ││ header │ …
//!  free:         │ seal│size│flags │ next_free │ prev_link │ … │ prev_phys ││ header (PREV_FREE=1) │ …
//!                                  ▲ a Block is this address   ▲ last word of the FREE block's payload
//! ```
//!
//! A [`Block`] is named by its payload: what the user holds. Sizes include the header, so
//! `payload + size` is the next payload. `prev_phys` (the ghost) overlaps the previous block's last
//! payload word and exists only while that block is free.
//!
//! `prev_link` is the address of the word that points here: the `next_free` of the block before in
//! the list (which is that block's payload address) or the bin's head. Unlinking then needs
//! neither the size class nor a test for "am I the head".
//!
//! The *seal* fills the sixteen bits that a 64-bit header has to spare with a value that the instance
//! chose when it was created. A word that is not a header of that instance decodes to a size of 2^48
//! or more and fails the bounds test that is made anyway. Whatever stops being the header of a block in
//! use is marked FREE on the way, so no stale header passes for a live one.

use crate::config::{BLOCK_MIN, HEADER, QUANTUM, QUANTUM_LOG2, SIZE_BITS, SIZE_LIMIT, WORD};

/// The block is in a free list.
pub(crate) const FREE: usize = 1;
/// The previous block is free: its last payload word is our `prev_phys`.
pub(crate) const PREV_FREE: usize = 2;
/// The block ends its pool; it has no payload. Its size field holds the distance back to the pool's first byte.
pub(crate) const SENTINEL: usize = 4;
/// All bits below the quantum that mean something.
pub(crate) const FLAGS: usize = FREE | PREV_FREE | SENTINEL;
/// All bits below the quantum.
const LOW_BITS: usize = QUANTUM - 1;
/// The bits above the size.
const SEAL_BITS: usize = !(SIZE_LIMIT | LOW_BITS);

/// What a header is sealed with: nothing on 32-bit targets, which have no bits to spare.
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
        Header(size | FREE)
    }

    #[inline(always)]
    pub(crate) const fn sentinel(distance: usize) -> Header {
        Header(distance | SENTINEL)
    }

    /// What stays where a block was absorbed by the free block before it: a second free of it is seen.
    #[inline(always)]
    pub(crate) const fn tombstone() -> Header {
        Header(FREE)
    }

    /// Keeps this header's PREV_FREE in a used header of another size.
    #[inline(always)]
    pub(crate) const fn resized(self, size: usize) -> Header {
        Header(size | (self.0 & PREV_FREE))
    }

    #[inline(always)]
    pub(crate) const fn with_prev_free(self) -> Header {
        Header(self.0 | PREV_FREE)
    }

    /// Block size, header included; any value up to `usize::MAX` when the word is no header.
    #[inline(always)]
    pub(crate) const fn size(self) -> usize {
        self.0 & !LOW_BITS
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

    /// A used block that is no sentinel, whatever its neighbour: the only state that a caller may hold.
    #[inline(always)]
    pub(crate) const fn is_plain_used(self) -> bool {
        self.0 & LOW_BITS & !PREV_FREE == 0
    }

    /// A used block of this size, whatever its neighbour.
    #[inline(always)]
    pub(crate) const fn is_used_of(self, size: usize) -> bool {
        self.0 & !PREV_FREE == size
    }

    /// A used block of fewer than `most` bytes, a multiple of the quantum: stray flags come to the top, where a wrong seal is,
    /// so that one compare is enough.
    #[inline(always)]
    pub(crate) const fn is_used_below(self, most: usize) -> bool {
        (self.0 & !PREV_FREE).rotate_right(QUANTUM_LOG2) < most >> QUANTUM_LOG2
    }

    /// The same, behind a block in use: no bit below the size.
    #[inline(always)]
    pub(crate) const fn is_plain_used_after_used(self) -> bool {
        self.0 & LOW_BITS == 0
    }

    /// A block in use of a possible size, behind a block in use; [`Header::may_follow_used`] that is neither free nor a
    /// sentinel.
    #[inline(always)]
    pub(crate) const fn is_plain_used_behind_used(self) -> bool {
        (WORD == 8 || self.0 >= BLOCK_MIN)
            && self.0.wrapping_sub(BLOCK_MIN) & (SEAL_BITS | LOW_BITS) == 0
    }

    /// A free block whose previous block is used, as coalescing leaves every free block.
    #[inline(always)]
    pub(crate) const fn is_plain_free(self) -> bool {
        self.0 & LOW_BITS == FREE
    }

    /// A plain free block of this size. (So put, it takes one register less than a comparison with the header wanted.)
    #[inline(always)]
    pub(crate) const fn is_free_of(self, size: usize) -> bool {
        self.0 ^ size == FREE
    }

    /// The size of a plain free block ([`Header::is_plain_free`]).
    #[inline(always)]
    pub(crate) const fn free_size(self) -> Option<usize> {
        // Without its flag, such a header is the size.
        let size = self.0 ^ FREE;
        if size & LOW_BITS == 0 {
            Some(size)
        } else {
            None
        }
    }

    /// The seal was that of this instance. Always true on 32-bit targets, which have no seal.
    #[inline(always)]
    pub(crate) const fn is_sealed(self) -> bool {
        self.0 & SEAL_BITS == 0
    }

    /// May lie behind a block in use: sealed, PREV_FREE and the stray bit clear, and a size that a block or a sentinel's
    /// distance can have. One test with a mask for all of it: a size below the smallest wraps around into the seal.
    #[inline(always)]
    pub(crate) const fn may_follow_used(self) -> bool {
        let suspect = SEAL_BITS | PREV_FREE | (LOW_BITS & !FLAGS);
        (WORD == 8 || self.0 >= BLOCK_MIN) && self.0.wrapping_sub(BLOCK_MIN) & suspect == 0
    }

    /// A free block's header or a tombstone: what lay here has been freed.
    pub(crate) const fn was_freed(self) -> bool {
        self.is_sealed() && self.is_free() && !self.is_sentinel() && !self.has_stray_bits()
    }

    /// Low bits that no header has.
    #[inline(always)]
    pub(crate) const fn has_stray_bits(self) -> bool {
        self.0 & LOW_BITS & !FLAGS != 0
    }
}

/// A block, named by its payload address.
///
/// The unsafe methods share one duty: `self` is the payload address of a block (or sentinel) in a
/// pool of a live instance, so that the word before it, and for a free block the first two and the
/// last word of the payload, may be read and written.
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
        // SAFETY: the duty of this type: the word before the payload is this block's header.
        Header(unsafe { self.header_ptr().read() } ^ seal(cookie))
    }

    /// The seal in the header of a block in use.
    #[inline(always)]
    pub(crate) unsafe fn seal(self) -> usize {
        // SAFETY: as for `header`.
        unsafe { self.header_ptr().read() & SEAL_BITS }
    }

    /// Writes the header.
    #[inline(always)]
    pub(crate) unsafe fn set_header(self, cookie: usize, header: Header) {
        // SAFETY: as for `header`.
        unsafe { self.header_ptr().write(header.0 ^ seal(cookie)) }
    }

    /// Makes the header of a block in use that of a free one of the same size, its previous block in use.
    #[inline(always)]
    pub(crate) unsafe fn set_free(self) {
        // SAFETY: as for `header`.
        unsafe { *self.header_ptr() |= FREE }
    }

    /// The reverse.
    #[inline(always)]
    pub(crate) unsafe fn set_used(self) {
        // SAFETY: as for `header`.
        unsafe { *self.header_ptr() &= !FREE }
    }

    /// Sets PREV_FREE. The seal lies above the flags, so it need not be known.
    #[inline(always)]
    pub(crate) unsafe fn set_prev_free(self) {
        // SAFETY: as for `header`.
        unsafe { *self.header_ptr() |= PREV_FREE }
    }

    /// Clears PREV_FREE: from here on the word before the header is the previous block's user data.
    #[inline(always)]
    pub(crate) unsafe fn clear_prev_free(self) {
        // SAFETY: as for `header`.
        unsafe { *self.header_ptr() &= !PREV_FREE }
    }

    /// Usable bytes, read without knowing the instance: the seal is masked off, but for its uppermost bit, which
    /// every instance's seal has. 0 for what is not in use, as far as this one word shows it.
    #[inline(always)]
    pub(crate) unsafe fn usable_size(self) -> usize {
        if !self.is_aligned() {
            return 0;
        }
        // SAFETY: as for `header`; aligned as tested.
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

    /// The payload `size` bytes on: the next block of one that is `size` bytes long, or the place of a remainder.
    #[inline(always)]
    pub(crate) fn offset(self, size: usize) -> Block {
        Block(self.0.wrapping_add(size))
    }

    #[inline(always)]
    fn prev_phys_ptr(self) -> *mut Block {
        self.0.wrapping_sub(HEADER + WORD).cast()
    }

    /// The previous block. Only while this block's PREV_FREE is set.
    #[inline(always)]
    pub(crate) unsafe fn prev_phys(self) -> Block {
        // SAFETY: PREV_FREE is set (caller), so the word is the free neighbour's ghost and not user data.
        unsafe { self.prev_phys_ptr().read() }
    }

    /// A free block of `size` bytes ends where it says: the ghost there leads back to it, and what follows is sealed as its
    /// own header is, in use, with PREV_FREE. (The ghost alone could be the link of another free block; ghost and seal
    /// could be left of a block that has been merged since, whose header says FREE.)
    #[inline(always)]
    pub(crate) unsafe fn ends_after(self, size: usize) -> bool {
        let next = self.offset(size);
        // SAFETY: all three words lie inside the instance's bounds (caller).
        unsafe {
            let difference = next.header_ptr().read() ^ self.header_ptr().read();
            // Rotated, seal and flags lie side by side: a constant that fits into the instruction.
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

    /// This block's `next_free` word, which is where the next block's `prev_link` points.
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
        // SAFETY: as for `next_free`.
        unsafe { self.next_link().write(next) }
    }

    #[inline(always)]
    fn prev_link_ptr(self) -> *mut Link {
        self.0.wrapping_add(WORD).cast()
    }

    #[inline(always)]
    pub(crate) unsafe fn prev_link(self) -> Link {
        // SAFETY: as for `next_free`.
        unsafe { self.prev_link_ptr().read() }
    }

    #[inline(always)]
    pub(crate) unsafe fn set_prev_link(self, link: Link) {
        // SAFETY: as for `next_free`.
        unsafe { self.prev_link_ptr().write(link) }
    }
}
