//! The lock: a pthread mutex that inherits priority, so that a thread of high priority waits for
//! the holder alone and not for threads that preempt the holder.

use crate::system::sync::{
    AtomicBool, AtomicU8, AtomicUsize, Mutex, Ordering, spin_loop, this_thread,
};

/// The process's lock.
#[cfg(not(all(loom, test)))]
pub(crate) static LOCK: Lock = Lock::new();

const NEW: u8 = 0;
pub(crate) const MAKING: u8 = 1;
pub(crate) const READY: u8 = 2;
/// A contended lock is tried this often, with exponential pauses, before the thread sleeps: most
/// work under the lock is over before a thread could sleep and wake. The number is bounded, since
/// spinning may keep the holder from running; only a sleeping thread lends it its priority.
const TRIES: u32 = if cfg!(loom) { 1 } else { 7 };

/// The mutex is initialised at the first use: a constant cannot have the priority-inheritance
/// attribute.
pub(crate) struct Lock {
    pub(crate) state: AtomicU8,
    pub(crate) mutex: Mutex,
    /// A hint: a thread holds the lock, and not for a fork.
    pub(crate) held: AtomicBool,
    /// The lock has been contended. Until then no thread tries before it sleeps:
    /// `pthread_mutex_trylock` would bring 64 KiB of the C library into memory in a process that
    /// never needs it.
    pub(crate) contended: AtomicBool,
    /// The thread that holds the lock across a fork, else 0. It may take the lock again: the fork
    /// handlers of other libraries allocate.
    forking: AtomicUsize,
}

// SAFETY: one thread initialises the mutex and publishes it through `state`; later uses go through
// the pthread functions, which any thread may call.
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
    pub(crate) fn put_back(&self, taken: bool) {
        if taken {
            self.held.store(false, Ordering::Relaxed);
            // SAFETY: locked by `take`, on this thread.
            unsafe { self.mutex.unlock() };
        }
    }

    /// Takes the lock. False if this thread holds it already: between prefork and postfork on the
    /// forking thread.
    #[inline(never)]
    pub(crate) fn take(&self) -> bool {
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
            // SAFETY: the mutex is initialised, and never destroyed.
            unsafe { self.mutex.lock() };
        }
        self.held.store(true, Ordering::Relaxed);
        true
    }

    /// Takes the lock if it is free, or becomes free within the tries.
    pub(crate) fn try_to_take(&self) -> bool {
        for pauses in 0..TRIES {
            // SAFETY: the mutex is initialised, and never destroyed.
            if unsafe { self.mutex.try_lock() } {
                return true;
            }
            for _ in 0..1 << pauses {
                spin_loop();
            }
        }
        false
    }

    /// Initialises the mutex, or waits for the thread that does.
    #[cold]
    fn make(&self) {
        match self
            .state
            .compare_exchange(NEW, MAKING, Ordering::Acquire, Ordering::Acquire)
        {
            Ok(_) => {
                // SAFETY: one thread wins the exchange, and the others wait for READY.
                unsafe { self.mutex.init() };
                self.state.store(READY, Ordering::Release);
            }
            // Another thread initialises it: a handful of instructions, once in a process.
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
        // SAFETY: the mutex is initialised.
        unsafe { self.mutex.lock() };
        self.forking.store(this_thread(), Ordering::Relaxed);
    }

    /// Releases the lock in the parent.
    pub(crate) fn postfork_parent(&self) {
        self.forking.store(0, Ordering::Relaxed);
        // SAFETY: locked by `prefork` on this thread.
        unsafe { self.mutex.unlock() };
    }

    /// Initialises the mutex anew in the child: its owner is a thread id of the parent, which
    /// cannot unlock here.
    pub(crate) fn postfork_child(&self) {
        self.forking.store(0, Ordering::Relaxed);
        // SAFETY: the child has one thread, this one.
        unsafe { self.mutex.init() };
    }
}
