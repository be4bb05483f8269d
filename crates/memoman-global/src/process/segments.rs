//! Segments: blocks of the process-wide instance that are pools of a thread heap. Getting one when
//! a request needs it, giving it back, and emptying a heap's cache and inbox for that.

use core::ptr::{self, NonNull};

use crate::allocator::{ALIGN, HEADER, Pool, Refusal, Stats, Tlsf};
use crate::process::heap::{State, try_with_heap};
use crate::process::map::{self, UNIT};
use crate::process::{core_calls, large, mapping_spares, misuse, registry, side};
use crate::system::errno::set_errno;
use crate::thread::heap::ThreadHeap;

/// A segment is this part of the heap's bytes, within these bounds.
const SEGMENT_PART: usize = 16;
const SEGMENT_MIN: usize = 64 << 10;
const SEGMENT_MAX: usize = 1 << 20;
/// What a request may take beyond its bytes and alignment: rounding, a block in the gap before it,
/// headers.
const SLACK: usize = 2 * ALIGN + HEADER + Tlsf::POOL_OVERHEAD;

/// Serves what the heap could not: from a new segment, from the process-wide instance as it is,
/// from a new region, and last after emptying the caches and inboxes of all heaps; while another
/// thread forks, from the side heap. NULL and ENOMEM if all fail.
///
/// # Safety
/// `heap` is null, or the calling thread's, which is outside its gate.
#[cold]
#[inline(never)]
pub(crate) unsafe fn allocate(heap: *mut ThreadHeap, align: usize, bytes: usize) -> *mut u8 {
    let outcome = try_with_heap(|state, tlsf| {
        let own = !heap.is_null() && ThreadHeap::serves(align, bytes);
        // SAFETY: the lock is held, and the heap is the calling thread's (caller).
        unsafe {
            let mut result = attempt(state, tlsf, heap, own, align, bytes, false);
            if result == Err(Refusal::Exhausted) {
                result = attempt(state, tlsf, heap, own, align, bytes, true);
            }
            if result == Err(Refusal::Exhausted) && drain_all(state, tlsf, heap) {
                if own {
                    result = ThreadHeap::allocate(heap, align, bytes);
                }
                for grow in [false, true] {
                    if result == Err(Refusal::Exhausted) {
                        result = attempt(state, tlsf, heap, own, align, bytes, grow);
                    }
                }
            }
            if result == Err(Refusal::Exhausted) {
                state.shared.refused = state.shared.refused.wrapping_add(1);
            }
            result
        }
    });
    misuse::report_deferred();
    mapping_spares::count_requested(bytes.max(SEGMENT_MIN));
    match outcome {
        Ok(Some(Ok(block))) => return block.as_ptr(),
        Ok(Some(Err(Refusal::Misuse(misuse, address)))) => misuse::report_global(misuse, address),
        Ok(_) => set_errno(libc::ENOMEM),
        Err(_) => match side::allocate(align, bytes) {
            Some(block) => return block.as_ptr(),
            None => set_errno(libc::ENOMEM),
        },
    }
    ptr::null_mut()
}

/// Refuses a request: ENOMEM, and counted unless another thread forks.
#[cold]
pub(crate) fn refuse() {
    let _ = try_with_heap(|state, _| {
        state.shared.refused = state.shared.refused.wrapping_add(1);
    });
    set_errno(libc::ENOMEM);
}

/// One attempt, with or without new regions from the system.
///
/// # Safety
/// Under the lock; with `own`, the heap is the calling thread's.
unsafe fn attempt(
    state: &mut State,
    tlsf: Tlsf,
    heap: *mut ThreadHeap,
    own: bool,
    align: usize,
    bytes: usize,
    grow: bool,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: the lock is held, and the heap is the calling thread's (caller).
    unsafe {
        if own && let Some(pool) = add_segment(state, tlsf, heap, align, bytes, grow) {
            let result = ThreadHeap::allocate(heap, align, bytes);
            ThreadHeap::keep_if_empty(heap, pool);
            if result != Err(Refusal::Exhausted) {
                return result;
            }
        }
        large::allocate(state, tlsf, align, bytes, grow)
    }
}

/// The segments to try for a request of a heap with so many bytes: a part of them, and the least
/// that holds the request.
pub(crate) fn segment_sizes(pool_bytes: usize, align: usize, bytes: usize) -> [usize; 2] {
    let least = (bytes + align + SLACK).next_multiple_of(UNIT);
    let generous = (pool_bytes / SEGMENT_PART).clamp(SEGMENT_MIN, SEGMENT_MAX) & !(UNIT - 1);
    [generous.max(least), least]
}

/// Adds a segment to the heap in which the request fits.
///
/// # Safety
/// Under the lock; the heap is the calling thread's.
unsafe fn add_segment(
    state: &mut State,
    tlsf: Tlsf,
    heap: *mut ThreadHeap,
    align: usize,
    bytes: usize,
    grow: bool,
) -> Option<Pool> {
    // SAFETY: the lock is held, and the heap is the calling thread's (caller).
    let Stats { pool_bytes, .. } = unsafe { ThreadHeap::tlsf(heap).stats() };
    for size in segment_sizes(pool_bytes, align, bytes) {
        // SAFETY: a fresh segment, used for nothing else; the heap is the calling thread's
        // (caller).
        unsafe {
            let Some(start) = new_segment(state, tlsf, size, grow) else {
                continue;
            };
            if map::prepare(start.as_ptr().addr(), size) {
                map::assign(start.as_ptr().addr(), size, heap.cast());
                // The last word belongs to the header of the next block.
                let pool = ThreadHeap::tlsf(heap).add_pool(start.as_ptr(), size - HEADER);
                if pool.is_some() {
                    return pool;
                }
                map::assign(start.as_ptr().addr(), size, ptr::null_mut());
            }
            free_segment(state, tlsf, start);
            return None;
        }
    }
    None
}

/// Allocates a segment of `bytes`, whole units, at a multiple of a unit. Its last word is not part
/// of it.
fn new_segment(state: &mut State, tlsf: Tlsf, bytes: usize, grow: bool) -> Option<NonNull<u8>> {
    let mut start = large::allocate_uncounted(state, tlsf, UNIT, bytes - HEADER, false);
    if grow && start == Err(Refusal::Exhausted) && state.grow(tlsf, bytes + UNIT + 4 * ALIGN, true)
    {
        start = large::allocate_uncounted(state, tlsf, UNIT, bytes - HEADER, false);
    }
    let start = start.ok()?;
    // SAFETY: a live block, just allocated.
    state.shared.segment_bytes += unsafe { Tlsf::block_size(start.as_ptr()) } + HEADER;
    state.shared.segments += 1;
    Some(start)
}

/// Frees a segment.
///
/// # Safety
/// Under the lock. It came from [`new_segment`], and nothing uses it any more.
unsafe fn free_segment(state: &mut State, tlsf: Tlsf, start: NonNull<u8>) {
    // SAFETY: a live block of the instance (caller), and the lock is held.
    unsafe {
        state.shared.segment_bytes -= Tlsf::block_size(start.as_ptr()) + HEADER;
        state.shared.segments -= 1;
        match core_calls::free(tlsf, start) {
            Ok(Some(pool)) => state.emptied(tlsf, pool),
            Ok(None) => {}
            Err(misuse) => state.defer((misuse, start.as_ptr())),
        }
    }
}

/// Gives an empty pool's segment back, if it still is one of the heap's and empty.
///
/// # Safety
/// `heap` is the calling thread's, which is outside its gate.
#[cold]
#[inline(never)]
pub(crate) unsafe fn give_back(heap: *mut ThreadHeap, pool: Pool) {
    // While another thread forks the pool stays, as an empty one that the heap goes on using.
    let _ = try_with_heap(|state, tlsf| {
        // A holder of the lock may have given it back meanwhile: the map shows that.
        if ThreadHeap::of(pool.as_raw().addr()) == heap {
            // SAFETY: the lock is held; the heap is the calling thread's (caller), and the address
            // lies in one of its segments.
            unsafe { give_back_locked(state, tlsf, heap, pool) };
        }
    });
}

/// Frees an empty pool's segment. True if it was freed.
///
/// # Safety
/// The duties of [`ThreadHeap`], under the lock; the pool's memory may be read.
pub(crate) unsafe fn give_back_locked(
    state: &mut State,
    tlsf: Tlsf,
    heap: *mut ThreadHeap,
    pool: Pool,
) -> bool {
    // SAFETY: before it removes the pool, the core tests that it is an empty one of this heap.
    unsafe {
        let start: *mut u8 = pool.as_raw().cast();
        let (_, bytes) = pool.memory();
        if !ThreadHeap::tlsf(heap).remove_pool(start) {
            return false;
        }
        ThreadHeap::forget(heap, pool);
        map::assign(start.addr(), bytes, ptr::null_mut());
        if let Some(start) = NonNull::new(start) {
            free_segment(state, tlsf, start);
        }
        true
    }
}

/// Frees the segment of every empty pool of a heap. O(pools). True if there was one.
///
/// # Safety
/// The duties of [`ThreadHeap`], under the lock.
pub(crate) unsafe fn give_back_all(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) -> bool {
    let mut any = false;
    // SAFETY: the lock lets this thread into the heap (caller); the next pool is read before one is
    // removed.
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

/// Empties every heap's cache and inbox into its core and frees the empty pools. True if
/// another attempt may succeed: a pool was freed, or the calling thread's heap changed.
///
/// # Safety
/// Under the lock.
unsafe fn drain_all(state: &mut State, tlsf: Tlsf, own: *mut ThreadHeap) -> bool {
    let mut any = false;
    registry::stopped(|| {
        registry::each(|heap| {
            // SAFETY: the lock is held, and every other thread is outside its heap.
            unsafe {
                let before = ThreadHeap::tlsf(heap).stats().used;
                drain(state, tlsf, heap);
                any |= give_back_all(state, tlsf, heap);
                any |= heap == own && ThreadHeap::tlsf(heap).stats().used != before;
            }
        });
    });
    any
}

/// Empties a heap's cache and inbox into its core. Misuse met on the way is deferred.
///
/// # Safety
/// The duties of [`ThreadHeap`], under the lock.
pub(crate) unsafe fn drain(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) {
    // SAFETY: the lock lets this thread into the heap (caller).
    unsafe {
        if let Err(found) = ThreadHeap::flush(heap) {
            state.defer(found);
        }
        drain_inbox(state, tlsf, heap);
    }
}

/// Empties a heap's inbox into its core. Misuse met on the way is deferred.
///
/// # Safety
/// The duties of [`ThreadHeap`], under the lock.
pub(crate) unsafe fn drain_inbox(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) {
    loop {
        // SAFETY: the lock lets this thread into the heap (caller).
        unsafe {
            if let Some(pool) = ThreadHeap::take_surplus(heap) {
                give_back_locked(state, tlsf, heap, pool);
            }
            match ThreadHeap::collect(heap, usize::MAX, false) {
                Ok(0) => break,
                Ok(_) => {}
                // The block is out of the inbox, so the loop ends.
                Err(found) => state.defer(found),
            }
        }
    }
}
