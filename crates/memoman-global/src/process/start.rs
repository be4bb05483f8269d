//! Start-up: what the process registers once, when the library is loaded or at the first use of the
//! heap.

use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(memoman_debug)]
use crate::debug::leaks;
use crate::process::{figures, fork, heap};
use crate::system::errno::{errno, set_errno};
#[cfg(not(memoman_debug))]
use crate::thread::attach;

/// [`register`] has been called.
static SETTLED: AtomicBool = AtomicBool::new(false);

/// Runs when the library is loaded: before a second thread can use the heap, so that no fork finds
/// another thread's heap in use without handlers. The number in the section's name orders it before
/// the constructors of the program that the library is linked into.
#[cfg(any(target_os = "linux", windows))]
#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array.00101"))]
#[cfg_attr(windows, unsafe(link_section = ".CRT$XCU"))]
static AT_LOAD: extern "C" fn() = {
    extern "C" fn at_load() {
        #[cfg(not(memoman_debug))]
        attach::prepare();
        #[cfg(any(memoman_debug, not(feature = "announced-threads")))]
        fork::register();
        #[cfg(all(feature = "announced-threads", not(memoman_debug)))]
        fork::note_first();
    }
    at_load
};

/// Registers what runs at exit, once, and the fork handlers, unless the first thread is announced.
/// Called without the lock, after the first use of the heap, which may be before the library's
/// constructor runs. Keeps errno.
#[inline]
pub(crate) fn settle() {
    if !SETTLED.load(Ordering::Relaxed) {
        register();
    }
}

#[cold]
#[inline(never)]
fn register() {
    if SETTLED.swap(true, Ordering::Relaxed) {
        return;
    }
    let saved = errno();
    #[cfg(any(memoman_debug, not(feature = "announced-threads")))]
    fork::register();
    match has_stats() {
        Some(true) => figures::print_at_exit(),
        Some(false) => {}
        // Another thread forks: a later call does it.
        None => SETTLED.store(false, Ordering::Relaxed),
    }
    #[cfg(memoman_debug)]
    leaks::list_at_exit();
    set_errno(saved);
}

/// The table is to be printed at exit. None while another thread forks.
#[cfg(not(memoman_debug))]
fn has_stats() -> Option<bool> {
    let stats = heap::try_with_heap(|state, _| state.settings.stats).ok()?;
    Some(stats == Some(true))
}

#[cfg(memoman_debug)]
fn has_stats() -> Option<bool> {
    Some(heap::with_heap(|state, _| state.settings.stats) == Some(true))
}
