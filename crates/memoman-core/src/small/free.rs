//! Freeing in the small build: one function for all states of the neighbours.

use core::ptr::NonNull;

use super::free_list;
use crate::block::{Block, FreeBlock, Header};
use crate::config::BLOCK_MIN;
use crate::control::Control;
use crate::instance::Tlsf;
use crate::misuse::Misuse;
use crate::pool::Pool;
use crate::returned::explain;

/// The headers of a block in use and of the next block, after the tests of `live`; the first has
/// size 0 when these fail. (Two words are returned in registers.)
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[inline(never)]
pub(crate) unsafe fn headers(control: *mut Control, block: Block) -> (Header, Header) {
    // SAFETY: readable memory (caller); the header is read only at an aligned address inside the
    // bounds, the next one only when the size stays inside them.
    unsafe {
        if (*control).may_be_payload(block.addr()) {
            let (cookie, room) = ((*control).cookie, (*control).high - block.addr());
            let header = block.header(cookie);
            let size = header.size();
            if header.is_plain_used() && size >= BLOCK_MIN && size <= room {
                let next = block.offset(size);
                let next_header = next.header(cookie);
                if next_header.may_follow_used()
                    && if next_header.is_sentinel() {
                        !next_header.is_free() && ends_pool(control, next, next_header)
                    } else {
                        next_header.size() <= room - size
                    }
                {
                    return (header, next_header);
                }
            }
        }
        (Header::used(0), Header::used(0))
    }
}

/// A pool of this instance ends at `next`: the distance in `header` leads to a sound pool header.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[inline(always)]
unsafe fn ends_pool(control: *mut Control, next: Block, header: Header) -> bool {
    let start = next.payload().wrapping_sub(header.size());
    // SAFETY: readable memory (caller); a pool's header is read only when its first block lies
    // inside the bounds.
    Pool::new(start.cast()).is_some_and(|pool| unsafe {
        (*control).may_be_payload(pool.first_block().addr())
            && pool.is_sound(control)
            && pool.sentinel() == next
    })
}

/// The size of the free block right before `block`; 0 when its header, ghost or links are
/// overwritten.
///
/// # Safety
/// `control` is live; `block` is a block of one of its pools with PREV_FREE set.
#[inline(never)]
pub(crate) unsafe fn size_before(control: *mut Control, block: Block) -> usize {
    // SAFETY: PREV_FREE is set (caller), so the ghost exists; it is followed only inside the
    // bounds.
    unsafe {
        let prev = block.prev_phys();
        let size = free_list::free_size(control, prev);
        if prev.offset(size) == block && free_list::links_sound(control, prev) {
            size
        } else {
            0
        }
    }
}

/// Frees a block and coalesces it with its free neighbours. On misuse nothing is changed.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[inline(never)]
unsafe fn coalesce(control: *mut Control, mut block: Block) -> (Block, Option<Misuse>) {
    // SAFETY: live (caller); the block and both neighbours are tested before the first write.
    unsafe {
        let (header, next_header) = headers(control, block);
        let freed = header.size();
        if freed == 0 {
            return (block, Some(explain(control, block)));
        }
        let next = block.offset(freed);
        if next_header.is_free()
            && let Some(misuse) = free_list::next_sound_to_merge(control, next)
        {
            return (block, Some(misuse));
        }
        let mut size = freed;
        if header.is_prev_free() {
            let before = size_before(control, block);
            if before == 0 {
                return (block, Some(Misuse::SmashedPrev));
            }
            block.set_header((*control).cookie, Header::tombstone());
            block = block.offset(before.wrapping_neg());
            free_list::unlink(control, block);
            size += before;
        }
        if next_header.is_free() {
            free_list::unlink(control, next);
            size += next_header.size();
        }
        (*control).count_freed(freed);
        free_list::list(control, block, size);
        (block, None)
    }
}

impl Tlsf {
    /// Frees a block and coalesces it with its free neighbours at once; O(1). Misuse that the
    /// header checks detect is returned, and nothing is changed.
    ///
    /// # Safety
    /// The instance is live, and memory between its pools' outer bounds may be read. The contents
    /// of the block are given up.
    #[inline(always)]
    pub unsafe fn free(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        // SAFETY: live instance, readable memory (caller).
        match unsafe { coalesce(self.control(), Block::returned(ptr.as_ptr())) } {
            (block, None) => Ok(FreeBlock(block)),
            (_, Some(misuse)) => Err(misuse),
        }
    }

    /// [`Tlsf::free`], which is compiled once in this build.
    ///
    /// # Safety
    /// The duties of [`Tlsf::free`].
    #[inline(always)]
    pub unsafe fn free_outlined(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        // SAFETY: those of `free` (caller).
        unsafe { self.free(ptr) }
    }
}
