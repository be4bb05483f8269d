//! The definitions behind the interposed ones, in the order of the dynamic linker's search.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_void};
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

/// A function behind an interposed one: `F` is its type.
pub(crate) struct Next<F> {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
    of: core::marker::PhantomData<F>,
}

// SAFETY: the type that `F` names is that of a function.
unsafe impl<F> Sync for Next<F> {}

impl<F: Copy> Next<F> {
    /// # Safety
    /// Every definition of the name has the type `F`, which is that of a function.
    pub(crate) const unsafe fn of(name: &'static CStr) -> Next<F> {
        assert!(size_of::<F>() == size_of::<*mut c_void>());
        Next {
            name,
            found: AtomicPtr::new(ptr::null_mut()),
            of: core::marker::PhantomData,
        }
    }

    /// The function, when it was looked up and exists.
    #[inline(always)]
    pub(crate) fn known(&self) -> Option<F> {
        let found = self.found.load(Ordering::Relaxed);
        // SAFETY: not null, and of this type (the duty of `of`).
        (!found.is_null()).then(|| unsafe { mem::transmute_copy(&found) })
    }

    /// The function's address, looked up now if need be; null when it does not exist.
    pub(crate) fn address(&self) -> *mut c_void {
        let mut found = self.found.load(Ordering::Relaxed);
        if found.is_null() {
            // SAFETY: a C string.
            found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
            self.found.store(found, Ordering::Relaxed);
        }
        found
    }

    /// The function, looked up now if need be.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<F> {
        self.known().or_else(|| self.look_up())
    }

    #[cold]
    fn look_up(&self) -> Option<F> {
        self.address();
        self.known()
    }
}

/// The definitions that the recorder itself needs.
pub(crate) static MALLOC: Next<unsafe extern "C" fn(usize) -> *mut c_void> =
    // SAFETY: C's malloc.
    unsafe { Next::of(c"malloc") };
pub(crate) static CALLOC: Next<unsafe extern "C" fn(usize, usize) -> *mut c_void> =
    // SAFETY: C's calloc.
    unsafe { Next::of(c"calloc") };
pub(crate) static REALLOC: Next<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void> =
    // SAFETY: C's realloc.
    unsafe { Next::of(c"realloc") };
pub(crate) static FREE: Next<unsafe extern "C" fn(*mut c_void)> =
    // SAFETY: C's free.
    unsafe { Next::of(c"free") };
pub(crate) static MEMALIGN: Next<unsafe extern "C" fn(usize, usize) -> *mut c_void> =
    // SAFETY: glibc's memalign.
    unsafe { Next::of(c"memalign") };

static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const SEARCHING: u8 = 1;
const KNOWN: u8 = 2;

/// Whether the definitions were looked up.
pub(crate) fn are_known() -> bool {
    STATE.load(Ordering::Acquire) == KNOWN
}

/// Looks the definitions up, at the program's first call. While that runs, the dynamic linker's own
/// calls are served by [`early`].
#[cold]
pub(crate) fn look_up() {
    if STATE
        .compare_exchange(UNKNOWN, SEARCHING, Ordering::Acquire, Ordering::Relaxed)
        .is_ok()
    {
        FREE.address();
        CALLOC.address();
        REALLOC.address();
        MEMALIGN.address();
        MALLOC.address();
        STATE.store(KNOWN, Ordering::Release);
    }
}

/// Memory for the dynamic linker while it looks the definitions up; never reused.
#[repr(C, align(16))]
struct Early(UnsafeCell<[u8; EARLY]>);
const EARLY: usize = 1 << 14;
// SAFETY: its parts are handed out once each.
unsafe impl Sync for Early {}

static EARLY_MEMORY: Early = Early(UnsafeCell::new([0; EARLY]));
static EARLY_USED: AtomicUsize = AtomicUsize::new(0);
/// Before each block: its size.
const HEAD: usize = 16;

/// A block of zeros while `malloc` is not known, null when the memory is used up.
#[cold]
pub(crate) fn early(bytes: usize) -> *mut c_void {
    if bytes > EARLY {
        return ptr::null_mut();
    }
    let need = HEAD + bytes.next_multiple_of(16);
    let at = EARLY_USED.fetch_add(need, Ordering::Relaxed);
    if at + need > EARLY {
        return ptr::null_mut();
    }
    // SAFETY: `at` to `at + need` lies in the memory and is handed out once.
    unsafe {
        let start = EARLY_MEMORY.0.get().cast::<u8>().add(at);
        start.cast::<usize>().write(bytes);
        start.add(HEAD).cast()
    }
}

/// Whether [`early`] made the block.
#[inline(always)]
pub(crate) fn is_early(block: *const c_void) -> bool {
    block.addr().wrapping_sub(EARLY_MEMORY.0.get().addr()) < EARLY
}

/// The size of a block of [`early`].
pub(crate) fn early_size(block: *const c_void) -> usize {
    // SAFETY: the size stands before each block that `early` has made.
    unsafe { block.cast::<u8>().sub(HEAD).cast::<usize>().read() }
}

/// `errno`, which the recorder leaves as it was.
pub(crate) struct Errno(i32);

impl Errno {
    pub(crate) fn save() -> Errno {
        // SAFETY: the thread's own word.
        Errno(unsafe { *libc::__errno_location() })
    }

    pub(crate) fn restore(self) {
        // SAFETY: the thread's own word.
        unsafe { *libc::__errno_location() = self.0 }
    }
}
