//! The O(1) tests of a pointer that a caller returns, before anything is done with it.

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
    /// The instance is live, and memory between its pools' outer bounds may be read.
    pub unsafe fn usable_size(self, ptr: NonNull<u8>) -> Result<usize, Misuse> {
        // SAFETY: live instance, readable bounds (caller).
        unsafe { live(self.control(), ptr) }.map(|live| live.header.size() - HEADER)
    }

    /// Usable bytes of a block in use of any instance; 0 for null, and where its header shows no
    /// block in use. O(1).
    ///
    /// # Safety
    /// `ptr` is null or a block of a live instance.
    #[inline(always)]
    pub unsafe fn block_size(ptr: *const u8) -> usize {
        if ptr.is_null() {
            return 0;
        }
        // SAFETY: not null, so a block of a live instance (caller), whose header lies before it.
        unsafe { Block::returned(ptr).usable_size() }
    }

    /// Makes the O(1) tests of [`Tlsf::free`] that a live block and its next neighbour pass, and
    /// changes nothing.
    ///
    /// # Safety
    /// The instance is live, and memory between its pools' outer bounds may be read.
    pub unsafe fn probe(self, ptr: NonNull<u8>) -> Result<(), Misuse> {
        // SAFETY: live instance, readable bounds (caller).
        unsafe { live(self.control(), ptr).map(|_| ()) }
    }

    /// Bytes of a live block, header included, after the tests of [`Tlsf::probe`]; 0 when they find
    /// misuse. Compiled into its caller, for a layer that keeps a cache of freed blocks.
    ///
    /// # Safety
    /// The instance is live, and memory between its pools' outer bounds may be read.
    #[inline(always)]
    pub unsafe fn live_bytes(self, ptr: NonNull<u8>) -> usize {
        // SAFETY: live instance, readable bounds (caller).
        unsafe { live(self.control(), ptr).map_or(0, |live| live.header.size()) }
    }

    /// The seal in a block's header, for [`Tlsf::live_bytes_below`]; 0 on 32-bit targets, which
    /// have none.
    ///
    /// # Safety
    /// `block` is a block in use of a live instance.
    pub unsafe fn seal_of(block: NonNull<u8>) -> usize {
        // SAFETY: a block in use (caller), whose header lies before it.
        unsafe { Block::returned(block.as_ptr()).seal() }
    }

    /// [`Tlsf::live_bytes`] of a block of fewer than `most` bytes, in the fewest steps: it tests
    /// neither the address against the instance's bounds nor the size of a free next block. None on
    /// misuse and for a larger block.
    ///
    /// # Safety
    /// The instance is live; `block` is an aligned address in one of its pools; at least `most`
    /// bytes from there may be read. `seal` is the instance's ([`Tlsf::seal_of`]), or 0, with which
    /// no block passes where headers have a seal.
    #[inline(always)]
    pub unsafe fn live_bytes_below(
        self,
        seal: usize,
        block: NonNull<u8>,
        most: usize,
    ) -> Option<usize> {
        if WORD == 4 {
            // No seal confirms a size, so the full tests are made.
            // SAFETY: live instance, address in one of its pools (caller).
            let size = unsafe { self.live_bytes(block) };
            return (size != 0 && size < most).then_some(size);
        }
        let block = Block::returned(block.as_ptr());
        // SAFETY: a header precedes every address in a pool (caller); the next header is read only
        // when the seal confirms the size, which is then below `most`.
        unsafe {
            let header = block.header(seal);
            // Computed before the test: the caller's next step depends on it.
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

/// Tests that `ptr` is a block in use whose next neighbour makes sense; O(1).
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[inline(always)]
pub(crate) unsafe fn live(control: *mut Control, ptr: NonNull<u8>) -> Result<Live, Misuse> {
    let block = Block::returned(ptr.as_ptr());
    // SAFETY: live instance, readable bounds (caller); a header is read only at an aligned address
    // inside the bounds.
    unsafe {
        if (*control).may_be_payload(block.addr())
            && let Some(live) = with_next(control, block, block.header((*control).cookie))
        {
            return Ok(live);
        }
        Err(explain(control, block))
    }
}

/// Whether `block` passes the tests of [`live`] and has exactly this size.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read. `block` may be any
/// address.
#[inline(always)]
pub(crate) unsafe fn has_size(control: *mut Control, block: Block, size: usize) -> bool {
    // SAFETY: live instance, readable bounds (caller); the header is read only at an aligned
    // address inside the bounds, the next one only when the size stays inside them.
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
/// The instance is live, and memory between its pools' outer bounds may be read. `block` is aligned
/// and inside the bounds; `header` is its header.
#[inline(always)]
pub(crate) unsafe fn with_next(
    control: *mut Control,
    block: Block,
    header: Header,
) -> Option<Live> {
    // SAFETY: live instance, readable bounds (caller); the next header is read only when the size
    // stays inside them.
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

/// Whether the header after a block in use of `size` bytes makes sense.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read. `next` lies inside
/// them, `size` bytes after a block whose header has been tested; `next_header` is its header.
#[inline(always)]
pub(crate) unsafe fn may_follow(
    control: *mut Control,
    size: usize,
    next: Block,
    next_header: Header,
) -> bool {
    // SAFETY: live instance (caller).
    let room = unsafe { (*control).high } - next.addr();
    // No header is both free and a sentinel.
    let possible = if next_header.is_free() {
        next_header.is_plain_free() && next_header.size() <= room
    } else {
        // On 32-bit targets no seal confirms a next block in use: its size must be possible, and
        // a sentinel must lead to its pool.
        WORD == 8
            || if next_header.is_sentinel() {
                // SAFETY: live instance, readable bounds (caller).
                unsafe { is_sentinel(control, next, next_header) }
            } else {
                next_header.size() <= room
            }
    };
    // A size of 0 leads to the block's own header, which is too small to follow a block in use.
    // Without a seal the size needs a test of its own.
    next_header.may_follow_used() && (WORD == 8 || size >= BLOCK_MIN) && possible
}

/// The free block right before `block`, whose PREV_FREE is set, with its size and links. None when
/// it has been overwritten.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read. `block` is a block
/// or sentinel of one of its pools with PREV_FREE set.
#[inline(always)]
pub(crate) unsafe fn prev_free_block(
    control: *mut Control,
    block: Block,
) -> Option<(Block, usize, Links)> {
    // SAFETY: PREV_FREE is set (caller), so `prev_phys` exists; it is followed only inside the
    // bounds.
    unsafe {
        let prev = block.prev_phys();
        let size = block.addr().wrapping_sub(prev.addr());
        if !(*control).may_be_payload(prev.addr()) {
            return None;
        }
        // One compare tests size, flags and seal.
        if prev.header((*control).cookie) != Header::free(size) {
            return None;
        }
        Some((prev, size, free_list::links_of(control, prev)?))
    }
}

/// Whether a pool of this instance ends at `next`: the distance in the sentinel's header leads to
/// the pool's own header. For targets without a seal.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[cold]
#[inline(never)]
unsafe fn is_sentinel(control: *mut Control, next: Block, header: Header) -> bool {
    let start = next.payload().wrapping_sub(header.size());
    // SAFETY: live instance, readable bounds (caller); a pool's header is read only between the
    // first pool and `next`.
    unsafe {
        // The start is aligned, since `next` and the distance are.
        if start.addr() < (*control).first_pool.addr() || start.addr() >= next.addr() {
            return false;
        }
        Pool::new(start.cast())
            .is_some_and(|pool| pool.is_sound(control) && pool.sentinel() == next)
    }
}

/// The misuse for which a test of `block` failed.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[cold]
#[inline(never)]
pub(crate) unsafe fn explain(control: *mut Control, block: Block) -> Misuse {
    // SAFETY: live instance, readable bounds (caller); the header is read only at an aligned
    // address inside them.
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
        if header.was_freed() || header.is_cached() && (*control).has_cache() {
            return Misuse::DoubleFree;
        }
        let room = (*control).high - block.addr();
        if header.is_plain_used() && size >= BLOCK_MIN && size <= room {
            return Misuse::SmashedNext;
        }
        Misuse::NotABlock
    }
}
