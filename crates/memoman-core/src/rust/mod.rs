//! The interface for Rust programs: a heap over borrowed memory, owned values in it, the
//! `Allocator` traits, and a global allocator for microcontrollers.

#[cfg(any(
    feature = "allocator-api2",
    feature = "allocator-api2-03",
    feature = "allocator-api2-02",
    feature = "nightly"
))]
mod allocator;
mod boxed;
#[cfg(not(memoman_small))]
mod cache;
#[cfg(feature = "critical-section")]
pub mod embedded;
mod heap;
mod inspect;
#[cfg(not(memoman_small))]
mod observe;
mod steps;
#[cfg(memoman_small)]
mod unobserved;

pub use boxed::Boxed;
pub use heap::{AddedPool, Heap, Memory};
#[cfg(not(memoman_small))]
pub use observe::Shortage;
pub use steps::Steps;
