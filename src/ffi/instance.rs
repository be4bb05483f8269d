//! Sizes and limits; creating, resetting and destroying an instance; its error handler.

use core::ffi::{c_int, c_void};

use super::allocator::Tlsf;

use super::types::{mm_allocator_t, mm_error_handler};
use super::{checker, handle, instance, session, truth};

/// The size in bytes of the control structure for mm_create: about 8.4 KiB on
/// 64-bit targets. Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_size() -> usize {
    const { Tlsf::control_size(Tlsf::DEFAULT_MAX_BLOCK) }
}

/// The quantum in bytes: the alignment of every pointer that the allocator
/// returns and the step of block sizes, 16 on 64-bit targets, 8 on 32-bit ones.
/// Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_align_size() -> usize {
    Tlsf::ALIGN
}

/// The smallest usable size of a block in bytes; smaller requests are rounded
/// up to it. Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_block_size_min() -> usize {
    Tlsf::BLOCK_SIZE_MIN
}

/// The largest request in bytes of an allocator from mm_create: 1 TiB on 64-bit
/// targets, 1 GiB on 32-bit ones. The other creating functions set other limits.
/// Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_block_size_max() -> usize {
    Tlsf::BLOCK_SIZE_MAX
}

/// The overhead in bytes of a pool that holds one block. A region that is
/// aligned to mm_align_size() and has mm_pool_overhead() + n bytes holds exactly
/// one block of n usable bytes; n is mm_block_size_min() plus a multiple of
/// mm_align_size(). Constant. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_pool_overhead() -> usize {
    Tlsf::POOL_OVERHEAD
}

/// Bytes of a block beyond its usable ones: its header, one word. Constant.
/// O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_alloc_overhead() -> usize {
    Tlsf::ALLOC_OVERHEAD
}

/// Creates an allocator without pools in `mem`, which must have mm_size() bytes
/// and the alignment of a pointer, and which belongs to the allocator until
/// mm_destroy. Returns NULL if `mem` is NULL or not aligned, or if mm_size()
/// bytes from there end beyond the address space; then nothing is written. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_create(mem: *mut c_void) -> *mut mm_allocator_t {
    // SAFETY: mm_size() bytes at `mem` are the caller's to give (documented).
    unsafe { create(mem, Tlsf::DEFAULT_MAX_BLOCK) }
}

/// Creates an allocator at the start of `mem` and makes the rest of the `bytes`
/// bytes its first pool. Address and length are rounded inward. The control
/// structure is sized to the region: the largest request is the block that
/// fills it. Pools that are added or extended later may be larger and are used
/// whole, but by requests up to that limit; an allocator
/// that starts small and grows is created by mm_create_for_with_pool. The region
/// belongs to the allocator until mm_destroy. Returns NULL, and writes nothing,
/// if `mem` is NULL, if `bytes` cannot hold the control structure and a pool
/// with one smallest block, if they are too many for a pool (2^48), or if the
/// region ends beyond the address space. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_create_with_pool(
    mem: *mut c_void,
    bytes: usize,
) -> *mut mm_allocator_t {
    // SAFETY: `bytes` bytes at `mem` are the caller's to give (documented).
    unsafe { create_with_pool(mem, bytes, Tlsf::max_block_in(bytes)) }
}

/// Creates an instance with a first pool.
///
/// # Safety
/// `bytes` bytes at `mem` are the caller's to give.
unsafe fn create_with_pool(
    mem: *mut c_void,
    bytes: usize,
    max_block: usize,
) -> *mut mm_allocator_t {
    checker::before_creation(mem, bytes, Tlsf::control_size(max_block));
    // SAFETY: the region is the caller's to give (caller).
    unsafe { created(Tlsf::create_for_with_pool(mem.cast(), bytes, max_block)) }
}

/// Creates an instance without pools.
///
/// # Safety
/// `control_size(max_block)` bytes at `mem` are the caller's to give.
unsafe fn create(mem: *mut c_void, max_block: usize) -> *mut mm_allocator_t {
    let bytes = Tlsf::control_size(max_block);
    checker::before_creation(mem, bytes, bytes);
    // SAFETY: the control structure's bytes are the caller's to give (caller).
    unsafe { created(Tlsf::create(mem.cast(), max_block)) }
}

/// Prepares a new instance for the checker and returns its handle; NULL for none.
///
/// # Safety
/// The instance, if there is one, is live.
unsafe fn created(tlsf: Option<Tlsf>) -> *mut mm_allocator_t {
    if let Some(tlsf) = tlsf {
        // SAFETY: live instance (caller).
        unsafe { checker::created(tlsf) };
    }
    handle(tlsf)
}

/// The size in bytes of the control structure for requests up to `max_block`
/// bytes, which mm_create_for needs. It shrinks with `max_block`: 2.4 KiB for
/// 64 KiB on 64-bit targets. Returns 0 if `max_block` is beyond any allocator:
/// over 128 TiB on 64-bit targets, over 2 GiB on 32-bit ones. O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_size_for(max_block: usize) -> usize {
    Tlsf::control_size(max_block)
}

/// Creates an allocator without pools, for requests up to `max_block` bytes, in
/// `mem`, which must have mm_size_for(max_block) bytes and the alignment of a
/// pointer, and which belongs to the allocator until mm_destroy. Its pools may
/// be larger than `max_block`. Returns NULL if `mem` is NULL or not aligned, if
/// mm_size_for(max_block) is 0, or if that many bytes from `mem` end beyond the
/// address space. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_create_for(mem: *mut c_void, max_block: usize) -> *mut mm_allocator_t {
    // SAFETY: mm_size_for(max_block) bytes at `mem` are the caller's to give (documented).
    unsafe { create(mem, max_block) }
}

/// mm_create_for with a seed, from which the allocator's seal follows, so that a
/// run can be repeated exactly. (The other creating functions take the time
/// counter of the processor, so that pointers and headers which an earlier
/// allocator left in the same memory are not those of the new one. This one does
/// not read it.) Allocators that follow each other in the same memory need
/// successive seeds, of which each mm_reset takes one: after n resets the next
/// allocator has the seed n + 1 higher. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_create_seeded(
    mem: *mut c_void,
    max_block: usize,
    seed: usize,
) -> *mut mm_allocator_t {
    let bytes = Tlsf::control_size(max_block);
    checker::before_creation(mem, bytes, bytes);
    // SAFETY: mm_size_for(max_block) bytes at `mem` are the caller's to give (documented).
    unsafe { created(Tlsf::create_seeded(mem.cast(), max_block, seed)) }
}

/// mm_create_with_pool for requests up to `max_block` bytes: more than the
/// region holds, for pools that are added or extended later
/// (mm_block_size_max() as in mm_create); less, for a smaller control structure,
/// mm_size_for(max_block) bytes. Returns NULL also if that is 0. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_create_for_with_pool(
    mem: *mut c_void,
    bytes: usize,
    max_block: usize,
) -> *mut mm_allocator_t {
    // SAFETY: `bytes` bytes at `mem` are the caller's to give (documented).
    unsafe { create_with_pool(mem, bytes, max_block) }
}

/// Destroys the allocator. Nothing is freed, because you own all the memory; the
/// regions of the control structure and the pools are yours again. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_destroy(allocator: *mut mm_allocator_t) {
    // SAFETY: boundary rules.
    unsafe {
        if let Some(tlsf) = instance(allocator) {
            checker::destroy(tlsf);
        }
    }
}

/// Frees all blocks at once: every pool becomes one free block, and the
/// counters restart at 0. A pointer from before is misuse; its header may pass
/// for that of a block again after 32,768 resets, or a multiple, and on 32-bit
/// targets, whose headers have no seal, at once. Returns 1; 0, with nothing
/// changed, if the list of pools has been overwritten or the handle is NULL.
/// O(pools).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_reset(allocator: *mut mm_allocator_t) -> c_int {
    // SAFETY: boundary rules; the caller gives up its blocks (documented).
    truth(unsafe { instance(allocator).is_some_and(|tlsf| checker::reset(tlsf)) })
}

/// Sets the function that is called on misuse of this allocator (double free, a
/// pointer that is no live block, an overwritten header or link); `user` is
/// passed to it. NULL restores the default, which prints one line on stderr and
/// aborts, or traps where there is no operating system. If the handler returns,
/// the call that found the misuse has no effect and returns NULL or nothing.
/// O(1).
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
