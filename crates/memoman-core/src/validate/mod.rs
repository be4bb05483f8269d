//! Validation: proves the invariants of the crate's documentation, one by one, on a heap that may have been overwritten
//! anywhere.
//!
//! Nothing is followed before it is proved: the control structure by its hash, each pool by its
//! header's hash, each block by the walk that reaches it from its pool's start, the links by the sums of [`links`].
//! So validation reads nothing outside the pools and the control structure, and ends within blocks + bins + pools
//! steps; when a link is broken, it takes a constant number of such passes to find the one to name.

mod check;
mod links;
mod step;
mod violation;
mod walk;

pub use step::{Cursor, Step};
pub use violation::{Invariant, Violation};
#[cfg(test)]
pub(crate) use walk::TURNS_LEFT;
