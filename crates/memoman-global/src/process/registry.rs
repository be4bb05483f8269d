//! All thread heaps: their list, the idle ones, memory for new ones, and stopping their owners.
//!
//! Every function here is called under the lock, but for [`next_to_sweep`] and [`any`].

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::process::lock::LOCK;
use crate::system::env::Settings;
use crate::system::memory::{self, PAGE};
use crate::system::sync;
use crate::thread::heap::ThreadHeap;
use crate::thread::{gate, idleness, lifetime};

const SIZE: usize = size_of::<ThreadHeap>();
/// How often a thread that forks spins and sleeps for those inside their heaps: 2 to 4 ms. One that
/// runs leaves within a microsecond. One that does not, since there are more threads than
/// processors, gets a processor when the others sleep for the end of the fork, unless other
/// programs have them: it then may take seconds.
const PATIENCE: u32 = 56;

/// The first heap's memory: static, so that a process with one thread maps none.
struct First(UnsafeCell<MaybeUninit<ThreadHeap>>);

// SAFETY: handed out once, under the lock.
unsafe impl Sync for First {}

static FIRST: First = First(UnsafeCell::new(MaybeUninit::zeroed()));

// These change under the lock only.
/// The heap made last.
static HEAPS: AtomicPtr<ThreadHeap> = AtomicPtr::new(ptr::null_mut());
/// The heap that was swept last, or null.
static SWEPT: AtomicPtr<ThreadHeap> = AtomicPtr::new(ptr::null_mut());
/// Heaps without an owner.
static IDLE: AtomicPtr<ThreadHeap> = AtomicPtr::new(ptr::null_mut());
/// Zeroed memory for new heaps, and the bytes left of it.
static MEMORY: AtomicPtr<ThreadHeap> = AtomicPtr::new(FIRST.0.get().cast());
static LEFT: AtomicUsize = AtomicUsize::new(SIZE);

/// The word that holds the heap made last, for readers outside.
pub(crate) const fn published() -> *const AtomicPtr<u8> {
    (&raw const HEAPS).cast()
}

/// Gives the calling thread an idle heap, or a new one. Null when the system has no memory.
pub(crate) fn take_heap(settings: &Settings) -> *mut ThreadHeap {
    let mut heap = IDLE.load(Ordering::Relaxed);
    if heap.is_null() {
        heap = new_heap(settings);
        if heap.is_null() {
            return heap;
        }
    } else {
        // SAFETY: heaps are never freed, and the links change under the lock only.
        IDLE.store(unsafe { (*heap).next_idle }, Ordering::Relaxed);
    }
    // SAFETY: idle or new: no thread owns it, and its last owner gave it up under the lock.
    unsafe {
        ThreadHeap::cool(heap);
        (*heap).shared.owned.store(true, Ordering::Relaxed);
    }
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
        // The first heap of a process has no guest, so its owner needs no fence. Else a guest would
        // demand it, and wait: see `shut`. (It does so where a filter is expected: programs that
        // only give up privileges would pay for fences in each call.)
        if !(*heap).next.is_null() && sync::needs_fences() && !sync::expects_filter() {
            let _ = (*heap).gate.demand_fence();
        }
    }
    // Release: a thread that sweeps finds the heap open, and its link.
    HEAPS.store(heap, Ordering::Release);
    heap
}

/// The heaps in turn, each from any thread that calls this. Null if there is none.
pub(crate) fn next_to_sweep() -> *mut ThreadHeap {
    // Acquire: the heap is open.
    let swept = SWEPT.load(Ordering::Acquire);
    let next = if swept.is_null() {
        ptr::null_mut()
    } else {
        // SAFETY: heaps are never given back, and their place in the list does not change.
        unsafe { (*swept).next }
    };
    let heap = if next.is_null() {
        // Acquire: the heap is open.
        HEAPS.load(Ordering::Acquire)
    } else {
        next
    };
    // Release: the heap came from the list, perhaps on another thread.
    SWEPT.store(heap, Ordering::Release);
    heap
}

/// Whether this holds for a heap. Needs no lock: `wanted` may be called with another thread's heap.
pub(crate) fn any(wanted: fn(*mut ThreadHeap) -> bool) -> bool {
    // Acquire: the heap is open.
    let mut heap = HEAPS.load(Ordering::Acquire);
    while !heap.is_null() {
        if wanted(heap) {
            return true;
        }
        // SAFETY: heaps are never given back, and their place in the list does not change.
        heap = unsafe { (*heap).next };
    }
    false
}

/// Enters a heap among the idle ones.
///
/// # Safety
/// The heap's owner gives it up by this call, or no longer exists.
pub(crate) unsafe fn add_idle(heap: *mut ThreadHeap) {
    // SAFETY: no owner uses it (caller), heaps are never freed, and the lock is held.
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

/// Calls `f` with every heap. Another thread's is the caller's only inside [`stopped`].
fn all(mut f: impl FnMut(*mut ThreadHeap)) {
    let mut heap = HEAPS.load(Ordering::Relaxed);
    while !heap.is_null() {
        // SAFETY: heaps are never freed, and the links change under the lock only.
        let next = unsafe { (*heap).next };
        f(heap);
        heap = next;
    }
}

/// Inside [`stopped`], calls `f` with every heap but those that are in the middle of a call until
/// their owner has forked.
pub(crate) fn each(mut f: impl FnMut(*mut ThreadHeap)) {
    all(|heap| {
        // SAFETY: any thread may access the gate.
        if !is_anothers(heap) || unsafe { !(*heap).gate.is_interrupted() } {
            f(heap);
        }
    });
}

/// Another thread owns this heap, or owned it before a fork that has left it behind.
fn is_anothers(heap: *mut ThreadHeap) -> bool {
    // SAFETY: a heap of the list, and the lock is held.
    heap != lifetime::current().heap()
        && unsafe { (*heap).shared.owned.load(Ordering::Relaxed) || (*heap).gate.is_left_behind() }
}

/// Keeps every other thread out of its heap until [`open`], and waits until all of them are out.
/// What a thread does inside its heap waits for no other thread. After `patience` turns, heaps
/// that the child of a fork can do without are left behind.
#[inline(never)]
fn shut(bit: usize, patience: u32) {
    let mut any = false;
    all(|heap| {
        if is_anothers(heap) {
            // SAFETY: any thread may access the gate.
            unsafe { (*heap).gate.close(bit) };
            any = true;
        }
    });
    if !any {
        return;
    }
    if !gate::closed_all() {
        let mut late = false;
        // SAFETY: any thread may access the gate.
        all(|heap| late |= unsafe { (*heap).gate.demand_fence() });
        if late {
            // An owner may have entered without a fence, before it could see its gate closed.
            sync::let_stores_land();
        }
    }
    let mut turns = 0;
    all(|heap| {
        let mut turn = 0;
        while is_anothers(heap) && is_about_to_leave(heap) {
            // SAFETY: any thread may access the gate.
            if turns >= patience && unsafe { (*heap).gate.leave_behind() } {
                break;
            }
            if sync::settle_child() {
                continue;
            }
            sync::pause(turn);
            turn = turn.saturating_add(1);
            turns = turns.saturating_add(1);
        }
    });
}

/// The owner is inside its heap, and not kept there.
fn is_about_to_leave(heap: *mut ThreadHeap) -> bool {
    // SAFETY: a heap of the list; any thread may access the gate.
    unsafe { !(*heap).gate.is_left() && !(*heap).gate.is_interrupted() }
}

/// Lets the other threads into their heaps again.
#[inline(never)]
fn open(bit: usize) {
    // SAFETY: any thread may access the gate.
    all(|heap| unsafe { (*heap).gate.open(bit) });
}

/// Runs `work` while every heap is the caller's.
pub(crate) fn stopped<R>(work: impl FnOnce() -> R) -> R {
    shut(gate::GUEST, u32::MAX);
    let result = work();
    open(gate::GUEST);
    result
}

/// The heap made so many heaps after it; None beyond the first heap.
pub(crate) fn nth(index: usize) -> Option<*mut ThreadHeap> {
    let mut at = 0;
    let mut found = None;
    all(|heap| {
        if at == index {
            found = Some(heap);
        }
        at += 1;
    });
    found
}

/// Runs `work` while this heap is the caller's. None, without running it, when the heap is in the
/// middle of a call until its owner has forked.
pub(crate) fn stopped_one<R>(heap: *mut ThreadHeap, work: impl FnOnce() -> R) -> Option<R> {
    // SAFETY: a heap of the list; any thread may access the gate.
    let gate = unsafe { &(*heap).gate };
    let others = is_anothers(heap);
    // Also the gate of the own heap and of one without an owner: a visitor may come.
    let marked = gate.close_marked();
    if others && !marked && !gate::closed_all() && gate.demand_fence() {
        sync::let_stores_land();
    }
    let mut turn = 0;
    while gate.has_visitor() || (others && is_about_to_leave(heap)) {
        if sync::settle_child() {
            continue;
        }
        sync::pause(turn);
        turn = turn.saturating_add(1);
    }
    let is_whole = !others && !LOCK.is_lost() || !gate.is_interrupted();
    let result = is_whole.then(work);
    if others && result.is_some() {
        gate.open_marked();
    } else {
        gate.open(gate::GUEST);
    }
    result
}

/// Before a fork: waits a moment for the threads that are inside their heaps. Owners that come find
/// their gate closed, and do not wait.
pub(crate) fn fork_begins() {
    shut(gate::FORK, PATIENCE);
}

/// After a fork, in the parent. A heap without an owner that is left behind stays so: an earlier
/// fork, whose child this process is, has left it behind.
pub(crate) fn fork_ends() {
    all(|heap| {
        // SAFETY: a heap of the list, and the lock is held; any thread may access the gate.
        unsafe {
            if (*heap).shared.owned.load(Ordering::Relaxed) {
                (*heap).gate.take_along();
            }
        }
    });
    open(gate::FORK);
}

/// In the child of a fork, before [`forget_others`]: another fork of this process does not take a
/// heap that was in the middle of a call for a whole one.
pub(crate) fn disown_left_behind() {
    all(|heap| {
        // SAFETY: this thread is the only one, so the heap's owner does not exist.
        unsafe {
            if is_anothers(heap) && (*heap).gate.is_left_behind() {
                (*heap).shared.owned.store(false, Ordering::Relaxed);
            }
        }
    });
}

/// In the child of a fork: the other threads do not exist, and all were outside their heaps, which
/// become idle. A heap that was in the middle of a call stays as it is.
pub(crate) fn forget_others() {
    all(|heap| {
        // SAFETY: this thread is the only one, so the heap's owner does not exist.
        unsafe {
            if is_anothers(heap) && (*heap).gate.is_left_behind() {
                ThreadHeap::cool(heap);
                // Blocks of it that are freed are not used again, nor counted: see `remote`.
                (*heap).inbox.forget();
                (*heap).shared.owned.store(false, Ordering::Relaxed);
                idleness::forget_pending();
            } else if is_anothers(heap) && !(*heap).gate.is_interrupted() {
                (*heap).gate.forget();
                add_idle(heap);
            }
        }
    });
}

/// In a child that no handler has prepared: leaves the heaps behind that another thread was in the
/// middle of; with `every`, all heaps of other threads. (The others are idle, and visitors look
/// after them.) Needs no lock.
#[cfg(feature = "announced-threads")]
pub(crate) fn leave_touched_behind(every: bool) {
    let own = lifetime::current().heap();
    all(|heap| {
        // SAFETY: this thread is the only one, so the heap's owner does not exist, unless it is the
        // own heap; any thread may access the gate.
        unsafe {
            let gate = &(*heap).gate;
            let touched = !gate.is_left() || gate.has_visitor();
            if heap != own && (every || touched) && !gate.is_interrupted() {
                leave_behind(heap);
            }
        }
    });
}

/// Leaves a heap behind, for [`leave_touched_behind`], or the own one, which is not used again.
///
/// # Safety
/// No thread is in the heap, nor comes.
#[cfg(feature = "announced-threads")]
pub(crate) unsafe fn leave_behind(heap: *mut ThreadHeap) {
    // SAFETY: the caller's duties.
    unsafe {
        (*heap).gate.abandon();
        ThreadHeap::cool(heap);
        // Blocks of it that are freed are not used again, nor counted: see `remote`.
        (*heap).inbox.forget();
        (*heap).shared.owned.store(false, Ordering::Relaxed);
    }
    idleness::forget_pending();
}
