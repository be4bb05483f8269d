//! How threads wait for another thread's fork.
//!
//! The end of a fork wakes one of them, and each wakes the next. A wake while the fork goes on (by
//! a signal, or for a thread that takes the lock) is not passed on: it would go round among them,
//! and each turn take the processor from the forking thread.
//!
//! In the shim the end of a fork wakes none as long as one of them is the *lookout*: a woken thread
//! may take the forking thread's processor, for a time slice of each thread that runs. The lookout
//! sleeps in naps that grow, so that it sees the end after half as long again as the fork took.

use super::{FORK, Lock, WAITERS};
#[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
use crate::system::sync::{AtomicBool, AtomicUsize, Futex, fence};
use crate::system::sync::{Ordering, settle_child};

const SHIM: bool = cfg!(feature = "announced-threads");
/// How many nanoseconds a section waits for a fork before it is refused: twice as long after a wait
/// that saw the fork's end, a quarter after one in vain, as when the forking thread waits for a
/// mutex of a waiting one. (While the forking thread waits for those inside their heaps, the wait
/// is repeated: sleeping threads leave them the processors.)
///
/// In the shim the forking thread can wait for the C library's own locks only, since the handlers
/// of other libraries run before. There a wait in vain means rather that the forking thread has no
/// processor, and sleeping threads leave it one.
const MOMENT: usize = if SHIM { 50_000_000 } else { 1_000_000 };
const MOMENT_LEAST: usize = if SHIM { SLICE } else { 20_000 };
const MOMENT_MOST: usize = if SHIM { 8 * SLICE } else { 4_000_000 };
const MOMENTS: u32 = if cfg!(loom) {
    0
} else if SHIM {
    8
} else {
    100
};
/// In the shim no thread sleeps longer at a time, as the thread that is to wake it may be one of a
/// low priority.
const SLICE: usize = 8_000_000;
/// The lookout's first nap. Each later one is half as long again.
#[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
const NAP: usize = 100_000;

/// The lookout of a lock.
#[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
pub(super) struct Lookout {
    is_there: AtomicBool,
    /// Forks begun: tells the fork waited for from one that has followed it.
    forks: AtomicUsize,
    /// What the lookout sleeps on; no thread wakes it.
    nap: Futex,
}

#[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
impl Lookout {
    #[cfg(not(all(loom, test)))]
    pub(super) const fn new() -> Lookout {
        Lookout {
            is_there: AtomicBool::new(false),
            forks: AtomicUsize::new(0),
            nap: Futex::new(0),
        }
    }

    #[cfg(all(loom, test))]
    pub(super) fn new() -> Lookout {
        Lookout {
            is_there: AtomicBool::new(false),
            forks: AtomicUsize::new(0),
            nap: Futex::new(0),
        }
    }

    /// A fork begins.
    pub(super) fn note_fork(&self) {
        self.forks.fetch_add(1, Ordering::Relaxed);
    }

    /// After the store that ends a fork: without a lookout the forking thread wakes a sleeper.
    pub(super) fn is_missing(&self) -> bool {
        // Pairs with the fence of a leaving lookout: it sees the end of the fork, or this thread
        // sees that it has left.
        fence(Ordering::SeqCst);
        !self.is_there.load(Ordering::Relaxed)
    }

    /// In the child of a fork.
    pub(super) fn forget(&self) {
        self.is_there.store(false, Ordering::Relaxed);
    }
}

/// How a wait has ended: the fork is over, or not yet, after all the time.
#[derive(PartialEq, Eq)]
enum Waited {
    Over,
    InVain,
    /// Woken before either is certain: the wait is repeated.
    Awhile,
}

impl Lock {
    /// Waits a moment for the end of another thread's fork. False if it is not over by then.
    #[cold]
    pub(super) fn outlasts_fork(&self) -> bool {
        settle_child();
        for _ in 0..MOMENTS {
            let word = self.word.load(Ordering::Relaxed);
            if word & FORK == 0 {
                return true;
            }
            if self.overdue.load(Ordering::Relaxed) {
                return false;
            }
            let moment = self.moment.load(Ordering::Relaxed) ^ MOMENT;
            let waited = self.await_end(word, moment);
            if waited == Waited::Awhile {
                continue;
            }
            let over = waited == Waited::Over;
            let moment = if over { 2 * moment } else { moment / 4 };
            if over || !self.closing.load(Ordering::Relaxed) {
                let moment = moment.clamp(MOMENT_LEAST, MOMENT_MOST);
                self.moment.store(moment ^ MOMENT, Ordering::Relaxed);
                self.overdue.store(!over, Ordering::Relaxed);
            }
        }
        false
    }

    /// Sleeps until the end of the fork with this word, for a moment at most, and wakes the next
    /// sleeper.
    #[cfg(not(any(all(feature = "announced-threads", not(memoman_debug)), loom)))]
    fn await_end(&self, word: usize, moment: usize) -> Waited {
        if !self.is_marked(word) {
            return Waited::Awhile;
        }
        let in_time = self.word.wait_for(word | WAITERS, moment as u32);
        if self.has_woken() {
            Waited::Over
        } else if in_time {
            Waited::Awhile
        } else {
            Waited::InVain
        }
    }

    /// Sleeps until the end of the fork with this word, for a moment at most, and wakes the next
    /// sleeper.
    #[cfg(any(all(feature = "announced-threads", not(memoman_debug)), loom))]
    fn await_end(&self, word: usize, moment: usize) -> Waited {
        let lookout = &self.lookout;
        let fork = lookout.forks.load(Ordering::Relaxed);
        let is_over = || {
            self.word.load(Ordering::Relaxed) & FORK == 0
                || lookout.forks.load(Ordering::Relaxed) != fork
        };
        let mut slept = 0;
        // (Where priority is inherited, all are woken: the lookout may have the lowest priority.)
        if !self.inherits.load(Ordering::Relaxed) && !lookout.is_there.swap(true, Ordering::Relaxed)
        {
            let mut nap = NAP;
            while slept < moment && !is_over() {
                lookout.nap.wait_for(0, nap as u32);
                slept += nap;
                nap += nap / 2;
            }
            lookout.is_there.store(false, Ordering::Relaxed);
            // Pairs with the fence of `is_missing`.
            fence(Ordering::SeqCst);
            slept = moment;
        }
        while slept < moment && !is_over() {
            if self.overdue.load(Ordering::Relaxed) || !self.is_marked(word) {
                return Waited::Awhile;
            }
            let in_time = self.word.wait_for(word | WAITERS, SLICE as u32);
            // A wake while the fork goes on is the first of few.
            slept += if in_time { SLICE / 8 } else { SLICE };
        }
        if is_over() {
            self.word.wake_one();
            Waited::Over
        } else {
            Waited::InVain
        }
    }

    /// One nap as the lookout, for the model.
    #[cfg(all(loom, test))]
    pub(crate) fn look_out(&self) {
        let word = self.word.load(Ordering::Relaxed);
        if word & FORK != 0 {
            let _ = self.await_end(word, NAP);
        }
    }

    /// Sleeps until another thread's fork, with this word, may be over, and wakes the next sleeper.
    pub(super) fn sleep(&self, word: usize) {
        if !settle_child() && self.is_marked(word) {
            // The lookout that is to wake this thread may be this thread, in a handler that has
            // interrupted its nap.
            #[cfg(all(feature = "announced-threads", not(memoman_debug)))]
            self.word.wait_for(word | WAITERS, SLICE as u32);
            #[cfg(not(all(feature = "announced-threads", not(memoman_debug))))]
            self.word.wait(word | WAITERS);
            self.has_woken();
        }
    }

    /// The fork is over: wakes the next sleeper. False if the fork goes on.
    fn has_woken(&self) -> bool {
        let over = self.word.load(Ordering::Relaxed) & FORK == 0;
        if over {
            self.word.wake_one();
        }
        over
    }
}
