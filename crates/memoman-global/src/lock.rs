//! The one lock: a pthread mutex that inherits priority, so that a high-priority thread waiting for
//! it does not wait for whoever preempts its holder.

use core::cell::UnsafeCell;
use core::hint;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const NEW: u8 = 0;
const MAKING: u8 = 1;
const READY: u8 = 2;

/// The lock. Its mutex is made at the first use, since the attribute cannot be set in a constant.
pub(crate) struct Lock {
    state: AtomicU8,
    mutex: UnsafeCell<MaybeUninit<libc::pthread_mutex_t>>,
    /// The thread that holds the lock across a fork, else 0. It may enter again: the handlers of
    /// other libraries allocate.
    forking: AtomicUsize,
}

// SAFETY: the mutex is made by one thread, which publishes it through `state`; from then on it is only
// used through the pthread functions, which are made for this.
unsafe impl Sync for Lock {}

fn this_thread() -> usize {
    // SAFETY: pthread_self has no precondition.
    unsafe { libc::pthread_self() as usize }
}

impl Lock {
    pub(crate) const fn new() -> Lock {
        Lock {
            state: AtomicU8::new(NEW),
            mutex: UnsafeCell::new(MaybeUninit::uninit()),
            forking: AtomicUsize::new(0),
        }
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.mutex.get().cast()
    }

    /// Runs `work` with the lock held.
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce() -> R) -> R {
        if self.state.load(Ordering::Acquire) != READY {
            self.make();
        }
        let forking = self.forking.load(Ordering::Relaxed);
        if forking != 0 && forking == this_thread() {
            // Between prefork and postfork on the forking thread: the lock is ours already.
            return work();
        }
        // SAFETY: the mutex is made, and never destroyed.
        unsafe { libc::pthread_mutex_lock(self.mutex()) };
        let result = work();
        // SAFETY: locked above, by this thread.
        unsafe { libc::pthread_mutex_unlock(self.mutex()) };
        result
    }

    #[cold]
    fn make(&self) {
        match self
            .state
            .compare_exchange(NEW, MAKING, Ordering::Acquire, Ordering::Acquire)
        {
            Ok(_) => {
                // SAFETY: only this thread is past the exchange; nobody uses the mutex yet.
                unsafe { self.init() };
                self.state.store(READY, Ordering::Release);
            }
            // Another thread is making it: a handful of instructions, once in a process.
            Err(_) => {
                while self.state.load(Ordering::Acquire) != READY {
                    hint::spin_loop();
                }
            }
        }
    }

    /// # Safety
    /// No other thread uses the mutex.
    unsafe fn init(&self) {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are initialised by the first call; these calls only write what they are given.
        unsafe {
            libc::pthread_mutexattr_init(attributes.as_mut_ptr());
            libc::pthread_mutexattr_setprotocol(
                attributes.as_mut_ptr(),
                libc::PTHREAD_PRIO_INHERIT,
            );
            libc::pthread_mutex_init(self.mutex(), attributes.as_ptr());
            libc::pthread_mutexattr_destroy(attributes.as_mut_ptr());
        }
    }

    /// Takes the lock for the time of a fork.
    pub(crate) fn prefork(&self) {
        if self.state.load(Ordering::Acquire) != READY {
            self.make();
        }
        // SAFETY: the mutex is made.
        unsafe { libc::pthread_mutex_lock(self.mutex()) };
        self.forking.store(this_thread(), Ordering::Relaxed);
    }

    /// Releases it in the parent.
    pub(crate) fn postfork_parent(&self) {
        self.forking.store(0, Ordering::Relaxed);
        // SAFETY: locked by `prefork` on this thread.
        unsafe { libc::pthread_mutex_unlock(self.mutex()) };
    }

    /// Makes it anew in the child: its owner is a thread id of the parent, which cannot unlock here.
    pub(crate) fn postfork_child(&self) {
        self.forking.store(0, Ordering::Relaxed);
        // SAFETY: the child has one thread, this one.
        unsafe { self.init() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::thread;
    use std::vec::Vec;

    #[test]
    fn excludes_other_threads_from_the_first_use_on() {
        let lock: &'static Lock = Box::leak(Box::new(Lock::new()));
        struct Counter(UnsafeCell<usize>);
        // SAFETY: touched under the lock only.
        unsafe impl Sync for Counter {}
        let counter: &'static Counter = Box::leak(Box::new(Counter(UnsafeCell::new(0))));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(move || {
                    for _ in 0..10_000 {
                        // SAFETY: under the lock.
                        lock.with(|| unsafe { *counter.0.get() += 1 });
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        // SAFETY: all threads are gone.
        assert_eq!(unsafe { *counter.0.get() }, 40_000);
    }

    #[test]
    fn the_forking_thread_enters_again_and_the_child_side_is_usable() {
        let lock = Lock::new();
        lock.prefork();
        assert_eq!(lock.with(|| lock.with(|| 7)), 7);
        lock.postfork_child();
        assert_eq!(lock.with(|| 8), 8);
        lock.prefork();
        lock.postfork_parent();
        assert_eq!(lock.with(|| 9), 9);
    }
}
