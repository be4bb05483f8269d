//! The C library's malloc family, `dlclose`, and the ends of the process.

use core::ffi::{c_int, c_void};
use core::ptr;

use memoman_trace_format::layout::op;

use super::next::{self, CALLOC, FREE, MALLOC, MEMALIGN, Next, REALLOC};
use super::{note, process, rules};

static ALIGNED_ALLOC: Next<unsafe extern "C" fn(usize, usize) -> *mut c_void> =
    // SAFETY: C's aligned_alloc.
    unsafe { Next::of(c"aligned_alloc") };
static POSIX_MEMALIGN: Next<unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int> =
    // SAFETY: POSIX's posix_memalign.
    unsafe { Next::of(c"posix_memalign") };
static VALLOC: Next<unsafe extern "C" fn(usize) -> *mut c_void> =
    // SAFETY: glibc's valloc.
    unsafe { Next::of(c"valloc") };
static PVALLOC: Next<unsafe extern "C" fn(usize) -> *mut c_void> =
    // SAFETY: glibc's pvalloc.
    unsafe { Next::of(c"pvalloc") };

static DLCLOSE: Next<unsafe extern "C" fn(*mut c_void) -> c_int> =
    // SAFETY: POSIX's dlclose.
    unsafe { Next::of(c"dlclose") };

/// Looks up what `next` has not.
pub(crate) fn look_up() {
    ALIGNED_ALLOC.address();
    POSIX_MEMALIGN.address();
    VALLOC.address();
    PVALLOC.address();
    DLCLOSE.address();
}

fn set_errno(error: c_int) {
    // SAFETY: the thread's own word.
    unsafe { *libc::__errno_location() = error };
}

/// C's `malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(bytes: usize) -> *mut c_void {
    let Some(next) = MALLOC.known() else {
        return first_malloc(bytes);
    };
    // SAFETY: the caller keeps the standard's duties.
    let block = unsafe { next(bytes) };
    note::allocated(op::MALLOC, block, bytes, 0);
    block
}

#[cold]
#[inline(never)]
fn first_malloc(bytes: usize) -> *mut c_void {
    next::look_up();
    if MALLOC.known().is_some() {
        // SAFETY: as in `malloc`.
        return unsafe { malloc(bytes) };
    }
    next::early(bytes)
}

/// C's `calloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some(next) = CALLOC.known() else {
        return first_calloc(count, size);
    };
    // SAFETY: the caller keeps the standard's duties.
    let block = unsafe { next(count, size) };
    note::allocated(op::CALLOC, block, count.saturating_mul(size), 0);
    block
}

#[cold]
#[inline(never)]
fn first_calloc(count: usize, size: usize) -> *mut c_void {
    next::look_up();
    if CALLOC.known().is_some() {
        // SAFETY: as in `calloc`.
        return unsafe { calloc(count, size) };
    }
    next::early(count.saturating_mul(size))
}

/// C's `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() || next::is_early(block) {
        return;
    }
    if FREE.known().is_none() {
        next::look_up();
    }
    let Some(next) = FREE.known() else { return };
    note::freed(block);
    // SAFETY: the caller keeps the standard's duties.
    unsafe { next(block) }
}

/// SunOS's `cfree`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: the caller keeps the duties of `free`.
    unsafe { free(block) }
}

/// C23's `free_sized`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(block: *mut c_void, _bytes: usize) {
    // SAFETY: the caller keeps the duties of `free`.
    unsafe { free(block) }
}

/// C23's `free_aligned_sized`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(block: *mut c_void, _align: usize, _bytes: usize) {
    // SAFETY: the caller keeps the duties of `free`.
    unsafe { free(block) }
}

/// C's `realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void {
    if block.is_null() {
        // SAFETY: as the standard says.
        return unsafe { malloc(bytes) };
    }
    if next::is_early(block) {
        // SAFETY: the new block has room for what is copied.
        return unsafe {
            let new = malloc(bytes);
            if !new.is_null() {
                let kept = next::early_size(block).min(bytes);
                new.cast::<u8>()
                    .copy_from_nonoverlapping(block.cast(), kept);
            }
            new
        };
    }
    let Some(next) = REALLOC.get() else {
        return ptr::null_mut();
    };
    let before = note::before(block);
    // SAFETY: the caller keeps the standard's duties.
    let new = unsafe { next(block, bytes) };
    note::reallocated(block, new, bytes, before);
    new
}

/// glibc's and BSD's `reallocarray`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller keeps the duties of `realloc`.
        Some(bytes) => unsafe { realloc(block, bytes) },
        None => {
            set_errno(libc::ENOMEM);
            note::refused(block, usize::MAX);
            ptr::null_mut()
        }
    }
}

/// glibc's `memalign`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(align: usize, bytes: usize) -> *mut c_void {
    let Some(next) = MEMALIGN.get() else {
        return ptr::null_mut();
    };
    // SAFETY: the caller keeps the function's duties.
    let block = unsafe { next(align, bytes) };
    note::allocated(op::MEMALIGN, block, bytes, align);
    block
}

/// C11's `aligned_alloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, bytes: usize) -> *mut c_void {
    let Some(next) = ALIGNED_ALLOC.get() else {
        // SAFETY: the caller keeps the function's duties.
        return unsafe { memalign(align, bytes) };
    };
    // SAFETY: the caller keeps the standard's duties.
    let block = unsafe { next(align, bytes) };
    note::allocated(op::MEMALIGN, block, bytes, align);
    block
}

/// POSIX's `posix_memalign`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(
    place: *mut *mut c_void,
    align: usize,
    bytes: usize,
) -> c_int {
    let Some(next) = POSIX_MEMALIGN.get() else {
        return libc::ENOMEM;
    };
    // SAFETY: the caller keeps the function's duties.
    let error = unsafe { next(place, align, bytes) };
    let block = if error == 0 {
        // SAFETY: without an error, the block was stored.
        unsafe { *place }
    } else {
        ptr::null_mut()
    };
    // An alignment that POSIX forbids is no refusal.
    if error != libc::EINVAL {
        note::allocated(op::MEMALIGN, block, bytes, align);
    }
    error
}

fn page() -> usize {
    // SAFETY: no precondition.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// glibc's `valloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn valloc(bytes: usize) -> *mut c_void {
    let Some(next) = VALLOC.get() else {
        // SAFETY: what the function is defined as.
        return unsafe { memalign(page(), bytes) };
    };
    // SAFETY: the caller keeps the function's duties.
    let block = unsafe { next(bytes) };
    note::allocated(op::MEMALIGN, block, bytes, page());
    block
}

/// glibc's `pvalloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pvalloc(bytes: usize) -> *mut c_void {
    let whole = bytes.checked_next_multiple_of(page()).unwrap_or(bytes);
    let Some(next) = PVALLOC.get() else {
        // SAFETY: what the function is defined as.
        return unsafe { memalign(page(), whole) };
    };
    // SAFETY: the caller keeps the function's duties.
    let block = unsafe { next(bytes) };
    note::allocated(op::MEMALIGN, block, whole, page());
    block
}

/// POSIX's `dlclose`: what is known of the code that was there holds no longer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlclose(handle: *mut c_void) -> c_int {
    let Some(next) = DLCLOSE.get() else {
        return -1;
    };
    // SAFETY: the caller keeps the function's duties.
    let result = unsafe { next(handle) };
    rules::closed();
    result
}

/// POSIX's `_exit`: the end of the trace, in good order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _exit(status: c_int) -> ! {
    process::end();
    // SAFETY: ends the process.
    unsafe { libc::syscall(libc::SYS_exit_group, status) };
    // SAFETY: not reached.
    unsafe { libc::abort() }
}

/// C's `_Exit`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _Exit(status: c_int) -> ! {
    // SAFETY: the same function.
    unsafe { _exit(status) }
}
