//! What [`super::hot`] is in the debug library: the debug layer's calls.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use memoman_debug::allocator::Tlsf;

use super::{answer, misuse};

/// # Safety
/// The instance is live.
pub(super) unsafe fn malloc(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe { answer(tlsf, tlsf.malloc(bytes)) }
}

/// # Safety
/// The instance is live.
pub(super) unsafe fn memalign(tlsf: Tlsf, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe { answer(tlsf, tlsf.memalign(align, bytes)) }
}

/// # Safety
/// As for [`Tlsf::realloc`], but for NULL.
pub(super) unsafe fn realloc(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
    // SAFETY: the same duties.
    unsafe {
        match NonNull::new(ptr) {
            Some(block) if bytes == 0 => {
                free(tlsf, block.as_ptr());
                ptr::null_mut()
            }
            Some(block) => answer(tlsf, tlsf.realloc(block, bytes)),
            None => malloc(tlsf, bytes),
        }
    }
}

/// # Safety
/// As for [`Tlsf::realloc_aligned`].
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
pub(super) unsafe fn free(tlsf: Tlsf, ptr: *mut u8) {
    let Some(block) = NonNull::new(ptr) else {
        return;
    };
    // SAFETY: the same duties.
    unsafe {
        if let Err(what) = tlsf.free(block) {
            misuse(tlsf, what, block.as_ptr());
        }
    }
}
