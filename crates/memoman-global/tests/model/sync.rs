//! loom's stand-in for `src/system/sync.rs`: the same names, over loom's atomics and a model of the
//! mutex.

use core::hash::{Hash, Hasher};
use loom::cell::UnsafeCell;
pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
use loom::sync::{Mutex as Exclusive, MutexGuard};
use std::hash::DefaultHasher;

/// The model of the pthread mutex. Whether it is initialised is a plain word, so that a use which
/// is not ordered after the initialisation is a data race that loom reports.
pub(crate) struct Mutex {
    made: UnsafeCell<bool>,
    exclusive: Exclusive<()>,
    held: core::cell::UnsafeCell<Option<MutexGuard<'static, ()>>>,
}

// SAFETY: `held` is accessed only by the holder of `exclusive`, or while no other thread uses the
// mutex.
unsafe impl Sync for Mutex {}
// SAFETY: loom runs its threads one at a time, on one thread of the system.
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
            // SAFETY: loom fails the test if another thread reads the word meanwhile.
            unsafe { *made = true }
        });
        // SAFETY: no other thread uses the mutex (caller). A mutex initialised again is unlocked.
        unsafe { *self.held.get() = None };
    }

    fn assert_made(&self) {
        self.made.with(|made| {
            // SAFETY: loom fails the test if another thread writes the word meanwhile.
            assert!(unsafe { *made }, "used before it was initialised");
        });
    }

    pub(crate) unsafe fn lock(&self) {
        self.assert_made();
        // SAFETY: this thread has just locked `exclusive`.
        unsafe { self.hold(self.exclusive.lock().unwrap()) };
    }

    pub(crate) unsafe fn try_lock(&self) -> bool {
        self.assert_made();
        let Ok(guard) = self.exclusive.try_lock() else {
            return false;
        };
        // SAFETY: this thread has just locked `exclusive`.
        unsafe { self.hold(guard) };
        true
    }

    unsafe fn hold(&self, guard: MutexGuard<'_, ()>) {
        // SAFETY: the guard is dropped before the mutex: in `unlock`, `init`, or with it, fields in
        // order.
        let guard =
            unsafe { core::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard) };
        // SAFETY: this thread holds `exclusive` (caller).
        unsafe { *self.held.get() = Some(guard) };
    }

    pub(crate) unsafe fn unlock(&self) {
        self.assert_made();
        // SAFETY: this thread holds the mutex (caller); `expect` below tests it.
        let guard = unsafe { (*self.held.get()).take() };
        drop(guard.expect("unlocked without being locked"));
    }
}

pub(crate) fn this_thread() -> usize {
    let mut hasher = DefaultHasher::new();
    loom::thread::current().id().hash(&mut hasher);
    hasher.finish() as usize | 1
}

/// The model's block: its address is that of a loom atomic.
pub(crate) unsafe fn link_word(address: usize) -> &'static AtomicUsize {
    // SAFETY: the address of an atomic that lives as long as the model (caller).
    unsafe { &*core::ptr::with_exposed_provenance(address) }
}

// loom has no barrier that other threads execute: in the model each side has its own.
pub(crate) fn light_fence() {
    fence(Ordering::SeqCst);
}

pub(crate) fn heavy_fence() {
    fence(Ordering::SeqCst);
}
