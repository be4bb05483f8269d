//! Whether the dynamic linker's lock can be taken.
//!
//! In the child of a process with threads, another thread may have held that lock at the fork, and
//! is not there to release it. Nothing may call `dl_iterate_phdr`, `dlsym` or `dladdr` then, in
//! this child or its own children: the definitions behind the interposed functions are looked up
//! before, the table of modules is the parent's, and stacks come from an unwinder without locks.

use core::ffi::c_char;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// glibc's `__libc_single_threaded` (since 2.32), or null.
static SINGLE: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());
/// The process had threads when the C library's latest fork began.
static FORKED_WITH_THREADS: AtomicBool = AtomicBool::new(false);
/// The lock may be held for ever.
static LOST: AtomicBool = AtomicBool::new(false);

/// Once in a program.
pub(crate) fn prepare() {
    // SAFETY: a C string.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr()) };
    SINGLE.store(found.cast(), Ordering::Relaxed);
}

fn has_threads() -> bool {
    let single = SINGLE.load(Ordering::Relaxed);
    // SAFETY: null, or the C library's byte, which other threads may write.
    single.is_null() || unsafe { single.read_volatile() } == 0
}

/// The C library is about to fork.
pub(crate) fn forking() {
    FORKED_WITH_THREADS.store(has_threads(), Ordering::Relaxed);
}

/// This is the child of a fork, whose parent had so many threads that recorded events. A system
/// call that forks has run no handler: then the C library's byte is still that of the parent.
pub(crate) fn forked(threads: u32) {
    if threads > 1 || FORKED_WITH_THREADS.load(Ordering::Relaxed) || has_threads() {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Whether the lock will be released, whichever thread holds it.
#[inline(always)]
pub(crate) fn is_usable() -> bool {
    !LOST.load(Ordering::Relaxed)
}
