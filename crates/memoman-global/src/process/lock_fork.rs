//! The lock in a fork: its thread takes it before all others and gives it back after it.
//!
//! In a child that no fork handler has prepared (`system/child.rs`) another thread may have held
//! the lock: what it protects may be in the middle of a change. The child *loses* such a lock: each
//! section is refused, as while another thread forks.

use super::{FLAGS, FORK, Lock, TRIES, Taken, WAITERS};
use crate::system::sync::{Ordering, settle_child, spin_loop, this_thread};

/// Nanoseconds that a thread which is to fork sleeps at a time for the lock.
const SOON: u32 = 100_000;
/// In place of the holder of a lost lock: no thread's identity.
const NO_THREAD: usize = FLAGS + 1;

impl Lock {
    /// Takes the lock for the time of a fork, after the sections and forks of other threads. From
    /// here on a section of another thread is refused. The handlers of `process/fork.rs` block
    /// signals around this call and the other ones of a fork.
    pub(crate) fn prefork(&self) {
        let me = this_thread();
        let word = self.word.load(Ordering::Relaxed);
        let mine = word & !FLAGS == me;
        if mine && word & FORK != 0 {
            self.depth
                .store(self.depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return;
        }
        let lost = self.is_lost();
        let taken = if mine || lost {
            Taken::Word
        } else if self.inherits.load(Ordering::Relaxed) {
            self.take_after_forks()
        } else {
            self.take_soon(me)
        };
        // No section of a lost lock comes inside a fork either.
        self.nested.store(mine || lost, Ordering::Relaxed);
        self.depth.store(1, Ordering::Relaxed);
        self.closing.store(true, Ordering::Relaxed);
        self.overdue.store(false, Ordering::Relaxed);
        #[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
        self.lookout.note_fork();
        self.word.swap(me | FORK, Ordering::AcqRel);
        if taken == Taken::Both || (mine && self.inherits.load(Ordering::Relaxed)) {
            // Locked above, or in the interrupted section. Other threads that lock it see FORK.
            // SAFETY: initialised; if a section without the mutex was interrupted, an error.
            unsafe { self.mutex.unlock() };
        }
    }

    /// Takes the word before all threads that sleep for it: a release by chance finds this thread
    /// awake, since it sleeps for a short time only, and it takes a lock that is handed over. (With
    /// many more threads than processors, each thread in the queue may take a time slice of all.)
    fn take_soon(&self, me: usize) -> Taken {
        let mut tries = 0;
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if self.is_lost() {
                return Taken::Word;
            } else if word & !FLAGS == 0 {
                // With the flags: a sleeping thread is woken by the end of the fork.
                if self
                    .word
                    .compare_exchange(word, me | word, Ordering::Acquire)
                {
                    return Taken::Word;
                }
            } else if tries < TRIES {
                tries += 1;
                spin_loop();
            } else if settle_child() {
                // The word has changed.
            } else if word & FORK != 0 {
                self.sleep(word);
            } else if self.is_marked(word) {
                self.word.wait_for(word | WAITERS, SOON);
            }
        }
    }

    /// Every other thread is outside its heap: from here on they wait for a moment only.
    pub(crate) fn closed(&self) {
        self.closing.store(false, Ordering::Relaxed);
        // Every sleeper: a section is refused now. (Not before, as they would take the processors
        // from those inside.) Also without WAITERS: the thread that the last release woke may not
        // have run yet.
        self.word.wake_all();
    }

    /// The fork that this thread now completes is the only one in progress.
    pub(crate) fn is_last_fork(&self) -> bool {
        self.depth.load(Ordering::Relaxed) == 1
    }

    /// The fork has interrupted a section of its own thread.
    pub(crate) fn is_nested(&self) -> bool {
        self.nested.load(Ordering::Relaxed)
    }

    /// Ends a fork: after the last one the lock is free, or its interrupted section's again.
    pub(crate) fn postfork(&self) {
        let left = self.depth.load(Ordering::Relaxed) - 1;
        self.depth.store(left, Ordering::Relaxed);
        if left > 0 {
            return;
        }
        let held = if self.is_lost() {
            self.overdue.store(true, Ordering::Relaxed);
            FORK | NO_THREAD
        } else if self.nested.load(Ordering::Relaxed) {
            this_thread()
        } else {
            0
        };
        if self.word.swap(held, Ordering::Release) & WAITERS == 0 {
            return;
        }
        if self.inherits.load(Ordering::Relaxed) {
            // The first sleeper's priority may be the lowest.
            self.word.wake_all();
        } else if self.wakes_at_end() {
            // One, and each the next: all at once would take the processor from this thread.
            self.word.wake_one();
        }
    }

    #[inline(always)]
    fn wakes_at_end(&self) -> bool {
        #[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
        return self.lookout.is_missing();
        #[cfg(not(any(all(feature = "announced-threads", not(memoman_debug)), loom)))]
        true
    }

    /// [`Lock::postfork`] in the child, whose only thread this is. `unsettled`: an interrupted
    /// section has to end before the heaps of the other threads can be taken over.
    pub(crate) fn postfork_child(&self, unsettled: bool) {
        if self.inherits.load(Ordering::Relaxed) {
            // Another thread may have been about to see FORK, with the mutex locked.
            // SAFETY: no other thread exists.
            let works = unsafe { self.mutex.init() };
            self.inherits.store(works, Ordering::Relaxed);
        }
        if unsettled {
            self.unsettled.store(true, Ordering::Relaxed);
        }
        #[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
        self.lookout.forget();
        self.postfork();
    }

    /// In the child of a fork, for a lock that the fork did not take: free.
    pub(crate) fn reset(&self) {
        self.word.swap(0, Ordering::Relaxed);
    }

    /// The lock is lost: no section takes it any more.
    #[inline(always)]
    pub(crate) fn is_lost(&self) -> bool {
        #[cfg(feature = "announced-threads")]
        return self.lost.load(Ordering::Relaxed);
        #[cfg(not(feature = "announced-threads"))]
        false
    }

    /// In a child that no handler has prepared, whose only thread this is: unlocks the mutex.
    /// Returns true if another thread holds or forks with the lock, which is then to be
    /// [lost](Lock::lose).
    #[cfg(feature = "announced-threads")]
    pub(crate) fn is_anothers_in_child(&self) -> bool {
        #[cfg(not(memoman_debug))]
        self.lookout.forget();
        if self.inherits.load(Ordering::Relaxed) {
            // SAFETY: no other thread exists.
            let works = unsafe { self.mutex.init() };
            self.inherits.store(works, Ordering::Relaxed);
        }
        let word = self.word.load(Ordering::Relaxed);
        let holder = word & !FLAGS;
        if holder == 0 {
            // Threads that slept do not exist.
            self.reset();
        }
        holder != 0 && holder != this_thread()
    }

    /// In such a child: from here on each section is refused, without a wait.
    #[cfg(feature = "announced-threads")]
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
        self.depth.store(0, Ordering::Relaxed);
        self.nested.store(false, Ordering::Relaxed);
        self.closing.store(false, Ordering::Relaxed);
        self.overdue.store(true, Ordering::Relaxed);
        self.word.swap(FORK | NO_THREAD, Ordering::Relaxed);
    }
}
