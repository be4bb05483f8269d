//! One line a stack: the outermost function first, then a number.

use std::collections::BTreeMap;
use std::path::Path;

use memoman_trace::Trace;

use super::Measure;
use crate::error::Error;
use crate::output::Output;
use crate::symbols::Symbols;
use crate::totals;

pub(super) fn write(trace: &Trace, path: &Path, measure: Measure) -> Result<(), Error> {
    let totals = totals::of(trace, "export")?;
    let mut symbols = Symbols::new(trace);
    let mut out = Output::create(path)?;
    let mut lines = BTreeMap::<String, f64>::new();
    for (stack, sums) in totals.stacks.iter().enumerate() {
        let value = match measure {
            Measure::Allocated => sums.bytes,
            Measure::Live => sums.live_bytes,
            Measure::Peak => sums.at_peak.0,
            Measure::Blocks => sums.blocks,
        };
        if value < 0.5 {
            continue;
        }
        let mut names = Vec::new();
        for &address in trace.stack(stack as u32).iter().rev() {
            for frame in symbols.frames(address).iter().rev() {
                names.push(frame.function.replace([';', '\n'], ":"));
            }
        }
        if names.is_empty() {
            names.push("[no stack]".to_owned());
        }
        *lines.entry(names.join(";")).or_default() += value;
    }
    for (names, value) in &lines {
        out.line(format_args!("{names} {value:.0}"))?;
    }
    out.finish()
}
