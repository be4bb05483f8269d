//! Blocks of the process-wide instance, under its lock: those of threads without a heap, those
//! allocated while no segment was available, large ones in a reserve, and those beyond the number
//! of mappings that large blocks may have.
//!
//! The map knows the units of the instance's regions, and the instance the pools that the program
//! has added to it: the memory at any other address is not read.

use core::ptr::{self, NonNull};

use crate::allocator::{ALIGN, HEADER, Misuse, Refusal, Tlsf};
use crate::process::heap::{Away, State, instance, try_with_heap};
use crate::process::{core_calls, later, map, mapping_word, misuse, side};

/// Allocates from the instance as it is. Exhaustion is not counted as a refused request. Under the
/// lock.
pub(crate) fn allocate(
    state: &mut State,
    tlsf: Tlsf,
    align: usize,
    bytes: usize,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: the instance is live and under the lock.
    let result = unsafe { core_calls::allocate(tlsf, align, bytes) };
    if result.is_ok() {
        state.count_allocation(tlsf);
    }
    result
}

/// Allocates from the pools that there are. None when they have no room, or another thread forks.
pub(crate) fn allocate_in_pools(align: usize, bytes: usize) -> Option<NonNull<u8>> {
    try_with_heap(|state, tlsf| allocate(state, tlsf, align, bytes).ok())
        .ok()
        .flatten()
        .flatten()
}

/// An error if the address lies in no region after a pool's header, or in a segment, so that not
/// even the word before it may be read. O(1). Needs no lock, but without it a region may go
/// meanwhile that no live block keeps.
fn in_a_region(block: NonNull<u8>) -> Result<(), Misuse> {
    let address = block.as_ptr().addr();
    let header = address.wrapping_sub(HEADER);
    // The header may lie in the unit before, which is then a region's or a segment of it.
    let before = map::owner_outlined(header);
    let is_readable =
        before == mapping_word::region() || (!before.is_null() && !mapping_word::is_large(before));
    if map::owner_outlined(address) == mapping_word::region() && is_readable {
        Ok(())
    } else {
        Err(Misuse::Foreign)
    }
}

/// [`in_a_region`], or in a pool that the program has added to the instance, of which the map has
/// no word: these are looked through, O(pools), for an address that the map does not know.
#[inline(never)]
fn in_a_pool(tlsf: Tlsf, block: NonNull<u8>) -> Result<(), Misuse> {
    let result = in_a_region(block);
    let address = block.as_ptr().addr();
    if result.is_ok() || !map::owner_outlined(address).is_null() {
        return result;
    }
    // SAFETY: the instance is live, and its list of pools does not change under the lock. (While
    // another thread forks, only that thread's handlers could change it.) A pool that is found is
    // one of its own.
    match unsafe { tlsf.pool_of(block.as_ptr()) } {
        // SAFETY: as above.
        Some(pool) if address - unsafe { pool.memory() }.0.addr() >= HEADER => Ok(()),
        _ => result,
    }
}

/// Frees a block.
///
/// # Safety
/// The block is in no segment, and not used any more. (Misuse that the header checks detect
/// is reported.)
#[inline(never)]
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
    let in_the_instance = |state: &mut State, tlsf: Tlsf| {
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
            if matches!(result, Err(Refusal::Exhausted)) {
                // Counted only if no other heap serves the request.
                tlsf.withdraw_refusal();
            }
            result
        }
    };
    // The side heap's blocks move to where they would be without the fork.
    let result = if side::owns(block) {
        Err(Away)
    } else {
        try_with_heap(in_the_instance)
    };
    match result {
        Ok(Some(Ok(Some(resized)))) => Ok(resized.as_ptr()),
        Ok(Some(Err(Refusal::Misuse(misuse, address)))) => {
            misuse::report_global(misuse, address);
            Ok(ptr::null_mut())
        }
        Err(Away) => {
            // SAFETY: the caller's duties.
            match unsafe { usable_size(block) } {
                0 => Ok(ptr::null_mut()),
                usable => Err(usable),
            }
        }
        _ => Err(usable),
    }
}

/// Usable bytes; 0 if it is not a live block, which is reported.
///
/// # Safety
/// The block is in no segment. (Misuse that the header checks detect is reported.)
#[inline(never)]
pub(crate) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // SAFETY: the instance is live; the core tests the block. Freeing a neighbour writes a flag
    // into this block's header, so this happens under the lock, or while another thread forks: only
    // that one is in the instance then, and it writes whole words.
    let tested =
        |tlsf: Tlsf| unsafe { in_a_pool(tlsf, block).and_then(|()| tlsf.usable_size(block)) };
    let found = if side::owns(block) {
        // SAFETY: the side heap's block, which it tests.
        Some(unsafe { side::usable_size(block) })
    } else {
        try_with_heap(|_, tlsf| tested(tlsf)).unwrap_or_else(|Away| instance().map(tested))
    };
    match found {
        Some(Ok(bytes)) => bytes,
        Some(Err(misuse)) => {
            misuse::report_global(misuse, block.as_ptr());
            0
        }
        None => 0,
    }
}
