//! All thread heaps: their list, the idle ones, memory for new ones, and stopping their owners.
//!
//! Every function here is called under the lock.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::system::env::Settings;
use crate::system::memory::{self, PAGE};
use crate::system::sync;
use crate::thread::heap::ThreadHeap;
use crate::thread::{gate, lifetime};

const SIZE: usize = size_of::<ThreadHeap>();

/// The first heap's memory: static, so that a process with one thread maps none.
struct First(UnsafeCell<MaybeUninit<ThreadHeap>>);

// SAFETY: handed out once, under the lock.
unsafe impl Sync for First {}

static FIRST: First = First(UnsafeCell::new(MaybeUninit::zeroed()));

// These change under the lock only.
/// The heap made last.
static HEAPS: AtomicPtr<ThreadHeap> = AtomicPtr::new(ptr::null_mut());
/// Heaps without an owner.
static IDLE: AtomicPtr<ThreadHeap> = AtomicPtr::new(ptr::null_mut());
/// Zeroed memory for new heaps, and the bytes left of it.
static MEMORY: AtomicPtr<ThreadHeap> = AtomicPtr::new(FIRST.0.get().cast());
static LEFT: AtomicUsize = AtomicUsize::new(SIZE);
/// Calls of [`stop`] without their [`resume`]: in a fork, handlers of other libraries may stop once
/// more.
static STOPPED: AtomicUsize = AtomicUsize::new(0);

/// Gives the calling thread an idle heap, or a new one. Null when the system has no memory.
pub(crate) fn take_heap(settings: &Settings) -> *mut ThreadHeap {
    let mut heap = IDLE.load(Ordering::Relaxed);
    if heap.is_null() {
        heap = new_heap(settings);
        if heap.is_null() {
            return heap;
        }
    } else {
        // SAFETY: heaps are never given back, and the links change under the lock only.
        IDLE.store(unsafe { (*heap).next_idle }, Ordering::Relaxed);
    }
    // SAFETY: idle or new: no thread owns it, and its last owner gave it up under the lock.
    unsafe { (*heap).shared.owned.store(true, Ordering::Relaxed) };
    heap
}

fn new_heap(settings: &Settings) -> *mut ThreadHeap {
    if LEFT.load(Ordering::Relaxed) < SIZE {
        let Some(memory) = memory::map(PAGE, settings.reserve.is_some()) else {
            return ptr::null_mut();
        };
        if settings.lock {
            memory::lock(memory, PAGE);
        }
        MEMORY.store(memory.cast(), Ordering::Relaxed);
        LEFT.store(PAGE, Ordering::Relaxed);
    }
    let heap = MEMORY.load(Ordering::Relaxed);
    MEMORY.store(heap.wrapping_add(1), Ordering::Relaxed);
    LEFT.store(LEFT.load(Ordering::Relaxed) - SIZE, Ordering::Relaxed);
    // SAFETY: zeroed memory that was not handed out before, large enough, and aligned: the size is
    // a multiple of the alignment.
    unsafe {
        ThreadHeap::open(heap);
        (*heap).next = HEAPS.load(Ordering::Relaxed);
    }
    HEAPS.store(heap, Ordering::Relaxed);
    heap
}

/// There is a heap without an owner.
pub(crate) fn has_idle() -> bool {
    !IDLE.load(Ordering::Relaxed).is_null()
}

/// Enters a heap among the idle ones.
///
/// # Safety
/// The heap's owner gives it up by this call, or no longer exists.
pub(crate) unsafe fn add_idle(heap: *mut ThreadHeap) {
    // SAFETY: no owner uses it (caller), heaps are never given back, and the lock is held.
    unsafe {
        (*heap).shared.owned.store(false, Ordering::Relaxed);
        (*heap).next_idle = IDLE.load(Ordering::Relaxed);
    }
    IDLE.store(heap, Ordering::Relaxed);
}

/// Brings the first heap into memory; with `lock`, locks it there. Before the heap is handed out.
pub(crate) fn prefault_first(lock: bool) {
    let first: *mut u8 = FIRST.0.get().cast();
    for offset in (0..SIZE).step_by(1 << 10) {
        // SAFETY: not handed out yet. Written so that its pages are in memory; it stays zero.
        unsafe { first.wrapping_add(offset).write_volatile(0) };
    }
    if lock {
        memory::lock(first, SIZE);
    }
}

/// Calls `f` with every heap.
pub(crate) fn each(mut f: impl FnMut(*mut ThreadHeap)) {
    let mut heap = HEAPS.load(Ordering::Relaxed);
    while !heap.is_null() {
        // SAFETY: heaps are never given back, and the links change under the lock only.
        let next = unsafe { (*heap).next };
        f(heap);
        heap = next;
    }
}

/// Another thread owns this heap.
fn is_anothers(heap: *mut ThreadHeap) -> bool {
    // SAFETY: a heap of the list, and the lock is held.
    heap != lifetime::current().heap() && unsafe { (*heap).shared.owned.load(Ordering::Relaxed) }
}

/// Keeps every other thread out of its heap until [`resume`], and waits until all of them are out.
pub(crate) fn stop() {
    if STOPPED.fetch_add(1, Ordering::Relaxed) != 0 {
        return;
    }
    let mut any = false;
    each(|heap| {
        if is_anothers(heap) {
            // SAFETY: any thread may access the gate.
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
        // SAFETY: any thread may access the gate.
        while is_anothers(heap) && unsafe { !(*heap).gate.is_left() } {
            sync::pause(turn);
            turn = turn.saturating_add(1);
        }
    });
}

/// Lets the other threads into their heaps again.
pub(crate) fn resume() {
    if STOPPED.fetch_sub(1, Ordering::Relaxed) != 1 {
        return;
    }
    each(|heap| {
        if is_anothers(heap) {
            // SAFETY: any thread may access the gate.
            unsafe { (*heap).gate.open() };
        }
    });
}

/// In the child of a fork: the other threads do not exist, and all were outside their heaps, which
/// become idle.
pub(crate) fn forget_others() {
    each(|heap| {
        if is_anothers(heap) {
            // SAFETY: this thread is the only one, so the heap's owner does not exist.
            unsafe {
                (*heap).gate.forget();
                add_idle(heap);
            }
        }
    });
    STOPPED.store(0, Ordering::Relaxed);
}

/// Runs `work` while every heap is the caller's.
pub(crate) fn stopped<R>(work: impl FnOnce() -> R) -> R {
    stop();
    let result = work();
    resume();
    result
}
