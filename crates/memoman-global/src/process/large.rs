//! Blocks of the process-wide instance, under its lock: what was too large for a thread's heap, or asked for when there was no
//! segment to be had.

use core::ptr::{self, NonNull};

use memoman_debug::allocator::{Refusal, Tlsf};

use crate::default::with_heap;
use crate::{calls, core_calls, tell};

/// `free`.
///
/// # Safety
/// The block is in no segment, and given up.
pub(crate) unsafe fn free(block: NonNull<u8>) {
    let misuse = with_heap(|state, tlsf| {
        // SAFETY: live, and under the lock; the block is the caller's.
        unsafe {
            match core_calls::free(tlsf, block) {
                Ok(Some(pool)) => {
                    state.emptied(tlsf, pool);
                    None
                }
                Ok(None) => None,
                Err(misuse) => Some(misuse),
            }
        }
    });
    if let Some(Some(misuse)) = misuse {
        tell::misuse(misuse, block.as_ptr());
    }
}

/// `realloc` to `bytes`, not 0.
///
/// # Safety
/// As for [`free`]; on success the block is given up.
pub(crate) unsafe fn realloc(block: NonNull<u8>, bytes: usize) -> *mut u8 {
    let result = with_heap(|state, tlsf| {
        // SAFETY: live, and under the lock; the block is the caller's.
        let result = unsafe { tlsf.realloc_in_place(block, Tlsf::ALIGN, bytes) };
        match result {
            Ok(Some(_)) => state.count_allocation(tlsf),
            // SAFETY: as above; the refusal counts if no other place is found.
            Err(Refusal::Exhausted) => unsafe { tlsf.withdraw_refusal() },
            _ => {}
        }
        result
    });
    match result {
        Some(Ok(Some(resized))) => return resized.as_ptr(),
        Some(Err(Refusal::Misuse(misuse, address))) => {
            tell::misuse(misuse, address);
            return ptr::null_mut();
        }
        _ => {}
    }
    // Copied without the lock: nobody but the caller has either block.
    let moved = calls::malloc_outlined(bytes);
    if !moved.is_null() {
        // SAFETY: a live block, tested above, and a fresh one.
        unsafe {
            moved.copy_from_nonoverlapping(block.as_ptr(), usable_size(block).min(bytes));
            free(block);
        }
    }
    moved
}

/// Usable bytes; 0 for what is no live block, which is told.
///
/// # Safety
/// The block is in no segment. (Misuse is reported as far as the headers show it.)
pub(crate) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // Under the lock: a neighbour's free writes a flag into this block's header word.
    // SAFETY: live, and under the lock; the block is the caller's.
    match with_heap(|_, tlsf| unsafe { tlsf.usable_size(block) }) {
        Some(Ok(bytes)) => bytes,
        Some(Err(misuse)) => {
            tell::misuse(misuse, block.as_ptr());
            0
        }
        None => 0,
    }
}
