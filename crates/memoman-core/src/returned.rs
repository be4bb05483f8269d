//! The O(1) tests of a pointer that a caller gives back, before anything is done with it.

use core::ptr::NonNull;

use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, HEADER, WORD};
use crate::control::Control;
use crate::free_list::{self, Links};
use crate::instance::Tlsf;
use crate::misuse::Misuse;
use crate::pool::Pool;

impl Tlsf {
    /// Usable bytes of a block in use of this instance, tested as [`Tlsf::free`] tests it; O(1).
    ///
    /// # Safety
    /// As for [`Tlsf::free`].
    pub unsafe fn usable_size(self, ptr: NonNull<u8>) -> Result<usize, Misuse> {
        // SAFETY: live (caller).
        unsafe { live(self.control(), ptr) }.map(|live| live.header.size() - HEADER)
    }

    /// Usable bytes of a block in use, of whatever instance; 0 for null and for what is not in use, as far as the one
    /// word before it shows. O(1).
    ///
    /// # Safety
    /// `ptr` is null or a block of some live instance.
    #[inline(always)]
    pub unsafe fn block_size(ptr: *const u8) -> usize {
        if ptr.is_null() {
            return 0;
        }
        // SAFETY: a block (caller): its header lies before it.
        unsafe { Block::at(ptr.cast_mut()).usable_size() }
    }

    /// Makes the O(1) tests of [`Tlsf::free`] that a live block and its next neighbour pass, and changes nothing.
    ///
    /// # Safety
    /// As for [`Tlsf::free`], but nothing is given up.
    pub unsafe fn probe(self, ptr: NonNull<u8>) -> Result<(), Misuse> {
        // SAFETY: the same duties.
        unsafe { live(self.control(), ptr).map(|_| ()) }
    }

    /// Bytes of a live block, header included, after the tests of [`Tlsf::probe`]; 0 when they find misuse. For a layer that
    /// keeps freed blocks to itself: it is compiled into the caller.
    ///
    /// # Safety
    /// As for [`Tlsf::probe`].
    #[inline(always)]
    pub unsafe fn live_bytes(self, ptr: NonNull<u8>) -> usize {
        // SAFETY: the same duties.
        unsafe { live(self.control(), ptr).map_or(0, |live| live.header.size()) }
    }

    /// The seal in a header: what [`Tlsf::live_bytes_below`] wants to know. 0 on 32-bit targets, which have none.
    ///
    /// # Safety
    /// `block` is a block in use.
    pub unsafe fn seal_of(block: NonNull<u8>) -> usize {
        // SAFETY: the caller's duty.
        unsafe { Block::at(block.as_ptr()).seal() }
    }

    /// [`Tlsf::live_bytes`] of a block of fewer than `most` bytes, in the fewest steps: without the bounds of the instance, and
    /// without the bounds of a free next block's size. None for what is misused, or larger.
    ///
    /// # Safety
    /// `block` is an aligned address in one of the instance's pools, and `most` is at most the bytes from there that may be read.
    /// The seal is that of the instance ([`Tlsf::seal_of`]), or 0: then nothing passes where headers have one.
    #[inline(always)]
    pub unsafe fn live_bytes_below(
        self,
        seal: usize,
        block: NonNull<u8>,
        most: usize,
    ) -> Option<usize> {
        if WORD == 4 {
            // No seal vouches for a size.
            // SAFETY: the caller's duties.
            let size = unsafe { self.live_bytes(block) };
            return (size != 0 && size < most).then_some(size);
        }
        let block = Block::at(block.as_ptr());
        // SAFETY: the word before an address in a pool; the next header is read only when the seal vouches for the size.
        unsafe {
            let header = block.header(seal);
            // Taken before the test, since what the caller does next waits for it.
            let size = header.size();
            (header.is_used_below(most) && block.offset(size).header(seal).may_follow_used())
                .then_some(size)
        }
    }
}

/// A block in use whose header and next neighbour have been tested.
pub(crate) struct Live {
    pub(crate) block: Block,
    pub(crate) header: Header,
    pub(crate) next: Block,
    pub(crate) next_header: Header,
}

/// The O(1) tests of a pointer that a caller gives back, before anything is done with it.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[inline(always)]
pub(crate) unsafe fn live(control: *mut Control, ptr: NonNull<u8>) -> Result<Live, Misuse> {
    let block = Block::at(ptr.as_ptr());
    // SAFETY: live (caller); the header is read only of an aligned address inside the bounds.
    unsafe {
        if (*control).may_be_payload(block.addr())
            && let Some(live) = behind(control, block, block.header((*control).cookie))
        {
            return Ok(live);
        }
        Err(explain(control, block))
    }
}

/// `block` is a block in use of exactly this size, as far as [`live`] would test it.
///
/// # Safety
/// As for [`live`]; `block` may be anything.
#[inline(always)]
pub(crate) unsafe fn has_size(control: *mut Control, block: Block, size: usize) -> bool {
    // SAFETY: live (caller); the header is read only of an aligned address inside the bounds, the next one only when the
    // size stays inside them.
    unsafe {
        (*control).may_be_payload(block.addr())
            && block.header((*control).cookie).is_used_of(size)
            && size <= (*control).high - block.addr()
            && block
                .offset(size)
                .header((*control).cookie)
                .may_follow_used()
    }
}

/// The block with its next neighbour, when both headers make sense.
///
/// # Safety
/// As for [`live`]; `block` is aligned and inside the bounds, `header` is its header.
#[inline(always)]
pub(crate) unsafe fn behind(control: *mut Control, block: Block, header: Header) -> Option<Live> {
    // SAFETY: live (caller); the next header is read only when the size stays inside the bounds.
    unsafe {
        let size = header.size();
        // An overwritten header decodes to a wrong seal, which is a size beyond the bounds.
        if !header.is_plain_used() || size > (*control).high - block.addr() {
            return None;
        }
        let next = block.offset(size);
        let next_header = next.header((*control).cookie);
        may_follow(control, size, next, next_header).then_some(Live {
            block,
            header,
            next,
            next_header,
        })
    }
}

/// The header behind a block in use of `size` bytes makes sense.
///
/// # Safety
/// The instance is live; all but `next_header` has been tested.
#[inline(always)]
pub(crate) unsafe fn may_follow(
    control: *mut Control,
    size: usize,
    next: Block,
    next_header: Header,
) -> bool {
    // SAFETY: live (caller).
    let room = unsafe { (*control).high } - next.addr();
    // Free and a sentinel at once is nothing.
    let possible = if next_header.is_free() {
        next_header.is_plain_free() && next_header.size() <= room
    } else {
        // On 32-bit targets no seal vouches for a next block in use: there its size must make sense too, or its pool.
        WORD == 8
            || if next_header.is_sentinel() {
                // SAFETY: live (caller).
                unsafe { is_sentinel(control, next, next_header) }
            } else {
                next_header.size() <= room
            }
    };
    // A size of 0 leads to the header itself, which is too small to follow one; 32-bit headers need the test.
    next_header.may_follow_used() && (WORD == 8 || size >= BLOCK_MIN) && possible
}

/// The free block right before `block`, whose PREV_FREE is set, with its size: None when it has been overwritten.
///
/// # Safety
/// `control` is live; `block` is a block or sentinel of one of its pools with PREV_FREE set.
#[inline(always)]
pub(crate) unsafe fn prev_free_block(
    control: *mut Control,
    block: Block,
) -> Option<(Block, usize, Links)> {
    // SAFETY: PREV_FREE is set (caller), so the ghost exists; it is followed only inside the bounds.
    unsafe {
        let prev = block.prev_phys();
        let size = block.addr().wrapping_sub(prev.addr());
        if !(*control).may_be_payload(prev.addr()) {
            return None;
        }
        // One compare proves size, flags and seal.
        if prev.header((*control).cookie) != Header::free(size) {
            return None;
        }
        Some((prev, size, free_list::links_of(control, prev)?))
    }
}

/// A pool of this instance ends here: the distance in the header leads to its own header. For targets without a seal.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[cold]
#[inline(never)]
unsafe fn is_sentinel(control: *mut Control, next: Block, header: Header) -> bool {
    let start = next.addr().wrapping_sub(header.size());
    // SAFETY: live (caller): read only where a pool's header may lie inside the bounds.
    unsafe {
        let first = (*control).first_pool;
        // (Aligned, as both are that it is made of.)
        if start < first.addr() || start >= next.addr() {
            return false;
        }
        let pool = first.cast::<u8>().wrapping_add(start - first.addr());
        Pool::new(pool.cast()).is_some_and(|pool| pool.is_sound(control) && pool.sentinel() == next)
    }
}

/// Which misuse it was that [`live`] found.
#[cold]
#[inline(never)]
pub(crate) unsafe fn explain(control: *mut Control, block: Block) -> Misuse {
    // SAFETY: as for `live`.
    unsafe {
        if (*control).is_intercepted() {
            return Misuse::Intercepted;
        }
        if block.addr() < (*control).low || block.addr() >= (*control).high {
            return Misuse::Foreign;
        }
        if !block.is_aligned() {
            return Misuse::Misaligned;
        }
        let header = block.header((*control).cookie);
        let size = header.size();
        if header.was_freed() {
            return Misuse::DoubleFree;
        }
        if header.is_plain_used() && size >= BLOCK_MIN && size <= (*control).high - block.addr() {
            return Misuse::SmashedNext;
        }
        Misuse::NotABlock
    }
}
