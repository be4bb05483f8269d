//! Memory for a request that the calling thread's heap cannot serve.

use core::ptr::{self, NonNull};

use crate::allocator::{Refusal, Tlsf};
use crate::process::heap::{Away, State, try_with_heap};
use crate::process::segments::{self, Served};
use crate::process::{large, mapping_spares, misuse, registry, side};
use crate::system::errno::{ENOMEM, set_errno};
use crate::system::sync;
use crate::thread::entry::enter;
use crate::thread::heap::ThreadHeap;

/// How often a refused request waits 50 µs for the segments that other threads have in hand.
const PATIENCE: u32 = 100;

/// Serves what the heap could not: from a new segment, from the process-wide instance as it is,
/// from a new region, and last by [`last_attempts`]; while another thread forks, from the side
/// heap. NULL and ENOMEM if all fail.
///
/// # Safety
/// `heap` is null, or the calling thread's, which is outside its gate.
#[cold]
#[inline(never)]
pub(crate) unsafe fn allocate(heap: *mut ThreadHeap, align: usize, bytes: usize) -> *mut u8 {
    let own = !heap.is_null() && ThreadHeap::serves(align, bytes);
    // SAFETY: the calling thread's heap (caller).
    let outcome = unsafe {
        let mut sizes = [0; 2];
        if own && enter(heap) {
            let pool_bytes = ThreadHeap::tlsf(heap).pool_bytes();
            ThreadHeap::leave(heap);
            sizes = segments::segment_sizes(pool_bytes, align, bytes);
        }
        let served = try_with_heap(|state, tlsf| segments::serve(state, tlsf, sizes, align, bytes));
        match served {
            Ok(Some(Ok(Served::Block(block)))) => Ok(Some(Ok(block))),
            Ok(Some(Ok(Served::Segment(segment)))) => match segment.install(heap, align, bytes) {
                Some(block) => Ok(Some(Ok(block))),
                None => {
                    try_with_heap(|state, tlsf| large::allocate(state, tlsf, align, bytes, true))
                }
            },
            Ok(Some(Err(Refusal::Exhausted))) => persist(heap, sizes, align, bytes),
            Ok(Some(Err(other))) => Ok(Some(Err(other))),
            Ok(None) => Ok(None),
            Err(away) => Err(away),
        }
    };
    misuse::report_deferred();
    mapping_spares::count_requested(bytes.max(segments::SEGMENT_MIN));
    match outcome {
        Ok(Some(Ok(block))) => return block.as_ptr(),
        Ok(Some(Err(Refusal::Misuse(misuse, address)))) => misuse::report_global(misuse, address),
        Ok(_) => set_errno(ENOMEM),
        Err(_) => match side::allocate(align, bytes) {
            Some(block) => return block.as_ptr(),
            None => set_errno(ENOMEM),
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
    set_errno(ENOMEM);
}

/// [`last_attempts`], again while other threads have segments in hand, but not for ever: one that
/// gets no processor keeps its own.
///
/// # Safety
/// The duties of [`last_attempts`], without the lock.
#[cold]
unsafe fn persist(
    heap: *mut ThreadHeap,
    sizes: [usize; 2],
    align: usize,
    bytes: usize,
) -> Result<Option<Result<NonNull<u8>, Refusal>>, Away> {
    for _ in 0..PATIENCE {
        let outcome = try_with_heap(|state, tlsf| {
            // SAFETY: the caller's duties, under the lock.
            unsafe { last_attempts(state, tlsf, heap, sizes, align, bytes) }
        });
        match outcome {
            Ok(Some(Last::Later)) => sync::pause(u32::MAX),
            Ok(Some(Last::Result(result))) => return Ok(Some(result)),
            Ok(None) => return Ok(None),
            Err(away) => return Err(away),
        }
    }
    let refused = try_with_heap(|state, _| {
        state.shared.refused = state.shared.refused.wrapping_add(1);
    });
    refused.map(|_| Some(Err(Refusal::Exhausted)))
}

/// The outcome of [`last_attempts`].
enum Last {
    Result(Result<NonNull<u8>, Refusal>),
    /// Other threads have segments in hand.
    Later,
}

/// Serves a request from any heap that has room; else empties the caches and inboxes of all heaps,
/// gives their empty segments back, and tries everything once more. So a request is refused only
/// when no free block holds it. A block of another thread's heap stays that heap's.
///
/// # Safety
/// Under the lock: with every thread outside its heap, O(heaps), and after that O(what the heaps
/// hold). With `sizes` other than 0, `heap` is the calling thread's, which is outside its
/// gate.
#[cold]
unsafe fn last_attempts(
    state: &mut State,
    tlsf: Tlsf,
    heap: *mut ThreadHeap,
    sizes: [usize; 2],
    align: usize,
    bytes: usize,
) -> Last {
    let result = registry::stopped(|| {
        // SAFETY: the lock is held, and every other thread is outside its heap; the own heap is the
        // calling thread's, which is outside its gate (caller).
        unsafe {
            let mut result = from_any_heap(align, bytes);
            if result == Err(Refusal::Exhausted) {
                drain_all(state, tlsf);
                result = from_any_heap(align, bytes);
            }
            if result == Err(Refusal::Exhausted) {
                result = match segments::serve(state, tlsf, sizes, align, bytes) {
                    Ok(Served::Block(block)) => Ok(block),
                    Err(refusal) => Err(refusal),
                    Ok(Served::Segment(segment)) => match segment.add_to(heap) {
                        Some(_) => ThreadHeap::allocate(heap, align, bytes),
                        None => {
                            segment.free(state, tlsf, 0);
                            segments::serve(state, tlsf, [0; 2], align, bytes).map(Served::block)
                        }
                    },
                };
            }
            if result == Err(Refusal::Exhausted) && segments::in_hand() {
                return Last::Later;
            }
            Last::Result(result)
        }
    });
    if let Last::Result(Err(Refusal::Exhausted)) = result {
        state.shared.refused = state.shared.refused.wrapping_add(1);
    }
    result
}

/// Allocates from the first heap whose core has room.
///
/// # Safety
/// Under the lock, inside `registry::stopped`.
unsafe fn from_any_heap(align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
    let mut result = Err(Refusal::Exhausted);
    if ThreadHeap::serves(align, bytes) {
        registry::each(|heap| {
            if result == Err(Refusal::Exhausted) {
                // SAFETY: the lock is held, and every other thread is outside its heap.
                result = unsafe { ThreadHeap::allocate(heap, align, bytes) };
            }
        });
    }
    result
}

/// Empties every heap's outbox, cache and inbox into the cores and gives the empty pools back.
///
/// # Safety
/// Under the lock, inside `registry::stopped`.
unsafe fn drain_all(state: &mut State, tlsf: Tlsf) {
    // SAFETY: the caller's duties.
    unsafe { segments::empty_outboxes() };
    registry::each(|heap| {
        // SAFETY: the lock is held, and every other thread is outside its heap.
        unsafe {
            segments::drain(state, tlsf, heap);
            segments::give_back_all(state, tlsf, heap);
        }
    });
}
