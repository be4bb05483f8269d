//! memoman's core: a two-level segregated fit (TLSF) allocator over memory that the caller
//! supplies.
//!
//! ```
//! use memoman_core::Heap;
//! use std::mem::MaybeUninit;
//!
//! let mut memory = [const { MaybeUninit::uninit() }; 64 * 1024];
//! let heap = Heap::new(&mut memory).expect("64 KiB hold a heap");
//! let mut frame = heap.boxed([0u8; 1024]).expect("there is room");
//! frame[0] = 1;
//! assert!(heap.stats().used >= 1024);
//! ```
//!
//! [`Heap`] is the interface for Rust programs. The raw handle below it, `Tlsf`, is what the C
//! library is built on; it and the implementation's modules are public for memoman's own crates
//! and change without notice.
//!
//! Features:
//!
//! | feature | what |
//! |---|---|
//! | `allocator-api2` | `&Heap` is an `Allocator` of allocator-api2 0.4, for its `Vec` and `Box` |
//! | `allocator-api2-03`, `allocator-api2-02` | of its versions 0.3, 0.2 (hashbrown, bumpalo) |
//! | `nightly` | of `core::alloc`, for `std`'s collections on a nightly toolchain |
//! | `critical-section` | `embedded::Heap`, a `#[global_allocator]` for microcontrollers |
//!
//! The core owns no memory, makes no system call, never grows, never locks, and never panics in a
//! call of a release build. Every allocating and freeing call runs in constant time, apart from
//! clearing and copying bytes. The source draws the layout of a block in `block.rs`, of a pool in
//! `pool.rs`, of the instance in `control.rs`.
//!
//! The method is that of Masmano, Ripoll, Crespo, Real: *TLSF: a new dynamic memory allocator for
//! real-time systems*, ECRTS 2004.
//!
//! # Pointers
//! A pool's blocks, links and headers are reached with the provenance of the pointer that the pool
//! was added with, the control structure with that of its creation: links are stored as pointers,
//! neighbours computed from them by offsets. Two kinds of pointer are not derived so. One that a
//! caller gives back may have been narrowed to the payload, so `Block::returned` takes the exposed
//! provenance of the pool. One into the control structure that validation reports has its
//! provenance and is not followed. No reference to the control structure lives across a write
//! through a pointer to it; the heads lie outside every such reference. Casts between pointers and
//! integers are refused by rustc's strict-provenance lints (`provenance` in `make check`).
//!
//! # Invariants
//! The source refers to them as I1 to I8; validation checks them.
//! 1. A bin's bit is set exactly when its list is not empty; a first-level bit exactly when a bit
//!    of its word is set.
//! 2. Every listed block is free, inside a pool, and in the bin that its size maps to, or it is the
//!    wilderness, the free block that ends the highest pool; links are mutual; there is no cycle.
//! 3. Every free block of a pool is listed exactly once.
//! 4. No two physical neighbours are both free.
//! 5. PREV_FREE is set exactly when the previous block is free; then, and only then, `prev_phys`
//!    points to it.
//! 6. Sizes are multiples of the quantum, at least the smallest block, and tile the pool up to its
//!    sentinel.
//! 7. Payloads are aligned; pools overlap neither each other nor the control structure.
//! 8. The counters equal what a walk finds.
#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the hidden modules' documentation is for readers of the source"
)]
#![cfg_attr(
    memoman_small,
    allow(
        dead_code,
        unused_imports,
        reason = "items for the hot paths of the normal build only"
    )
)]

#[cfg(test)]
extern crate std;

#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod size_class;

mod block;
#[cfg(not(memoman_small))]
mod cache;
#[doc(hidden)]
pub mod control;
mod dump;
mod figures;
mod free_walk;
mod hash;
mod hooks;
mod instance;
mod intercept;
mod layout;
mod layout_asserts;
mod life;
mod measure;
mod misuse;
#[cfg(not(memoman_small))]
mod observe;
#[doc(hidden)]
pub mod pool;
mod pools;
mod returned;
mod rust;
mod stats;
#[cfg(test)]
mod tests;
mod validate;

// The calls and the lists: fast in the normal build, compact in the small one.
#[cfg(not(memoman_small))]
mod aligned;
#[cfg(not(memoman_small))]
mod allocate;
#[cfg(not(memoman_small))]
mod free;
#[cfg(not(memoman_small))]
mod free_list;
#[cfg(not(memoman_small))]
mod front;
#[cfg(not(memoman_small))]
mod in_place;
#[cfg(not(memoman_small))]
mod realloc;
#[cfg(memoman_small)]
mod small;
#[cfg(memoman_small)]
use small::{allocate, free, free_list, realloc};

#[doc(hidden)]
pub use block::FreeBlock;
#[cfg(not(memoman_small))]
#[doc(hidden)]
pub use cache::Cached;
pub use dump::DumpFormat;
#[doc(hidden)]
pub use dump::Writer;
#[doc(hidden)]
pub use free_walk::FreePlace;
#[cfg(not(memoman_small))]
#[doc(hidden)]
pub use front::Front;
#[doc(hidden)]
pub use hooks::{Access, ExhaustedHandler, Observer};
pub use hooks::{Event, EventKind};
#[doc(hidden)]
pub use instance::Tlsf;
#[doc(hidden)]
pub use intercept::Reach;
#[doc(hidden)]
pub use layout::{LAYOUT, Layout};
pub use measure::Measure;
#[doc(hidden)]
pub use measure::{GAPS, Look, POWERS, Seen};
#[doc(hidden)]
pub use misuse::MisuseHandler;
pub use misuse::{Misuse, Refusal};
#[doc(hidden)]
pub use pool::Pool;
#[cfg(not(memoman_small))]
pub use rust::Shortage;
#[cfg(feature = "critical-section")]
pub use rust::embedded;
pub use rust::{AddedPool, Boxed, Heap, Memory, Steps};
pub use stats::Stats;
#[doc(hidden)]
pub use validate::Cursor;
pub use validate::{Invariant, Step, Violation};

/// The examples of README.md are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
