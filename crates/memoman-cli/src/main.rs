//! `memoman`: records a program's heap, shows it, replays it, sizes its pool.
//!
//! | file | what |
//! |---|---|
//! | `error.rs` | what a command fails with |
//! | `progress.rs` | the progress line on the terminal |
//! | `input.rs` | opens a trace and says what it lacks |
//! | `output.rs` | the file that a command writes |
//! | `text.rs` | numbers as text |
//! | `units.rs` | numbers for people, in bytes |
//! | `signals.rs` | what needs the C library |
//! | `heap.rs` | a heap of memoman's own core |
//! | `calls/` | a trace as calls that can be repeated |
//! | `symbols.rs` | names for return addresses |
//! | `totals.rs` | what each stack has allocated and holds |
//! | one file or folder a command | its arguments and `run` |
//! | `cli.rs` | the commands and their arguments |
// Allowed where memoman's core or the C library is called.
#![deny(unsafe_code)]

mod advise;
#[allow(unsafe_code, reason = "the heap's calls, repeated")]
mod calls;
mod cli;
mod error;
mod export;
#[allow(unsafe_code, reason = "calls memoman's core")]
mod heap;
mod import;
mod input;
mod map;
mod output;
mod plan;
mod progress;
mod record;
mod replay;
mod report;
mod signals;
mod symbols;
mod text;
mod top;
mod totals;
mod units;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
