//! Traces of a program's heap: what `memoman record` writes, read as events in the order of time.
//!
//! `docs/book/trace-format.md` describes the format. A trace is read in a stream, with memory
//! bounded by the file's own size, and no content of a file can do more than end in an [`Error`].
//!
//! | file | what | uses |
//! |---|---|---|
//! | `event.rs` | one event | |
//! | `error.rs` | why a trace cannot be read | |
//! | `header.rs` | program, process, how the recording ended | `error` |
//! | `chunks.rs` | where the chunks of each stream lie, the clock, the modules | `header` |
//! | `lane.rs` | the records of one stream, in the order of writing | `chunks` |
//! | `merge.rs` | the events of all lanes in the order of time | `lane`, `event` |
//! | `trace.rs` | a file: all of these together | `merge` |
//! | `builder.rs` | writes a trace | `event`, `header` |
//! | `firmware.rs` | the records of firmware as events | `event` |
//! | `fuzz.rs` | the readers, for the fuzzers | `trace`, `firmware` |
#![cfg_attr(not(memoman_fuzz), forbid(unsafe_code))]

mod builder;
mod chunks;
mod error;
mod event;
pub mod firmware;
#[cfg(memoman_fuzz)]
mod fuzz;
mod header;
mod lane;
mod merge;
mod trace;

pub use builder::Builder;
pub use chunks::Module;
pub use error::Error;
pub use event::{Event, Kind};
pub use header::{Cut, EXIT_FIELD, Ended, Header, Origin};
pub use merge::Events;
pub use trace::Trace;
