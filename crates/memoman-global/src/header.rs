//! The core's test of a small block in use, in the fewest steps: what [`Tlsf::live_bytes`] asks without the bounds, which the map of
//! segments has answered already.
//!
//! It knows what a header of the core's looks like: the size, the flags below the quantum, and all of it under the instance's
//! seal, which is learnt from the header of a block that the core has just handed out. The tests hold it against the core's
//! own answer. 32-bit headers have no seal that would vouch for a size: there the core is asked.

use core::ptr::NonNull;

use memoman_debug::allocator::Tlsf;

use crate::thread_heap::{ALIGN, HEADER};

const FREE: usize = 1;
const PREV_FREE: usize = 2;
const SENTINEL: usize = 4;
const LOW_BITS: usize = ALIGN - 1;
const BLOCK_MIN: usize = Tlsf::BLOCK_SIZE_MIN + HEADER;
/// The bits of a seal. The uppermost of them is always set, so that 0 is none.
const SEAL: usize = if usize::BITS == 64 {
    !(usize::MAX >> 16)
} else {
    0
};

/// The word before a payload.
///
/// # Safety
/// It may be read.
#[inline(always)]
unsafe fn word_before(payload: *const u8) -> usize {
    // SAFETY: the caller's duty.
    unsafe { payload.wrapping_sub(HEADER).cast::<usize>().read() }
}

/// The seal of the instance that has handed this block out.
///
/// # Safety
/// It is a block in use.
pub(crate) unsafe fn seal_of(block: NonNull<u8>) -> usize {
    // SAFETY: the caller's duty.
    unsafe { word_before(block.as_ptr()) & SEAL }
}

/// Bytes of a block in use, header included, if they are fewer than `most` and its header and the next one make sense; else
/// none. A word that is no header of this instance decodes to a size beyond all bounds.
///
/// # Safety
/// `block` is an aligned address in one of the instance's pools. The seal is the instance's, or 0: then nothing passes.
#[inline(always)]
pub(crate) unsafe fn small_size(
    tlsf: Tlsf,
    seal: usize,
    block: NonNull<u8>,
    most: usize,
) -> Option<usize> {
    if usize::BITS != 64 {
        // SAFETY: the caller's duties.
        let size = unsafe { tlsf.live_bytes(block) };
        return (size != 0 && size < most).then_some(size);
    }
    // SAFETY: the word before an address in a pool; the next header is read only when the seal vouches for the size.
    unsafe {
        let header = word_before(block.as_ptr()) ^ seal;
        // Flags but PREV_FREE come to the top, where the seal would be: one compare for all. The size itself is made without it,
        // since what is done next waits for it.
        let size = header & !LOW_BITS;
        if (header & !PREV_FREE).rotate_right(ALIGN.trailing_zeros()) >= most / ALIGN {
            return None;
        }
        // Free, in use, or the pool's end; as small as no block's is what wraps around into the seal.
        let next = word_before(block.as_ptr().wrapping_add(size)) ^ seal;
        let suspect = SEAL | PREV_FREE | (LOW_BITS & !(FREE | PREV_FREE | SENTINEL));
        if next.wrapping_sub(BLOCK_MIN) & suspect != 0 {
            return None;
        }
        Some(size)
    }
}

#[cfg(test)]
mod tests;
