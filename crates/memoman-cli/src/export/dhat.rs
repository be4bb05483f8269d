//! The JSON of DHAT, valgrind's heap profiler, version 2: for its viewer, dh_view.html.

use std::collections::HashMap;
use std::path::Path;

use memoman_trace::Trace;
use serde::Serialize;

use crate::error::Error;
use crate::output::Output;
use crate::symbols::Symbols;
use crate::totals;

/// The document; the viewer's own names.
#[derive(Serialize)]
struct Document {
    #[serde(rename = "dhatFileVersion")]
    version: u32,
    mode: &'static str,
    verb: &'static str,
    /// Lifetimes are there.
    bklt: bool,
    /// Accesses are not.
    bkacc: bool,
    /// Units of time: as they are, in millions, and the least that counts as long.
    tu: &'static str,
    #[serde(rename = "Mtu")]
    million: &'static str,
    tuth: u64,
    cmd: String,
    pid: u32,
    /// The end, and the moment of the peak.
    te: u64,
    tg: u64,
    pps: Vec<Point>,
    ftbl: Vec<String>,
}

/// A stack: bytes and blocks in total, at its own peak, at the heap's peak, at the end; lifetimes.
#[derive(Serialize)]
struct Point {
    tb: u64,
    tbk: u64,
    tl: u64,
    mb: u64,
    mbk: u64,
    gb: u64,
    gbk: u64,
    eb: u64,
    ebk: u64,
    fs: Vec<usize>,
}

pub(super) fn write(trace: &Trace, path: &Path) -> Result<(), Error> {
    let totals = totals::of(trace, "export")?;
    let mut symbols = Symbols::new(trace);
    let mut table = vec!["[root]".to_owned()];
    let mut numbers = HashMap::<String, usize>::new();
    let mut points = Vec::new();
    let whole = |value: f64| value.round().max(0.0) as u64;
    for (stack, sums) in totals.stacks.iter().enumerate() {
        if sums.blocks == 0.0 {
            continue;
        }
        let mut frames = Vec::new();
        for &address in trace.stack(stack as u32) {
            for frame in symbols.frames(address) {
                let place = match (frame.file.as_str(), frame.line) {
                    ("", _) => format!("in {}", frame.module),
                    (file, 0) => file.to_owned(),
                    (file, line) => format!("{file}:{line}"),
                };
                let text = format!("{address:#x}: {} ({place})", frame.function);
                let next = table.len();
                frames.push(*numbers.entry(text.clone()).or_insert_with(|| {
                    table.push(text);
                    next
                }));
            }
        }
        points.push(Point {
            tb: whole(sums.bytes),
            tbk: whole(sums.blocks),
            tl: whole(sums.lifetimes / 1000.0),
            mb: whole(sums.peak_bytes),
            mbk: whole(sums.peak_blocks),
            gb: whole(sums.at_peak.0),
            gbk: whole(sums.at_peak.1),
            eb: whole(sums.live_bytes),
            ebk: whole(sums.live_blocks),
            fs: frames,
        });
    }
    let document = Document {
        version: 2,
        mode: "memoman-heap",
        verb: "Allocated",
        bklt: true,
        bkacc: false,
        tu: "\u{b5}s",
        million: "s",
        tuth: 10,
        cmd: trace.header().args.join(" "),
        pid: trace.header().pid,
        te: totals.end / 1000,
        tg: totals.peak_time / 1000,
        pps: points,
        ftbl: table,
    };
    let mut out = Output::create(path)?;
    out.bytes(&serde_json::to_vec(&document).map_err(Error::failed)?)?;
    out.finish()
}
