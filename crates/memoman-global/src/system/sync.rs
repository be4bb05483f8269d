//! What the lock is made of: atomics, a mutex, the thread's identity. Under `--cfg loom`, `tests/lock_model.rs` compiles
//! this file and `lock.rs` once more, and gets loom's instead: these try every order in which threads can meet and every
//! value that a load may see. The lock itself is the same code in both.

#[cfg(all(loom, test))]
pub(crate) use model::{
    AtomicBool, AtomicU8, AtomicUsize, Mutex, Ordering, heavy_fence, light_fence, link_word,
    spin_loop, this_thread,
};
#[cfg(not(all(loom, test)))]
pub(crate) use real::{AtomicBool, AtomicU8, AtomicUsize, Mutex, Ordering, spin_loop, this_thread};
#[cfg(not(any(all(loom, test), memoman_debug)))]
pub(crate) use real::{heavy_fence, light_fence, link_word};

#[cfg(not(all(loom, test)))]
mod real {
    use core::cell::UnsafeCell;
    pub(crate) use core::hint::spin_loop;
    use core::mem::MaybeUninit;
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
    #[cfg(not(memoman_debug))]
    use core::sync::atomic::{compiler_fence, fence};

    /// A pthread mutex that inherits priority. Not usable before [`Mutex::init`].
    pub(crate) struct Mutex(UnsafeCell<MaybeUninit<libc::pthread_mutex_t>>);

    impl Mutex {
        pub(crate) const fn new() -> Mutex {
            Mutex(UnsafeCell::new(MaybeUninit::uninit()))
        }

        fn raw(&self) -> *mut libc::pthread_mutex_t {
            self.0.get().cast()
        }

        /// Makes it, unlocked.
        ///
        /// # Safety
        /// No other thread uses it.
        pub(crate) unsafe fn init(&self) {
            let mut attributes = MaybeUninit::uninit();
            // SAFETY: the attributes are initialised by the first call; these calls only write what they are given.
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

        /// # Safety
        /// It has been made, and this thread does not hold it.
        #[inline(always)]
        pub(crate) unsafe fn lock(&self) {
            // SAFETY: made (caller).
            unsafe { libc::pthread_mutex_lock(self.raw()) };
        }

        /// True if it was free, and is now held.
        ///
        /// # Safety
        /// As for [`Mutex::lock`].
        #[inline(always)]
        #[must_use]
        pub(crate) unsafe fn try_lock(&self) -> bool {
            // SAFETY: made (caller).
            unsafe { libc::pthread_mutex_trylock(self.raw()) == 0 }
        }

        /// # Safety
        /// This thread holds it.
        #[inline(always)]
        pub(crate) unsafe fn unlock(&self) {
            // SAFETY: held (caller).
            unsafe { libc::pthread_mutex_unlock(self.raw()) };
        }
    }

    #[inline(always)]
    pub(crate) fn this_thread() -> usize {
        // SAFETY: pthread_self has no precondition.
        unsafe { libc::pthread_self() as usize }
    }

    /// The first word of a freed block, as a link.
    ///
    /// # Safety
    /// `address` is that of an aligned word that may be read and written, and that only is through this as long as the
    /// block is in a queue.
    #[cfg(not(memoman_debug))]
    #[inline(always)]
    pub(crate) unsafe fn link_word(address: usize) -> &'static AtomicUsize {
        // SAFETY: the caller's duty. Its provenance was exposed when the block was put into the queue.
        unsafe { AtomicUsize::from_ptr(core::ptr::with_exposed_provenance_mut(address)) }
    }

    /// Keeps a store before the load that follows, where the other side has a [`heavy_fence`].
    #[cfg(not(memoman_debug))]
    #[inline(always)]
    pub(crate) fn light_fence() {
        if cfg!(target_arch = "x86_64") {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// Does so for this thread, and on x86-64 for every other one of the process.
    #[cfg(not(memoman_debug))]
    pub(crate) fn heavy_fence() {
        fence(Ordering::SeqCst);
        if cfg!(target_arch = "x86_64") {
            crate::os::fence_all_threads();
        }
    }
}

#[cfg(all(loom, test))]
mod model {
    use core::hash::{Hash, Hasher};
    use loom::cell::UnsafeCell;
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
    use loom::sync::{Mutex as Exclusive, MutexGuard};
    use std::hash::DefaultHasher;

    /// The model of the pthread mutex: whether it is made is a plain word, so that a use which does not come after the
    /// making is a data race that loom sees.
    pub(crate) struct Mutex {
        made: UnsafeCell<bool>,
        exclusive: Exclusive<()>,
        held: core::cell::UnsafeCell<Option<MutexGuard<'static, ()>>>,
    }

    // SAFETY: `held` is touched only by the holder of `exclusive`, or where nobody else uses the mutex.
    unsafe impl Sync for Mutex {}
    // SAFETY: as above; loom's threads are one thread of the system.
    unsafe impl Send for Mutex {}

    impl Mutex {
        pub(crate) fn new() -> Mutex {
            Mutex {
                made: UnsafeCell::new(false),
                exclusive: Exclusive::new(()),
                held: core::cell::UnsafeCell::new(None),
            }
        }

        pub(crate) unsafe fn init(&self) {
            self.made.with_mut(|made| {
                // SAFETY: loom fails the test if anyone else looks at it meanwhile.
                unsafe { *made = true }
            });
            // SAFETY: as above. A mutex that is made anew is unlocked, whoever held it.
            unsafe { *self.held.get() = None };
        }

        fn assert_made(&self) {
            self.made.with(|made| {
                // SAFETY: as in `init`.
                assert!(unsafe { *made }, "used before it was made");
            });
        }

        pub(crate) unsafe fn lock(&self) {
            self.assert_made();
            // SAFETY: the caller holds it now.
            unsafe { self.hold(self.exclusive.lock().unwrap()) };
        }

        pub(crate) unsafe fn try_lock(&self) -> bool {
            self.assert_made();
            let Ok(guard) = self.exclusive.try_lock() else {
                return false;
            };
            // SAFETY: as in `lock`.
            unsafe { self.hold(guard) };
            true
        }

        unsafe fn hold(&self, guard: MutexGuard<'_, ()>) {
            // SAFETY: the guard is dropped before the mutex: in `unlock`, `init`, or with it, fields in order.
            let guard = unsafe {
                core::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard)
            };
            // SAFETY: only the holder touches it.
            unsafe { *self.held.get() = Some(guard) };
        }

        pub(crate) unsafe fn unlock(&self) {
            self.assert_made();
            // SAFETY: the caller holds it, which is tested.
            let guard = unsafe { (*self.held.get()).take() };
            drop(guard.expect("unlocked without having been locked"));
        }
    }

    pub(crate) fn this_thread() -> usize {
        let mut hasher = DefaultHasher::new();
        loom::thread::current().id().hash(&mut hasher);
        hasher.finish() as usize | 1
    }

    /// In the model, a block is a loom atomic and its address that of it.
    pub(crate) unsafe fn link_word(address: usize) -> &'static AtomicUsize {
        // SAFETY: an atomic that lives as long as the model (caller).
        unsafe { &*core::ptr::with_exposed_provenance(address) }
    }

    // loom knows no barrier of other threads: here both sides have their own.
    pub(crate) fn light_fence() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy_fence() {
        fence(Ordering::SeqCst);
    }
}
