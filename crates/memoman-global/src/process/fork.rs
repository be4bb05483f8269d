//! `fork`: the handler before it takes the lock and waits until every other thread is outside its
//! heap; the handlers after it release the lock, or initialise it anew. So the child's heaps are
//! sound.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::process::lock::LOCK;
#[cfg(not(memoman_debug))]
use crate::process::registry;

static REGISTERED: AtomicBool = AtomicBool::new(false);

extern "C" fn prefork() {
    LOCK.prefork();
    #[cfg(not(memoman_debug))]
    registry::stop();
}

extern "C" fn postfork_parent() {
    #[cfg(not(memoman_debug))]
    registry::resume();
    LOCK.postfork_parent();
}

extern "C" fn postfork_child() {
    #[cfg(not(memoman_debug))]
    registry::forget_others();
    LOCK.postfork_child();
}

/// Registers the handlers, once in the process. Called without the lock: `pthread_atfork` may
/// allocate.
pub(crate) fn register() {
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: three functions without parameters that live as long as the library.
        unsafe { libc::pthread_atfork(Some(prefork), Some(postfork_parent), Some(postfork_child)) };
    }
}
