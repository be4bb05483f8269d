//! The process's lock: one futex word that names its holder.
//!
//! ```text
//! 0                   free
//! holder              held
//!   | WAITERS         a thread sleeps: the release wakes one
//!   | STARVED         a thread has been woken in vain several times: the release hands over
//!   | FORK            the holder forks: sections of other threads are refused, none of them waits
//! WAITERS | STARVED   handed over: for a thread that has slept
//! ```
//! * A section that a fork refuses is given a moment before: in most programs the fork is over by
//!   then. The wait is bounded, and once one thread has waited in vain, no other does
//!   (`lock_await.rs`).
//! * A thread that finds the lock held tries a bounded number of times, then sleeps. A woken thread
//!   competes with the others: no hand-over, hence no convoy, until it has lost several times.
//! * The word is set together with its holder, so a signal handler that interrupts a section, and
//!   the child of a fork in that handler, recognise the section as their own.
//! * In the real-time configuration a mutex that inherits priority comes before the word: a thread
//!   of high priority then waits for the holder alone. The word decides all the same, so a system
//!   without such mutexes loses the inheritance and nothing else.

#![cfg_attr(
    memoman_debug,
    allow(dead_code, reason = "the debug library's threads wait for a fork")
)]

use crate::system::sync::{
    AtomicBool, AtomicUsize, Futex, Mutex, Ordering, settle_child, spin_loop, this_thread,
};

#[path = "lock_await.rs"]
mod awaiting;
#[path = "lock_fork.rs"]
mod fork;

/// The process's lock.
#[cfg(not(all(loom, test)))]
pub(crate) static LOCK: Lock = Lock::new();

/// A thread sleeps until the lock is released.
const WAITERS: usize = 1;
/// The holder forks.
const FORK: usize = 2;
/// The lock goes to a thread that has slept.
const STARVED: usize = 4;
/// The bits that a thread's identity leaves free: it is the address of an aligned structure.
const FLAGS: usize = WAITERS | FORK | STARVED;
/// A thread that has been woken this often without getting the lock has it handed over.
const LOSSES: u32 = if cfg!(loom) { 1 } else { 4 };
/// A held lock is tried this often before the thread sleeps: most sections are over before a thread
/// could sleep and wake. The number is bounded, since spinning may keep the holder from running.
const TRIES: u32 = if cfg!(loom) { 1 } else { 40 };

pub(crate) struct Lock {
    word: Futex,
    /// Forks in progress on the forking thread: a handler may fork. Accessed by that thread.
    depth: AtomicUsize,
    /// The fork interrupted a section of its own thread. Accessed by the forking thread.
    nested: AtomicBool,
    /// The child of such a fork has yet to take over the heaps of the threads that it lacks.
    unsettled: AtomicBool,
    /// The forking thread still waits for threads that are inside their heaps.
    closing: AtomicBool,
    /// A thread has waited in vain for the end of this fork.
    overdue: AtomicBool,
    /// Another thread held the lock, and is not in this process.
    #[cfg(feature = "announced-threads")]
    lost: AtomicBool,
    #[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
    lookout: awaiting::Lookout,
    /// Nanoseconds that the next thread waits, XOR `MOMENT`: an all-zero lock is new, and takes no
    /// room in the library's file.
    moment: AtomicUsize,
    /// [`Lock::mutex`] is in use.
    inherits: AtomicBool,
    mutex: Mutex,
}

/// What [`Lock::take`] took, and [`Lock::put_back`] releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing: this thread forks, and holds the lock already.
    Nothing,
    Word,
    /// The word, and the mutex before it.
    Both,
}

// SAFETY: the mutex is initialised under the lock and published through `inherits`; later uses go
// through the pthread functions, which any thread may call. All else is atomic.
unsafe impl Sync for Lock {}

impl Lock {
    #[cfg(not(all(loom, test)))]
    pub(crate) const fn new() -> Lock {
        Lock {
            word: Futex::new(0),
            depth: AtomicUsize::new(0),
            nested: AtomicBool::new(false),
            unsettled: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
            #[cfg(feature = "announced-threads")]
            lost: AtomicBool::new(false),
            #[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
            lookout: awaiting::Lookout::new(),
            moment: AtomicUsize::new(0),
            inherits: AtomicBool::new(false),
            mutex: Mutex::new(),
        }
    }

    /// loom's atomics have no constant constructor.
    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Lock {
        Lock {
            word: Futex::new(0),
            depth: AtomicUsize::new(0),
            nested: AtomicBool::new(false),
            unsettled: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
            #[cfg(feature = "announced-threads")]
            lost: AtomicBool::new(false),
            #[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
            lookout: awaiting::Lookout::new(),
            moment: AtomicUsize::new(0),
            inherits: AtomicBool::new(false),
            mutex: Mutex::new(),
        }
    }

    /// Runs `work` with the lock held; None without waiting while another thread forks, and in a
    /// signal handler that has interrupted a section of its own thread.
    #[inline]
    pub(crate) fn try_with<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        let taken = self.take()?;
        let result = work();
        self.put_back(taken);
        Some(result)
    }

    /// Runs `work` with the lock held, after the end of another thread's fork.
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce() -> R) -> R {
        let taken = self.take_after_forks();
        let result = work();
        self.put_back(taken);
        result
    }

    #[inline(never)]
    fn take_after_forks(&self) -> Taken {
        loop {
            if let Some(taken) = self.take() {
                return taken;
            }
            if self.is_lost() {
                // The section finds no heap: see `process/heap.rs`.
                return Taken::Nothing;
            }
            // Here a thread sleeps for the end of a fork only: it would not take a lock that is
            // handed over.
            let word = self.word.load(Ordering::Relaxed);
            if word & FORK != 0 {
                self.sleep(word);
            }
        }
    }

    /// Takes the lock. None while another thread forks, and when a section of this thread has been
    /// interrupted.
    #[inline(never)]
    pub(crate) fn take(&self) -> Option<Taken> {
        let me = this_thread();
        let word = self.word.load(Ordering::Relaxed);
        if word & !FLAGS == me {
            let usable = word & FORK != 0 && !self.nested.load(Ordering::Relaxed);
            return usable.then_some(Taken::Nothing);
        }
        loop {
            let taken = self.take_between_forks(me);
            if taken.is_some() || !self.outlasts_fork() {
                return taken;
            }
        }
    }

    /// Takes the lock if it is free at this moment. For a lock without inheritance.
    pub(crate) fn take_now(&self) -> Option<Taken> {
        // Acquire: the last holder's section comes before this one.
        self.word
            .compare_exchange(0, this_thread(), Ordering::Acquire)
            .then_some(Taken::Word)
    }

    /// None while another thread forks.
    fn take_between_forks(&self, me: usize) -> Option<Taken> {
        // Acquire: the mutex is initialised.
        let inherits = self.inherits.load(Ordering::Acquire);
        for _ in 0..TRIES {
            match self.word.load(Ordering::Relaxed) {
                // A holder inherits priority through the mutex, so each of them takes it.
                0 if inherits => break,
                // Acquire, here and below: the last holder's section comes before this one.
                0 if self.word.compare_exchange(0, me, Ordering::Acquire) => {
                    return Some(Taken::Word);
                }
                word if word & FORK != 0 => return None,
                _ => spin_loop(),
            }
        }
        if !inherits {
            return self.take_word(me).then_some(Taken::Word);
        }
        if settle_child() {
            // The mutex is unlocked, or the lock lost.
            return None;
        }
        // SAFETY: initialised, and never destroyed.
        match unsafe { self.mutex.lock() } {
            true if self.take_word(me) => Some(Taken::Both),
            true => {
                // SAFETY: locked above.
                unsafe { self.mutex.unlock() };
                None
            }
            // A signal handler between this thread's mutex and its word, or a mutex that a sandbox
            // has come to forbid.
            false => self.take_word(me).then_some(Taken::Word),
        }
    }

    /// Waits until the thread that has the lock has released it. False while another thread forks,
    /// and when a section of this thread has been interrupted. (To take the lock for that would
    /// have all threads that wait follow one after the other.)
    pub(crate) fn pass(&self) -> bool {
        if self.inherits.load(Ordering::Relaxed) {
            // The holder is lent this thread's priority.
            return self.try_with(|| ()).is_some();
        }
        let mut slept = false;
        let mut tries = 0;
        let passed = loop {
            // Acquire: what the holder has done comes before what follows.
            let word = self.word.load(Ordering::Acquire);
            if word & !FLAGS == this_thread() {
                break word & FORK != 0 && !self.nested.load(Ordering::Relaxed);
            }
            if word & FORK != 0 {
                if !self.outlasts_fork() {
                    break false;
                }
            } else if word & !FLAGS == 0 {
                break true;
            } else if tries < TRIES {
                tries += 1;
                spin_loop();
            } else if !settle_child() && self.is_marked(word) {
                self.word.wait(word | WAITERS);
                slept = true;
            }
        };
        if slept {
            // The wake may have been meant for a thread that takes the lock.
            self.word.wake_one();
        }
        passed
    }

    /// Takes the word, sleeping while another thread has it. False when another thread forks.
    fn take_word(&self, me: usize) -> bool {
        let mut losses = 0;
        let mut slept = false;
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if word & FORK != 0 {
                return false;
            }
            if word == 0 || (slept && word & !FLAGS == 0) {
                // With WAITERS after a sleep: other threads may sleep.
                let taken = if slept { me | WAITERS } else { me };
                if self.word.compare_exchange(word, taken, Ordering::Acquire) {
                    return true;
                }
                continue;
            }
            if settle_child() {
                continue;
            }
            let mut marked = word | WAITERS;
            if slept {
                losses += 1;
                if losses >= LOSSES {
                    marked |= STARVED;
                }
            }
            if word == marked || self.word.compare_exchange(word, marked, Ordering::Relaxed) {
                self.word.wait(marked);
                slept = true;
            }
        }
    }

    /// Adds WAITERS to the word. False if the word, which is not 0, has changed.
    fn is_marked(&self, word: usize) -> bool {
        let marked = word | WAITERS;
        word == marked || self.word.compare_exchange(word, marked, Ordering::Relaxed)
    }

    #[inline(never)]
    pub(crate) fn put_back(&self, taken: Taken) {
        if taken == Taken::Nothing || self.is_lost() {
            return;
        }
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let next = if word & STARVED != 0 {
                WAITERS | STARVED
            } else {
                0
            };
            // Release: this section comes before the next one.
            if self.word.compare_exchange(word, next, Ordering::Release) {
                break;
            }
            // A waiting thread has added a flag: at most twice.
            word = self.word.load(Ordering::Relaxed);
        }
        if word & WAITERS != 0 {
            self.word.wake_one();
        }
        if taken == Taken::Both {
            // SAFETY: locked by `take`, on this thread.
            unsafe { self.mutex.unlock() };
        }
    }

    /// Has waiting threads lend the holder their priority. Under the lock, once. False when the
    /// system has no mutex that inherits priority.
    pub(crate) fn inherit_priority(&self) -> bool {
        // SAFETY: no other thread uses the mutex before `inherits` is set.
        let works = unsafe { self.mutex.init() };
        self.inherits.store(works, Ordering::Release);
        works
    }

    /// A call that needs the lock must do without: another thread forks, or a section of this
    /// thread has been interrupted. For `process/later.rs`.
    pub(crate) fn is_away(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        if word & !FLAGS == this_thread() {
            word & FORK == 0 || self.nested.load(Ordering::Relaxed)
        } else {
            word & FORK != 0
        }
    }

    /// True once after [`Lock::postfork_child`] with `unsettled`. Under the lock.
    #[inline]
    pub(crate) fn take_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed) && self.unsettled.swap(false, Ordering::Relaxed)
    }
}
