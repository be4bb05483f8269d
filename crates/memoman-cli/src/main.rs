//! `memoman`: records a program's heap, shows it, replays it, sizes its pool.
//!
//! | file | what |
//! |---|---|
//! | `error.rs` | what a command fails with |
//! | `progress.rs` | the progress line on the terminal |
//! | `input.rs` | opens a trace and says what it lacks |
//! | `output.rs` | the file that a command writes |
//! | `text.rs` | numbers as text |
//! | `signals.rs` | what needs the C library |
//! | `symbols.rs` | names for return addresses |
//! | `totals.rs` | what each stack has allocated and holds |
//! | one file or folder a command | its arguments and `run` |
//! | `cli.rs` | the commands and their arguments |
#![deny(unsafe_code)]

mod cli;
mod error;
mod export;
mod generate;
mod import;
mod input;
mod map;
mod output;
mod progress;
mod record;
mod signals;
mod symbols;
mod text;
mod top;
mod totals;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
