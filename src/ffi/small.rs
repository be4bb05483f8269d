//! What [`super::hot`] is in the small library: one call of the core each, compiled into the exported function, which others
//! call.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use memoman_core::Tlsf;

use super::allocation::{mm_free, mm_malloc};
use super::{answer, misuse};

/// # Safety
/// The instance is live.
#[inline(always)]
pub(super) unsafe fn malloc(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe { answer(tlsf, tlsf.malloc(bytes)) }
}

/// # Safety
/// The instance is live.
#[inline(always)]
pub(super) unsafe fn memalign(tlsf: Tlsf, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe { answer(tlsf, tlsf.memalign(align, bytes)) }
}

/// # Safety
/// As for [`Tlsf::realloc`], but for NULL.
#[inline(always)]
pub(super) unsafe fn realloc(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
    // SAFETY: the same duties.
    unsafe {
        let handle = tlsf.as_raw().cast();
        match NonNull::new(ptr) {
            Some(_) if bytes == 0 => {
                mm_free(handle, ptr.cast());
                ptr::null_mut()
            }
            Some(block) => answer(tlsf, tlsf.realloc(block, bytes)),
            None => mm_malloc(handle, bytes),
        }
    }
}

/// # Safety
/// As for [`Tlsf::realloc_aligned`].
#[inline(always)]
pub(super) unsafe fn realloc_aligned(
    tlsf: Tlsf,
    block: NonNull<u8>,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: the same duties.
    unsafe { answer(tlsf, tlsf.realloc_aligned(block, align, bytes)) }
}

/// # Safety
/// As for [`Tlsf::free`], but for NULL.
#[inline(always)]
pub(super) unsafe fn free(tlsf: Tlsf, ptr: *mut u8) {
    let Some(block) = NonNull::new(ptr) else {
        return;
    };
    // SAFETY: the same duties.
    unsafe {
        if let Err(what) = tlsf.free(block) {
            misuse(tlsf, what, ptr);
        }
    }
}
