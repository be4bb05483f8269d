//! A thread gets a heap, and gives it up when it ends: the next new thread gets it as it is.

use core::ffi::c_void;
use core::ptr;

use crate::process::heap::try_with_heap;
use crate::process::{later, registry};
use crate::system::sync;
use crate::thread::heap::ThreadHeap;
use crate::thread::{lifetime, reclaim};

/// Gives the calling thread a heap. Null when the thread is ending, the system has no memory or no
/// key, or another thread forks: the call is then served under the lock or by the side heap.
#[cold]
#[inline(never)]
pub(crate) fn attach() -> *mut ThreadHeap {
    if lifetime::current().is_ended() {
        return ptr::null_mut();
    }
    prepare();
    let heap = try_with_heap(|state, _| registry::take_heap(&state.settings));
    let heap = heap.ok().flatten().unwrap_or(ptr::null_mut());
    if heap.is_null() {
        return heap;
    }
    lifetime::set(heap);
    if lifetime::current().heap() != heap {
        // The process has no key left, and the thread's word is the key's value.
        // SAFETY: taken above, and not used yet.
        unsafe { give_up(heap) };
        return ptr::null_mut();
    }
    // From here on the thread has a heap, and this call may allocate from it.
    lifetime::watch(heap);
    heap
}

/// Creates the key of [`lifetime`]: when the library is loaded, so that its number is small and
/// setting its value allocates nothing. Registers the barrier of the gates.
pub(crate) fn prepare() {
    sync::register_barrier();
    lifetime::prepare(ended);
}

/// The destructor of the key. Destructors of other keys may still allocate and free, so the thread
/// keeps its heap for a round of them ([`key::ROUNDS`](crate::system::key::ROUNDS)). Those after
/// that are served under the lock, without a heap.
extern "C" fn ended(value: *mut c_void) {
    let heap: *mut ThreadHeap = value.cast();
    let is_heap = lifetime::is_heap(heap);
    // SAFETY: the key's value is the ending thread's heap, which is outside its gate; `end`
    // detaches it before it is given up.
    unsafe {
        if is_heap && !ThreadHeap::is_last_round(heap) {
            return lifetime::watch(heap);
        }
        lifetime::end();
        if is_heap {
            give_up(heap);
        }
    }
}

/// Gives up a heap of the calling thread, for the next thread.
///
/// # Safety
/// The calling thread owns it, is outside its gate, and does not use it again; or its owner has put
/// it aside so.
pub(crate) unsafe fn give_up(heap: *mut ThreadHeap) {
    // SAFETY: the calling thread's heap until `add_idle` (caller).
    let given = unsafe { reclaim::settle(heap) }
        // SAFETY: no owner uses it any more.
        && try_with_heap(|_, _| unsafe { registry::add_idle(heap) }).is_ok();
    if !given && !later::give_up(heap.cast()) {
        // The fork is over.
        // SAFETY: the caller's duties.
        unsafe { give_up(heap) }
    }
}
