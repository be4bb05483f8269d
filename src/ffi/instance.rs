//! Sizes and limits; an instance's life.

use core::ffi::{c_int, c_void};

use super::allocator::Tlsf;

use super::types::{mm_allocator_t, mm_error_handler};
use super::{checker, handle, instance, session, truth};

/// Bytes of memory that mm_create needs for the control structure: about
/// 8.4 KiB on 64-bit targets. Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_size() -> usize {
    const { Tlsf::control_size(Tlsf::DEFAULT_MAX_BLOCK) }
}

/// The alignment in bytes of every pointer that the allocator gives, and the
/// step of block sizes (the quantum): 16 on 64-bit targets, 8 on 32-bit ones.
/// Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_align_size() -> usize {
    Tlsf::ALIGN
}

/// The smallest usable size of a block in bytes: smaller requests get as much.
/// Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_block_size_min() -> usize {
    Tlsf::BLOCK_SIZE_MIN
}

/// The greatest request in bytes that an allocator from mm_create can serve:
/// 1 TiB on 64-bit targets, 1 GiB on 32-bit ones. mm_create_for goes further.
/// Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_block_size_max() -> usize {
    Tlsf::BLOCK_SIZE_MAX
}

/// Bytes of a pool that its first block cannot use: a region that is aligned to
/// mm_align_size() and has mm_pool_overhead() + n bytes, n = mm_block_size_min()
/// or a multiple of mm_align_size() more, holds exactly one block of n usable
/// bytes. Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_pool_overhead() -> usize {
    Tlsf::POOL_OVERHEAD
}

/// Bytes that each block takes beyond its usable ones: one word.
/// Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_alloc_overhead() -> usize {
    Tlsf::ALLOC_OVERHEAD
}

/// Creates an allocator without pools in `mem`, which must have mm_size() bytes
/// and the alignment of a pointer, and belongs to it until mm_destroy. Returns
/// NULL if `mem` is NULL or not aligned. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_create(mem: *mut c_void) -> *mut mm_allocator_t {
    // SAFETY: mm_size() bytes at `mem` are the caller's to give (documented).
    unsafe { create(mem, Tlsf::DEFAULT_MAX_BLOCK) }
}

/// Creates an allocator at the start of `mem` and makes the rest its first
/// pool. Any address and any length do: both are rounded inward. Returns NULL,
/// and writes nothing, if `mem` is NULL, if `bytes` cannot hold the control
/// structure and one smallest block, or if the region ends beyond the address
/// space. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_create_with_pool(
    mem: *mut c_void,
    bytes: usize,
) -> *mut mm_allocator_t {
    checker::before_creation(mem, bytes, mm_size());
    // SAFETY: `bytes` bytes at `mem` are the caller's to give (documented).
    unsafe { created(Tlsf::create_with_pool(mem.cast(), bytes)) }
}

/// # Safety
/// The bytes that an instance for `max_block` takes are the caller's to give.
unsafe fn create(mem: *mut c_void, max_block: usize) -> *mut mm_allocator_t {
    let bytes = Tlsf::control_size(max_block);
    checker::before_creation(mem, bytes, bytes);
    // SAFETY: the caller's duty.
    unsafe { created(Tlsf::create(mem.cast(), max_block)) }
}

/// # Safety
/// The instance, if there is one, is live.
unsafe fn created(tlsf: Option<Tlsf>) -> *mut mm_allocator_t {
    if let Some(tlsf) = tlsf {
        // SAFETY: live (caller).
        unsafe { checker::created(tlsf) };
    }
    handle(tlsf)
}

/// Bytes of memory that mm_create_for needs for requests up to `max_block`
/// bytes: the smaller the greatest request, the smaller the control structure
/// (2.3 KiB for 64 KiB on 64-bit targets). Returns 0 if no allocator can serve
/// such requests (over 128 TiB; 32-bit: over 2 GiB). O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_size_for(max_block: usize) -> usize {
    Tlsf::control_size(max_block)
}

/// Creates an allocator without pools, for requests up to `max_block` bytes, in
/// `mem`, which must have mm_size_for(max_block) bytes and the alignment of a
/// pointer. Its pools may be greater than `max_block`. Returns NULL if `mem` is
/// NULL or not aligned, or if mm_size_for(max_block) is 0. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_create_for(mem: *mut c_void, max_block: usize) -> *mut mm_allocator_t {
    // SAFETY: mm_size_for(max_block) bytes at `mem` are the caller's to give (documented).
    unsafe { create(mem, max_block) }
}

/// Ends the allocator. It frees nothing, since you own all memory, and forgets
/// everything: pools and blocks are memory of yours again. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_destroy(allocator: *mut mm_allocator_t) {
    // SAFETY: boundary rules.
    unsafe {
        if let Some(tlsf) = instance(allocator) {
            checker::destroy(tlsf);
        }
    }
}

/// Gives all blocks up at once: every pool is one free block again, and the
/// counters start anew. Returns 1; 0, and changes nothing, if the list of pools
/// has been overwritten or the handle is NULL. O(pools).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_reset(allocator: *mut mm_allocator_t) -> c_int {
    // SAFETY: boundary rules; the caller gives its blocks up (documented).
    truth(unsafe { instance(allocator).is_some_and(|tlsf| checker::reset(tlsf)) })
}

/// Sets what is called on misuse of this allocator (double free, a pointer that
/// is no live block, an overwritten header or link); `user` is handed to it.
/// NULL: back to the default, which prints one line on stderr and aborts, or
/// traps where there is no operating system. If the handler returns, the call
/// that found the misuse has no effect and gives NULL or nothing. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_set_error_handler(
    allocator: *mut mm_allocator_t,
    handler: mm_error_handler,
    user: *mut c_void,
) {
    // SAFETY: boundary rules.
    unsafe {
        if let Some(tlsf) = session(allocator) {
            tlsf.set_misuse_handler(handler, user);
        }
    }
}
