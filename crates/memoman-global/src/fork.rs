//! `fork`: the lock is taken before and released, or made anew, after; so the child finds a sound heap.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::heap::LOCK;

static REGISTERED: AtomicBool = AtomicBool::new(false);

extern "C" fn prefork() {
    LOCK.prefork();
}

extern "C" fn postfork_parent() {
    LOCK.postfork_parent();
}

extern "C" fn postfork_child() {
    LOCK.postfork_child();
}

/// Registers when the library is loaded: before a second thread can use the heap, so that no fork finds a heap in use
/// without handlers. The number puts it before the constructors of the program that the library is linked into.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array.00101")]
static AT_LOAD: extern "C" fn() = {
    extern "C" fn at_load() {
        register();
    }
    at_load
};

/// Registers the handlers, once, when the library is loaded or at the first use of the heap, which under the shim may be
/// earlier: before other libraries register theirs, so that in a fork ours come last before and first after. Called
/// without the lock, since `pthread_atfork` may allocate.
pub(crate) fn register() {
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: three functions without parameters that live as long as the library.
        unsafe { libc::pthread_atfork(Some(prefork), Some(postfork_parent), Some(postfork_child)) };
    }
}
