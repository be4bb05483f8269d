//! A sandbox that may end the process at a system call: which ones the heap makes there. Shim only.
//!
//! Such a sandbox permits what the C library's `malloc` calls, and perhaps no more: `mmap`,
//! `munmap`, `mremap` in `realloc`, and, in a program with threads, `futex`, and `madvise` where
//! memory of a thread other than the first becomes free. (The C library calls that at a thread's
//! end, too.)

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::system::sync;

/// A filter of system calls was there when the library was loaded: in most cases a container's,
/// which permits all of these calls.
static FROM_THE_START: AtomicBool = AtomicBool::new(false);
/// The program is about to have more than one thread.
static THREADS: AtomicBool = AtomicBool::new(false);
/// `realloc` has moved pages: the sandbox permits it.
static REMAPS: AtomicBool = AtomicBool::new(false);
/// Pages are in the place of others as often as this at most: in a child of a fork, each place may
/// take two entries more in the system's table of mappings.
static RENEWALS_LEFT: AtomicUsize = AtomicUsize::new(8 << 10);
/// Pages are locked in memory.
static LOCKS: AtomicBool = AtomicBool::new(false);

fn is(fact: &AtomicBool) -> bool {
    fact.load(Ordering::Relaxed)
}

pub(crate) fn note_from_the_start(filtered: bool) {
    FROM_THE_START.store(filtered, Ordering::Relaxed);
}

pub(crate) fn note_threads() {
    THREADS.store(true, Ordering::Relaxed);
}

pub(crate) fn note_remapped() {
    REMAPS.store(true, Ordering::Relaxed);
}

pub(crate) fn note_locked() {
    LOCKS.store(true, Ordering::Relaxed);
}

/// `madvise` does not end the process.
pub(crate) fn permits_advice() -> bool {
    !sync::expects_filter() && (!is(&FROM_THE_START) || is(&THREADS))
}

/// `mremap` outside `realloc` does not end the process.
pub(crate) fn permits_remapping() -> bool {
    !sync::expects_filter() && (!is(&FROM_THE_START) || is(&REMAPS))
}

/// Where `madvise` is not permitted, fresh pages may take the place of others. With one thread
/// only: no other one can map pages there if the system, short of memory, has taken the old ones
/// away and refuses the fresh ones.
pub(crate) fn may_renew() -> bool {
    let less = |left: usize| left.checked_sub(1);
    !is(&THREADS)
        && !is(&LOCKS)
        && RENEWALS_LEFT
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
}
