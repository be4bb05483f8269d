//! All thread heaps, for whoever has the lock: their list, and guests in those of running threads.

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use memoman_debug::allocator::Tlsf;

use crate::default::State;
use crate::thread_heap::ThreadHeap;
use crate::{gate, os, supply, tls};

/// The heap made last. Changes under the lock.
static HEAPS: AtomicPtr<ThreadHeap> = AtomicPtr::new(ptr::null_mut());

/// How often the others are stopped: a fork's handlers of other libraries may stop them once more. Changes under the lock.
static STOPPED: AtomicUsize = AtomicUsize::new(0);

/// Enters a new heap in the list. Under the lock.
///
/// # Safety
/// The heap is open, and not in the list.
pub(crate) unsafe fn enlist(heap: *mut ThreadHeap) {
    // SAFETY: under the lock (caller).
    unsafe { (*heap).next = HEAPS.load(Ordering::Relaxed) };
    HEAPS.store(heap, Ordering::Relaxed);
}

/// There is no thread heap yet. Under the lock.
pub(crate) fn is_empty() -> bool {
    HEAPS.load(Ordering::Relaxed).is_null()
}

/// Calls `f` with every heap. Under the lock.
pub(crate) fn each(mut f: impl FnMut(*mut ThreadHeap)) {
    let mut heap = HEAPS.load(Ordering::Relaxed);
    while !heap.is_null() {
        // SAFETY: heaps are never given back, and the links change under the lock only.
        let next = unsafe { (*heap).next };
        f(heap);
        heap = next;
    }
}

/// Some running thread other than the caller has this heap. Under the lock.
fn is_anothers(heap: *mut ThreadHeap) -> bool {
    // SAFETY: a heap of the list, and the lock is held.
    heap != tls::current().heap() && unsafe { (*heap).shared.owned.load(Ordering::Relaxed) }
}

/// Keeps every other thread out of its heap, and waits until it is out. Under the lock, until [`resume`].
pub(crate) fn stop() {
    if STOPPED.fetch_add(1, Ordering::Relaxed) != 0 {
        return;
    }
    let mut any = false;
    each(|heap| {
        if is_anothers(heap) {
            // SAFETY: the gate is shared.
            unsafe { (*heap).gate.close() };
            any = true;
        }
    });
    if !any {
        return;
    }
    gate::closed_all();
    each(|heap| {
        let mut turn = 0;
        // SAFETY: the gate is shared.
        while is_anothers(heap) && unsafe { !(*heap).gate.is_left() } {
            os::pause(turn);
            turn = turn.saturating_add(1);
        }
    });
}

/// Lets them in again.
pub(crate) fn resume() {
    if STOPPED.fetch_sub(1, Ordering::Relaxed) != 1 {
        return;
    }
    each(|heap| {
        if is_anothers(heap) {
            // SAFETY: the gate is shared.
            unsafe { (*heap).gate.open() };
        }
    });
}

/// In the child of a fork: the others are gone, all outside their heaps, which are nobody's now.
pub(crate) fn forget_others(mut idle: impl FnMut(*mut ThreadHeap)) {
    each(|heap| {
        if is_anothers(heap) {
            // SAFETY: this thread is the only one.
            unsafe { (*heap).gate.forget() };
            idle(heap);
        }
    });
    STOPPED.store(0, Ordering::Relaxed);
}

/// Runs `work` while every heap is the caller's. Under the lock.
pub(crate) fn stopped<R>(work: impl FnOnce() -> R) -> R {
    stop();
    let result = work();
    resume();
    result
}

/// Takes what is free in caches and inboxes to the cores, and gives the empty pools back. True if that may help: something
/// has moved.
///
/// # Safety
/// Under the lock.
pub(crate) unsafe fn collect_all(state: &mut State, tlsf: Tlsf, own: *mut ThreadHeap) -> bool {
    let mut any = false;
    stopped(|| {
        each(|heap| {
            // SAFETY: under the lock, and everybody is stopped.
            unsafe {
                let before = ThreadHeap::tlsf(heap).stats().used;
                gather(state, tlsf, heap);
                any |= supply::give_back_all(state, tlsf, heap);
                any |= heap == own && ThreadHeap::tlsf(heap).stats().used != before;
            }
        });
    });
    any
}

/// Takes what is free in a heap's cache and inbox to its core. Misuse met on the way is noted, to be told without the lock.
///
/// # Safety
/// As for [`ThreadHeap`].
pub(crate) unsafe fn gather(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) {
    // SAFETY: the caller's duties.
    unsafe {
        if let Err(met) = ThreadHeap::flush(heap) {
            state.note(met);
        }
        gather_inbox(state, tlsf, heap);
    }
}

/// The same for the inbox alone.
///
/// # Safety
/// As for [`ThreadHeap`].
pub(crate) unsafe fn gather_inbox(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) {
    loop {
        // SAFETY: the caller's duties.
        unsafe {
            if let Some(pool) = ThreadHeap::take_surplus(heap) {
                supply::give_back_locked(state, tlsf, heap, pool);
            }
            match ThreadHeap::collect(heap, usize::MAX, false) {
                Ok(0) => break,
                Ok(_) => {}
                // What was found is out of the inbox: this ends.
                Err(met) => state.note(met),
            }
        }
    }
}
