//! Opens a trace and says what it lacks.

use std::collections::BTreeMap;
use std::path::Path;

use memoman_trace::{Ended, Trace};

use crate::error::Error;
use crate::progress::Progress;

/// Opens a trace.
pub(crate) fn open(path: &Path) -> Result<Trace, Error> {
    Ok(Trace::open(path)?)
}

/// The heaps in a trace, and their numbers of events.
fn heaps(trace: &Trace) -> Result<BTreeMap<u32, u64>, Error> {
    let mut heaps = BTreeMap::new();
    let mut events = trace.events();
    let mut progress = Progress::new("looking", trace.bytes());
    let (mut count, mut run) = (0u64, (0u32, 0u64));
    while let Some(event) = events.next() {
        let heap = event?.heap;
        if heap != run.0 {
            *heaps.entry(run.0).or_insert(0) += run.1;
            run = (heap, 0);
        }
        run.1 += 1;
        count += 1;
        if count.is_multiple_of(1 << 16) {
            progress.at(events.position());
        }
    }
    *heaps.entry(run.0).or_insert(0) += run.1;
    heaps.retain(|_, &mut count| count > 0);
    Ok(heaps)
}

/// Larger requests are damage; sums of smaller ones stay far from the end of numbers.
pub(crate) const LARGEST: u64 = 1 << 46;

/// The heap that a command is about, and the heaps in the trace with their numbers of events:
/// without a number, the heap with the most events.
pub(crate) fn choose(trace: &Trace, heap: Option<u32>) -> Result<(u32, BTreeMap<u32, u64>), Error> {
    let name = trace.path().display();
    let heaps = heaps(trace)?;
    let most = heaps
        .iter()
        .max_by_key(|&(&heap, &count)| (count, u32::MAX - heap));
    match heap.or(most.map(|(&heap, _)| heap)) {
        Some(heap) if heaps.contains_key(&heap) => Ok((heap, heaps)),
        Some(heap) => Err(Error::failed(format_args!(
            "{name}: no event of heap {heap}; it has events of {}",
            list(&heaps)
        ))),
        None => Err(Error::failed(format_args!("{name}: no event in the trace"))),
    }
}

/// The heaps as words, at most a few.
fn list(heaps: &BTreeMap<u32, u64>) -> String {
    const MOST: usize = 8;
    let mut names: Vec<String> = heaps.keys().take(MOST).map(u32::to_string).collect();
    if heaps.len() > MOST {
        names.push("others".to_owned());
    }
    match names.len() {
        0 => "none".to_owned(),
        1 => format!("heap {}", names[0]),
        _ => format!("heaps {}", names.join(", ")),
    }
}

/// Says on stderr what the trace lacks.
pub(crate) fn warn(trace: &Trace) {
    for line in lacks(trace) {
        eprintln!("memoman: {}: {line}", trace.path().display());
    }
}

/// What the trace lacks, one line each: no output of a command may do without them.
pub(crate) fn lacks(trace: &Trace) -> Vec<String> {
    let header = trace.header();
    let mut lines = Vec::new();
    if header.ended != Ended::Complete {
        lines.push(format!("the trace ends early: {}", header.ended));
    }
    if header.lost > 0 {
        lines.push(format!("{} events are not in the trace", header.lost));
    }
    if header.sample > 0 {
        lines.push(format!(
            "sampled: one allocation every {} bytes on average; totals are estimates",
            header.sample
        ));
    }
    lines
}
