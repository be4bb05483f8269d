//! The C library's malloc family. Each function is one call.
//!
//! The functions that are defined as a call of another one of the family reach it by name
//! ([`bound`](crate::bound)): a program that replaces that one keeps its meaning.

use core::ffi::{c_int, c_void};
use core::mem;

use memoman_global as heap;

use crate::bound::bound;
use crate::contract;

/// C's `malloc`.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(bytes: usize) -> *mut c_void {
    // Decides which names there are before the first operator runs.
    #[cfg(memoman_debug)]
    crate::bound::names_are_own();
    heap::malloc(bytes).cast()
}

/// C's `calloc`.
#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    heap::calloc(count, size).cast()
}

/// C's `realloc`; size 0 frees, as in glibc.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(ptr: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: the caller keeps the standard's duties.
    unsafe {
        #[cfg(memoman_debug)]
        let resized = heap::realloc_as(ptr.cast(), bytes, by_malloc());
        #[cfg(not(memoman_debug))]
        let resized = heap::realloc(ptr.cast(), bytes);
        resized.cast()
    }
}

/// A function of `malloc`'s family. The program's own operators may be built on these, so families
/// are compared only while every name is this library's.
#[cfg(memoman_debug)]
#[inline(always)]
fn by_malloc() -> heap::By {
    heap::By {
        family: crate::bound::names_are_own().then_some(heap::Family::Malloc),
        ..heap::By::default()
    }
}

/// glibc's and BSD's `reallocarray`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(ptr: *mut c_void, count: usize, size: usize) -> *mut c_void {
    // SAFETY: the caller keeps the standard's duties.
    unsafe { contract::reallocarray(ptr.cast(), count, size).cast() }
}

/// C's `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(ptr: *mut c_void) {
    // SAFETY: the caller keeps the standard's duties.
    #[cfg(not(memoman_debug))]
    unsafe {
        heap::free_inlined(ptr.cast());
    }
    // SAFETY: the caller keeps the standard's duties.
    #[cfg(memoman_debug)]
    unsafe {
        heap::free_as(ptr.cast(), by_malloc());
    }
}

/// The `free` that the program calls.
///
/// # Safety
/// The duties of `free`.
#[inline(always)]
unsafe fn free_by_name(ptr: *mut c_void) {
    let bound = bound!(free);
    // SAFETY: every definition of `free` has this type; the caller keeps its duties.
    unsafe {
        let free: unsafe extern "C" fn(*mut c_void) = mem::transmute(bound);
        free(ptr);
    }
}

/// SunOS's `cfree`, gone from glibc's headers but not from old programs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(ptr: *mut c_void) {
    // SAFETY: the caller keeps the standard's duties.
    unsafe { free_by_name(ptr) }
}

/// C23's `free_sized`. The release library ignores the size; the debug library compares it with the
/// requested one, while the program's `free` is this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(ptr: *mut c_void, _bytes: usize) {
    // SAFETY: the caller keeps the standard's duties.
    unsafe {
        #[cfg(memoman_debug)]
        if crate::bound::names_are_own() {
            let by = heap::By {
                size: Some(_bytes),
                ..by_malloc()
            };
            return heap::free_as(ptr.cast(), by);
        }
        free_by_name(ptr)
    }
}

/// C23's `free_aligned_sized`: size and alignment as the size in [`free_sized`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(ptr: *mut c_void, _align: usize, _bytes: usize) {
    // SAFETY: the caller keeps the standard's duties.
    unsafe {
        #[cfg(memoman_debug)]
        if crate::bound::names_are_own() {
            let by = heap::By {
                size: Some(_bytes),
                align: Some(_align),
                ..by_malloc()
            };
            return heap::free_as(ptr.cast(), by);
        }
        free_by_name(ptr)
    }
}

/// POSIX's `posix_memalign`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(
    out: *mut *mut c_void,
    align: usize,
    bytes: usize,
) -> c_int {
    // SAFETY: the caller keeps the standard's duties.
    unsafe { contract::posix_memalign(out.cast(), align, bytes) }
}

/// C11's `aligned_alloc`.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, bytes: usize) -> *mut c_void {
    contract::aligned_alloc(align, bytes).cast()
}

/// The old `memalign`.
#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, bytes: usize) -> *mut c_void {
    contract::memalign(align, bytes).cast()
}

/// The old `valloc`.
#[unsafe(no_mangle)]
pub extern "C" fn valloc(bytes: usize) -> *mut c_void {
    contract::valloc(bytes).cast()
}

/// The old `pvalloc`.
#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(bytes: usize) -> *mut c_void {
    contract::pvalloc(bytes).cast()
}

/// glibc's `malloc_usable_size`: all of it may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(ptr: *const c_void) -> usize {
    // SAFETY: the caller keeps glibc's duties.
    unsafe { heap::usable_size(ptr.cast()) }
}

// glibc's inner names. If these stayed glibc's, a program that frees a block of one of them with
// `free` would mix heaps. They never go by name: a program's own `malloc` may call them.

/// glibc's inner name of `malloc`.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_malloc(bytes: usize) -> *mut c_void {
    heap::malloc(bytes).cast()
}

/// glibc's inner name of `calloc`.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_calloc(count: usize, size: usize) -> *mut c_void {
    heap::calloc(count, size).cast()
}

/// glibc's inner name of `realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_realloc(ptr: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: the caller keeps the standard's duties.
    unsafe { heap::realloc(ptr.cast(), bytes).cast() }
}

/// glibc's inner name of `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_free(ptr: *mut c_void) {
    // SAFETY: the caller keeps the standard's duties.
    unsafe { heap::free(ptr.cast()) }
}

/// glibc's inner name of `cfree`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_cfree(ptr: *mut c_void) {
    // SAFETY: the caller keeps the standard's duties.
    unsafe { heap::free(ptr.cast()) }
}

/// glibc's inner name of `memalign`.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_memalign(align: usize, bytes: usize) -> *mut c_void {
    contract::memalign(align, bytes).cast()
}

/// glibc's inner name of `valloc`.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_valloc(bytes: usize) -> *mut c_void {
    contract::valloc(bytes).cast()
}

/// glibc's inner name of `pvalloc`.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_pvalloc(bytes: usize) -> *mut c_void {
    contract::pvalloc(bytes).cast()
}

/// glibc's inner name of `posix_memalign`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __posix_memalign(
    out: *mut *mut c_void,
    align: usize,
    bytes: usize,
) -> c_int {
    // SAFETY: the caller keeps the standard's duties.
    unsafe { contract::posix_memalign(out.cast(), align, bytes) }
}
