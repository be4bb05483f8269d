//! `fork`: the lock is taken before and released, or made anew, after, and every other thread is outside its heap meanwhile; so
//! the child finds sound heaps.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::default::LOCK;
#[cfg(not(memoman_debug))]
use crate::{adopt, exit, world};

static REGISTERED: AtomicBool = AtomicBool::new(false);

extern "C" fn prefork() {
    LOCK.prefork();
    #[cfg(not(memoman_debug))]
    world::stop();
}

extern "C" fn postfork_parent() {
    #[cfg(not(memoman_debug))]
    world::resume();
    LOCK.postfork_parent();
}

extern "C" fn postfork_child() {
    #[cfg(not(memoman_debug))]
    adopt::give_up_others();
    LOCK.postfork_child();
}

/// Registers when the library is loaded: before a second thread can use the heap, so that no fork finds a heap in use
/// without handlers. The number puts it before the constructors of the program that the library is linked into.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array.00101")]
static AT_LOAD: extern "C" fn() = {
    extern "C" fn at_load() {
        #[cfg(not(memoman_debug))]
        exit::prepare();
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

#[cfg(test)]
mod tests {
    use super::LOCK;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_fork_waits_for_whoever_holds_the_lock() {
        static HELD: AtomicBool = AtomicBool::new(false);
        static DONE: AtomicBool = AtomicBool::new(false);
        // The first use registers the handlers.
        assert!(!crate::malloc(1).is_null());
        let holder = thread::spawn(|| {
            LOCK.with(|| {
                HELD.store(true, Ordering::SeqCst);
                // Long enough for a fork that does not wait; however long it is, one that waits sees the end.
                thread::sleep(Duration::from_millis(300));
                DONE.store(true, Ordering::SeqCst);
            });
        });
        while !HELD.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        // SAFETY: the child ends at once.
        unsafe {
            let child = libc::fork();
            assert!(child >= 0);
            if child == 0 {
                libc::_exit(i32::from(!DONE.load(Ordering::SeqCst)));
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0, "forked in the middle of a call");
        }
        holder.join().unwrap();
        // Released in the parent: another thread enters.
        thread::spawn(|| LOCK.with(|| ())).join().unwrap();
    }
}
