//! `make bench-global`, `make latency-global`: the preload shim beside other preloaded allocators.

mod latency;
mod loads;
mod peers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures the preload shim beside other preloaded allocators.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time and peak memory: prints `ratio <load> <time over glibc> <rss over glibc> <time over
    /// best peer>`, then geometric means, `mean <allocator> <time over glibc> <rss over glibc>
    /// <time over the fastest other one> <loads more than 5 % slower than glibc>`
    Loads(loads::Arguments),
    /// Latency of single calls: prints `latency <call> <allocator> <p50> <p90> <p99> <p99.9>
    /// <p99.99> <p99.999> <max> <mean>`, ns, and `latency-max-over-mean <call> <ratio>` (real-time)
    Latency(latency::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Loads(arguments) => loads::measure(&arguments),
        What::Latency(arguments) => latency::measure(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("global: {message}");
            ExitCode::FAILURE
        }
    }
}
