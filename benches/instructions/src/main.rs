//! `make wcet`, `make constant`, `make size`: the cost of each call in instructions, and of the
//! allocator in bytes.

mod callgrind;
mod constant;
mod size;
mod wcet;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Counts the cost of the C library, in instructions (with callgrind) and bytes: exact, and equal
/// on every run.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every state of every call: prints `wcet <state> <instructions>`
    Wcet(wcet::Arguments),
    /// The same states in ever larger heaps: prints `constant <state> <min> <max>`, fails if they
    /// differ
    Constant(constant::Arguments),
    /// Bytes of code, control structure and blocks: prints `size <what> <number>`
    Size(size::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Wcet(arguments) => wcet::run(&arguments),
        What::Constant(arguments) => constant::run(&arguments),
        What::Size(arguments) => size::run(&arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("instructions: {message}");
            ExitCode::FAILURE
        }
    }
}
