//! loom's stand-in for `src/system/sync.rs`: the same names, over loom's atomics and models of the
//! futex and the mutex.

use core::hash::{Hash, Hasher};
use loom::cell::UnsafeCell;
pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
use loom::sync::{Condvar, Mutex as Exclusive, MutexGuard};
use std::hash::DefaultHasher;

/// The model of the futex: the kernel compares the word and puts the thread to sleep under a lock
/// of its own, which a wake takes too. A thread that no wake reaches is a deadlock that loom
/// reports.
pub(crate) struct Futex {
    word: AtomicUsize,
    queue: Exclusive<()>,
    sleepers: Condvar,
}

impl Futex {
    pub(crate) fn new(value: usize) -> Futex {
        Futex {
            word: AtomicUsize::new(value),
            queue: Exclusive::new(()),
            sleepers: Condvar::new(),
        }
    }

    pub(crate) fn load(&self, order: Ordering) -> usize {
        self.word.load(order)
    }

    pub(crate) fn swap(&self, value: usize, order: Ordering) -> usize {
        self.word.swap(value, order)
    }

    pub(crate) fn compare_exchange(&self, old: usize, new: usize, order: Ordering) -> bool {
        self.word
            .compare_exchange(old, new, order, Ordering::Relaxed)
            .is_ok()
    }

    pub(crate) fn wait(&self, value: usize) {
        let queue = self.queue.lock().unwrap();
        // The kernel's accesses are whole barriers: an exchange reads the newest value.
        if self.word.fetch_add(0, Ordering::SeqCst) == value {
            drop(self.sleepers.wait(queue).unwrap());
        }
    }

    /// The time is over at once.
    pub(crate) fn wait_for(&self, _: usize, _: u32) -> bool {
        loom::thread::yield_now();
        false
    }

    pub(crate) fn wake_one(&self) {
        let _queue = self.queue.lock().unwrap();
        self.sleepers.notify_one();
    }

    pub(crate) fn wake_all(&self) {
        let _queue = self.queue.lock().unwrap();
        self.sleepers.notify_all();
    }
}

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

    pub(crate) unsafe fn init(&self) -> bool {
        self.made.with_mut(|made| {
            // SAFETY: loom fails the test if another thread reads the word meanwhile.
            unsafe { *made = true }
        });
        // SAFETY: no other thread uses the mutex (caller). A mutex initialised again is unlocked.
        unsafe { *self.held.get() = None };
        true
    }

    fn assert_made(&self) {
        self.made.with(|made| {
            // SAFETY: loom fails the test if another thread writes the word meanwhile.
            assert!(unsafe { *made }, "used before it was initialised");
        });
    }

    pub(crate) unsafe fn lock(&self) -> bool {
        self.assert_made();
        let guard = self.exclusive.lock().unwrap();
        // SAFETY: the guard is dropped before the mutex: in `unlock`, `init`, or with it, fields in
        // order.
        let guard =
            unsafe { core::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard) };
        // SAFETY: this thread holds `exclusive`.
        unsafe { *self.held.get() = Some(guard) };
        true
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
    // The lock's flags are free, and the word 0.
    (hasher.finish() as usize | 16) & !15
}

/// The model's block: its address is that of a loom atomic.
pub(crate) unsafe fn link_word(address: usize) -> &'static AtomicUsize {
    // SAFETY: the address of an atomic that lives as long as the model (caller).
    unsafe { &*core::ptr::with_exposed_provenance(address) }
}

/// The models have no children that a handler has not prepared.
pub(crate) fn settle_child() -> bool {
    false
}

// loom has no barrier that other threads execute: in the model each side has its own.
pub(crate) fn light_fence() {
    fence(Ordering::SeqCst);
}

pub(crate) fn heavy_fence() -> bool {
    fence(Ordering::SeqCst);
    true
}
