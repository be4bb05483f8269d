//! `memoman`: records a program's heap, shows it, replays it, sizes its pool.
//!
//! | file | what |
//! |---|---|
//! | `error.rs` | what a command fails with |
//! | `progress.rs` | the progress line on the terminal |
//! | `input.rs` | opens a trace and says what it lacks |
//! | `output.rs` | the file that a command writes |
//! | one file or folder a command | its arguments and `run` |
//! | `cli.rs` | the commands and their arguments |
#![forbid(unsafe_code)]

mod cli;
mod error;
mod export;
mod input;
mod output;
mod progress;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
