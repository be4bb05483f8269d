//! The process-wide allocator: memoman's core over pools that come from `mmap` behind one lock, and
//! in front of it a heap for each thread.
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
//! | `calls.rs` | malloc and the rest: which heap serves |
//! | `own.rs` | the calling thread's heap, without a lock |
//! | `elsewhere.rs` | another thread's heap |
//! | `core_calls.rs` | one copy of the core's malloc and free for all who are not in a hurry |
//! | `locked.rs` | the process-wide instance, under its lock |
//! | `thread_heap.rs` | a thread's heap: core, `cache.rs` in front, `remote.rs` for what others free, `gate.rs` around it |
//! | `segment.rs` | which heap has an address |
//! | `supply.rs`, `lend.rs` | segments from the process-wide instance and back |
//! | `adopt.rs`, `exit.rs`, `tls.rs` | how a thread comes by its heap, and where the heap goes |
//! | `world.rs`, `survey.rs` | every heap at once: figures, validation, giving back |
//! | `default.rs` | the process-wide instance: create, grow, give back |
//! | `global_alloc.rs` | Rust's `GlobalAlloc` over it |
//! | `lock.rs` | one priority-inheriting lock |
//! | `sync.rs` | what lock, gate and inbox are made of, and the model of it for loom |
//! | `fork.rs` | all of it survives `fork` |
//! | `os.rs` | regions of memory |
//! | `env.rs` | the `MEMOMAN_*` variables |
//! | `fatal.rs`, `tell.rs` | misuse: handler, or one line and abort |
//! | `line.rs` | text without allocation, for stderr |
//! | `report.rs` | the table of `MEMOMAN_STATS=1` |
//! | `debug_calls.rs`, `debug.rs` | the debug library: one heap behind the lock, its reports, its variables, leaks at exit |
//!
//! The memory order of each atomic, and why no call waits for another thread: docs/concurrency.md.
#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(memoman_debug)]
#[doc(hidden)]
pub mod debug;
#[cfg(memoman_debug)]
mod debug_calls;
mod default;
mod env;
#[doc(hidden)]
pub mod fatal;
mod fork;
#[cfg(memoman_fuzz)]
pub mod fuzz;
mod global_alloc;
mod line;
mod lock;
mod os;
mod report;
mod survey;
mod sync;

/// What the debug library has none of.
#[cfg(not(memoman_debug))]
mod adopt;
#[cfg(not(memoman_debug))]
mod cache;
#[cfg(not(memoman_debug))]
mod calls;
#[cfg(not(memoman_debug))]
mod core_calls;
#[cfg(not(memoman_debug))]
mod elsewhere;
#[cfg(not(memoman_debug))]
mod exit;
#[cfg(not(memoman_debug))]
mod gate;
#[cfg(not(memoman_debug))]
#[cfg(not(memoman_debug))]
mod lend;
#[cfg(not(memoman_debug))]
mod locked;
#[cfg(not(memoman_debug))]
mod own;
#[cfg(not(memoman_debug))]
mod remote;
#[cfg(not(memoman_debug))]
mod segment;
#[cfg(not(memoman_debug))]
mod supply;
#[cfg(not(memoman_debug))]
mod tell;
#[cfg(not(memoman_debug))]
mod thread_heap;
#[cfg(not(memoman_debug))]
mod tls;
#[cfg(not(memoman_debug))]
mod world;

#[cfg(not(memoman_debug))]
#[doc(hidden)]
pub use calls::{calloc, free, free_inlined, malloc, memalign, realloc, usable_size};
#[cfg(memoman_debug)]
#[doc(hidden)]
pub use debug_calls::{
    calloc, free, malloc, malloc_at, memalign, memalign_at, realloc, usable_size,
};
#[doc(hidden)]
pub use default::handle;
pub use global_alloc::Memoman;
#[doc(no_inline)]
pub use memoman_debug::allocator::Stats;
#[doc(hidden)]
pub use report::print_table;
#[doc(hidden)]
pub use survey::{set_errno, stats, trim, validate};

/// The examples of README.md are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
