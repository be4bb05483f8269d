//! `fork`: every heap survives it, and no thread waits for the forking one.
//!
//! Before the fork its thread takes the lock and closes the heaps of the other threads. It waits
//! for those that are inside a section or a heap, and they wait for no other thread. From there on
//! until the parent's handler the other threads are served by the side heap, and what they free is
//! put aside. So neither the order of fork handlers matters, nor which locks the threads hold:
//! those of other libraries' handlers, or of the C library's streams.
//!
//! Signals are blocked inside the handlers: a fork in a signal handler finds this one begun or not
//! begun.
//!
//! The debug library has one heap for all threads and no side heap: its threads wait for the fork.

#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::process::lock::LOCK;
#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
use crate::system::sync::this_thread;
#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
use crate::system::{child, sandbox};
use crate::system::{program, signals};

static REGISTERED: AtomicBool = AtomicBool::new(false);

extern "C" fn prefork() {
    signals::blocked(|| {
        // This may be a child that no handler has prepared.
        #[cfg(all(feature = "announced-threads", not(memoman_debug)))]
        child::settle();
        #[cfg(not(memoman_debug))]
        heaps::announce();
        LOCK.prefork();
        #[cfg(not(memoman_debug))]
        heaps::close();
        LOCK.closed();
    });
}

extern "C" fn postfork_parent() {
    signals::blocked(|| {
        #[cfg(not(memoman_debug))]
        heaps::open();
        LOCK.postfork();
    });
    #[cfg(not(memoman_debug))]
    heaps::settle();
}

extern "C" fn postfork_child() {
    signals::blocked(|| {
        #[cfg(not(memoman_debug))]
        let unsettled = heaps::adopt();
        #[cfg(memoman_debug)]
        let unsettled = false;
        LOCK.postfork_child(unsettled);
        #[cfg(all(feature = "announced-threads", not(memoman_debug)))]
        child::is_prepared();
    });
}

/// Registers the handlers, once in the process; where there is no memory for that, at the next
/// call. Called without the lock: this may allocate. (A process with one thread needs no handlers:
/// its child has all of its threads.)
pub(crate) fn register() {
    #[cfg(all(feature = "announced-threads", not(memoman_debug)))]
    {
        sandbox::note_threads();
        // A child that no handler has prepared may start threads, too.
        child::settle();
        child::watch(|| signals::blocked(heaps::settle_child));
    }
    if !REGISTERED.swap(true, Ordering::Relaxed)
        && !program::at_fork(prefork, postfork_parent, postfork_child)
    {
        REGISTERED.store(false, Ordering::Relaxed);
    }
}

/// The thread that has loaded the library, or had a heap before that; 0 before both.
#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
static FIRST: AtomicUsize = AtomicUsize::new(0);

#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
pub(crate) fn note_first() {
    let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
    let _ = FIRST.compare_exchange(0, this_thread(), set, seen);
}

/// For a thread that no call of [`register`] has been made for: one of the C library's own, or of
/// `clone`. (A fork that has begun before does not wait for it.)
#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
pub(crate) fn register_unless_first() {
    note_first();
    if FIRST.load(Ordering::Relaxed) != this_thread() {
        register();
    }
}

/// The thread heaps. Release build only.
#[cfg(not(memoman_debug))]
mod heaps {
    use core::ptr;

    use crate::process::lock::LOCK;
    use crate::process::mapping_word::is_large;
    use crate::process::segments::Segment;
    use crate::process::{large, later, map, registry, segments, side};
    use crate::thread::heap::ThreadHeap;
    use crate::thread::{attach, calls, lifetime, remote};

    /// Calls `f` with the calling thread's heap, if it has one.
    fn own(f: impl FnOnce(*mut ThreadHeap)) {
        let current = lifetime::current();
        if current.is_heap() {
            f(current.heap());
        }
    }

    /// The calling thread's heap; null if it has none, or is inside: the fork was a signal
    /// handler's.
    fn outside() -> *mut ThreadHeap {
        let mut found = ptr::null_mut();
        own(|heap| {
            // SAFETY: the calling thread's heap.
            if unsafe { (*heap).gate.is_left() } {
                found = heap;
            }
        });
        found
    }

    /// Before the lock: a thread that waits for this one to leave its heap waits in vain if a
    /// signal handler forks that has interrupted it inside.
    pub(super) fn announce() {
        // SAFETY: the calling thread's heap.
        own(|heap| unsafe { (*heap).gate.fork_begins() });
    }

    /// Waits until the other threads are outside their heaps, and keeps them out.
    pub(super) fn close() {
        registry::fork_begins();
    }

    /// In the parent: lets the other threads in, after the last of nested forks.
    pub(super) fn open() {
        if LOCK.is_last_fork() {
            registry::fork_ends();
            // SAFETY: the calling thread's heap.
            own(|heap| unsafe { (*heap).gate.fork_ends() });
        }
    }

    /// In the parent, after the lock is released: frees what was put aside.
    pub(super) fn settle() {
        later::settle(
            // SAFETY: a block whose `free` was put aside; the map says whose it is.
            |block| unsafe {
                let owner: *mut ThreadHeap = map::owner_outlined(block.as_ptr().addr()).cast();
                let own = outside();
                if owner.is_null() || is_large(owner) {
                    large::free(block);
                } else if own.is_null() {
                    remote::free_without_heap(owner, block);
                } else if owner == own {
                    calls::free_outlined(own, block);
                } else {
                    remote::free_without_look(own, owner, block);
                }
            },
            // SAFETY: the heap of a thread that ends, which does not use it any more.
            |heap| unsafe { attach::give_up(heap.cast()) },
            // SAFETY: a segment that is part of no heap.
            |start| unsafe { Segment::put_aside(start).give_back() },
        );
    }

    /// In the child: the heaps of the other threads become idle. True if a section of this thread
    /// that the fork has interrupted must end before.
    pub(super) fn adopt() -> bool {
        side::child();
        later::forget();
        segments::forget_in_hand();
        let interrupted = LOCK.is_nested();
        if interrupted {
            registry::disown_left_behind();
        } else {
            registry::forget_others();
        }
        if LOCK.is_last_fork() {
            // SAFETY: the calling thread's heap.
            own(|heap| unsafe { (*heap).gate.fork_ends() });
        }
        interrupted
    }

    /// In a child that no handler has prepared. What another thread was in the middle of, the child
    /// does without: the heaps, and, if that thread held the lock, the process-wide instance and
    /// the heaps of all other threads. The side heap serves what the own heap cannot. (An unlinked
    /// block in an inbox keeps those behind it from being used again.)
    #[cfg(feature = "announced-threads")]
    pub(super) fn settle_child() {
        side::child();
        later::forget();
        segments::forget_in_hand();
        let is_anothers = LOCK.is_anothers_in_child();
        let mut is_touched = false;
        own(|heap| {
            // SAFETY: the calling thread's heap.
            let gate = unsafe { &(*heap).gate };
            is_touched = gate.has_visitor() || is_anothers && gate.is_guests();
        });
        if is_anothers || is_touched {
            LOCK.lose();
        }
        registry::leave_touched_behind(LOCK.is_lost());
        // SAFETY: the calling thread's heap, which another thread may have been in the middle of.
        own(|heap| unsafe {
            if is_touched {
                lifetime::end();
                registry::leave_behind(heap);
            } else {
                (*heap).gate.reopen();
            }
        });
    }
}
