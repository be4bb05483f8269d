//! The operating system and the C library, as this crate uses them. Nothing here knows of a heap.
//!
//! | file | what |
//! |---|---|
//! | `memory.rs` | regions of memory |
//! | `env.rs` | the `MEMOMAN_*` variables |
//! | `stderr.rs` | text for stderr, without allocation |
//! | `sync.rs` | what lock, gates and inboxes are built of: atomics, fences, all threads' barrier, futex |
//! | `clock.rs` | time |
//! | `signals.rs` | the calling thread's signals |
//! | `errno.rs` | the calling thread's errno |
//! | `key.rs` | a word of each thread, notice of the thread's end |
//! | `child.rs` | children that no fork handler has prepared (shim) |
//! | `sandbox.rs` | which system calls a sandbox permits (shim) |
//! | `program.rs` | the process: its environment, files, forks, end |
//! | `sanitizer.rs` | the stack of a report, from a sanitizer's runtime |
//! | `windows/` | the files above that name the system, for Windows |

pub(crate) mod env;
pub(crate) mod stderr;

#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
pub(crate) mod child;
#[cfg(not(memoman_debug))]
#[cfg_attr(windows, path = "windows/clock.rs")]
pub(crate) mod clock;
#[cfg_attr(windows, path = "windows/errno.rs")]
pub(crate) mod errno;
#[cfg(not(memoman_debug))]
#[cfg_attr(windows, path = "windows/key.rs")]
pub(crate) mod key;
#[cfg_attr(windows, path = "windows/memory.rs")]
pub(crate) mod memory;
#[cfg_attr(windows, path = "windows/program.rs")]
pub(crate) mod program;
#[cfg(all(feature = "announced-threads", not(memoman_debug)))]
pub(crate) mod sandbox;
pub(crate) mod sanitizer;
#[cfg_attr(windows, path = "windows/signals.rs")]
pub(crate) mod signals;
#[cfg_attr(windows, path = "windows/sync.rs")]
pub(crate) mod sync;

#[cfg(windows)]
#[path = "windows/api.rs"]
mod windows;
