//! The optional cache of an allocator.
//!
//! An allocator with one is intercepted in the core (release library), so its calls end in the cold
//! paths of `hot/fast.rs`, which look into the cache first. The debug library caches nothing: it
//! keeps freed blocks in its quarantine. The small library has no cache.

use core::ffi::{c_int, c_void};

use super::types::mm_allocator_t;

/// Puts a cache in front of the allocator: mm_free keeps up to `blocks` blocks
/// of each size, 1 to 15, and requests of these sizes take them first, without
/// a search, a split or a merge. The `bytes` bytes at `mem` hold the cache's
/// table, one word for a size, and belong to the allocator until mm_destroy or
/// until another cache is set; no pool, added later or extended, may cover
/// them. 592 bytes reach to requests of 1,000 bytes, 1,120 to 4 KiB, 2,144 to
/// 64 KiB, with `mem` aligned to mm_align_size(). With `mem` NULL the allocator
/// has no cache. The blocks of the cache before are freed.
///
/// Cached blocks count as in use in mm_stats; its `cached` has their bytes. A
/// request that finds no memory frees cached blocks, size by size, until it
/// does: the longest call frees `blocks` blocks of each size. `largest` does
/// not foresee that: a greater request may succeed. A request beyond the
/// allocator's largest block frees none, unless mm_set_exhausted_handler has
/// set a handler. mm_remove_pool frees them, too, and so does mm_set_observer,
/// since an observer, which sees each call, ends the cache; mm_reset forgets
/// them. mm_walk_pool and mm_measure take them for free blocks. mm_realloc
/// moves a block that grows to one of these sizes. A block freed twice, or
/// written to after it was freed, is found as without a cache; mm_validate,
/// mm_check, mm_diagnose and mm_dump find damage of the cache,
/// mm_validate_pool, mm_check_pool and mm_validate_step do not look at it. A
/// program under a memory checker and the debug library cache nothing.
///
/// Returns 1; 0, with nothing changed, if the handle is NULL or that of
/// mm_default(), if the memory is too small for a size or overlaps a pool or
/// the control structure, if `blocks` is 0 or above 15, while an observer is
/// set, on 32-bit targets, in the small library, and when called from an
/// observer or handler of the same allocator. Also 0 if a block of the cache
/// before or its table has been overwritten: that is reported to the error
/// handler, cached blocks may have been freed before it was found, and the
/// cache before stays. O(pools + cached blocks + table).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_set_cache(
    allocator: *mut mm_allocator_t,
    mem: *mut c_void,
    bytes: usize,
    blocks: usize,
) -> c_int {
    #[cfg(memoman_small)]
    {
        let _ = (allocator, mem, bytes, blocks);
        0
    }
    #[cfg(not(memoman_small))]
    // SAFETY: boundary rules; the memory is the caller's to give (documented).
    unsafe {
        use super::observe::{Hook, set};
        set(allocator, Hook::Cache(mem.cast(), bytes, blocks))
    }
}
