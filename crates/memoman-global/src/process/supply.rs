//! Memory for a request that the calling thread's heap cannot serve.

use core::ptr::{self, NonNull};

use crate::allocator::{Refusal, Tlsf};
use crate::process::heap::{Away, State, try_with_heap};
use crate::process::regions::{Region, Wanted};
use crate::process::segments::{self, Request, Served};
use crate::process::{mapping_spares, misuse, registry, side};
use crate::system::errno::{ENOMEM, set_errno};
use crate::system::sync;
use crate::thread::entry::enter;
use crate::thread::heap::ThreadHeap;

/// How often a refused request waits 50 µs for the segments that other threads have in hand.
const PATIENCE: u32 = 100;

/// Serves what the heap could not: from a new segment, also from a new region, from the
/// process-wide instance as it is, and last by [`last_attempts`]; while another thread forks, from
/// the side heap. NULL and ENOMEM if all fail.
///
/// # Safety
/// `heap` is null, or the calling thread's, which is outside its gate.
#[cold]
#[inline(never)]
pub(crate) unsafe fn allocate(heap: *mut ThreadHeap, align: usize, bytes: usize) -> *mut u8 {
    let own = !heap.is_null() && ThreadHeap::serves(align, bytes);
    // SAFETY: the calling thread's heap (caller).
    let served = unsafe {
        let mut sizes = [0; 2];
        if own && enter(heap) {
            let pool_bytes = ThreadHeap::tlsf(heap).pool_bytes();
            ThreadHeap::leave(heap);
            sizes = segments::segment_sizes(pool_bytes, align, bytes);
        }
        let request = &Request {
            sizes,
            align,
            bytes,
        };
        let served = take(heap, request);
        if served.is_exhausted() {
            persist(heap, request)
        } else {
            served
        }
    };
    misuse::report_deferred();
    mapping_spares::count_requested(bytes.max(segments::SEGMENT_MIN));
    match served {
        Served::Block(block) => return block.as_ptr(),
        Served::Refused(Refusal::Misuse(misuse, address)) => misuse::report_global(misuse, address),
        Served::Away => match side::allocate(align, bytes) {
            Some(block) => return block.as_ptr(),
            None => set_errno(ENOMEM),
        },
        _ => refuse(),
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

/// The last refusal is none for the caller: it has the block already.
#[cold]
pub(crate) fn was_served() {
    let _ = try_with_heap(|state, _| {
        state.shared.refused = state.shared.refused.saturating_sub(1);
    });
}

/// Allocates a segment and from it, or a block of the instance.
///
/// # Safety
/// With a segment to try, `heap` is the calling thread's, which is outside its gate.
#[inline(never)]
unsafe fn take(heap: *mut ThreadHeap, request: &Request) -> Served {
    let served = from_instance(request);
    let Served::Segment(segment) = served else {
        return served;
    };
    // SAFETY: the calling thread's heap, outside its gate (caller); a new segment.
    match unsafe { segment.install(heap, request.align, request.bytes) } {
        Some(block) => Served::Block(block),
        None => from_instance(&request.without_segment()),
    }
}

/// A segment for the request, or a block: from the instance as it is, or with a new region, which
/// is mapped without the lock.
#[inline(never)]
pub(crate) fn from_instance(request: &Request) -> Served {
    let mut region: Option<Region> = None;
    let mut last = false;
    loop {
        let mut wanted: Option<Wanted> = None;
        let served = under_lock(|state, tlsf| {
            // With a region in hand, another thread may have added one.
            let only = last && region.is_none();
            let served = segments::serve(state, tlsf, request, only);
            if !served.is_exhausted() {
                return served;
            }
            if let Some(region) = region.take() {
                state.add(tlsf, region);
                return segments::serve(state, tlsf, request, true);
            }
            if !last {
                wanted = segments::wanted(state, tlsf, request);
            }
            served
        });
        if let Some(region) = region.take() {
            region.unmap();
        }
        let Some(wanted) = wanted else {
            return served;
        };
        region = wanted.map();
        if let Some(region) = &region {
            mapping_spares::make_room(region.bytes);
        }
        last = true;
    }
}

/// Runs `work` under the lock.
fn under_lock(work: impl FnMut(&mut State, Tlsf) -> Served) -> Served {
    match try_with_heap(work) {
        Ok(Some(served)) => served,
        Ok(None) => Served::Refused(Refusal::Exhausted),
        Err(Away) => Served::Away,
    }
}

/// [`last_attempts`], again while other threads have segments in hand, but not for ever: one that
/// gets no processor keeps its own. What the attempts have given back to the system may become a
/// region.
///
/// # Safety
/// The duties of [`last_attempts`], without the lock.
#[cold]
unsafe fn persist(heap: *mut ThreadHeap, request: &Request) -> Served {
    for _ in 0..PATIENCE {
        let mut later = false;
        let served = under_lock(|state, tlsf| {
            registry::stopped(|| {
                // SAFETY: the caller's duties, under the lock.
                let served = unsafe { last_attempts(state, tlsf, heap, request) };
                later = segments::in_hand();
                served
            })
        });
        if !served.is_exhausted() {
            return served;
        }
        if !later {
            break;
        }
        sync::pause(u32::MAX);
    }
    // What is kept counts against the limits.
    mapping_spares::release();
    // SAFETY: the caller's duties.
    unsafe { take(heap, request) }
}

/// Serves a request from any heap that has room; else empties the caches and inboxes of all heaps,
/// gives their empty segments back, and tries everything once more. So a request is refused only
/// when no free block holds it. A block of another thread's heap stays that heap's.
///
/// # Safety
/// Under the lock, inside `registry::stopped`. O(heaps), and after that O(what the heaps hold).
/// With a segment to try, `heap` is the calling thread's, which is outside its gate.
#[cold]
unsafe fn last_attempts(
    state: &mut State,
    tlsf: Tlsf,
    heap: *mut ThreadHeap,
    request: &Request,
) -> Served {
    let &Request { align, bytes, .. } = request;
    // SAFETY: the lock is held, and every other thread is outside its heap; the own heap is the
    // calling thread's, which is outside its gate (caller).
    unsafe {
        let mut result = from_any_heap(align, bytes);
        if matches!(result, Err(Refusal::Exhausted)) {
            drain_all(state, tlsf);
            result = from_any_heap(align, bytes);
        }
        if !matches!(result, Err(Refusal::Exhausted)) {
            return Served::of(result);
        }
        let served = segments::serve(state, tlsf, request, true);
        if served.is_exhausted() {
            // Empty regions count against a limit that the system may have reached.
            state.remove_empty(tlsf);
        }
        match served {
            Served::Segment(segment) if segment.add_to(heap).is_some() => {
                Served::of(ThreadHeap::allocate(heap, align, bytes))
            }
            Served::Segment(segment) => {
                segment.free(state, tlsf, 0);
                segments::serve(state, tlsf, &request.without_segment(), true)
            }
            served => served,
        }
    }
}

/// Allocates from the first heap whose core has room.
///
/// # Safety
/// Under the lock, inside `registry::stopped`.
unsafe fn from_any_heap(align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
    let mut result = Err(Refusal::Exhausted);
    if ThreadHeap::serves(align, bytes) {
        registry::each(|heap| {
            if matches!(result, Err(Refusal::Exhausted)) {
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
