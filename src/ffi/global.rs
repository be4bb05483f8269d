//! The process-wide allocator and the threads' heaps over it: thin names over `memoman-global`.

use core::ffi::{c_int, c_void};

use super::types::{mm_allocator_t, mm_stats_t};
use super::{handle, inspect, truth};

/// The process-wide allocator that the _global functions use, created on first
/// use; its pools come from the operating system. Each thread that calls a
/// _global function gets a heap of its own for requests up to 32 KiB, over
/// memory that this allocator lends it. Use the handle for
/// mm_set_error_handler, which is told of misuse in any of them, or when no
/// other thread runs: only the _global functions lock. A block of theirs goes
/// back by mm_free_global. NULL if the system gives no memory. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mm_default() -> *mut mm_allocator_t {
    handle(memoman_global::handle())
}

/// malloc from the calling thread's heap or the process-wide allocator. `bytes`
/// 0 gives a unique pointer. Returns NULL and sets errno to ENOMEM if there is
/// no memory. Thread-safe, fork-safe. O(1), apart from growing; without a lock
/// as long as the thread's heap can serve it.
#[unsafe(no_mangle)]
pub extern "C" fn mm_malloc_global(bytes: usize) -> *mut c_void {
    memoman_global::malloc(bytes).cast()
}

/// calloc from the process-wide allocator. Returns NULL and sets errno to ENOMEM
/// if the product is beyond SIZE_MAX or there is no memory. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mm_calloc_global(count: usize, size: usize) -> *mut c_void {
    memoman_global::calloc(count, size).cast()
}

/// realloc in the process-wide allocator. `ptr` NULL: as mm_malloc_global.
/// `bytes` 0: frees the block and returns NULL. Returns NULL, sets errno to
/// ENOMEM and leaves the block as it was if there is no memory. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc_global(ptr: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: NULL or a block of the process-wide allocator (documented).
    unsafe { memoman_global::realloc(ptr.cast(), bytes).cast() }
}

/// Aligned allocation from the process-wide allocator. Returns NULL and sets
/// errno to EINVAL if `align` is 0 or no power of two, to ENOMEM if there is no
/// memory. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mm_memalign_global(align: usize, bytes: usize) -> *mut c_void {
    memoman_global::memalign(align, bytes).cast()
}

/// free of a block of the _global functions, whichever thread has allocated it.
/// NULL: nothing. Keeps errno. Misuse goes to the error handler of mm_default(),
/// without a lock. A block of another thread's heap is tested as far as that is
/// possible beside its owner, and wholly when the owner takes it back.
/// Thread-safe. O(1); without a lock for blocks of threads' heaps, apart from
/// memory that goes back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_free_global(ptr: *mut c_void) {
    // SAFETY: NULL or a block of the process-wide allocator (documented).
    unsafe { memoman_global::free(ptr.cast()) }
}

/// mm_validate for the process-wide allocator and every thread's heap; all other
/// threads wait at their next call meanwhile. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mm_validate_global() -> c_int {
    truth(memoman_global::validate())
}

/// mm_stats for the process-wide allocator and every thread's heap together; all
/// other threads wait at their next call meanwhile. `peak` is the sum of the
/// heaps' own peaks: never below the true one. `largest` is what the calling
/// thread can have. O(threads), and what waits to be taken back. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_stats_global(out: *mut mm_stats_t, size_of_out: usize) -> c_int {
    // SAFETY: NULL or the caller's struct (documented).
    unsafe { inspect::fill_stats(&memoman_global::stats(), out, size_of_out) }
}
