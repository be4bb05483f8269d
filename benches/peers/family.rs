// The C library's malloc family over a peer's own functions. Included by each peer.

use core::ffi::{c_int, c_void};

const PAGE: usize = 4096;
const EINVAL: c_int = 22;
const ENOMEM: c_int = 12;

/// `malloc`.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(bytes: usize) -> *mut c_void {
    // SAFETY: the call has no precondition.
    unsafe { peer_malloc(bytes) }
}

/// `calloc`.
#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, bytes: usize) -> *mut c_void {
    // SAFETY: the call has no precondition.
    unsafe { peer_calloc(count, bytes) }
}

/// `realloc`.
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: the block is null or live and of this allocator (caller).
    unsafe { peer_realloc(block, bytes) }
}

/// `free`.
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the block is null or live and of this allocator (caller).
    unsafe { peer_free(block) }
}

/// `malloc_usable_size`.
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    if block.is_null() {
        return 0;
    }
    // SAFETY: the block is null or live and of this allocator (caller).
    unsafe { peer_usable_size(block) }
}

/// `memalign`.
#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, bytes: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        return core::ptr::null_mut();
    }
    // SAFETY: the alignment is a power of two (tested).
    unsafe { peer_aligned(align.max(16), bytes) }
}

/// `aligned_alloc`.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, bytes: usize) -> *mut c_void {
    memalign(align, bytes)
}

/// `valloc`.
#[unsafe(no_mangle)]
pub extern "C" fn valloc(bytes: usize) -> *mut c_void {
    memalign(PAGE, bytes)
}

/// `pvalloc`.
#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(bytes: usize) -> *mut c_void {
    memalign(PAGE, bytes.next_multiple_of(PAGE))
}

/// `posix_memalign`.
///
/// # Safety
/// `out` is valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(
    out: *mut *mut c_void,
    align: usize,
    bytes: usize,
) -> c_int {
    if !align.is_power_of_two() || align < size_of::<usize>() {
        return EINVAL;
    }
    let block = memalign(align, bytes);
    if block.is_null() {
        return ENOMEM;
    }
    // SAFETY: `out` is valid for a write (caller).
    unsafe { out.write(block) };
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
