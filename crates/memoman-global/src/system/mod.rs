//! The operating system and the C library, as this crate uses them. Nothing here knows of a heap.
//!
//! | file | what |
//! |---|---|
//! | `memory.rs` | regions of memory |
//! | `env.rs` | the `MEMOMAN_*` variables |
//! | `stderr.rs` | text for stderr, without allocation |
//! | `sync.rs` | the building blocks of the lock, the gates and the inboxes |
//! | `clock.rs` | time |
//! | `signals.rs` | the calling thread's signals |
//! | `errno.rs` | the calling thread's errno |

#[cfg(not(memoman_debug))]
pub(crate) mod clock;
pub(crate) mod env;
pub(crate) mod errno;
pub(crate) mod memory;
pub(crate) mod signals;
pub(crate) mod stderr;
pub(crate) mod sync;
