//! The trace format's constants and number coding, for the recorder inside a process and for the
//! reader. `docs/book/trace-format.md` describes the format byte for byte.
//!
//! | file | what |
//! |---|---|
//! | `layout.rs` | the header's and a chunk's fields, operations and flags of a record |
//! | `number.rs` | numbers of variable length, differences of addresses |
#![no_std]
#![forbid(unsafe_code)]

pub mod layout;
pub mod number;
