//! The hot functions of the debug library and of the small one: one call of the allocator each,
//! compiled into the exported function.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

#[cfg(memoman_debug)]
use memoman_core::EventKind;

use crate::ffi::allocation::{mm_free, mm_malloc};
use crate::ffi::allocator::Tlsf;
use crate::ffi::misuse::{answer, misuse};
#[cfg(memoman_debug)]
use crate::ffi::observe::made;

/// Debug library: makes the call in `observe.rs` and returns, if the allocator has an observer.
macro_rules! observed {
    ($tlsf:expr, $kind:expr, $old:expr, $align:expr, $bytes:expr) => {
        #[cfg(memoman_debug)]
        // SAFETY: the instance is live, and the old block given up on success (the caller of the
        // function that this stands in).
        unsafe {
            if $tlsf.has_hooks() != Ok(false) {
                return made($tlsf, $kind, $old, $align, $bytes);
            }
        }
    };
}

/// `mm_malloc`.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn malloc(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    observed!(tlsf, EventKind::Malloc, ptr::null_mut(), 0, bytes);
    // SAFETY: live instance (caller).
    unsafe { answer(tlsf, tlsf.malloc(bytes)) }
}

/// The block of `mm_calloc`, before it is cleared.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn calloc(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    observed!(tlsf, EventKind::Calloc, ptr::null_mut(), 0, bytes);
    // SAFETY: live instance (caller).
    unsafe { answer(tlsf, tlsf.malloc(bytes)) }
}

/// `mm_memalign`.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn memalign(tlsf: Tlsf, align: usize, bytes: usize) -> *mut c_void {
    observed!(tlsf, EventKind::Memalign, ptr::null_mut(), align, bytes);
    // SAFETY: live instance (caller).
    unsafe { answer(tlsf, tlsf.memalign(align, bytes)) }
}

/// `mm_realloc`.
///
/// # Safety
/// The instance is live. `ptr` is NULL, or on success given up.
#[inline(always)]
pub(crate) unsafe fn realloc(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
    let handle = tlsf.as_raw().cast();
    // The small build's code stands once, in the exported functions. The debug library's handle
    // knows the caller's site.
    let small = cfg!(memoman_small);
    if !ptr.is_null() && bytes != 0 {
        observed!(tlsf, EventKind::Realloc, ptr, 0, bytes);
    }
    // SAFETY: live instance; `ptr` is NULL or given up on success (caller).
    unsafe {
        match NonNull::new(ptr) {
            Some(_) if bytes == 0 => {
                if small {
                    mm_free(handle, ptr.cast());
                } else {
                    free(tlsf, ptr);
                }
                ptr::null_mut()
            }
            Some(block) => answer(tlsf, tlsf.realloc(block, bytes)),
            None if small => mm_malloc(handle, bytes),
            None => malloc(tlsf, bytes),
        }
    }
}

/// `mm_realloc_aligned` of a block to more than 0 bytes.
///
/// # Safety
/// The instance is live, and on success the block is given up.
#[inline(always)]
pub(crate) unsafe fn realloc_aligned(
    tlsf: Tlsf,
    block: NonNull<u8>,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    observed!(tlsf, EventKind::Realloc, block.as_ptr(), align, bytes);
    // SAFETY: live instance, block given up on success (caller).
    unsafe { answer(tlsf, tlsf.realloc_aligned(block, align, bytes)) }
}

/// `mm_free`.
///
/// # Safety
/// The instance is live. `ptr` is NULL, or the block's contents are given up.
#[inline(always)]
pub(crate) unsafe fn free(tlsf: Tlsf, ptr: *mut u8) {
    let Some(block) = NonNull::new(ptr) else {
        return;
    };
    #[cfg(memoman_debug)]
    // SAFETY: live instance, block given up (caller).
    unsafe {
        if tlsf.has_hooks() != Ok(false) {
            made(tlsf, EventKind::Free, ptr, 0, 0);
            return;
        }
    }
    // SAFETY: live instance, block given up (caller).
    unsafe {
        if let Err(what) = tlsf.free(block) {
            misuse(tlsf, what, ptr);
        }
    }
}
