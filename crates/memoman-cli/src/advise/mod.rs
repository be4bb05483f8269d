//! `memoman advise`: how large the pool of a recorded program must be.
//!
//! `size` finds the smallest pool that serves the run; `perturb` moves what may differ in the next
//! run; `split` compares two pools with one; `text` prints.

mod perturb;
mod size;
mod split;
mod text;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use memoman_core::Tlsf;
use serde::Serialize;

use crate::calls::{self, Calls};
use crate::error::Error;
use crate::input;
use crate::output::Output;
use crate::progress::Progress;
use perturb::Range;
use size::{Bench, smallest};

/// Advises how large the pool of a recorded program must be.
#[derive(clap::Args)]
#[command(after_help = "Example: memoman advise app.mmt")]
pub(crate) struct Args {
    /// The trace.
    trace: PathBuf,
    /// The heap: 0 is malloc, others are handle heaps. Default: the one with the most events.
    #[arg(long, value_name = "N")]
    heap: Option<u32>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// The answer.
#[derive(Serialize)]
struct Advice {
    trace: String,
    program: String,
    /// What the trace lacks: the answer is for the rest.
    lacks: Vec<String>,
    heap: u32,
    other_heaps: Vec<u32>,
    calls: u64,
    threads: u16,
    peak_live: u64,
    peak_blocks: u64,
    largest: u64,
    align: u64,
    reallocs: u64,
    failed: u64,
    largest_failed: u64,
    unknown_frees: u64,
    /// Blocks handed out again while the trace has them live: their frees are not in it.
    unseen_frees: u64,
    /// The smallest pool found that serves the run.
    served: u64,
    /// How far the blocks reach where there is room.
    footprint: u64,
    /// Live blocks with headers and rounding, at most.
    peak_used: u64,
    tried_below: usize,
    tried_above: usize,
    refused_above: usize,
    starts: Option<Range>,
    interleavings: Vec<(f64, Range)>,
    /// The largest of the pools above.
    needed: u64,
    margin: f64,
    reason: String,
    pool: u64,
    control: u64,
    max_block: u64,
    rows: Vec<split::Row>,
    split: Option<split::Split>,
    split_pays: bool,
}

/// The least margin: the next run's inputs are not this one's.
const MARGIN: f64 = 0.05;
/// Two pools are advised where they save this part of one.
const SAVES: f64 = 0.03;

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let trace = input::open(&args.trace)?;
    let (calls, chosen) = calls::load(&trace, args.heap)?;
    let header = trace.header();
    let mut lacks = input::lacks(&trace);
    if header.pointer == 4 {
        lacks.push(
            "of a 32-bit program: the figures are for 64-bit blocks, which take more".to_string(),
        );
    }
    let mut advice = advise(&calls)?;
    advice.trace = args.trace.display().to_string();
    advice.program = header.program.clone();
    advice.lacks = lacks;
    advice.heap = chosen.heap;
    advice.other_heaps = chosen
        .events
        .into_keys()
        .filter(|&heap| heap != chosen.heap)
        .collect();
    let mut out = Output::create(Path::new("-"))?;
    if args.json {
        out.json(&advice)?;
    } else {
        out.bytes(text::report(&advice).as_bytes())?;
    }
    out.finish()
}

fn advise(calls: &Calls) -> Result<Advice, Error> {
    let facts = calls.facts;
    let rows = split::rows(calls);
    let runs = 70 + perturb::runs(calls) + 2 * rows.len() as u64;
    let mut progress = Progress::new("repeating the run", runs);
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress.at(done);
    };
    let mut bench = Bench::new(calls)?;
    let found = smallest(&mut bench, &mut step)?;
    let starts = (facts.align > 0)
        .then(|| perturb::starts(&mut bench, facts.peak_live, &mut step))
        .transpose()?;
    let interleavings = if calls.threads > 1 {
        perturb::interleavings(calls, &mut step)?
    } else {
        Vec::new()
    };
    let split = split::best(calls, &rows, &mut step)?;

    let served = found.pool as u64;
    let moved = starts
        .iter()
        .chain(interleavings.iter().map(|(_, range)| range));
    let needed = moved
        .map(|range| range.footprint.1)
        .max()
        .unwrap_or(0)
        .max(served);
    let (margin, reason) = margin(served, needed, facts.failed);
    let pool = ((needed as f64 * (1.0 + margin)) as u64).next_multiple_of(if needed > 64 << 10 {
        1024
    } else {
        16
    });
    let max_block = facts.max_block;
    let control = Tlsf::control_size(max_block as usize) as u64;
    let split_pays = split.is_some_and(|split| {
        let second = Tlsf::control_size(split.small_max as usize) as u64;
        ((split.pools() + second) as f64) < served as f64 * (1.0 - SAVES)
    });
    Ok(Advice {
        trace: String::new(),
        program: String::new(),
        lacks: Vec::new(),
        heap: 0,
        other_heaps: Vec::new(),
        calls: calls.list.len() as u64,
        threads: calls.threads,
        peak_live: facts.peak_live,
        peak_blocks: facts.peak_blocks,
        largest: facts.largest,
        align: facts.align,
        reallocs: facts.reallocs,
        failed: facts.failed,
        largest_failed: facts.largest_failed,
        unknown_frees: facts.unknown,
        unseen_frees: facts.doubled,
        served,
        footprint: found.footprint as u64,
        peak_used: found.peak_used as u64,
        tried_below: found.below,
        tried_above: found.above,
        refused_above: found.above_refused,
        starts,
        interleavings,
        needed,
        margin,
        reason,
        pool,
        control,
        max_block,
        rows,
        split,
        split_pays,
    })
}

/// The margin, and its reason.
fn margin(served: u64, needed: u64, failed: u64) -> (f64, String) {
    let spread = needed as f64 / served as f64 - 1.0;
    let (margin, mut reason) = if spread > MARGIN {
        (
            spread,
            "as much again as small changes of the same run moved it".to_string(),
        )
    } else {
        (MARGIN, "one run: the next one has other inputs".to_string())
    };
    if failed > 0 {
        reason.push_str("; and what the refused requests would have needed is not in it");
    }
    (margin, reason)
}
