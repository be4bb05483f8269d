//! Allocating and freeing: every function here is O(1), apart from clearing and copying.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::types::mm_allocator_t;
use super::{checker, hot, instance};

/// Allocates at least `bytes` bytes, aligned to mm_align_size(). Returns NULL
/// if `bytes` is 0 or beyond the allocator's largest request, or if no free
/// block is large enough. O(1).
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
/// either is 0, if their product is beyond SIZE_MAX or the allocator's largest
/// request, or if no free block is large enough. O(1), apart from clearing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_calloc(
    allocator: *mut mm_allocator_t,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: boundary rules; a block that is not NULL (tested) has at least `bytes` bytes.
    unsafe {
        let bytes = count.saturating_mul(size);
        let block = zeroed(allocator, bytes);
        if !block.is_null() {
            block.cast::<u8>().write_bytes(0, bytes);
        }
        block
    }
}

/// The block of mm_calloc, before it is cleared: a copy of mm_malloc with an event of its own. In
/// the small library, mm_malloc itself.
///
/// # Safety
/// The handle is NULL or that of a live instance.
#[cfg_attr(not(any(memoman_debug, memoman_small)), inline(never))]
#[cfg_attr(any(memoman_debug, memoman_small), inline(always))]
unsafe fn zeroed(allocator: *mut mm_allocator_t, bytes: usize) -> *mut c_void {
    // SAFETY: NULL or a live instance (caller).
    unsafe {
        match instance(allocator) {
            _ if cfg!(memoman_small) => mm_malloc(allocator, bytes),
            Some(tlsf) => hot::calloc(tlsf, bytes),
            None => ptr::null_mut(),
        }
    }
}

/// Allocates at least `bytes` bytes, aligned to `align`, a power of two.
/// Returns NULL if `align` is 0 or no power of two, if `bytes` is 0 or beyond
/// the allocator's largest request, or if no free block is large enough for the
/// bytes and the largest possible gap before them. If bytes and gap together
/// exceed the allocator's largest request, the search reads two blocks only: the
/// first of the list of the largest blocks, and the one that ends the highest
/// pool. It may then refuse although another block of that list is large enough.
/// O(1).
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
/// smaller size: in place forward, then backward, then by moving. With `ptr`
/// NULL it is mm_malloc; with `bytes` 0 it frees the block and returns NULL.
/// Returns NULL, and leaves the block as it was, if it can neither grow in
/// place nor move, or if `bytes` is beyond the allocator's largest request; up
/// to mm_block_size(ptr) bytes always fit. An alignment beyond mm_align_size()
/// is lost when the block moves: see mm_realloc_aligned. O(1), apart from
/// copying.
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

/// mm_realloc with a result that is aligned to `align`, a power of two, whether
/// the block moves or not. With `ptr` NULL it is mm_memalign; with `bytes` 0 it
/// frees the block and returns NULL. Returns NULL, and leaves the block as it
/// was, if `align` is 0 or no power of two, if the block can neither stay in
/// place nor move, or if `bytes` is beyond both mm_block_size(ptr) and the
/// allocator's largest request. O(1), apart from copying.
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

/// Frees a block and merges it with its free neighbours at once. With `ptr`
/// NULL it does nothing. Misuse that the header checks detect is reported to the
/// error handler. For that, memory between the lowest and the highest pool must
/// be readable: a wrong pointer into an unmapped gap between two pools faults,
/// here and in mm_realloc and mm_remove_pool. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_free(allocator: *mut mm_allocator_t, ptr: *mut c_void) {
    // SAFETY: boundary rules.
    unsafe {
        if let Some(tlsf) = instance(allocator) {
            hot::free(tlsf, ptr.cast());
        }
    }
}

/// The usable bytes of a block in use: at least the bytes requested, and all of
/// them may be written. Returns 0 if `ptr` is NULL or its header is not that of
/// a block in use. Without the allocator it cannot tell a block from the header
/// that one of an earlier allocator left in the same memory. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_block_size(ptr: *const c_void) -> usize {
    #[cfg(all(any(target_os = "linux", windows), not(memoman_debug)))]
    if ptr.addr() & (memoman_global::LARGE_ALIGN - 1) == 0 {
        // SAFETY: NULL or a block of a live instance (documented).
        return unsafe { block_size_at_page(ptr.cast()) };
    }
    // SAFETY: NULL or a block of a live instance (documented); NULL begins a page.
    unsafe {
        #[cfg(all(any(target_os = "linux", windows), not(memoman_debug)))]
        core::hint::assert_unchecked(!ptr.is_null());
        checker::block_size(ptr.cast())
    }
}

/// The large blocks of the `_global` functions have no header; they begin at a page.
///
/// # Safety
/// `ptr` is NULL or a block of a live instance.
#[cfg(all(any(target_os = "linux", windows), not(memoman_debug)))]
#[cold]
#[inline(never)]
unsafe fn block_size_at_page(ptr: *const u8) -> usize {
    // SAFETY: NULL or a block of a live instance (caller).
    memoman_global::large_size(ptr).unwrap_or_else(|| unsafe { checker::block_size(ptr) })
}
