//! The core's malloc and free for callers that need not inline them: one copy of each.

use core::ptr::NonNull;

use crate::allocator::{Misuse, Pool, Refusal, Tlsf};

/// `malloc` or `memalign`. Exhaustion is not counted as a refused request: another heap may serve
/// it.
///
/// # Safety
/// The instance is live, and no other thread is in it.
#[inline(never)]
pub(crate) unsafe fn allocate(
    tlsf: Tlsf,
    align: usize,
    bytes: usize,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: the instance is live, and this thread's for the call (caller).
    unsafe {
        let result = if align <= Tlsf::ALIGN {
            tlsf.malloc(bytes)
        } else {
            tlsf.memalign(align, bytes)
        };
        if result == Err(Refusal::Exhausted) {
            tlsf.withdraw_refusal();
        }
        result
    }
}

/// `free`. Returns the block's pool if it has no live block left.
///
/// # Safety
/// The instance is live, and no other thread is in it. The caller does not use the block any more;
/// the core tests whether it is a live one.
#[inline(never)]
pub(crate) unsafe fn free(tlsf: Tlsf, block: NonNull<u8>) -> Result<Option<Pool>, Misuse> {
    // SAFETY: the instance is live, and this thread's for the call (caller).
    unsafe {
        let freed = tlsf.free(block)?;
        Ok(tlsf.emptied_pool(freed))
    }
}
