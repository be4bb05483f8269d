//! Validation: checks invariants I1 to I8 (`lib.rs`) on a heap whose every word may have been
//! overwritten.
//!
//! Nothing is followed before it is validated: the control structure by its hash, each pool by its
//! header's hash, each block by the walk that reaches it from its pool's start, the links by the
//! sums of [`links`]. So validation reads nothing outside the pools and the control structure, and
//! terminates: within three passes over blocks, bins and pools in a sound heap, twenty in a broken
//! one.

mod check;
mod links;
mod step;
mod violation;
pub(crate) mod walk;

pub(crate) use check::{check_bitmaps, check_control, check_pools, diagnose, follows};
pub(crate) use links::listed_in;
#[cfg(not(memoman_small))]
pub(crate) use links::pool_of;
pub use step::{Cursor, Step};
pub(crate) use violation::{Checked, broken};
pub use violation::{Invariant, Violation};
pub(crate) use walk::Before;
#[cfg(test)]
pub(crate) use walk::TURNS_LEFT;
