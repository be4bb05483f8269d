//! Pools: the memory that an instance manages.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::allocator::Pool;

use super::types::{mm_allocator_t, mm_pool_t};
use super::{checker, instance, session, truth};

fn raw(pool: Option<Pool>) -> *mut mm_pool_t {
    pool.map_or(ptr::null_mut(), |pool| pool.as_raw().cast())
}

/// Adds the region of `bytes` bytes at `mem` to the allocator as a pool.
/// Address and length are rounded inward to the quantum. The region belongs to
/// the allocator until mm_remove_pool or mm_destroy. Returns the pool; NULL,
/// with nothing changed, if `mem` is NULL, if the rounded region cannot hold
/// one smallest block or has 256 TiB or more, if the region overlaps a pool or
/// the control structure or ends beyond the address space, or if the call finds
/// an overwritten header. O(pools), for the overlap check.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_add_pool(
    allocator: *mut mm_allocator_t,
    mem: *mut c_void,
    bytes: usize,
) -> *mut mm_pool_t {
    // SAFETY: boundary rules; the region is the caller's to give (documented).
    raw(unsafe { instance(allocator).and_then(|tlsf| checker::add_pool(tlsf, mem.cast(), bytes)) })
}

/// Extends a pool by the `more_bytes` bytes directly after its region. Returns
/// 1; returns 0 and changes nothing if they complete no further quantum; if the
/// pool ends with a block in use and they complete less than a smallest block
/// with its header; if they overlap the next pool or the control structure or
/// end beyond the address space; if the pool would have 256 TiB or more; if
/// `pool` is NULL or not a pool of this allocator; or if the call finds an
/// overwritten header. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_extend_pool(
    allocator: *mut mm_allocator_t,
    pool: *mut mm_pool_t,
    more_bytes: usize,
) -> c_int {
    // SAFETY: boundary rules; the bytes are the caller's to give (documented).
    truth(unsafe {
        match (instance(allocator), Pool::from_raw(pool.cast())) {
            (Some(tlsf), Some(pool)) => checker::extend_pool(tlsf, pool, more_bytes),
            _ => false,
        }
    })
}

/// Removes a pool: its region is yours again. `mem_or_pool` is the pool or the
/// address that it was added with. Returns 1; 0, with nothing changed, while a
/// block of the pool is in use, if it is no pool of this allocator, or if the
/// call finds an overwritten header or link. O(1); with a cache (mm_set_cache),
/// whose blocks are freed first, also if 0 is returned, O(cached blocks).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_remove_pool(
    allocator: *mut mm_allocator_t,
    mem_or_pool: *mut c_void,
) -> c_int {
    // SAFETY: boundary rules.
    truth(unsafe {
        instance(allocator).is_some_and(|tlsf| checker::remove_pool(tlsf, mem_or_pool.cast()))
    })
}

/// The allocator's pool with the lowest address; NULL if it has none. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_get_pool(allocator: *mut mm_allocator_t) -> *mut mm_pool_t {
    // SAFETY: boundary rules.
    raw(unsafe { session(allocator).and_then(|tlsf| tlsf.first_pool()) })
}

/// The pool after `pool` in address order; NULL if `pool` is NULL, the last one
/// or not this allocator's. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_next_pool(
    allocator: *mut mm_allocator_t,
    pool: *mut mm_pool_t,
) -> *mut mm_pool_t {
    // SAFETY: boundary rules.
    raw(unsafe {
        session(allocator)
            .zip(Pool::from_raw(pool.cast()))
            .and_then(|(tlsf, pool)| tlsf.next_pool(pool))
    })
}

/// The pool that `ptr` points into, its headers included; NULL if it points
/// into none. The memory at `ptr` is not read. O(pools).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_get_pool_for_ptr(
    allocator: *mut mm_allocator_t,
    ptr: *const c_void,
) -> *mut mm_pool_t {
    // SAFETY: boundary rules.
    raw(unsafe { session(allocator).and_then(|tlsf| tlsf.pool_of(ptr.cast())) })
}
