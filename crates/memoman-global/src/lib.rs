//! The process-wide allocator: memoman's core over pools that come from `mmap`, behind one lock.
//!
//! ```
//! use memoman_global::Memoman;
//!
//! #[global_allocator]
//! static ALLOCATOR: Memoman = Memoman;
//!
//! let numbers = vec![1u64; 1000];
//! assert!(ALLOCATOR.stats().used >= 8 * numbers.len());
//! ```
//!
//! [`Memoman`] is the interface for Rust programs; the functions are what the C library and the shim are made of, and change
//! without notice.
//!
//! Everything here may run before the program's constructors, inside the dynamic linker's calls, in a forked
//! child and after `exit` has begun. So all state is constant-initialised and set up at the first
//! call, nothing is torn down, and no function that may allocate (`pthread_atfork`, `atexit`) is
//! called while the lock is held.
//!
//! | file | what |
//! |---|---|
//! | `heap.rs` | the allocator: create, grow, serve, give back |
//! | `global_alloc.rs` | Rust's `GlobalAlloc` over it |
//! | `lock.rs` | one priority-inheriting lock |
//! | `sync.rs` | what the lock is made of, and the model of it for loom |
//! | `fork.rs` | it survives `fork` |
//! | `os.rs` | regions of memory |
//! | `env.rs` | the `MEMOMAN_*` variables |
//! | `fatal.rs` | misuse: handler, or one line and abort |
//! | `line.rs` | text without allocation, for stderr |
//! | `report.rs` | the table of `MEMOMAN_STATS=1` |
//! | `debug.rs` | the debug library's reports, its variables, leaks at exit |
#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(memoman_debug)]
#[doc(hidden)]
pub mod debug;
mod env;
#[doc(hidden)]
pub mod fatal;
mod fork;
#[cfg(memoman_fuzz)]
pub mod fuzz;
mod global_alloc;
mod heap;
mod line;
mod lock;
mod os;
mod report;
mod sync;

pub use global_alloc::Memoman;
#[doc(hidden)]
pub use heap::{
    calloc, free, handle, malloc, memalign, realloc, set_errno, stats, trim, usable_size, validate,
};
#[cfg(memoman_debug)]
#[doc(hidden)]
pub use heap::{malloc_at, memalign_at};
#[doc(no_inline)]
pub use memoman_debug::allocator::Stats;
#[doc(hidden)]
pub use report::print_table;

/// The examples of README.md are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
