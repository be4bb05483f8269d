//! memoman's core: a two-level segregated fit (TLSF) allocator over memory that the caller supplies.
//!
//! It owns nothing, calls nobody, never grows, never locks, never panics in a call that a release
//! build makes. Every allocating and freeing call runs in constant time. The layout of a block is
//! drawn in [`mod@block`], that of a pool in [`mod@pool`], that of the instance in [`mod@control`].
//!
//! After Masmano, Ripoll, Crespo, Real: *TLSF: a new dynamic memory allocator for real-time systems*, ECRTS 2004.
//!
//! # Invariants
//! 1. A bin's bit is set exactly when its list is not empty; a first-level bit exactly when a bit of its word is set.
//! 2. Every listed block is free, in the bin that its size maps to, inside a pool; links are mutual; there is no cycle.
//! 3. Every free block of a pool is listed exactly once.
//! 4. No two physical neighbours are both free.
//! 5. PREV_FREE is set exactly when the previous block is free; then, and only then, `prev_phys` points to it.
//! 6. Sizes are multiples of the quantum, at least the smallest block, and tile the pool up to its sentinel.
//! 7. Payloads are aligned; pools overlap neither each other nor the control structure.
//! 8. The counters equal what a walk finds.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod config;
pub mod size_class;

mod allocate;
pub mod block;
mod check;
pub mod control;
#[cfg(all(test, unix))]
mod corruption;
mod free;
mod free_list;
mod intercept;
mod lists;
mod live;
mod misuse;
pub mod pool;
mod pools;
mod realloc;
mod stats;
mod step;
mod tlsf;

pub use allocate::Miss;
pub use check::{Invariant, Violation};
pub use free::{Beside, FreeBlock};
pub use intercept::Reach;
pub use misuse::{Misuse, MisuseHandler, Refusal};
pub use pool::Pool;
pub use stats::Stats;
pub use step::{Cursor, Step};
pub use tlsf::Tlsf;
