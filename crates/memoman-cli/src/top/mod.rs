//! `memoman top`: live figures of a running program (`docs/book/live-figures.md`).

mod figures;
mod process;
mod walk;

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Error;
use crate::output::Output;
use crate::text;
use figures::{Figures, Published};
use process::Process;
use walk::Gaps;

/// Shows the figures of a running program's heap without stopping it.
#[derive(clap::Args)]
#[command(after_help = "\
Example: memoman top $(pidof app)

The program runs under libmemoman_preload.so, or uses libmemoman. A handle heap is found by its
address, which the program prints: --heap 0x7ffd1200. The figures are read while the program runs:
each is of its own moment. Largest and fragmentation come from a walk over a copy of all blocks; a
heap that changes too fast for that has a dash.")]
pub(crate) struct Args {
    /// The process.
    pid: u32,
    /// The address of a handle heap, instead of the process's own heap.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    heap: Option<u64>,
    /// Seconds between two lines.
    #[arg(long, default_value_t = 1.0)]
    interval: f64,
    /// Lines to print; 0 goes on until the program ends. Default: 0 on a terminal, else 1.
    #[arg(long, short = 'n')]
    count: Option<u64>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

fn address(text: &str) -> Result<u64, String> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .map_err(|error| error.to_string())
}

#[derive(Serialize)]
struct Row {
    seconds: f64,
    #[serde(flatten)]
    figures: Figures,
    free_blocks: Option<u64>,
    largest_free: Option<u64>,
    fragmentation: Option<f64>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if !(0.001..=86_400.0).contains(&args.interval) {
        return Err(Error::usage("--interval is from 0.001 to 86400 seconds"));
    }
    let process = Process::open(args.pid)?;
    let published = Published::find(&process)?;
    let count = args
        .count
        .unwrap_or(u64::from(!std::io::stdout().is_terminal()));
    let began = Instant::now();
    let mut printed = 0;
    loop {
        let figures = match args.heap {
            Some(heap) => published.handle(&process, heap),
            None => published.process(&process),
        };
        let figures = match figures {
            Ok(figures) => figures,
            // The end of the program is the end of the list.
            Err(_) if printed > 0 && !process.runs() => return Ok(()),
            Err(error) => return Err(error),
        };
        let gaps = published.gaps(&process, args.heap);
        print(&figures, gaps, began.elapsed(), args.json, printed)?;
        printed += 1;
        if printed == count {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs_f64(args.interval));
    }
}

fn print(
    figures: &Figures,
    gaps: Option<Gaps>,
    passed: Duration,
    json: bool,
    before: u64,
) -> Result<(), Error> {
    let mut out = Output::create(Path::new("-"))?;
    let row = Row {
        seconds: (passed.as_secs_f64() * 1000.0).round() / 1000.0,
        figures: *figures,
        free_blocks: gaps.map(|gaps| gaps.free_blocks),
        largest_free: gaps.map(|gaps| gaps.largest_free),
        fragmentation: gaps.map(|gaps| (gaps.fragmentation * 1e6).round() / 1e6),
    };
    if json {
        if let Ok(line) = serde_json::to_string(&row) {
            out.line(format_args!("{line}"))?;
        }
        return out.finish();
    }
    if before.is_multiple_of(20) {
        out.line(format_args!(
            "{:>8} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8} {:>6} {:>10} {:>6}",
            "seconds",
            "pools",
            "used",
            "free",
            "peak",
            "blocks",
            "refused",
            "heaps",
            "largest",
            "fragm."
        ))?;
    }
    let peak = figures.peak.map_or("-".to_owned(), text::bytes);
    out.line(format_args!(
        "{:>8.1} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8} {:>6} {:>10} {:>6}",
        row.seconds,
        text::bytes(figures.pool_bytes),
        text::bytes(figures.used),
        text::bytes(figures.free),
        peak,
        figures.live_blocks,
        figures.failed_requests,
        figures.thread_heaps,
        gaps.map_or("-".to_owned(), |gaps| text::bytes(gaps.largest_free)),
        gaps.map_or("-".to_owned(), |gaps| format!("{:.3}", gaps.fragmentation)),
    ))?;
    out.finish()
}
