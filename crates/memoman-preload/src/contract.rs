//! The rules of C, POSIX and glibc: arguments that are refused, errno, rounding.

use core::{mem, ptr};

use memoman_global as heap;

use crate::bound::bound;

/// glibc's `memalign` rounds an alignment up to a power of two; 0 becomes 1.
pub(crate) fn rounded_alignment(align: usize) -> Option<usize> {
    align.max(1).checked_next_power_of_two()
}

/// `posix_memalign`: returns the error; `out` is written on success only. As in glibc, errno is set
/// too without memory, and left alone by EINVAL.
///
/// # Safety
/// `out` may be written.
#[cfg_attr(memoman_debug, inline(always))]
pub(crate) unsafe fn posix_memalign(out: *mut *mut u8, align: usize, bytes: usize) -> i32 {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<usize>()) {
        return libc::EINVAL;
    }
    let payload = heap::memalign(align, bytes);
    if payload.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: `out` may be written (caller).
    unsafe { out.write(payload) };
    0
}

/// `aligned_alloc`: EINVAL for an alignment that is no power of two. (C17 has dropped the rule that
/// the size be a multiple of it.)
#[cfg_attr(memoman_debug, inline(always))]
pub(crate) fn aligned_alloc(align: usize, bytes: usize) -> *mut u8 {
    // The rules of `heap::memalign`.
    heap::memalign(align, bytes)
}

/// `memalign`: the alignment is rounded up to a power of two.
#[cfg_attr(memoman_debug, inline(always))]
pub(crate) fn memalign(align: usize, bytes: usize) -> *mut u8 {
    match rounded_alignment(align) {
        Some(align) => heap::memalign(align, bytes),
        None => refused(libc::EINVAL),
    }
}

/// `valloc`: aligned to a page.
#[cfg_attr(memoman_debug, inline(always))]
pub(crate) fn valloc(bytes: usize) -> *mut u8 {
    heap::memalign(page_size(), bytes)
}

/// `pvalloc`: whole pages, aligned to a page; 0 bytes are one page.
#[cfg_attr(memoman_debug, inline(always))]
pub(crate) fn pvalloc(bytes: usize) -> *mut u8 {
    let page = page_size();
    match bytes.max(1).checked_next_multiple_of(page) {
        Some(bytes) => heap::memalign(page, bytes),
        None => refused(libc::ENOMEM),
    }
}

/// `reallocarray`: a product beyond the address space is ENOMEM, and the block is unchanged. Else
/// the `realloc` that the program calls.
///
/// # Safety
/// The duties of `realloc`.
#[cfg_attr(memoman_debug, inline(always))]
pub(crate) unsafe fn reallocarray(ptr: *mut u8, count: usize, size: usize) -> *mut u8 {
    let Some(bytes) = count.checked_mul(size) else {
        return refused(libc::ENOMEM);
    };
    let bound = bound!(realloc);
    // SAFETY: every definition of `realloc` has this type; the caller keeps its duties.
    unsafe {
        let realloc: unsafe extern "C" fn(*mut u8, usize) -> *mut u8 = mem::transmute(bound);
        realloc(ptr, bytes)
    }
}

fn refused(error: i32) -> *mut u8 {
    heap::set_errno(error);
    ptr::null_mut()
}

fn page_size() -> usize {
    // From the auxiliary vector: no system call and no lock, at any time of the process.
    // SAFETY: getauxval has no precondition.
    let size = unsafe { libc::getauxval(libc::AT_PAGESZ) } as usize;
    if size.is_power_of_two() { size } else { 4096 }
}
