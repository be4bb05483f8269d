//! Allocation: every function here is O(1), apart from clearing and copying.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::types::mm_allocator_t;
use super::{checker, hot, instance};

/// Allocates at least `bytes` bytes, aligned to mm_align_size(). Returns NULL if
/// `bytes` is 0 or no free block is large enough. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_malloc(allocator: *mut mm_allocator_t, bytes: usize) -> *mut c_void {
    // SAFETY: boundary rules.
    unsafe {
        match instance(allocator) {
            Some(tlsf) => hot::malloc(tlsf, bytes),
            None => ptr::null_mut(),
        }
    }
}

/// Allocates `count` objects of `size` bytes, all bytes zero. Returns NULL if
/// either is 0, if their product is beyond SIZE_MAX, or if no free block is
/// large enough. O(1), and the clearing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_calloc(
    allocator: *mut mm_allocator_t,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: boundary rules; a block of `bytes` bytes may be written.
    unsafe {
        let bytes = count.saturating_mul(size);
        let block = mm_malloc(allocator, bytes);
        if !block.is_null() {
            block.cast::<u8>().write_bytes(0, bytes);
        }
        block
    }
}

/// Allocates at least `bytes` bytes, aligned to `align`, a power of two. Returns
/// NULL if `align` is 0 or no power of two, if `bytes` is 0, or if no free block
/// is large enough for the bytes and the worst gap in front of them. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_memalign(
    allocator: *mut mm_allocator_t,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: boundary rules.
    unsafe {
        match instance(allocator) {
            Some(tlsf) => hot::memalign(tlsf, align, bytes),
            None => ptr::null_mut(),
        }
    }
}

/// Resizes a block to at least `bytes` bytes and keeps its contents up to the
/// smaller size: in place forward, then backward, then by moving. `ptr` NULL:
/// as mm_malloc. `bytes` 0: frees the block and returns NULL. Returns NULL, and
/// leaves the block as it was, if there is no room; up to mm_block_size(ptr) there
/// is. An alignment beyond mm_align_size() is lost when the block moves: see
/// mm_realloc_aligned. O(1), and the copying.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc(
    allocator: *mut mm_allocator_t,
    ptr: *mut c_void,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: boundary rules.
    unsafe {
        match instance(allocator) {
            Some(tlsf) => hot::realloc(tlsf, ptr.cast(), bytes),
            None => ptr::null_mut(),
        }
    }
}

/// As mm_realloc, with a result that is aligned to `align`, a power of two,
/// whether the block moves or not. `ptr` NULL: as mm_memalign. Returns NULL, and
/// leaves the block as it was, if `align` is 0 or no power of two. O(1), and the
/// copying.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc_aligned(
    allocator: *mut mm_allocator_t,
    ptr: *mut c_void,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: boundary rules.
    unsafe {
        let Some(tlsf) = instance(allocator) else {
            return ptr::null_mut();
        };
        match NonNull::new(ptr.cast::<u8>()) {
            _ if !align.is_power_of_two() => ptr::null_mut(),
            Some(block) if bytes == 0 => {
                mm_free(allocator, block.as_ptr().cast());
                ptr::null_mut()
            }
            Some(block) => hot::realloc_aligned(tlsf, block, align, bytes),
            None => mm_memalign(allocator, align, bytes),
        }
    }
}

/// Frees a block and joins it with its free neighbours at once. `ptr` NULL:
/// nothing. Misuse that the headers show goes to the error handler. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_free(allocator: *mut mm_allocator_t, ptr: *mut c_void) {
    // SAFETY: boundary rules.
    unsafe {
        if let Some(tlsf) = instance(allocator) {
            hot::free(tlsf, ptr.cast());
        }
    }
}

/// The usable bytes of a block in use: at least what was asked for, and all of
/// them may be written. 0 for NULL, and where the header shows that no block is in
/// use. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_block_size(ptr: *const c_void) -> usize {
    // SAFETY: NULL or a block (documented).
    unsafe { checker::block_size(ptr.cast()) }
}
