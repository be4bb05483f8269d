//! Opens a trace and says what it lacks.

use std::path::Path;

use memoman_trace::{Ended, Trace};

use crate::error::Error;

/// Opens a trace.
pub(crate) fn open(path: &Path) -> Result<Trace, Error> {
    Ok(Trace::open(path)?)
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
