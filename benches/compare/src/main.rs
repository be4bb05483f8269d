//! `make bench`, `make latency`, `make fit`, `make mispredict`: memoman, through its C library,
//! beside its peers.

mod bench;
mod fit;
mod latency;
mod mispredict;
mod peers;
mod random;
mod region;
mod workloads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures memoman, through its C library, beside other allocators, all through one call shape.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time: prints `ratio <workload> <memoman over the best pool allocator> <that allocator>`
    Bench(bench::Arguments),
    /// Latency of single calls: prints `latency <pattern> <call> <allocator> <p50> <p99> <p99.9>
    /// <p99.99> <max>`, ns
    Latency(latency::Arguments),
    /// Memory: prints `fit <measure> <allocator> <least> <mean> <most>`
    Fit(fit::Arguments),
    /// Mispredicted branches and instructions: prints `mispredict <workload> <allocator> <…>`
    Mispredict(mispredict::Arguments),
    /// One workload, for the trace of `mispredict`
    #[command(hide = true)]
    Traced(mispredict::Traced),
    /// An address, for the trace of `mispredict`
    #[command(hide = true)]
    Where,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Bench(arguments) => bench::run(&arguments),
        What::Latency(arguments) => latency::run(&arguments),
        What::Fit(arguments) => fit::run(&arguments),
        What::Mispredict(arguments) => mispredict::run(&arguments),
        What::Traced(arguments) => mispredict::traced(&arguments),
        What::Where => mispredict::place(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("compare: {message}");
            ExitCode::FAILURE
        }
    }
}
