//! The debug layer of `libmemoman-debug`: the core's interface, with a record and guard words
//! around each block.
//!
//! It wraps the core and reads none of its state. Its own lies in the blocks and in a ledger before
//! the instance's control structure, so instances share nothing.
//!
//! | file | contents |
//! |---|---|
//! | `block.rs` | a block's surroundings: its record |
//! | `guard.rs` | its guards and fill |
//! | `heap.rs` | an instance: allocate, free, figures |
//! | `create.rs` | its creation |
//! | `ledger.rs` | the state of an instance: queue, counters |
//! | `pools.rs` | an instance's pools, reset |
//! | `resize.rs` | realloc |
//! | `quarantine.rs` | freed blocks held back |
//! | `check.rs` | tests of returned pointers, validation |
//! | `inspect.rs` | dump, measure |
//! | `observe.rs` | observers |
//! | `fault.rs` | faults, refusals, violations |
//! | `site.rs` | call sites |
//!
//! Under `--cfg memoman_debug` the layers above use [`DebugTlsf`] in place of the core's instance.
#![no_std]

#[cfg(test)]
extern crate std;

mod block;
mod check;
mod create;
mod fault;
mod guard;
mod heap;
mod inspect;
mod ledger;
mod observe;
mod pools;
mod quarantine;
mod resize;
pub mod site;

pub use block::{By, FILL_MAX, FREED, FRESH, Family, GUARD, GUARD_FILL};
pub use fault::{Fault, Invariant, Kind, Known, Refusal, Step, Violation};
pub use heap::{DebugTlsf, Freed};
/// Bytes of a handle's memory before the core's control structure.
pub const BEFORE_CONTROL: usize = ledger::LEDGER;
pub use ledger::{QUARANTINE_BLOCKS, QUARANTINE_BYTES};
