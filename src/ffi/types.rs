//! The header's types.

use core::ffi::{c_char, c_int, c_void};

/// An allocator. Lives in memory that you supply; opaque.
pub struct mm_allocator_t {
    _opaque: [u8; 0],
}

/// A pool: a region of memory that you gave to an allocator; opaque.
pub struct mm_pool_t {
    _opaque: [u8; 0],
}

/// An allocator's figures, in bytes unless the name says otherwise.
/// Always: used + free + overhead == pool_bytes.
#[repr(C)]
pub struct mm_stats_t {
    /// All pools, each between its bounds rounded inward.
    pub pool_bytes: usize,
    /// What live blocks take, headers included.
    pub used: usize,
    /// What free blocks take, headers included.
    pub free: usize,
    /// What the pools take for themselves.
    pub overhead: usize,
    /// The highest `used` since creation or reset.
    pub peak: usize,
    /// The greatest request that can succeed now.
    pub largest: usize,
    /// Number of blocks in use.
    pub live_blocks: usize,
    /// Number of requests refused for want of memory.
    pub failed_requests: usize,
}

/// A broken invariant, as mm_diagnose finds it.
#[repr(C)]
pub struct mm_violation_t {
    /// Number of the invariant, 1 to 8; 0: none is broken.
    pub invariant: c_int,
    /// What is broken, in a few words; static storage, never NULL.
    pub name: *const c_char,
    /// Where it shows: a block, a bitmap word, a list head, a pool, the allocator. NULL if none is broken.
    pub address: *const c_void,
    /// The pool in which it shows; NULL if in none.
    pub pool: *mut mm_pool_t,
}

/// Where mm_validate_step goes on. Set it to all zero before the first step; its
/// contents are the library's.
#[repr(C)]
pub struct mm_cursor_t {
    /// Private.
    pub state: [usize; 4],
}

/// Called for each block: payload, usable bytes, nonzero if in use, your word.
/// Must not allocate from, or free to, the allocator that is walked.
pub type mm_walker =
    Option<unsafe extern "C" fn(ptr: *mut c_void, size: usize, used: c_int, user: *mut c_void)>;

/// Called on misuse: a fixed message, the pointer at which it shows, your word.
pub type mm_error_handler =
    Option<unsafe extern "C" fn(message: *const c_char, ptr: *const c_void, user: *mut c_void)>;
