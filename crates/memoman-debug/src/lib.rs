//! The debug layer of `libmemoman-debug`: the core's interface, with a record and guard words
//! around each block.
//!
//! It wraps the core and reads none of its state. Its own lies in the blocks and in a ledger before
//! the instance's control structure, so instances share nothing.
//!
//! | file | contents |
//! |---|---|
//! | `block.rs` | a block's surroundings: record, guards, fill |
//! | `heap.rs` | an instance: create, allocate, free, figures |
//! | `ledger.rs` | the state of an instance: queue, counters |
//! | `pools.rs` | an instance's pools, reset |
//! | `resize.rs` | realloc |
//! | `quarantine.rs` | freed blocks held back |
//! | `check.rs` | tests of returned pointers, validation |
//! | `fault.rs` | faults, refusals, violations |
//! | `site.rs` | call sites |
//!
//! The layers above use [`allocator`]: this layer under `--cfg memoman_debug`, else the core.
#![no_std]

#[cfg(test)]
extern crate std;

mod block;
mod check;
mod fault;
mod heap;
mod ledger;
mod pools;
mod quarantine;
mod resize;
pub mod site;

pub use block::{FILL_MAX, FREED, FRESH, GUARD, GUARD_FILL};
pub use fault::{Fault, Invariant, Kind, Known, Refusal, Step, Violation};
pub use heap::{DebugTlsf, Freed};
pub use quarantine::{QUARANTINE_BLOCKS, QUARANTINE_BYTES};

/// The allocator of the C library and the process-wide heap.
#[cfg(memoman_debug)]
pub mod allocator {
    pub use crate::fault::{Fault as Misuse, Refusal, Step, Violation};
    pub use crate::heap::DebugTlsf as Tlsf;
    pub use crate::site::{Site, here};
    pub use memoman_core::{Cursor, Pool, Stats};

    use core::ptr::NonNull;

    /// The instance, called from `site`.
    #[inline(always)]
    pub fn at(tlsf: Tlsf, site: Site) -> Tlsf {
        tlsf.at(site)
    }

    /// [`Tlsf::walk_pool`].
    ///
    /// # Safety
    /// The duties of [`Pool::walk`].
    pub unsafe fn walk(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: a live pool; `f` makes no call on its instance (caller).
        unsafe { Tlsf::walk_pool(pool, f) }
    }
}

/// The allocator of the C library and the process-wide heap.
#[cfg(not(memoman_debug))]
pub mod allocator {
    pub use memoman_core::{Cursor, Misuse, Pool, Refusal, Stats, Step, Tlsf, Violation};

    use core::ptr::NonNull;

    /// A call site, which only the debug layer records.
    #[derive(Clone, Copy)]
    pub struct Site;

    /// The caller of the exported function into which this is inlined.
    #[inline(always)]
    pub fn here() -> Site {
        Site
    }

    /// The instance; the call site is dropped.
    #[inline(always)]
    pub fn at(tlsf: Tlsf, _site: Site) -> Tlsf {
        tlsf
    }

    /// [`Pool::walk`].
    ///
    /// # Safety
    /// The duties of [`Pool::walk`].
    pub unsafe fn walk(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: a live pool; `f` makes no call on its instance (caller).
        unsafe { pool.walk(f) }
    }
}
