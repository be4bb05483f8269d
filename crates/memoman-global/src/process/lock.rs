//! The one lock: a pthread mutex that inherits priority, so that a high-priority thread waiting for
//! it does not wait for whoever preempts its holder.

use crate::sync::{AtomicBool, AtomicU8, AtomicUsize, Mutex, Ordering, spin_loop, this_thread};

const NEW: u8 = 0;
const MAKING: u8 = 1;
const READY: u8 = 2;
/// A thread that finds the lock taken tries so many times before it sleeps, each time after twice as many pauses: what is done under
/// the lock is mostly over before a thread could go to sleep and be woken. Bounded, since the holder may be what this thread keeps
/// from running; only sleeping lends it the priority.
const TRIES: u32 = if cfg!(loom) { 1 } else { 7 };

/// The lock. Its mutex is made at the first use, since the attribute cannot be set in a constant.
pub(crate) struct Lock {
    state: AtomicU8,
    mutex: Mutex,
    /// A hint: some thread has the lock, but not for a fork.
    held: AtomicBool,
    /// A thread has found it taken. Until then nobody tries: in a process that never does, `pthread_mutex_trylock` would only bring
    /// 64 KiB of the C library into memory.
    contended: AtomicBool,
    /// The thread that holds the lock across a fork, else 0. It may enter again: the handlers of
    /// other libraries allocate.
    forking: AtomicUsize,
}

// SAFETY: the mutex is made by one thread, which publishes it through `state`; from then on it is only
// used through the pthread functions, which are made for this.
unsafe impl Sync for Lock {}

impl Lock {
    #[cfg(not(all(loom, test)))]
    pub(crate) const fn new() -> Lock {
        Lock {
            state: AtomicU8::new(NEW),
            mutex: Mutex::new(),
            held: AtomicBool::new(false),
            contended: AtomicBool::new(false),
            forking: AtomicUsize::new(0),
        }
    }

    /// loom's atomics have no constant constructor.
    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Lock {
        Lock {
            state: AtomicU8::new(NEW),
            mutex: Mutex::new(),
            held: AtomicBool::new(false),
            contended: AtomicBool::new(false),
            forking: AtomicUsize::new(0),
        }
    }

    /// Runs `work` with the lock held.
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce() -> R) -> R {
        let taken = self.take();
        let result = work();
        self.put_back(taken);
        result
    }

    #[inline(never)]
    fn put_back(&self, taken: bool) {
        if taken {
            self.held.store(false, Ordering::Relaxed);
            // SAFETY: locked by `take`, on this thread.
            unsafe { self.mutex.unlock() };
        }
    }

    /// Takes the lock, unless it is ours already: between prefork and postfork on the forking thread. True if taken.
    #[inline(never)]
    fn take(&self) -> bool {
        if self.state.load(Ordering::Acquire) != READY {
            self.make();
        }
        let forking = self.forking.load(Ordering::Relaxed);
        if forking != 0 && forking == this_thread() {
            return false;
        }
        if self.held.load(Ordering::Relaxed) {
            self.contended.store(true, Ordering::Relaxed);
        }
        if !(self.contended.load(Ordering::Relaxed) && self.try_to_take()) {
            // SAFETY: the mutex is made, and never destroyed.
            unsafe { self.mutex.lock() };
        }
        self.held.store(true, Ordering::Relaxed);
        true
    }

    /// Takes the lock if it is free, or soon will be.
    fn try_to_take(&self) -> bool {
        for pauses in 0..TRIES {
            // SAFETY: the mutex is made, and never destroyed.
            if unsafe { self.mutex.try_lock() } {
                return true;
            }
            for _ in 0..1 << pauses {
                spin_loop();
            }
        }
        false
    }

    #[cold]
    fn make(&self) {
        match self
            .state
            .compare_exchange(NEW, MAKING, Ordering::Acquire, Ordering::Acquire)
        {
            Ok(_) => {
                // SAFETY: only this thread is past the exchange; nobody uses the mutex yet.
                unsafe { self.mutex.init() };
                self.state.store(READY, Ordering::Release);
            }
            // Another thread is making it: a handful of instructions, once in a process.
            Err(_) => {
                while self.state.load(Ordering::Acquire) != READY {
                    spin_loop();
                }
            }
        }
    }

    /// Takes the lock for the time of a fork.
    pub(crate) fn prefork(&self) {
        if self.state.load(Ordering::Acquire) != READY {
            self.make();
        }
        // SAFETY: the mutex is made.
        unsafe { self.mutex.lock() };
        self.forking.store(this_thread(), Ordering::Relaxed);
    }

    /// Releases it in the parent.
    pub(crate) fn postfork_parent(&self) {
        self.forking.store(0, Ordering::Relaxed);
        // SAFETY: locked by `prefork` on this thread.
        unsafe { self.mutex.unlock() };
    }

    /// Makes it anew in the child: its owner is a thread id of the parent, which cannot unlock here.
    pub(crate) fn postfork_child(&self) {
        self.forking.store(0, Ordering::Relaxed);
        // SAFETY: the child has one thread, this one.
        unsafe { self.mutex.init() };
    }
}

// The path is spelled out because tests/lock_model.rs includes this file.
#[cfg(all(test, not(loom)))]
#[path = "lock/tests.rs"]
mod tests;
