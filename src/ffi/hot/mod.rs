//! The bodies of the hot functions, by build.
//!
//! | file | what |
//! |---|---|
//! | `fast.rs` | release library: the core's paths with a front for C |
//! | `plain.rs` | debug and small library: one call of the allocator |

#[cfg(not(any(memoman_debug, memoman_small)))]
mod fast;
#[cfg(not(any(memoman_debug, memoman_small)))]
use fast as imp;

#[cfg(any(memoman_debug, memoman_small))]
mod plain;
#[cfg(any(memoman_debug, memoman_small))]
use plain as imp;

pub(super) use imp::{calloc, free, malloc, memalign, realloc, realloc_aligned};
