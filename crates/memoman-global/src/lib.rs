//! The process-wide allocator: a heap of memoman's core for each thread, over segments of one
//! process-wide instance, whose pools come from `mmap` or `VirtualAlloc`.
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
//! [`Memoman`] is the interface for Rust programs. The functions serve the C library and the
//! preload shim and change without notice.
//!
//! | file or folder | what |
//! |---|---|
//! | `malloc.rs` | malloc, free and the rest: the choice of the heap that serves a call |
//! | `inspect.rs` | figures, validation, trim, the process-wide instance |
//! | `global_alloc.rs` | Rust's `GlobalAlloc` |
//! | `allocator.rs` | the core's types, or the debug library's |
//! | `thread/` | a thread's heap: its calls, cache, inbox and gate, its start and end |
//! | `process/` | the process-wide instance, its lock, segments, large blocks, the map of addresses, figures, misuse, `fork` |
//! | `debug/` | the debug library: one heap behind the lock, reports, leaks at exit |
//! | `system/` | memory, environment, stderr, errno, atomics and fences |
//!
//! No two files import each other. From the top down:
//! 1. `malloc`, `inspect` and `global_alloc`, over `process/start`, which registers what runs at
//!    exit and in a fork;
//! 2. `thread/{calls, remote, attach}` and `process/figures`, over `thread/reclaim` and
//!    `process/supply`, over `process/{segments, large, misuse}`, over `process/heap`;
//! 3. `process/registry`, over `thread/{entry, chains, turned_away}`, over `thread/{heap, cache,
//!    inbox, outbox, idleness, gate, lifetime}`, over `process/{later, side, map, lock}`, over
//!    `system/`.
//!
//! Every function may run before the program's constructors, inside the dynamic linker's calls, in
//! a forked child and after `exit` has begun. So all state is constant-initialised and set up at
//! the first call, nothing is torn down, and no function that may allocate (`pthread_atfork`,
//! `atexit`) is called while the lock is held.
//!
//! The memory order of each atomic, and why no call waits for another thread: docs/concurrency.md.
#![no_std]

#[cfg(test)]
extern crate self as memoman_global;
#[cfg(test)]
extern crate std;

#[doc(hidden)]
pub mod allocator;
#[cfg(memoman_debug)]
#[doc(hidden)]
pub mod debug;
#[cfg(memoman_fuzz)]
pub mod fuzz;
mod global_alloc;
mod inspect;
#[cfg(not(memoman_debug))]
mod malloc;
mod process;
mod system;
#[cfg(test)]
mod tests;
#[cfg(not(memoman_debug))]
mod thread;

#[cfg(memoman_debug)]
use debug::calls as imp;
#[cfg(not(memoman_debug))]
use malloc as imp;

#[doc(no_inline)]
pub use allocator::Stats;
pub use global_alloc::Memoman;
#[cfg(not(memoman_debug))]
#[doc(hidden)]
pub use imp::{LARGE_ALIGN, free_inlined, large_size};
#[doc(hidden)]
pub use imp::{calloc, free, malloc, memalign, realloc, usable_size};
#[cfg(memoman_debug)]
#[doc(hidden)]
pub use imp::{free_as, malloc_at, memalign_at, realloc_as};
#[doc(hidden)]
pub use inspect::{handle, info, is_handle, print_table, stats, trim, validate, with_xml};
#[cfg(memoman_debug)]
#[doc(hidden)]
pub use memoman_debug::{By, Family, site};
#[doc(hidden)]
pub use process::figures::Info;
#[doc(hidden)]
pub use process::misuse;
#[doc(hidden)]
pub use process::published::memoman_published;
#[doc(hidden)]
pub use system::errno::set_errno;

/// The program's first thread is about to start another one.
#[cfg(feature = "announced-threads")]
#[doc(hidden)]
pub fn expect_threads() {
    process::fork::register();
}

/// The program is about to have its system calls filtered.
#[cfg(feature = "announced-threads")]
#[doc(hidden)]
pub fn expect_filter() {
    #[cfg(not(memoman_debug))]
    system::sync::expect_filter();
}

/// The program is about to change pages: their access, or what the system does with them.
#[cfg(feature = "late-checks")]
#[doc(hidden)]
pub fn note_changed_pages(start: usize, bytes: usize) {
    #[cfg(not(memoman_debug))]
    process::mapping_changed::note(start, bytes);
    let _ = (start, bytes);
}

/// A call of the program has found a limit of memory: returns what is kept for later requests. True
/// if there was something. Keeps errno.
#[cfg(feature = "late-checks")]
#[doc(hidden)]
#[cold]
pub fn give_back_kept() -> bool {
    #[cfg(not(memoman_debug))]
    return process::heap::give_back_kept();
    #[cfg(memoman_debug)]
    false
}

/// The program has an `mmap` of its own, by which the heap is to map memory.
#[cfg(feature = "announced-threads")]
#[doc(hidden)]
pub fn map_by(mmap: *const core::ffi::c_void) {
    system::memory::map_by(mmap);
}

/// The program is about to lock all of its pages in memory.
#[cfg(feature = "announced-threads")]
#[doc(hidden)]
pub fn note_locked_pages() {
    #[cfg(not(memoman_debug))]
    system::sandbox::note_locked();
}

/// The examples of README.md are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
