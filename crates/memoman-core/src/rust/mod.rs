//! The interface for Rust programs: a heap over borrowed memory, owned values in it, and the
//! `Allocator` of the allocator-api2 crate.

#[cfg(feature = "allocator-api2")]
mod allocator_api2;
mod boxed;
mod heap;
mod inspect;
#[cfg(not(memoman_small))]
mod observe;
#[cfg(memoman_small)]
mod unobserved;

pub use boxed::Boxed;
pub use heap::{AddedPool, Heap, Memory};
#[cfg(not(memoman_small))]
pub use observe::Shortage;
