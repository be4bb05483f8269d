//! The interface for Rust programs: a heap over borrowed memory, owned values in it, and the
//! `Allocator` of the allocator-api2 crate.

#[cfg(feature = "allocator-api2")]
mod allocator_api2;
mod boxed;
mod heap;
mod steps;

pub use boxed::Boxed;
pub use heap::{AddedPool, Heap, Memory};
pub use steps::Steps;
