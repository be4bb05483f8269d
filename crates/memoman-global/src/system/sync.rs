//! The building blocks of the lock, the gates and the inboxes: atomics, fences, the barrier of all
//! threads (`membarrier`), a futex, a mutex, the thread's identity.
//!
//! The loom models in `tests/` compile the files that use these once more, with
//! `tests/model/sync.rs` in place of this file.

use core::cell::UnsafeCell;
pub(crate) use core::hint::spin_loop;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU32;
#[cfg(not(memoman_debug))]
pub(crate) use core::sync::atomic::fence;
pub(crate) use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::system::errno::{errno, set_errno};

#[cfg(not(memoman_debug))]
#[cfg(feature = "announced-threads")]
pub(crate) use between_threads::expect_filter;
#[cfg(not(memoman_debug))]
pub(crate) use between_threads::{
    begin_real_time, expects_filter, heavy_fence, let_stores_land, light_fence, link_word,
    needs_fences, pause, register_barrier,
};

/// An atomic word that threads can sleep on.
pub(crate) struct Futex(AtomicUsize);

impl Futex {
    pub(crate) const fn new(value: usize) -> Futex {
        Futex(AtomicUsize::new(value))
    }

    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> usize {
        self.0.load(order)
    }

    #[inline(always)]
    pub(crate) fn swap(&self, value: usize, order: Ordering) -> usize {
        self.0.swap(value, order)
    }

    /// True if the word was `old` and is `new`.
    #[inline(always)]
    pub(crate) fn compare_exchange(&self, old: usize, new: usize, order: Ordering) -> bool {
        self.0
            .compare_exchange(old, new, order, Ordering::Relaxed)
            .is_ok()
    }

    /// Sleeps until a wake, unless the word's low half differs from `value`'s. May return early.
    pub(crate) fn wait(&self, value: usize) {
        self.call(libc::FUTEX_WAIT, value as u32, None);
    }

    /// [`Futex::wait`] for so many nanoseconds at most. False if they have passed.
    pub(crate) fn wait_for(&self, value: usize, nanoseconds: u32) -> bool {
        let time = libc::timespec {
            tv_sec: 0,
            tv_nsec: nanoseconds as libc::c_long,
        };
        self.call(libc::FUTEX_WAIT, value as u32, Some(&time)) != libc::ETIMEDOUT
    }

    pub(crate) fn wake_one(&self) {
        self.call(libc::FUTEX_WAKE, 1, None);
    }

    pub(crate) fn wake_all(&self) {
        self.call(libc::FUTEX_WAKE, i32::MAX as u32, None);
    }

    /// Returns 0 or the error; keeps errno. A raw system call: no cancellation point.
    fn call(&self, operation: i32, value: u32, limit: Option<&libc::timespec>) -> i32 {
        // The kernel's futex is the word's low half.
        let high = usize::from(cfg!(all(
            target_endian = "big",
            target_pointer_width = "64"
        )));
        let low: *mut u32 = self.0.as_ptr().cast::<u32>().wrapping_add(high);
        let saved = errno();
        // SAFETY: an aligned half of a live word, which the kernel reads only.
        let done = unsafe { futex(low, operation, value, limit) };
        let error = if done { 0 } else { errno() };
        set_errno(saved);
        error
    }
}

/// A futex operation within this process.
///
/// # Safety
/// The word is live, and the operation writes to nothing else.
unsafe fn futex(
    word: *mut u32,
    operation: i32,
    value: u32,
    limit: Option<&libc::timespec>,
) -> bool {
    let limit: *const libc::timespec = limit.map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the kernel accesses the word only (caller).
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            operation | libc::FUTEX_PRIVATE_FLAG,
            value,
            limit,
        ) == 0
    }
}

/// A pthread mutex that inherits priority. Not usable before [`Mutex::init`].
pub(crate) struct Mutex(UnsafeCell<MaybeUninit<libc::pthread_mutex_t>>);

impl Mutex {
    pub(crate) const fn new() -> Mutex {
        Mutex(UnsafeCell::new(MaybeUninit::uninit()))
    }

    fn raw(&self) -> *mut libc::pthread_mutex_t {
        self.0.get().cast()
    }

    /// Initialises the mutex, unlocked. False, with the reason in errno, when the system has no
    /// futex that inherits priority, or forbids it. The C library does not notice either before the
    /// mutex is contended, so the futex is tried first.
    ///
    /// # Safety
    /// No other thread uses it.
    pub(crate) unsafe fn init(&self) -> bool {
        let tried = AtomicU32::new(0);
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the futex operations write to `tried` only. The next call initialises the
        // attributes; the calls write only to their arguments, and no other thread uses the mutex
        // (caller).
        unsafe {
            if !futex(tried.as_ptr(), libc::FUTEX_LOCK_PI, 0, None)
                || !futex(tried.as_ptr(), libc::FUTEX_UNLOCK_PI, 0, None)
            {
                return false;
            }
            libc::pthread_mutexattr_init(attributes.as_mut_ptr());
            // A thread that locks it again gets an error: a signal handler may come to that.
            let refused = libc::pthread_mutexattr_settype(
                attributes.as_mut_ptr(),
                libc::PTHREAD_MUTEX_ERRORCHECK,
            ) | libc::pthread_mutexattr_setprotocol(
                attributes.as_mut_ptr(),
                libc::PTHREAD_PRIO_INHERIT,
            ) | libc::pthread_mutex_init(self.raw(), attributes.as_ptr());
            // (The C libraries of Linux keep nothing for attributes, so they need no end.)
            if refused != 0 {
                set_errno(refused);
            }
            refused == 0
        }
    }

    /// Locks the mutex. False if this thread holds it already, and if the system refuses.
    ///
    /// # Safety
    /// It is initialised.
    #[must_use]
    pub(crate) unsafe fn lock(&self) -> bool {
        // SAFETY: initialised (caller).
        unsafe { libc::pthread_mutex_lock(self.raw()) == 0 }
    }

    /// Unlocks the mutex. In the child of a fork, where it is initialised anew, nothing happens.
    ///
    /// # Safety
    /// It is initialised.
    pub(crate) unsafe fn unlock(&self) {
        // SAFETY: initialised (caller); a thread that does not hold it gets an error.
        unsafe { libc::pthread_mutex_unlock(self.raw()) };
    }
}

#[inline(always)]
pub(crate) fn this_thread() -> usize {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    // SAFETY: reads the first word of the thread's static TLS block, which is its own address: in
    // the ABI of x86-64 the value of pthread_self.
    unsafe {
        let address;
        core::arch::asm!(
            "mov {}, qword ptr fs:[0]",
            out(reg) address,
            options(nostack, readonly, preserves_flags, pure),
        );
        address
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    // SAFETY: pthread_self has no precondition.
    unsafe {
        libc::pthread_self() as usize
    }
}

/// Before a wait: see `system/child.rs`. True if what the caller waits for has changed.
#[inline(always)]
pub(crate) fn settle_child() -> bool {
    #[cfg(all(feature = "announced-threads", not(memoman_debug)))]
    return crate::system::child::settle();
    #[cfg(not(all(feature = "announced-threads", not(memoman_debug))))]
    false
}

/// Release build only: in the debug library threads meet at the lock alone.
#[cfg(not(memoman_debug))]
mod between_threads {
    use core::ptr;
    use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, compiler_fence, fence};

    use super::Futex;
    use crate::system::clock;
    use crate::system::errno::{errno, set_errno};

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
    /// process, unless it returns false: [`needs_fences`] then is true from here on.
    pub(crate) fn heavy_fence() -> bool {
        fence(Ordering::SeqCst);
        !cfg!(target_arch = "x86_64") || fence_all_threads()
    }

    /// Whether `membarrier` makes every thread of the process execute a full memory barrier.
    static BARRIER: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 0;
    const WORKS: u8 = 1;
    const MISSING: u8 = 2;

    /// Registers the process for the barrier of [`heavy_fence`], once: when the library is loaded,
    /// since registering takes microseconds then and milliseconds beside a second thread. Keeps
    /// errno.
    pub(crate) fn register_barrier() {
        const REGISTER_PRIVATE_EXPEDITED: libc::c_long = 1 << 4;
        let pays = cfg!(target_arch = "x86_64");
        if (pays || cfg!(feature = "announced-threads"))
            && BARRIER.load(Ordering::Relaxed) == UNKNOWN
        {
            let filtered = is_filtered_at_load();
            #[cfg(feature = "announced-threads")]
            crate::system::sandbox::note_from_the_start(filtered);
            let works = !pays || (!filtered && membarrier(REGISTER_PRIVATE_EXPEDITED));
            BARRIER.store(if works { WORKS } else { MISSING }, Ordering::Relaxed);
        }
    }

    /// [`heavy_fence`] does not order the [`light_fence`]s of other threads: they have to execute
    /// a fence of their own.
    pub(crate) fn needs_fences() -> bool {
        BARRIER.load(Ordering::Relaxed) == MISSING
    }

    #[cfg(feature = "announced-threads")]
    static FILTERED: AtomicBool = AtomicBool::new(false);

    /// The program is about to have its system calls filtered: neither the barrier nor a file is
    /// used from here on.
    #[cfg(feature = "announced-threads")]
    pub(crate) fn expect_filter() {
        FILTERED.store(true, Ordering::Relaxed);
        BARRIER.store(MISSING, Ordering::Relaxed);
    }

    /// A call of [`expect_filter`] has announced that system calls are filtered.
    pub(crate) fn expects_filter() -> bool {
        #[cfg(feature = "announced-threads")]
        return FILTERED.load(Ordering::Relaxed);
        #[cfg(not(feature = "announced-threads"))]
        false
    }

    fn fence_all_threads() -> bool {
        const PRIVATE_EXPEDITED: libc::c_long = 1 << 3;
        let works = BARRIER.load(Ordering::Relaxed) == WORKS
            && !is_filtered()
            && membarrier(PRIVATE_EXPEDITED);
        if !works {
            BARRIER.store(MISSING, Ordering::Relaxed);
        }
        works
    }

    /// Keeps errno.
    fn membarrier(command: libc::c_long) -> bool {
        let saved = errno();
        // SAFETY: membarrier accesses no memory.
        let done = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } == 0;
        set_errno(saved);
        done
    }

    /// System calls of this thread are filtered: `membarrier`, which few programs use, might end
    /// the process. Keeps errno.
    fn is_filtered_at_load() -> bool {
        let saved = errno();
        // A filter that exists when the dynamic linker runs permits to open and read files, but
        // perhaps not the question for it.
        if cfg!(feature = "announced-threads") {
            set_errno(0);
            let mode = filter_mode();
            let is_silent = matches!(errno(), 0 | libc::ENOENT | libc::EMFILE | libc::ENFILE);
            if mode.is_some() || !is_silent {
                set_errno(saved);
                return mode != Some(b'0');
            }
        }
        let mode = answer_of_prctl();
        set_errno(saved);
        mode > 0
    }

    fn answer_of_prctl() -> libc::c_long {
        // SAFETY: this prctl accesses no memory. It fails on a kernel without filters.
        unsafe { libc::syscall(libc::SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0) }
    }

    /// [`is_filtered_at_load`] later, when a filter may have come that ends the process at that
    /// `prctl`, too, but permits to open a file under /proc, or refuses. True when it refuses.
    fn is_filtered() -> bool {
        let saved = errno();
        let filtered = if REAL_TIME.load(Ordering::Relaxed) {
            answer_of_prctl() > 0
        } else {
            filter_mode() != Some(b'0')
        };
        set_errno(saved);
        filtered
    }

    static REAL_TIME: AtomicBool = AtomicBool::new(false);

    /// From here on no call opens a file.
    pub(crate) fn begin_real_time() {
        REAL_TIME.store(true, Ordering::Relaxed);
    }

    /// What the system says behind "Seccomp:" about this thread.
    fn filter_mode() -> Option<u8> {
        const NAME: &[u8] = b"\nSeccomp:\t";
        let path = c"/proc/thread-self/status".as_ptr();
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: a C string. (System calls, as elsewhere: no cancellation points.)
        let file = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags) };
        if file < 0 {
            return None;
        }
        let mut mode = None;
        let mut seen = 0;
        let mut text = [0u8; 512];
        while mode.is_none() {
            // SAFETY: the buffer's bytes.
            let read =
                unsafe { libc::syscall(libc::SYS_read, file, text.as_mut_ptr(), text.len()) };
            let Some(text) = usize::try_from(read).ok().and_then(|read| text.get(..read)) else {
                break;
            };
            if text.is_empty() {
                break;
            }
            // The name may lie in two parts.
            for &byte in text {
                match NAME.get(seen) {
                    Some(&expected) if byte == expected => seen += 1,
                    Some(_) => seen = usize::from(byte == b'\n'),
                    None => {
                        mode = Some(byte);
                        break;
                    }
                }
            }
        }
        // SAFETY: opened above.
        unsafe { libc::syscall(libc::SYS_close, file) };
        mode
    }

    /// Waits until each store that another thread has executed is visible, without a barrier that
    /// the other thread executes. A processor writes a store to its cache within microseconds, and
    /// a thread that is not running has none pending.
    pub(crate) fn let_stores_land() {
        let slept = (0..4).any(|_| sleep(1_000_000));
        if !slept {
            // Signals, or a system that refuses: until two ticks of the clock have passed.
            for _ in 0..2 {
                let now = clock::milliseconds();
                // A clock that a sandbox has stopped ends the wait some time.
                for _ in 0..1 << 24 {
                    if clock::milliseconds() != now {
                        break;
                    }
                    core::hint::spin_loop();
                }
            }
        }
    }

    /// Waits for a thread that is inside its heap: spins for the first 16 turns, since one that
    /// runs leaves at once, then sleeps 50 µs each time. (One that does not run may have a lower
    /// priority; to yield would not let it.) Keeps errno.
    pub(crate) fn pause(turn: u32) {
        const SPUN: u32 = 16;
        if turn < SPUN {
            for _ in 0..64 {
                core::hint::spin_loop();
            }
        } else {
            let _ = sleep(50_000);
        }
    }

    /// Sleeps so long; false if a signal or the system has not let it. Keeps errno. On a futex that
    /// no thread wakes: sandboxes let threads wait for each other, and it is no cancellation point.
    fn sleep(nanoseconds: u32) -> bool {
        let time = libc::timespec {
            tv_sec: 0,
            tv_nsec: nanoseconds as libc::c_long,
        };
        Futex::new(0).call(libc::FUTEX_WAIT, 0, Some(&time)) == libc::ETIMEDOUT
    }
}
