//! The debug layer of `libmemoman-debug`: the core's interface, with a record and guard words around each block.
//!
//! It wraps; it does not look into the core. What it keeps lies in the blocks themselves and in a ledger in front of the
//! instance's control structure, so two instances share nothing here either.
//!
//! | file | what |
//! |---|---|
//! | `block.rs` | what lies around a block: record, guards, fill |
//! | `heap.rs` | an instance: create, allocate, free, its figures |
//! | `pools.rs` | its pools, reset |
//! | `resize.rs` | realloc |
//! | `quarantine.rs` | freed blocks that are held back |
//! | `check.rs` | pointers given back, validation |
//! | `fault.rs` | what can be found, and what is known about it |
//! | `site.rs` | call sites |
//!
//! The layers above use [`allocator`]: this layer under `--cfg memoman_debug`, else the core, unchanged.
#![no_std]

#[cfg(test)]
extern crate std;

mod block;
mod check;
mod fault;
mod heap;
mod pools;
mod quarantine;
mod resize;
pub mod site;

pub use block::{FILL_MAX, FREED, FRESH, GUARD, GUARD_FILL};
pub use fault::{Fault, Invariant, Kind, Known, Refusal, Step, Violation};
pub use heap::{DebugTlsf, Freed};
pub use quarantine::{QUARANTINE_BLOCKS, QUARANTINE_BYTES};

/// What the C library and the process-wide heap allocate from.
#[cfg(memoman_debug)]
pub mod allocator {
    pub use crate::fault::{Fault as Misuse, Refusal, Step, Violation};
    pub use crate::heap::DebugTlsf as Tlsf;
    pub use crate::site::{Site, here};
    pub use memoman_core::{Cursor, Pool, Stats};

    use core::ptr::NonNull;

    /// The instance, as called from `site`.
    #[inline(always)]
    pub fn at(tlsf: Tlsf, site: Site) -> Tlsf {
        tlsf.at(site)
    }

    /// [`Tlsf::walk_pool`].
    ///
    /// # Safety
    /// As for it.
    pub unsafe fn walk(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: the same duties.
        unsafe { Tlsf::walk_pool(pool, f) }
    }
}

/// What the C library and the process-wide heap allocate from.
#[cfg(not(memoman_debug))]
pub mod allocator {
    pub use memoman_core::{Cursor, Misuse, Pool, Refusal, Stats, Step, Tlsf, Violation};

    use core::ptr::NonNull;

    /// A call site: only the debug layer records one.
    #[derive(Clone, Copy)]
    pub struct Site;

    /// The place that called the exported function into which this is inlined.
    #[inline(always)]
    pub fn here() -> Site {
        Site
    }

    /// The instance, as called from `_site`.
    #[inline(always)]
    pub fn at(tlsf: Tlsf, _site: Site) -> Tlsf {
        tlsf
    }

    /// [`Pool::walk`].
    ///
    /// # Safety
    /// As for it.
    pub unsafe fn walk(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: the same duties.
        unsafe { pool.walk(f) }
    }
}
