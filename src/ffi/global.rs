//! The process-wide allocator and the threads' heaps over it: names for the functions of
//! `memoman-global`.

use core::ffi::{c_int, c_void};

use super::types::{mm_allocator_t, mm_stats_t};
use super::{handle, inspect, truth};

/// The process-wide allocator of the _global functions, created on first use;
/// its pools come from the operating system. Each thread that calls a _global
/// function gets a heap of its own for requests up to 256 KiB, in memory of this
/// allocator; a larger block is a mapping of its own. Pass the handle to
/// mm_set_error_handler, which sets the handler for every thread's heap. Use it
/// with any other function only while no other thread runs: the functions on a
/// handle do not lock. Blocks of the _global functions are freed by
/// mm_free_global. Returns NULL if the system has no memory. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mm_default() -> *mut mm_allocator_t {
    handle(memoman_global::handle())
}

/// malloc from the calling thread's heap or the process-wide allocator. With
/// `bytes` 0 it returns a unique pointer. Returns NULL and sets errno to ENOMEM
/// if there is no memory. Thread-safe, fork-safe. O(1), apart from growing;
/// without a lock as long as the thread's heap has a block for the request.
#[unsafe(no_mangle)]
pub extern "C" fn mm_malloc_global(bytes: usize) -> *mut c_void {
    memoman_global::malloc(bytes).cast()
}

/// calloc, all bytes zero, from the same heaps as mm_malloc_global. Returns
/// NULL and sets errno to ENOMEM if the product is beyond SIZE_MAX or there is
/// no memory. Thread-safe. O(1), apart from growing and clearing.
#[unsafe(no_mangle)]
pub extern "C" fn mm_calloc_global(count: usize, size: usize) -> *mut c_void {
    memoman_global::calloc(count, size).cast()
}

/// realloc of a block of the _global functions. With `ptr` NULL it is
/// mm_malloc_global; with `bytes` 0 it frees the block and returns NULL.
/// Returns NULL, sets errno to ENOMEM and leaves the block as it was if there
/// is no memory. Thread-safe. O(1), apart from growing, copying and memory that
/// returns to the system.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc_global(ptr: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: NULL or a block of the process-wide allocator (documented).
    unsafe { memoman_global::realloc(ptr.cast(), bytes).cast() }
}

/// Aligned allocation from the same heaps as mm_malloc_global. With `bytes` 0
/// it returns a unique pointer. Returns NULL and sets errno to EINVAL if
/// `align` is 0 or no power of two, to ENOMEM if there is no memory.
/// Thread-safe. O(1), apart from growing.
#[unsafe(no_mangle)]
pub extern "C" fn mm_memalign_global(align: usize, bytes: usize) -> *mut c_void {
    memoman_global::memalign(align, bytes).cast()
}

/// free of a block of the _global functions, from any thread. With NULL it does
/// nothing. Keeps errno. Misuse is reported to the error handler of
/// mm_default(), which runs without a lock held. A block of another thread's
/// heap gets the checks that cannot race with its owner; the remaining checks
/// run when the owner reclaims the block. Thread-safe. O(1), without a lock for
/// blocks of threads' heaps, apart from memory that returns to the system.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_free_global(ptr: *mut c_void) {
    // SAFETY: NULL or a block of the process-wide allocator (documented).
    unsafe { memoman_global::free(ptr.cast()) }
}

/// mm_validate for the process-wide allocator and every thread's heap. Returns
/// nonzero if all are sound; 0 if not, or if the system has no memory for the
/// process-wide allocator. All other threads wait at their next call until it
/// returns. Thread-safe. O(blocks).
#[unsafe(no_mangle)]
pub extern "C" fn mm_validate_global() -> c_int {
    truth(memoman_global::validate())
}

/// mm_stats for the process-wide allocator and every thread's heap together.
/// All other threads wait at their next call until it returns. `peak` is the sum
/// of the heaps' peaks, an upper bound on the true peak. `largest` is the
/// largest request that the calling thread could allocate. Returns 1; 0, with
/// nothing written, if `out` is NULL. O(threads + blocks freed by other threads
/// that their owners have yet to reclaim). Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_stats_global(out: *mut mm_stats_t, size_of_out: usize) -> c_int {
    // SAFETY: NULL or the caller's struct (documented).
    unsafe { inspect::fill_stats(&memoman_global::stats(), out, size_of_out) }
}
