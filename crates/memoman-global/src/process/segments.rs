//! What a thread heap needs the lock for: segments from the process-wide instance and back, and what to do when there are none.

use core::ptr::{self, NonNull};

use memoman_debug::allocator::{Pool, Refusal, Stats, Tlsf};

use crate::default::{State, with_heap};
use crate::segment::{self, UNIT};
use crate::thread_heap::{HEADER, ThreadHeap};
use crate::{os, tell, world};

/// A segment is this part of the bytes that the heap has, within these bounds.
const SEGMENT_PART: usize = 16;
const SEGMENT_MIN: usize = 64 << 10;
const SEGMENT_MAX: usize = 1 << 20;
/// What a request may take beyond its bytes and alignment: rounding, a block in the gap before it, headers.
const SLACK: usize = 2 * Tlsf::ALIGN + HEADER + Tlsf::POOL_OVERHEAD;

/// Serves what the heap could not: from a new segment, from the process-wide instance as it is, from a new region, and at last
/// after everything has been collected that is free somewhere. NULL and ENOMEM if that is not enough.
///
/// # Safety
/// The calling thread owns the heap, and is outside.
#[cold]
#[inline(never)]
pub(crate) unsafe fn allocate(heap: *mut ThreadHeap, align: usize, bytes: usize) -> *mut u8 {
    let outcome = with_heap(|state, tlsf| {
        let own = !heap.is_null() && ThreadHeap::serves(align, bytes);
        // SAFETY: under the lock, and the heap is the caller's.
        unsafe {
            let mut result = serve(state, tlsf, heap, own, align, bytes, false);
            if result == Err(Refusal::Exhausted) {
                result = serve(state, tlsf, heap, own, align, bytes, true);
            }
            if result == Err(Refusal::Exhausted) && world::collect_all(state, tlsf, heap) {
                if own {
                    result = ThreadHeap::ask(heap, align, bytes);
                }
                for grow in [false, true] {
                    if result == Err(Refusal::Exhausted) {
                        result = serve(state, tlsf, heap, own, align, bytes, grow);
                    }
                }
            }
            if result == Err(Refusal::Exhausted) {
                state.count_refusal();
            }
            result
        }
    });
    tell::noted();
    match outcome {
        Some(Ok(block)) => return block.as_ptr(),
        Some(Err(Refusal::Misuse(misuse, address))) => tell::misuse(misuse, address),
        _ => os::set_errno(libc::ENOMEM),
    }
    ptr::null_mut()
}

/// One attempt, with or without new regions from the system.
///
/// # Safety
/// Under the lock; the calling thread owns the heap.
unsafe fn serve(
    state: &mut State,
    tlsf: Tlsf,
    heap: *mut ThreadHeap,
    own: bool,
    align: usize,
    bytes: usize,
    grow: bool,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: as above.
    unsafe {
        if own && let Some(pool) = grow_heap(state, tlsf, heap, align, bytes, grow) {
            let result = ThreadHeap::ask(heap, align, bytes);
            ThreadHeap::unused(heap, pool);
            if result != Err(Refusal::Exhausted) {
                return result;
            }
        }
        state.ask(tlsf, align, bytes, grow)
    }
}

/// The segments to try for a request of a heap that has so many bytes: a part of them, and what holds just the request.
fn segment_sizes(pool_bytes: usize, align: usize, bytes: usize) -> [usize; 2] {
    let least = (bytes + align + SLACK).next_multiple_of(UNIT);
    let generous = (pool_bytes / SEGMENT_PART).clamp(SEGMENT_MIN, SEGMENT_MAX) & !(UNIT - 1);
    [generous.max(least), least]
}

/// Gives the heap a segment in which the request fits.
///
/// # Safety
/// As for [`serve`].
unsafe fn grow_heap(
    state: &mut State,
    tlsf: Tlsf,
    heap: *mut ThreadHeap,
    align: usize,
    bytes: usize,
    grow: bool,
) -> Option<Pool> {
    // SAFETY: the heap is the caller's, and the lock is held.
    let Stats { pool_bytes, .. } = unsafe { ThreadHeap::tlsf(heap).stats() };
    for size in segment_sizes(pool_bytes, align, bytes) {
        // SAFETY: a segment that nobody else has.
        unsafe {
            let Some(start) = state.lend(tlsf, size, grow) else {
                continue;
            };
            if segment::prepare(start.as_ptr().addr(), size) {
                segment::assign(start.as_ptr().addr(), size, heap);
                // The last word belongs to the header of what lies behind.
                let pool = ThreadHeap::tlsf(heap).add_pool(start.as_ptr(), size - HEADER);
                if pool.is_some() {
                    return pool;
                }
                segment::assign(start.as_ptr().addr(), size, ptr::null_mut());
            }
            state.take_back(tlsf, start);
            return None;
        }
    }
    None
}

/// Gives an empty pool's segment back, if it still is one of the heap's and empty.
///
/// # Safety
/// The calling thread owns the heap, and is outside.
#[cold]
#[inline(never)]
pub(crate) unsafe fn give_back(heap: *mut ThreadHeap, pool: Pool) {
    with_heap(|state, tlsf| {
        // A guest may have been faster: the map knows.
        if segment::owner(pool.as_raw().addr()) == heap {
            // SAFETY: under the lock; the heap is the caller's, and the address lies in one of its segments.
            unsafe { give_back_locked(state, tlsf, heap, pool) };
        }
    });
}

/// The same, for whoever has the lock and the heap. True if it went back.
///
/// # Safety
/// Under the lock, which with the heap's state lets the caller in (see [`ThreadHeap`]); the pool's memory may be read.
pub(crate) unsafe fn give_back_locked(
    state: &mut State,
    tlsf: Tlsf,
    heap: *mut ThreadHeap,
    pool: Pool,
) -> bool {
    // SAFETY: the core tests that it is a pool of this heap, and empty, before it believes anything.
    unsafe {
        let start: *mut u8 = pool.as_raw().cast();
        let (_, bytes) = pool.memory();
        if !ThreadHeap::tlsf(heap).remove_pool(start) {
            return false;
        }
        ThreadHeap::forget(heap, pool);
        segment::assign(start.addr(), bytes, ptr::null_mut());
        if let Some(start) = NonNull::new(start) {
            state.take_back(tlsf, start);
        }
        true
    }
}

/// Gives back every empty pool of a heap. O(pools). True if one went back.
///
/// # Safety
/// As for [`give_back_locked`].
pub(crate) unsafe fn give_back_all(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) -> bool {
    let mut any = false;
    // SAFETY: the heap is the caller's; the next pool is asked for before one goes.
    unsafe {
        let core = ThreadHeap::tlsf(heap);
        let mut next = core.first_pool();
        while let Some(pool) = next {
            next = core.next_pool(pool);
            if pool.is_empty() {
                any |= give_back_locked(state, tlsf, heap, pool);
            }
        }
    }
    any
}

#[cfg(test)]
mod tests;
