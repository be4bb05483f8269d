//! `memoman replay`: the calls of a trace, repeated in several allocators.
//!
//! `allocators` has them behind one trait; `worst` counts the instructions of single calls.

#[allow(unsafe_code, reason = "calls allocators")]
mod allocators;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[allow(unsafe_code, reason = "the trap flag and its signal")]
mod steps;
mod worst;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use serde::Serialize;

use crate::calls::{self, Calls, What};
use crate::error::Error;
use crate::input;
use crate::output::Output;
use crate::progress::Progress;
use crate::text::bytes;
use crate::units::grouped;
use allocators::Pool;

/// Repeats the calls of a trace in several allocators: time, footprint, first refusal.
#[derive(clap::Args)]
#[command(after_help = "Example: memoman replay app.mmt --with memoman,glibc")]
pub(crate) struct Args {
    /// The trace.
    trace: PathBuf,
    /// The allocators.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        default_value = "memoman,glibc"
    )]
    with: Vec<Name>,
    /// Bytes of the pool of those that manage one; default: more than they need.
    #[arg(long, value_name = "BYTES")]
    pool: Option<u64>,
    /// Runs that are timed; the fastest counts.
    #[arg(long, value_name = "N", default_value = "3")]
    runs: std::num::NonZeroU8,
    /// The heap: 0 is malloc, others are handle heaps. Default: the one with the most events.
    #[arg(long, value_name = "N")]
    heap: Option<u32>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// An allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    /// memoman's core in one pool.
    Memoman,
    /// The C library's malloc, in this process.
    Glibc,
    /// The crate rlsf.
    Rlsf,
    /// The crate talc.
    Talc,
    /// o1heap.
    O1heap,
}

/// What was seen of an allocator.
#[derive(Serialize)]
struct Row {
    allocator: Name,
    /// Nanoseconds a call, of the fastest run, the loop around it included.
    ns_per_call: f64,
    /// From the start of the pool to the end of the farthest block; glibc: what it took of the
    /// system, where it says so and had nothing to take it from.
    footprint: Option<u64>,
    refused: Option<Refused>,
}

/// The first refused call.
#[derive(Serialize)]
struct Refused {
    call: usize,
    time: u64,
    size: u64,
}

#[derive(Serialize)]
struct Replay {
    trace: String,
    lacks: Vec<String>,
    heap: u32,
    calls: u64,
    peak_live: u64,
    pool: Option<u64>,
    /// The loop without an allocator.
    loop_ns_per_call: f64,
    rows: Vec<Row>,
    worst: Option<worst::Worst>,
    /// Why the instructions of the worst call are not known.
    no_worst: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let missing = args.with.iter().find(|name| !allocators::has(**name));
    if let Some(name) = missing {
        let name = name
            .to_possible_value()
            .map_or(String::new(), |v| v.get_name().to_owned());
        return Err(Error::usage(format_args!(
            "{name} is not in this build: cargo build --release -p memoman-cli --features peers"
        )));
    }
    let trace = input::open(&args.trace)?;
    let (calls, chosen) = calls::load(&trace, args.heap)?;
    let mut replay = replay(&calls, &args.with, args.pool, u32::from(args.runs.get()))?;
    replay.trace = args.trace.display().to_string();
    replay.lacks = input::lacks(&trace);
    replay.heap = chosen.heap;
    let mut out = Output::create(Path::new("-"))?;
    if args.json {
        out.json(&replay)?;
    } else {
        print(&mut out, &replay)?;
    }
    out.finish()
}

fn replay(calls: &Calls, with: &[Name], pool: Option<u64>, runs: u32) -> Result<Replay, Error> {
    let mut progress = Progress::new("replaying", (with.len() as u64 + 1) * u64::from(runs + 1));
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress.at(done);
    };
    let mut room = Pool::new(calls, pool)?;
    let mut fastest = |room: &mut Pool, name: Option<Name>, calls_made: usize| {
        let mut best = f64::MAX;
        for _ in 0..runs {
            let began = Instant::now();
            room.time(calls, name);
            best = best.min(began.elapsed().as_secs_f64());
            step();
        }
        best * 1e9 / calls_made.max(1) as f64
    };
    let mut rows = Vec::new();
    for &name in with {
        // The first run touches the memory, and is not timed.
        let (refused, footprint) = room.measure(calls, name);
        rows.push(Row {
            allocator: name,
            ns_per_call: fastest(&mut room, Some(name), refused.unwrap_or(calls.list.len())),
            footprint,
            refused: refused.map(|call| Refused {
                call,
                time: calls.times.get(call).copied().unwrap_or(0),
                size: calls.list[call].size,
            }),
        });
    }
    let loop_ns_per_call = fastest(&mut room, None, calls.list.len());
    let (worst, no_worst) = if with.contains(&Name::Memoman) {
        match worst::count(calls, &mut room) {
            Ok(worst) => (Some(worst), None),
            Err(why) => (None, Some(why)),
        }
    } else {
        (None, None)
    };
    Ok(Replay {
        trace: String::new(),
        lacks: Vec::new(),
        heap: 0,
        calls: calls.list.len() as u64,
        peak_live: calls.facts.peak_live,
        pool,
        loop_ns_per_call,
        rows,
        worst,
        no_worst,
    })
}

fn print(out: &mut Output, replay: &Replay) -> Result<(), Error> {
    for line in &replay.lacks {
        out.line(format_args!("{}: {line}", replay.trace))?;
    }
    out.line(format_args!(
        "{}: {} calls, {} live at most{}\n",
        replay.trace,
        grouped(replay.calls),
        bytes(replay.peak_live),
        replay
            .pool
            .map_or(String::new(), |pool| format!(", pools of {}", bytes(pool)))
    ))?;
    out.line(format_args!(
        "{:<10} {:>9} {:>12} {:>11}  first refused",
        "allocator", "ns a call", "footprint", "of the live"
    ))?;
    for row in &replay.rows {
        let of_live = row
            .footprint
            .map(|f| f as f64 / replay.peak_live.max(1) as f64);
        out.line(format_args!(
            "{:<10} {:>9.1} {:>12} {:>11}  {}",
            format!("{:?}", row.allocator).to_lowercase(),
            row.ns_per_call,
            row.footprint.map_or("?".into(), bytes),
            of_live.map_or("?".into(), |part| format!("{part:.3}")),
            row.refused.as_ref().map_or("-".into(), |refused| format!(
                "call {}, {} bytes, at {:.3} s",
                grouped(refused.call as u64 + 1),
                grouped(refused.size),
                refused.time as f64 / 1e9
            ))
        ))?;
    }
    out.line(format_args!(
        "\nThe loop alone takes {:.1} ns a call. Blocks are not written to; threads' calls \
         follow each\nother as in the trace. glibc gives its memory back between runs: its time \
         has the page faults.\nA refused call ends an allocator's run: its time is for the calls \
         before.",
        replay.loop_ns_per_call
    ))?;
    if let Some(worst) = &replay.worst {
        let what = match worst.what {
            What::Malloc => "malloc",
            What::Memalign => "memalign",
            What::Realloc => "realloc, its copying included",
            What::Free => "free",
        };
        out.line(format_args!(
            "memoman's worst call: {}{} instructions, call {}, {what} of {} bytes",
            if worst.at_least { "at least " } else { "" },
            grouped(worst.instructions),
            grouped(worst.call as u64 + 1),
            grouped(worst.size)
        ))?;
        if (worst.counted as u64) < replay.calls {
            out.line(format_args!(
                "  by single steps, in the {} calls that took longest: no counter can be read here",
                grouped(worst.counted as u64)
            ))?;
        }
    }
    if let Some(why) = &replay.no_worst {
        out.line(format_args!(
            "Instructions of memoman's worst call: not counted, {why}"
        ))?;
    }
    Ok(())
}
