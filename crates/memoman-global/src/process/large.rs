//! Blocks of the process-wide instance, under its lock: those of threads without a heap, those
//! allocated while no segment was available, and large ones in a reserve.
//!
//! The map has no word for them. So a pointer that the map does not know is first looked for in the
//! instance's pools, of which there are few: the memory at any other address is not read.

use core::ptr::{self, NonNull};

use crate::allocator::{ALIGN, HEADER, Misuse, Refusal, Tlsf};
use crate::process::heap::{Away, State, try_with_heap};
use crate::process::regions::LARGE;
use crate::process::{core_calls, later, misuse, side};

/// Allocates from the instance; with `grow`, from a new region if no pool can serve the request.
/// Exhaustion is not counted as a refused request. Under the lock.
pub(crate) fn allocate(
    state: &mut State,
    tlsf: Tlsf,
    align: usize,
    bytes: usize,
    grow: bool,
) -> Result<NonNull<u8>, Refusal> {
    let result = allocate_uncounted(state, tlsf, align, bytes, grow);
    if result.is_ok() {
        state.count_allocation(tlsf);
    }
    result
}

/// [`allocate`] without the count of allocations: segments are not counted.
pub(crate) fn allocate_uncounted(
    state: &mut State,
    tlsf: Tlsf,
    align: usize,
    bytes: usize,
    grow: bool,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: the instance is live and under the lock.
    let attempt = || unsafe { core_calls::allocate(tlsf, align, bytes) };
    let result = attempt();
    if !grow || result != Err(Refusal::Exhausted) {
        return result;
    }
    let gap = if align <= ALIGN { 0 } else { align };
    let need = bytes
        .checked_add(gap)
        .and_then(|bytes| bytes.checked_add(4 * ALIGN + HEADER));
    match need {
        Some(need) if state.grow(tlsf, need, is_shared(need)) => attempt(),
        _ => result,
    }
}

/// A region for a request is to serve others too.
fn is_shared(need: usize) -> bool {
    #[cfg(not(memoman_debug))]
    if crate::process::mapping_spares::crowded() {
        return true;
    }
    need < LARGE
}

/// Allocates from the pools that there are. None when they have no room, or another thread forks.
pub(crate) fn allocate_in_pools(align: usize, bytes: usize) -> Option<NonNull<u8>> {
    try_with_heap(|state, tlsf| allocate(state, tlsf, align, bytes, false).ok())
        .ok()
        .flatten()
        .flatten()
}

/// An error if the address lies in no pool after its header, so that not even the word before it
/// may be read. O(pools).
fn in_a_pool(tlsf: Tlsf, block: NonNull<u8>) -> Result<(), Misuse> {
    let address = block.as_ptr().addr();
    // SAFETY: the instance is live and under the lock; a pool that it finds is one of its own.
    unsafe {
        match tlsf.pool_of(block.as_ptr()) {
            Some(pool) if address - pool.memory().0.addr() >= HEADER => Ok(()),
            _ => Err(Misuse::Foreign),
        }
    }
}

/// Frees a block.
///
/// # Safety
/// The block is in no segment, and not used any more. (Misuse that the header checks detect
/// is reported.)
pub(crate) unsafe fn free(block: NonNull<u8>) {
    if side::owns(block) {
        // SAFETY: the side heap's block, not used any more (caller).
        if let Err(misuse) = unsafe { side::free(block) } {
            misuse::report_global(misuse, block.as_ptr());
        }
        return;
    }
    let misuse = try_with_heap(|state, tlsf| {
        // SAFETY: the instance is live and under the lock; the core tests the block.
        unsafe {
            match in_a_pool(tlsf, block).and_then(|()| core_calls::free(tlsf, block)) {
                Ok(Some(pool)) => {
                    state.emptied(tlsf, pool);
                    None
                }
                Ok(None) => None,
                Err(misuse) => Some(misuse),
            }
        }
    });
    match misuse {
        Ok(Some(Some(misuse))) => misuse::report_global(misuse, block.as_ptr()),
        Ok(_) => {}
        Err(Away) => {
            if !later::free(block) {
                // The fork is over.
                // SAFETY: the caller's duties.
                unsafe { free(block) };
            }
        }
    }
}

/// Resizes a block in place to `bytes`, not 0. Null after misuse, which is reported. An error when
/// there is no room: the block's usable bytes; it is unchanged.
///
/// # Safety
/// The block is in no segment; on success its former pointer is not used any more.
pub(crate) unsafe fn realloc(block: NonNull<u8>, bytes: usize) -> Result<*mut u8, usize> {
    let mut usable = 0;
    if side::owns(block) {
        // Moved to where it would be without the fork.
        // SAFETY: the side heap's block (caller).
        return match unsafe { side::usable_size(block) } {
            Ok(usable) => Err(usable),
            Err(misuse) => {
                misuse::report_global(misuse, block.as_ptr());
                Ok(ptr::null_mut())
            }
        };
    }
    let result = try_with_heap(|state, tlsf| {
        // SAFETY: the instance is live and under the lock; the core tests the block before all
        // else.
        unsafe {
            let result = match in_a_pool(tlsf, block) {
                Ok(()) => tlsf.realloc_in_place(block, ALIGN, bytes),
                Err(misuse) => Err(Refusal::Misuse(misuse, block.as_ptr())),
            };
            match result {
                Ok(Some(_)) => state.count_allocation(tlsf),
                Err(Refusal::Misuse(..)) => {}
                Ok(None) | Err(_) => usable = Tlsf::block_size(block.as_ptr()),
            }
            if result == Err(Refusal::Exhausted) {
                // Counted only if no other heap serves the request.
                tlsf.withdraw_refusal();
            }
            result
        }
    });
    match result {
        Ok(Some(Ok(Some(resized)))) => Ok(resized.as_ptr()),
        Ok(Some(Err(Refusal::Misuse(misuse, address)))) => {
            misuse::report_global(misuse, address);
            Ok(ptr::null_mut())
        }
        // SAFETY: a live block (caller).
        Err(Away) => Err(unsafe { core_calls::usable_size_meanwhile(block) }),
        _ => Err(usable),
    }
}

/// Usable bytes; 0 if it is not a live block, which is reported.
///
/// # Safety
/// The block is in no segment. (Misuse that the header checks detect is reported.)
pub(crate) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // Under the lock: freeing a neighbour writes a flag into this block's header.
    // SAFETY: the instance is live and under the lock; the core tests the block.
    let found = unsafe {
        if side::owns(block) {
            Ok(Some(side::usable_size(block)))
        } else {
            try_with_heap(|_, tlsf| in_a_pool(tlsf, block).and_then(|()| tlsf.usable_size(block)))
        }
    };
    match found {
        Ok(Some(Ok(bytes))) => bytes,
        Ok(Some(Err(misuse))) => {
            misuse::report_global(misuse, block.as_ptr());
            0
        }
        Ok(None) => 0,
        // SAFETY: a live block (caller).
        Err(Away) => unsafe { core_calls::usable_size_meanwhile(block) },
    }
}
