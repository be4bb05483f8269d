//! `mprotect`, `madvise` and `mlock`, by which a program changes what the system does with pages:
//! the mapping of a large block that is changed so is not kept for the next one.

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

/// Calls the next definition of `$next`, which has this type, with these arguments; makes the
/// system call `$number`, where it has not been looked up. (Arguments as wide as registers.)
macro_rules! next {
    ($next:ident, $number:ident: fn($($type:ty),*), $($argument:expr),*) => {{
        let found = $next.known();
        // SAFETY: every definition of the name has this type, and the system call these arguments;
        // the caller keeps its duties.
        unsafe {
            if found.is_null() {
                libc::syscall(libc::$number, $($argument),*) as c_int
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
    let access = c_long::from(access);
    let protect =
        || next!(MPROTECT, SYS_mprotect: fn(*mut c_void, usize, c_long), start, bytes, access);
    let result = protect();
    if result != 0 && is_worth_repeating() {
        return protect();
    }
    result
}

/// Linux's `pkey_mprotect`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkey_mprotect(
    start: *mut c_void,
    bytes: usize,
    access: c_int,
    key: c_int,
) -> c_int {
    memoman_global::note_changed_pages(start.addr(), bytes);
    let (access, key) = (c_long::from(access), c_long::from(key));
    next!(
        PKEY_MPROTECT, SYS_pkey_mprotect: fn(*mut c_void, usize, c_long, c_long),
        start, bytes, access, key
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
    let advice = c_long::from(advice);
    next!(MADVISE, SYS_madvise: fn(*mut c_void, usize, c_long), start, bytes, advice)
}

/// POSIX's `mlock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlock(start: *const c_void, bytes: usize) -> c_int {
    memoman_global::note_changed_pages(start.addr(), bytes);
    next!(MLOCK, SYS_mlock: fn(*const c_void, usize), start, bytes)
}

/// Linux's `mlock2`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlock2(start: *const c_void, bytes: usize, flags: libc::c_uint) -> c_int {
    memoman_global::note_changed_pages(start.addr(), bytes);
    next!(MLOCK2, SYS_mlock2: fn(*const c_void, usize, c_ulong), start, bytes, c_ulong::from(flags))
}

/// POSIX's `mlockall`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlockall(flags: c_int) -> c_int {
    memoman_global::note_locked_pages();
    next!(MLOCKALL, SYS_mlockall: fn(c_long), c_long::from(flags))
}
