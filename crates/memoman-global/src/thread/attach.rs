//! How a thread comes by its heap, and what happens to it when the thread ends: the next new thread gets it as it is.

use core::ptr;
use core::sync::atomic::Ordering;

use crate::default::{settle, with_heap, with_heap_unsettled};
use crate::thread_heap::ThreadHeap;
use crate::{exit, supply, tell, tls, world};

/// Gives the calling thread a heap. Null when it is ending, or the system has no memory: then the lock serves it.
#[cold]
#[inline(never)]
pub(crate) fn attach() -> *mut ThreadHeap {
    if tls::current().is_ended() {
        return ptr::null_mut();
    }
    let heap = with_heap_unsettled(|state, _| {
        let heap = state.heap_for_thread();
        if !heap.is_null() {
            // SAFETY: under the lock, and nobody's. Whoever had it before has given it up under the lock.
            unsafe { (*heap).shared.owned.store(true, Ordering::Relaxed) };
        }
        heap
    })
    .unwrap_or(ptr::null_mut());
    if heap.is_null() {
        return heap;
    }
    tls::set(heap);
    if tls::current().heap() != heap {
        // The process has no key for thread-local storage left.
        // SAFETY: taken above.
        unsafe { give_up(heap) };
        return ptr::null_mut();
    }
    // From here on the thread has a heap: what follows may allocate.
    exit::watch(heap.cast());
    settle();
    heap
}

/// Gives up a heap of the calling thread, for the next thread.
///
/// # Safety
/// The calling thread owns it, is outside, and does not use it again.
pub(crate) unsafe fn give_up(heap: *mut ThreadHeap) {
    with_heap(|state, tlsf| {
        // SAFETY: under the lock, and the caller's until here.
        unsafe {
            // The first one is left warm: threads that come one after the other go on where the last one stopped.
            if state.has_idle() || ThreadHeap::is_heavy(heap) {
                world::gather(state, tlsf, heap);
                supply::give_back_all(state, tlsf, heap);
            } else {
                world::gather_inbox(state, tlsf, heap);
            }
            (*heap).shared.owned.store(false, Ordering::Relaxed);
            state.lay_by(heap);
        }
    });
    tell::noted();
}

/// In the child of a fork: the heaps of the threads that are not there are nobody's. Under the lock.
pub(crate) fn give_up_others() {
    // A process that has not used its heap yet must not begin here: the environment may still change.
    if world::is_empty() {
        return;
    }
    with_heap_unsettled(|state, _| {
        world::forget_others(|heap| {
            // SAFETY: under the lock, and its owner does not exist in this process.
            unsafe {
                (*heap).shared.owned.store(false, Ordering::Relaxed);
                state.lay_by(heap);
            }
        });
    });
}
