//! `mmap`, `pthread_create` and `thrd_create`, which take addresses from the system: where a limit
//! refuses them (`RLIMIT_AS`, the length of the table of mappings), what the heap keeps for later
//! requests goes back, and the call is made again.
//!
//! The functions that start a thread announce that to the heap.

#[cfg(not(target_arch = "s390x"))]
use core::ffi::c_long;
use core::ffi::{c_int, c_void};
use core::mem;
#[cfg(not(target_arch = "s390x"))]
use core::ptr;

#[cfg(not(target_arch = "s390x"))]
use crate::bound::{bound, is_own};
use crate::next::Next;

static PTHREAD_CREATE: Next = Next::of(c"pthread_create");
static THRD_CREATE: Next = Next::of(c"thrd_create");
#[cfg(not(target_arch = "s390x"))]
static MMAP: Next = Next::of(c"mmap");

/// Looks the next definitions up.
pub(crate) fn look_up() {
    for one in [&PTHREAD_CREATE, &THRD_CREATE] {
        let _ = one.definition();
    }
    #[cfg(not(target_arch = "s390x"))]
    {
        let _ = MMAP.definition();
        let mmap = bound!(mmap);
        if !is_own(mmap) {
            memoman_global::map_by(mmap);
        }
    }
}

/// The last call has found that there is no memory, or no entry in the table of mappings, and has
/// a chance now: what the heap kept has gone back.
pub(crate) fn is_worth_repeating() -> bool {
    // SAFETY: the C library's pointer to the thread's own errno.
    let error = unsafe { *libc::__errno_location() };
    error == libc::ENOMEM && memoman_global::give_back_kept()
}

/// Has `start` start a thread with the next definition, after the announcement.
fn start_thread(next: &Next, start: impl Fn(*const c_void) -> c_int) -> c_int {
    memoman_global::expect_threads();
    crate::loading::look_up();
    let found = next.definition();
    if found.is_null() {
        // An error of both functions.
        return libc::EAGAIN;
    }
    match start(found) {
        0 => 0,
        _ if memoman_global::give_back_kept() => start(found),
        error => error,
    }
}

/// POSIX's `pthread_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    thread: *mut c_void,
    attributes: *const c_void,
    function: *const c_void,
    argument: *mut c_void,
) -> c_int {
    type Start =
        unsafe extern "C" fn(*mut c_void, *const c_void, *const c_void, *mut c_void) -> c_int;
    // SAFETY: every definition of the name has this type; the caller keeps POSIX's duties.
    start_thread(&PTHREAD_CREATE, |found| unsafe {
        mem::transmute::<*const c_void, Start>(found)(thread, attributes, function, argument)
    })
}

/// C11's `thrd_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thrd_create(
    thread: *mut c_void,
    function: *const c_void,
    argument: *mut c_void,
) -> c_int {
    type Start = unsafe extern "C" fn(*mut c_void, *const c_void, *mut c_void) -> c_int;
    // SAFETY: every definition of the name has this type; the caller keeps the standard's duties.
    start_thread(&THRD_CREATE, |found| unsafe {
        mem::transmute::<*const c_void, Start>(found)(thread, function, argument)
    })
}

/// What `mmap` is called with.
#[cfg(not(target_arch = "s390x"))]
type Arguments = (*mut c_void, usize, c_int, c_int, c_int, libc::off_t);

/// # Safety
/// The duties of `mmap` with these arguments.
#[cfg(not(target_arch = "s390x"))]
unsafe fn map((at, bytes, access, flags, file, offset): Arguments) -> *mut c_void {
    type Map =
        unsafe extern "C" fn(*mut c_void, usize, c_int, c_int, c_int, libc::off_t) -> *mut c_void;
    let found = MMAP.known();
    if flags & libc::MAP_FIXED != 0 {
        memoman_global::note_changed_pages(at.addr(), bytes);
    }
    // SAFETY: every definition of the name has this type; the caller's duties.
    let map = || unsafe {
        if found.is_null() {
            let [access, flags, file] = [access, flags, file].map(c_long::from);
            let start = libc::syscall(libc::SYS_mmap, at, bytes, access, flags, file, offset);
            return ptr::with_exposed_provenance_mut(start as usize);
        }
        mem::transmute::<*const c_void, Map>(found)(at, bytes, access, flags, file, offset)
    };
    let start = map();
    if start == libc::MAP_FAILED && is_worth_repeating() {
        return map();
    }
    start
}

/// POSIX's `mmap`.
#[cfg(not(target_arch = "s390x"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap(
    at: *mut c_void,
    bytes: usize,
    access: c_int,
    flags: c_int,
    file: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    // SAFETY: the caller keeps POSIX's duties.
    unsafe { map((at, bytes, access, flags, file, offset)) }
}

/// glibc's `mmap64`, where an offset has 64 bits in any case.
#[cfg(not(target_arch = "s390x"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    at: *mut c_void,
    bytes: usize,
    access: c_int,
    flags: c_int,
    file: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    // SAFETY: the caller keeps POSIX's duties.
    unsafe { map((at, bytes, access, flags, file, offset)) }
}
