//! The debug layer's state of an instance, before the core's control structure.
//!
//! ```text
//!   mem │ Ledger ││ the core's control structure …
//!       ▲ the handle
//! ```

use core::ptr;

use memoman_core::config::{QUANTUM, WORD};

use crate::site::Walk;

/// Most blocks in an instance's quarantine.
pub const QUARANTINE_BLOCKS: usize = 4096;
/// Most bytes in an instance's quarantine.
pub const QUARANTINE_BYTES: usize = 8 << 20;
/// Most bytes of one block in quarantine.
pub(crate) const QUARANTINE_ONE: usize = QUARANTINE_BYTES / 2;

/// The debug layer's state of an instance.
#[repr(C)]
pub(crate) struct Ledger {
    pub(crate) queue: Queue,
    /// Number of operations.
    pub(crate) operations: usize,
    /// The heap is validated when these bits of `operations` are zero.
    pub(crate) mask: usize,
    /// Number of allocations.
    pub(crate) numbers: usize,
    /// Number of the program's blocks, and their bytes with surroundings and the core's headers.
    pub(crate) live: usize,
    pub(crate) used: usize,
    /// Highest `used` since creation or reset.
    pub(crate) peak: usize,
    /// Not zero: the layer above adds pools, so an exhausted allocation does not drain the
    /// quarantine.
    pub(crate) grows: usize,
    /// The number of return addresses that a block keeps beyond the first one, of its allocation
    /// and of its free; and the function that finds them.
    pub(crate) frames: usize,
    pub(crate) walk: Option<Walk>,
}

pub(crate) const LEDGER: usize = size_of::<Ledger>().next_multiple_of(QUANTUM);
const _: () = assert!(align_of::<Ledger>() == WORD);

/// The blocks in quarantine.
#[repr(C)]
pub(crate) struct Queue {
    /// The payload that has been freed first.
    pub(crate) first: *mut u8,
    pub(crate) last: *mut u8,
    pub(crate) blocks: usize,
    /// Bytes of the blocks in the core, headers included.
    pub(crate) bytes: usize,
}

impl Queue {
    pub(crate) const EMPTY: Queue = Queue {
        first: ptr::null_mut(),
        last: ptr::null_mut(),
        blocks: 0,
        bytes: 0,
    };
}
