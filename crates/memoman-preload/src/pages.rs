//! `mprotect`, `madvise` and `mlock`, by which a program changes what the system does with pages:
//! the mapping of a large block that is changed so is not kept for the next one. `mlockall`, which
//! the heap notes. Where a limit refuses `mprotect` or `mlockall`, the call is made again without
//! kept memory.

use core::ffi::{c_int, c_long, c_ulong, c_void};
use core::mem;

use crate::limits::is_worth_repeating;
use crate::next::Next;

static MPROTECT: Next = Next::of(c"mprotect");
static PKEY_MPROTECT: Next = Next::of(c"pkey_mprotect");
static MADVISE: Next = Next::of(c"madvise");
static MLOCK: Next = Next::of(c"mlock");
static MLOCK2: Next = Next::of(c"mlock2");
static MLOCKALL: Next = Next::of(c"mlockall");

/// Looks the next definitions up, when this library is loaded: a signal handler may call these
/// functions.
pub(crate) fn look_up() {
    for one in [
        &MPROTECT,
        &PKEY_MPROTECT,
        &MADVISE,
        &MLOCK,
        &MLOCK2,
        &MLOCKALL,
    ] {
        let _ = one.definition();
    }
}

/// Calls the next definition of `$next`, which has this type; where that has not been looked up,
/// makes the system call `$number`, with the same arguments, each as wide as a register.
macro_rules! next {
    (
        $next:ident: fn($($type:ty),*), $($argument:expr),*;
        $number:expr, $($wide:expr),*
    ) => {{
        let found = $next.known();
        // SAFETY: every definition of the name has this type; the caller keeps its duties.
        unsafe {
            if found.is_null() {
                libc::syscall($number, $($wide),*) as c_int
            } else {
                let next: unsafe extern "C" fn($($type),*) -> c_int = mem::transmute(found);
                next($($argument),*)
            }
        }
    }};
}

/// Access that blocks have in any case.
const READ_AND_WRITE: c_int = libc::PROT_READ | libc::PROT_WRITE;

/// POSIX's `mprotect`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mprotect(start: *mut c_void, bytes: usize, access: c_int) -> c_int {
    if access != READ_AND_WRITE {
        memoman_global::note_changed_pages(start.addr(), bytes);
    }
    let protect = || {
        next!(
            MPROTECT: fn(*mut c_void, usize, c_int), start, bytes, access;
            libc::SYS_mprotect, start, bytes, c_long::from(access)
        )
    };
    let result = protect();
    if result != 0 && is_worth_repeating() {
        return protect();
    }
    result
}

/// The libc crate lacks it for s390x.
#[cfg(not(target_arch = "s390x"))]
const PKEY_MPROTECT_NUMBER: c_long = libc::SYS_pkey_mprotect;
#[cfg(target_arch = "s390x")]
const PKEY_MPROTECT_NUMBER: c_long = 384;

/// Linux's `pkey_mprotect`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkey_mprotect(
    start: *mut c_void,
    bytes: usize,
    access: c_int,
    key: c_int,
) -> c_int {
    memoman_global::note_changed_pages(start.addr(), bytes);
    next!(
        PKEY_MPROTECT: fn(*mut c_void, usize, c_int, c_int), start, bytes, access, key;
        PKEY_MPROTECT_NUMBER, start, bytes, c_long::from(access), c_long::from(key)
    )
}

/// Linux's `madvise`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int {
    // Linux 6.13: a fault at each access.
    const MADV_GUARD_INSTALL: c_int = 102;
    // Other advice is about contents and speed.
    if matches!(
        advice,
        libc::MADV_DONTFORK | libc::MADV_WIPEONFORK | libc::MADV_DONTDUMP | MADV_GUARD_INSTALL
    ) {
        memoman_global::note_changed_pages(start.addr(), bytes);
    }
    next!(
        MADVISE: fn(*mut c_void, usize, c_int), start, bytes, advice;
        libc::SYS_madvise, start, bytes, c_long::from(advice)
    )
}

/// POSIX's `mlock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlock(start: *const c_void, bytes: usize) -> c_int {
    memoman_global::note_changed_pages(start.addr(), bytes);
    next!(MLOCK: fn(*const c_void, usize), start, bytes; libc::SYS_mlock, start, bytes)
}

/// Linux's `mlock2`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlock2(start: *const c_void, bytes: usize, flags: libc::c_uint) -> c_int {
    memoman_global::note_changed_pages(start.addr(), bytes);
    next!(
        MLOCK2: fn(*const c_void, usize, libc::c_uint), start, bytes, flags;
        libc::SYS_mlock2, start, bytes, c_ulong::from(flags)
    )
}

/// POSIX's `mlockall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlockall(flags: c_int) -> c_int {
    memoman_global::note_locked_pages();
    let lock = || next!(MLOCKALL: fn(c_int), flags; libc::SYS_mlockall, c_long::from(flags));
    let result = lock();
    if result != 0 && is_worth_repeating() {
        return lock();
    }
    result
}
