//! The header's types.

use core::ffi::{c_char, c_int, c_void};

/// An allocator, in memory that you supply; opaque.
pub struct mm_allocator_t {
    _opaque: [u8; 0],
}

/// A pool: a region of memory that you gave to an allocator; opaque.
pub struct mm_pool_t {
    _opaque: [u8; 0],
}

/// An allocator's figures, in bytes except the two counts that are named so.
/// Always used + free + overhead == pool_bytes.
#[repr(C)]
pub struct mm_stats_t {
    /// All pools, each with its bounds rounded inward to the quantum.
    pub pool_bytes: usize,
    /// Blocks in use, headers included.
    pub used: usize,
    /// Free blocks, headers included.
    pub free: usize,
    /// The pools' own headers and sentinels.
    pub overhead: usize,
    /// The highest `used` since creation or reset.
    pub peak: usize,
    /// The largest request that would succeed.
    pub largest: usize,
    /// Number of blocks in use.
    pub live_blocks: usize,
    /// Number of requests refused for lack of memory.
    pub failed_requests: usize,
    /// Bytes of `used` that are cached blocks (mm_set_cache), headers included;
    /// `peak` and `live_blocks` count them, too.
    pub cached: usize,
}

/// A broken invariant that mm_diagnose found.
#[repr(C)]
pub struct mm_violation_t {
    /// Number of the invariant, 1 to 8; 0 if none is broken.
    pub invariant: c_int,
    /// What is broken, in a few words; static storage, never NULL.
    pub name: *const c_char,
    /// The address of the fault: a block, a bitmap word, a list head, a pool or
    /// the allocator; NULL if none is broken.
    pub address: *const c_void,
    /// The pool that contains the fault; NULL if none does.
    pub pool: *mut mm_pool_t,
}

/// The number of sizes in mm_measure_t: every block is smaller than 2 to this
/// power.
pub const MM_POWERS: usize = 48;
/// The number of gaps in mm_measure_t.
pub const MM_GAPS: usize = 8;

/// Figures of a walk over all blocks, from mm_measure. Sizes are in bytes and
/// include the block's header, mm_alloc_overhead() bytes.
#[repr(C)]
pub struct mm_measure_t {
    /// Number of free blocks.
    pub free_blocks: usize,
    /// Number of blocks in use.
    pub live_blocks: usize,
    /// Bytes of all free blocks.
    pub free_bytes: usize,
    /// Bytes of all blocks in use.
    pub live_bytes: usize,
    /// External fragmentation in millionths: 1 minus the sum of the squares of
    /// the free blocks' sizes over the square of their sum. 0 for one free
    /// block or none, 500000 for two of one size.
    pub fragmentation: usize,
    /// The largest free blocks, the largest first; 0 where there are fewer.
    pub gaps: [usize; MM_GAPS],
    /// Entry n: number of free blocks of 2^n bytes or more, but less than
    /// 2^(n+1).
    pub free_by_power: [usize; MM_POWERS],
    /// The same for blocks in use.
    pub live_by_power: [usize; MM_POWERS],
}

/// Where mm_validate_step continues. Set it to all zero before the first step;
/// its contents belong to the library.
#[repr(C)]
pub struct mm_cursor_t {
    /// Private.
    pub state: [usize; 4],
}

/// Called for each block: its payload, its usable bytes, nonzero if it is in
/// use, and the `user` pointer given to mm_walk_pool. Must not allocate from,
/// or free to, the allocator that is walked.
pub type mm_walker =
    Option<unsafe extern "C" fn(ptr: *mut c_void, size: usize, used: c_int, user: *mut c_void)>;

/// Kinds of mm_event_t: the calls for blocks, which include mm_realloc of NULL
/// (malloc) and to 0 bytes (free).
pub const MM_EVENT_MALLOC: c_int = 1;
/// mm_calloc.
pub const MM_EVENT_CALLOC: c_int = 2;
/// mm_memalign.
pub const MM_EVENT_MEMALIGN: c_int = 3;
/// mm_realloc or mm_realloc_aligned, in place or not.
pub const MM_EVENT_REALLOC: c_int = 4;
/// mm_free.
pub const MM_EVENT_FREE: c_int = 5;
/// A request found no memory.
pub const MM_EVENT_FAILED: c_int = 6;
/// mm_add_pool.
pub const MM_EVENT_POOL_ADDED: c_int = 7;
/// mm_extend_pool.
pub const MM_EVENT_POOL_EXTENDED: c_int = 8;
/// mm_remove_pool: the memory is yours again.
pub const MM_EVENT_POOL_REMOVED: c_int = 9;
/// mm_reset.
pub const MM_EVENT_RESET: c_int = 10;

/// What a call on an allocator has done, for an observer.
#[repr(C)]
pub struct mm_event_t {
    /// The allocator.
    pub allocator: *mut mm_allocator_t,
    /// One of MM_EVENT_MALLOC to MM_EVENT_RESET. Later versions may add kinds.
    pub kind: c_int,
    /// The new block, the freed block, or the pool; NULL for a failed request
    /// and a reset.
    pub ptr: *mut c_void,
    /// The block before a realloc, a failed one included; else NULL.
    pub old_ptr: *mut c_void,
    /// Requested bytes; of a pool, its bytes, between its rounded bounds; of a
    /// freed block, 0.
    pub bytes: usize,
    /// Usable bytes of the block, for a freed one before; 0 without a block.
    pub block_bytes: usize,
    /// The requested alignment; 0 for a function without one.
    pub align: usize,
}

/// Called by an allocator after a call that has changed it: the event, which is
/// valid during the call, and the `user` pointer given to mm_set_observer. It
/// must return: after a longjmp or a C++ exception out of it, the allocator
/// reports each further call as one from a callback.
pub type mm_observer = Option<unsafe extern "C" fn(event: *const mm_event_t, user: *mut c_void)>;

/// Called by an allocator when a request finds no memory: the allocator, the
/// requested bytes and alignment (0 for a function without one), its figures,
/// and the `user` pointer given to mm_set_exhausted_handler. Returns nonzero to
/// have the request tried once more. Like an observer, it must return.
pub type mm_exhausted_handler = Option<
    unsafe extern "C" fn(
        allocator: *mut mm_allocator_t,
        bytes: usize,
        align: usize,
        stats: *const mm_stats_t,
        user: *mut c_void,
    ) -> c_int,
>;

/// For mm_dump: a drawing and tables, for people.
pub const MM_DUMP_TEXT: c_int = 0;
/// For mm_dump: JSON lines, documented in the page "The dump format".
pub const MM_DUMP_JSON: c_int = 1;

/// Called by mm_dump with the next `bytes` bytes of the dump, at most 96, and
/// the `user` pointer given to it; `text` has no final zero. Returns nonzero to
/// continue, 0 to stop. May read the allocator, but not change it.
pub type mm_writer =
    Option<unsafe extern "C" fn(text: *const c_char, bytes: usize, user: *mut c_void) -> c_int>;

/// Called on misuse: a fixed message, the address of the fault, and the `user`
/// pointer given to mm_set_error_handler.
pub type mm_error_handler =
    Option<unsafe extern "C" fn(message: *const c_char, ptr: *const c_void, user: *mut c_void)>;
