//! The core's calls for where they are not compiled into the caller: one copy of each.

use core::ptr::NonNull;

use memoman_debug::allocator::{Misuse, Pool, Refusal, Tlsf};

/// `malloc` or `memalign`. Exhaustion does not count as a refused request yet: somebody else may serve it.
///
/// # Safety
/// The instance is live, and the caller's.
#[inline(never)]
pub(crate) unsafe fn allocate(
    tlsf: Tlsf,
    align: usize,
    bytes: usize,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: the caller's duties.
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

/// `free`, and the pool that it has left without a block in use.
///
/// # Safety
/// The instance is live, and the caller's; the block is given up. Whether it is one is tested.
#[inline(never)]
pub(crate) unsafe fn free(tlsf: Tlsf, block: NonNull<u8>) -> Result<Option<Pool>, Misuse> {
    // SAFETY: the caller's duties.
    unsafe {
        let freed = tlsf.free(block)?;
        Ok(tlsf.emptied_pool(freed))
    }
}
