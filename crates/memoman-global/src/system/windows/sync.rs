//! The building blocks of the lock, the gates and the inboxes, for Windows: atomics, fences, the
//! barrier of all threads (`FlushProcessWriteBuffers`), an SRW lock with a condition variable in
//! place of a futex, the thread's identity.

use core::cell::UnsafeCell;
use core::ffi::c_void;
pub(crate) use core::hint::spin_loop;
use core::ptr;
#[cfg(not(memoman_debug))]
pub(crate) use core::sync::atomic::fence;
pub(crate) use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::system::errno::set_errno;
use crate::system::windows::{
    AcquireSRWLockExclusive, GetCurrentThreadId, INFINITE, ReleaseSRWLockExclusive,
    SleepConditionVariableSRW, WakeAllConditionVariable, WakeConditionVariable, keeping_error,
};

#[cfg(not(memoman_debug))]
pub(crate) use between_threads::{
    begin_real_time, expects_filter, heavy_fence, let_stores_land, light_fence, link_word,
    needs_fences, pause, register_barrier,
};

/// An atomic word that threads can sleep on. Its users wake after they have changed the word, so a
/// thread that has compared the word under the SRW lock is asleep before the wake.
pub(crate) struct Futex {
    word: AtomicUsize,
    queue: UnsafeCell<*mut c_void>,
    sleepers: UnsafeCell<*mut c_void>,
}

impl Futex {
    pub(crate) const fn new(value: usize) -> Futex {
        // Null is the initial state of an SRW lock and of a condition variable.
        Futex {
            word: AtomicUsize::new(value),
            queue: UnsafeCell::new(ptr::null_mut()),
            sleepers: UnsafeCell::new(ptr::null_mut()),
        }
    }

    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> usize {
        self.word.load(order)
    }

    #[inline(always)]
    pub(crate) fn swap(&self, value: usize, order: Ordering) -> usize {
        self.word.swap(value, order)
    }

    /// True if the word was `old` and is `new`.
    #[inline(always)]
    pub(crate) fn compare_exchange(&self, old: usize, new: usize, order: Ordering) -> bool {
        self.word
            .compare_exchange(old, new, order, Ordering::Relaxed)
            .is_ok()
    }

    /// Sleeps until a wake, unless the word differs from `value`. May return early.
    pub(crate) fn wait(&self, value: usize) {
        self.sleep(value, INFINITE);
    }

    /// [`Futex::wait`] for so many nanoseconds at most, rounded up to milliseconds. False if they
    /// have passed, and if the system refuses.
    pub(crate) fn wait_for(&self, value: usize, nanoseconds: u32) -> bool {
        self.sleep(value, nanoseconds.div_ceil(1_000_000))
    }

    fn sleep(&self, value: usize, milliseconds: u32) -> bool {
        // SAFETY: the word's own SRW lock and condition variable, which stay where they are while a
        // thread sleeps: words are static.
        keeping_error(|| unsafe {
            AcquireSRWLockExclusive(self.queue.get());
            // The lock of the waking thread, taken after its store, orders that store before this.
            let woken = self.word.load(Ordering::SeqCst) != value
                || SleepConditionVariableSRW(
                    self.sleepers.get(),
                    self.queue.get(),
                    milliseconds,
                    0,
                ) != 0;
            ReleaseSRWLockExclusive(self.queue.get());
            woken
        })
    }

    pub(crate) fn wake_one(&self) {
        self.pass_queue();
        // SAFETY: the word's own condition variable.
        unsafe { WakeConditionVariable(self.sleepers.get()) };
    }

    pub(crate) fn wake_all(&self) {
        self.pass_queue();
        // SAFETY: the word's own condition variable.
        unsafe { WakeAllConditionVariable(self.sleepers.get()) };
    }

    /// A thread that has compared the word sleeps after this.
    fn pass_queue(&self) {
        // SAFETY: the word's own SRW lock.
        unsafe {
            AcquireSRWLockExclusive(self.queue.get());
            ReleaseSRWLockExclusive(self.queue.get());
        }
    }
}

/// Windows has no lock that inherits priority: its scheduler raises a thread that waits for long.
pub(crate) struct Mutex;

impl Mutex {
    pub(crate) const fn new() -> Mutex {
        Mutex
    }

    /// False, with the reason in errno.
    ///
    /// # Safety
    /// None.
    pub(crate) unsafe fn init(&self) -> bool {
        set_errno(libc::ENOSYS);
        false
    }

    /// # Safety
    /// It is initialised, which [`Mutex::init`] never does.
    #[must_use]
    pub(crate) unsafe fn lock(&self) -> bool {
        false
    }

    /// # Safety
    /// It is initialised, which [`Mutex::init`] never does.
    pub(crate) unsafe fn unlock(&self) {}
}

/// The thread's number, which is not 0, times 8: the lock has flags in the lower bits.
#[inline(always)]
pub(crate) fn this_thread() -> usize {
    // SAFETY: no precondition.
    unsafe { (GetCurrentThreadId() as usize) << 3 }
}

/// Windows copies no process.
#[inline(always)]
pub(crate) fn settle_child() -> bool {
    false
}

/// Release build only: in the debug library threads meet at the lock alone.
#[cfg(not(memoman_debug))]
mod between_threads {
    use core::ptr;
    use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering, compiler_fence, fence};

    use crate::system::windows::{FlushProcessWriteBuffers, Sleep, in_ntdll};

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
        compiler_fence(Ordering::SeqCst);
    }

    /// Orders a store before the load that follows; also every [`light_fence`] of the process,
    /// unless it returns false: [`needs_fences`] then is true from here on.
    pub(crate) fn heavy_fence() -> bool {
        fence(Ordering::SeqCst);
        register_barrier();
        let works = !needs_fences();
        if works {
            // SAFETY: no precondition.
            unsafe { FlushProcessWriteBuffers() };
        }
        works
    }

    /// Whether `FlushProcessWriteBuffers` interrupts each processor that runs a thread of the
    /// process. It does in every version of Windows; in many of Wine it does nothing.
    static BARRIER: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 0;
    const WORKS: u8 = 1;
    const MISSING: u8 = 2;

    /// Looks once for Wine's own function: when the library is loaded, as that takes the loader's
    /// lock.
    pub(crate) fn register_barrier() {
        if BARRIER.load(Ordering::Relaxed) == UNKNOWN {
            let works = in_ntdll(c"wine_get_version").is_null();
            BARRIER.store(if works { WORKS } else { MISSING }, Ordering::Relaxed);
        }
    }

    /// [`heavy_fence`] does not order the [`light_fence`]s of other threads: they have to execute
    /// a fence of their own.
    pub(crate) fn needs_fences() -> bool {
        BARRIER.load(Ordering::Relaxed) == MISSING
    }

    /// Windows filters no calls.
    pub(crate) fn expects_filter() -> bool {
        false
    }

    /// Nothing here opens a file.
    pub(crate) fn begin_real_time() {}

    /// Waits until each store that another thread has executed is visible.
    pub(crate) fn let_stores_land() {
        // SAFETY: no precondition.
        unsafe { Sleep(1) };
    }

    /// Waits for a thread that is inside its heap: spins for the first 16 turns, since one that
    /// runs leaves at once, then sleeps for a millisecond each time.
    pub(crate) fn pause(turn: u32) {
        const SPUN: u32 = 16;
        if turn < SPUN {
            for _ in 0..64 {
                core::hint::spin_loop();
            }
        } else {
            // SAFETY: no precondition.
            unsafe { Sleep(1) };
        }
    }
}
