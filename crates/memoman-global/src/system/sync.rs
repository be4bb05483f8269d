//! The building blocks of the lock, the gates and the inboxes: atomics, fences, a mutex, the
//! thread's identity.
//!
//! The loom models in `tests/` compile `lock.rs`, `gate.rs` and `inbox.rs` once more, with
//! `tests/model/sync.rs` in place of this file.

use core::cell::UnsafeCell;
pub(crate) use core::hint::spin_loop;
use core::mem::MaybeUninit;
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

#[cfg(not(memoman_debug))]
pub(crate) use between_threads::{heavy_fence, light_fence, link_word, pause};

/// A pthread mutex that inherits priority. Not usable before [`Mutex::init`].
pub(crate) struct Mutex(UnsafeCell<MaybeUninit<libc::pthread_mutex_t>>);

impl Mutex {
    pub(crate) const fn new() -> Mutex {
        Mutex(UnsafeCell::new(MaybeUninit::uninit()))
    }

    fn raw(&self) -> *mut libc::pthread_mutex_t {
        self.0.get().cast()
    }

    /// Initialises the mutex, unlocked.
    ///
    /// # Safety
    /// No other thread uses it.
    pub(crate) unsafe fn init(&self) {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the first call initialises the attributes; the calls write only to their
        // arguments, and no other thread uses the mutex (caller).
        unsafe {
            libc::pthread_mutexattr_init(attributes.as_mut_ptr());
            libc::pthread_mutexattr_setprotocol(
                attributes.as_mut_ptr(),
                libc::PTHREAD_PRIO_INHERIT,
            );
            libc::pthread_mutex_init(self.raw(), attributes.as_ptr());
            libc::pthread_mutexattr_destroy(attributes.as_mut_ptr());
        }
    }

    /// Locks the mutex.
    ///
    /// # Safety
    /// It is initialised, and this thread does not hold it.
    #[inline(always)]
    pub(crate) unsafe fn lock(&self) {
        // SAFETY: initialised (caller).
        unsafe { libc::pthread_mutex_lock(self.raw()) };
    }

    /// Locks the mutex if it is free. True if it is locked by this call.
    ///
    /// # Safety
    /// It is initialised, and this thread does not hold it.
    #[inline(always)]
    #[must_use]
    pub(crate) unsafe fn try_lock(&self) -> bool {
        // SAFETY: initialised (caller).
        unsafe { libc::pthread_mutex_trylock(self.raw()) == 0 }
    }

    /// Unlocks the mutex.
    ///
    /// # Safety
    /// This thread holds it.
    #[inline(always)]
    pub(crate) unsafe fn unlock(&self) {
        // SAFETY: held by this thread (caller).
        unsafe { libc::pthread_mutex_unlock(self.raw()) };
    }
}

#[inline(always)]
pub(crate) fn this_thread() -> usize {
    // SAFETY: pthread_self has no precondition.
    unsafe { libc::pthread_self() as usize }
}

/// Release build only: in the debug library threads meet at the lock alone.
#[cfg(not(memoman_debug))]
mod between_threads {
    use core::ptr;
    use core::sync::atomic::{AtomicUsize, Ordering, compiler_fence, fence};

    use crate::system::errno::{errno, set_errno};
    use crate::system::memory::{self, PAGE};

    /// The first word of a freed block, as a link.
    ///
    /// # Safety
    /// `address` is that of an aligned word that may be read and written; while the block is in a
    /// queue, all accesses to it go through this function.
    #[inline(always)]
    pub(crate) unsafe fn link_word(address: usize) -> &'static AtomicUsize {
        // SAFETY: a readable and writable word, accessed atomically only (caller); its provenance
        // was exposed when the block was put into the queue.
        unsafe { AtomicUsize::from_ptr(ptr::with_exposed_provenance_mut(address)) }
    }

    /// Orders a store before the load that follows, against a [`heavy_fence`] of another thread.
    #[inline(always)]
    pub(crate) fn light_fence() {
        if cfg!(target_arch = "x86_64") {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// Orders a store before the load that follows; on x86-64 also every [`light_fence`] of the
    /// process.
    pub(crate) fn heavy_fence() {
        fence(Ordering::SeqCst);
        if cfg!(target_arch = "x86_64") {
            fence_all_threads();
        }
    }

    /// Makes every thread of the process execute a full memory barrier. Keeps errno.
    pub(crate) fn fence_all_threads() {
        const PRIVATE_EXPEDITED: libc::c_long = 1 << 3;
        const REGISTER_PRIVATE_EXPEDITED: libc::c_long = 1 << 4;
        let saved = errno();
        // SAFETY: membarrier accesses no memory.
        let membarrier = |command: libc::c_long| unsafe {
            libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0
        };
        // A process must register before its first such barrier.
        let mut done = membarrier(PRIVATE_EXPEDITED);
        if !done && membarrier(REGISTER_PRIVATE_EXPEDITED) {
            done = membarrier(PRIVATE_EXPEDITED);
        }
        if !done {
            // An old kernel, or a system call filter. Unmapping a touched page interrupts every
            // processor that runs this process.
            if let Some(page) = memory::map(PAGE, true) {
                // SAFETY: just mapped, and known to this thread only.
                unsafe {
                    page.write_volatile(1);
                    memory::unmap(page, PAGE);
                }
            }
        }
        set_errno(saved);
    }

    /// Lets other threads run: yields for the first 16 turns, then sleeps 50 µs each time. Keeps
    /// errno.
    pub(crate) fn pause(turn: u32) {
        let saved = errno();
        // SAFETY: sched_yield and clock_nanosleep access no memory but the struct given.
        unsafe {
            if turn < 16 {
                libc::sched_yield();
            } else {
                // The thread waited for may have a lower priority: yielding would not let it run.
                let time = libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 50_000,
                };
                // A raw system call: the C library's nanosleep is a cancellation point, and the
                // calling thread holds the lock.
                libc::syscall(
                    libc::SYS_clock_nanosleep,
                    libc::CLOCK_MONOTONIC,
                    0,
                    &raw const time,
                    ptr::null_mut::<libc::timespec>(),
                );
            }
        }
        set_errno(saved);
    }
}
