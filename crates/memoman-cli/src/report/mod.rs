//! `memoman report`: a trace as one page to look at.
//!
//! `scan` reads the trace once for its extent, `aggregate` a second time into slices of time and
//! cells of addresses (`space`, `live`); `frames` names the call sites; `page` writes the page,
//! whose style and code are in the folder `page`.

mod aggregate;
mod frames;
mod live;
mod page;
mod scan;
mod space;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use memoman_trace::Trace;
use serde::Serialize;

use crate::error::Error;
use crate::input;
use crate::output::Output;
use aggregate::{Aggregate, By, Failed, Row, Slice, aggregate};
use frames::{Frames, Node, Site};
use space::{Region, Space};

/// Writes a page that shows a trace: the heap map, curves, call sites.
#[derive(clap::Args)]
#[command(after_help = "Example: memoman report app.mmt -o app.html")]
pub(crate) struct Args {
    /// The trace.
    trace: PathBuf,
    /// The page to write.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    /// The heap: 0 is malloc, others are handle heaps. Default: the one with the most events.
    #[arg(long, value_name = "N")]
    heap: Option<u32>,
    /// Slices of equal time, or of equal numbers of events.
    #[arg(long, value_enum, default_value_t = By::Time)]
    by: By,
    /// Prints the page's figures as JSON, and writes no page.
    #[arg(long)]
    json: bool,
}

/// Slices of time, and cells of addresses, of the map.
const SLICES: usize = 400;
const CELLS: u64 = 8192;

/// The page's data.
#[derive(Serialize)]
struct Data {
    program: String,
    args: Vec<String>,
    pid: u32,
    trace: String,
    lacks: Vec<String>,
    heap: u32,
    heaps: Vec<u32>,
    by: &'static str,
    events: u64,
    end: u64,
    peak: u64,
    allocations: u64,
    largest: u64,
    threads: u32,
    unknown: u64,
    left_blocks: u64,
    left: u64,
    cells: usize,
    cell_bytes: u64,
    page_bytes: u64,
    regions: Vec<Region>,
    slices: Vec<Slice>,
    sizes: Vec<Row>,
    lives: Vec<Row>,
    names: Vec<String>,
    groups: Vec<u32>,
    sites: Vec<Site>,
    flame: Vec<Node>,
    failed: Vec<FailedAt>,
    failed_count: u64,
}

#[derive(Serialize)]
struct FailedAt {
    #[serde(flatten)]
    failed: Failed,
    frames: Vec<u32>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let trace = input::open(&args.trace)?;
    let report = report(&trace, args.heap, args.by)?;
    if args.json {
        let mut out = Output::create("-".as_ref())?;
        out.json(&report.data)?;
        return out.finish();
    }
    input::warn(&trace);
    let title = format!("Heap of {}", report.data.program);
    let page = page::page(&title, &report.data, &report.map).map_err(Error::Failed)?;
    Output::write(&args.output, &page)?;
    eprintln!("memoman: {}: open it in a browser", args.output.display());
    Ok(())
}

struct Report {
    data: Data,
    map: String,
}

fn report(trace: &Trace, heap: Option<u32>, by: By) -> Result<Report, Error> {
    let name = trace.path().display();
    if trace.header().sample > 0 {
        return Err(Error::failed(format_args!(
            "{name}: a sampled trace has no heap map: record without --sample"
        )));
    }
    let (heap, heaps) = input::choose(trace, heap)?;
    let mut scan = scan::scan(trace, heap)?;
    let space = Space::new(scan.take_touched(), CELLS);
    let frames = Frames::new(trace);
    let (groups, top) = frames.groups(&scan.stacks);
    let Aggregate {
        slices,
        planes,
        sizes,
        lives,
        stacks,
        failed,
        failed_count,
        unknown,
        allocations,
        largest,
        threads,
        left,
    } = aggregate(trace, heap, &scan, &space, &groups, by, SLICES)?;
    let mut shown: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
    if top.is_empty() {
        shown.pop();
    }
    let map = page::packed(&shown, space.cells).map_err(Error::failed)?;
    let header = trace.header();
    // The name that it was called by; the file may be another program's, by a link.
    let called = header.args.first().unwrap_or(&header.program);
    let program = called.rsplit('/').next().unwrap_or("").to_string();
    let mut lacks = input::lacks(trace);
    if unknown > 0 {
        lacks.push(format!(
            "{unknown} frees are of blocks that the trace does not have"
        ));
    }
    let data = Data {
        program: if program.is_empty() {
            "a program".into()
        } else {
            program
        },
        args: header.args.clone(),
        pid: header.pid,
        trace: trace
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        lacks,
        heap,
        heaps: heaps.into_keys().collect(),
        by: if by == By::Time { "time" } else { "events" },
        events: scan.events,
        end: scan.end,
        peak: scan.peak,
        allocations,
        largest,
        threads,
        unknown,
        left_blocks: left.0,
        left: left.1,
        cells: space.cells,
        cell_bytes: space.cell_bytes,
        page_bytes: 1 << space.page_shift,
        sites: frames.sites(&stacks),
        flame: frames.flame(&stacks),
        failed: failed
            .into_iter()
            .map(|failed| FailedAt {
                frames: frames.stack(failed.stack),
                failed,
            })
            .collect(),
        names: frames.names,
        regions: space.regions,
        slices,
        sizes,
        lives,
        groups: top,
        failed_count,
    };
    Ok(Report { data, map })
}
