//! The owner enters its heap where the gate is not simply open.

use crate::process::lock::LOCK;
use crate::system::sync;
use crate::thread::gate;
use crate::thread::heap::ThreadHeap;

/// The owner enters its heap. It waits for a visitor, whose work is bounded, and for the lock while
/// a holder of it has the heap. False while another thread forks, which is not waited for beyond a
/// moment.
///
/// # Safety
/// `heap` is the calling thread's heap.
#[inline(never)]
#[must_use]
pub(crate) unsafe fn enter(heap: *mut ThreadHeap) -> bool {
    // SAFETY: the calling thread's heap (caller).
    unsafe { ThreadHeap::try_enter(heap) || enter_slowly(heap, gate::INSIDE) }
}

/// [`enter`], to put a block into another heap's inbox or to visit that heap: a fork waits for the
/// end of that.
///
/// # Safety
/// `heap` is the calling thread's heap.
#[must_use]
pub(crate) unsafe fn enter_to_put(heap: *mut ThreadHeap) -> bool {
    // SAFETY: the calling thread's heap (caller).
    unsafe { (*heap).gate.try_enter(gate::PUTTING) || enter_slowly(heap, gate::PUTTING) }
}

/// [`enter`] where the gate is closed, or the owner has to fence.
///
/// # Safety
/// `heap` is the calling thread's heap.
#[cold]
#[inline(never)]
unsafe fn enter_slowly(heap: *mut ThreadHeap, purpose: usize) -> bool {
    let mut turn = 0;
    // SAFETY: the heap is open, and any thread may access its gate.
    unsafe {
        while (*heap).gate.enter(purpose).is_err() {
            if sync::settle_child() {
                // The gate is open, or the lock lost.
            } else if !(*heap).gate.has_guest() {
                sync::pause(turn);
                turn = turn.saturating_add(1);
            } else if !LOCK.pass() {
                return false;
            }
        }
    }
    true
}
