//! What each stack has allocated and still holds.

use std::collections::HashMap;

use memoman_trace::{Event, Kind, Trace};

use crate::error::Error;
use crate::progress::Progress;

/// The sums of one stack. With sampling, estimates of the whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// Blocks that were allocated.
    pub(crate) blocks: f64,
    /// Bytes that were requested for them.
    pub(crate) bytes: f64,
    /// Blocks that are live.
    pub(crate) live_blocks: f64,
    /// Bytes of the live blocks.
    pub(crate) live_bytes: f64,
    /// Most bytes that were live.
    pub(crate) peak_bytes: f64,
    /// Blocks at that moment.
    pub(crate) peak_blocks: f64,
    /// Live bytes and blocks when the whole heap was at its peak.
    pub(crate) at_peak: (f64, f64),
    /// Nanoseconds that blocks have lived, in sum.
    pub(crate) lifetimes: f64,
}

/// A live block.
#[derive(Clone, Copy)]
struct Block {
    size: u64,
    stack: u32,
    since: u64,
}

/// How many allocations one of the trace stands for.
pub(crate) struct Weights(f64);

impl Weights {
    /// Those of a trace.
    pub(crate) fn of(trace: &Trace) -> Weights {
        Weights(trace.header().sample as f64)
    }

    /// The number of allocations of this size that one stands for.
    pub(crate) fn weight(&self, size: u64) -> f64 {
        if self.0 == 0.0 {
            return 1.0;
        }
        // A request of 0 bytes is never sampled.
        let probability = 1.0 - (-(size.max(1) as f64) / self.0).exp();
        1.0 / probability
    }
}

/// The sums of all stacks: index 0 has no stack.
pub(crate) struct Totals {
    pub(crate) stacks: Vec<Sums>,
    /// The time of the last event.
    pub(crate) end: u64,
    /// When most bytes were live.
    pub(crate) peak_time: u64,
}

/// Adds up a trace: once for the peak's moment, and once more for what was live then.
pub(crate) fn of(trace: &Trace, what: &'static str) -> Result<Totals, Error> {
    let mut peak = (0.0, 0, 0);
    let mut live = 0.0;
    let mut count = 0u64;
    pass(trace, what, |_, change, event| {
        live += change;
        if live > peak.0 {
            peak = (live, count, event.time);
        }
        count += 1;
    })?;
    let mut count = 0u64;
    let mut totals = pass(trace, what, |stacks, _, _| {
        if count == peak.1 {
            for sums in stacks {
                sums.at_peak = (sums.live_bytes, sums.live_blocks);
            }
        }
        count += 1;
    })?;
    totals.peak_time = peak.2;
    Ok(totals)
}

/// One reading of the trace: after each change of what is live, calls `seen` with the sums and the
/// change in bytes.
fn pass(
    trace: &Trace,
    what: &'static str,
    mut seen: impl FnMut(&mut [Sums], f64, &Event),
) -> Result<Totals, Error> {
    let weights = Weights::of(trace);
    let mut progress = Progress::new(what, trace.bytes());
    let mut stacks = vec![Sums::default(); trace.stacks() as usize + 1];
    let mut live = HashMap::<(u32, u64), Block>::new();
    let mut end = 0;
    let mut events = trace.events();
    let mut count = 0u64;
    while let Some(event) = events.next() {
        let event = event?;
        end = event.time;
        count += 1;
        if count.is_multiple_of(1 << 16) {
            progress.at(events.position());
        }
        if event.old != 0
            && event.kind != Kind::Failed
            && let Some(block) = live.remove(&(event.heap, event.old))
        {
            let weight = weights.weight(block.size);
            let sums = &mut stacks[block.stack as usize];
            sums.live_blocks -= weight;
            sums.live_bytes -= weight * block.size as f64;
            sums.lifetimes += weight * event.time.saturating_sub(block.since) as f64;
            seen(&mut stacks, -weight * block.size as f64, &event);
        }
        match event.kind {
            Kind::Malloc | Kind::Calloc | Kind::Memalign | Kind::Realloc => {
                let weight = weights.weight(event.size);
                let stack = if event.stack as usize >= stacks.len() {
                    0
                } else {
                    event.stack
                };
                let block = Block {
                    size: event.size,
                    stack,
                    since: event.time,
                };
                let bytes = weight * event.size as f64;
                let sums = &mut stacks[stack as usize];
                sums.blocks += weight;
                sums.bytes += bytes;
                sums.live_blocks += weight;
                sums.live_bytes += bytes;
                if sums.live_bytes > sums.peak_bytes {
                    (sums.peak_bytes, sums.peak_blocks) = (sums.live_bytes, sums.live_blocks);
                }
                live.insert((event.heap, event.pointer), block);
                seen(&mut stacks, bytes, &event);
            }
            Kind::Reset => {
                let mut gone = 0.0;
                live.retain(|&(heap, _), block| {
                    let stays = heap != event.heap;
                    if !stays {
                        let weight = weights.weight(block.size);
                        let bytes = weight * block.size as f64;
                        let sums = &mut stacks[block.stack as usize];
                        sums.live_blocks -= weight;
                        sums.live_bytes -= bytes;
                        sums.lifetimes += weight * event.time.saturating_sub(block.since) as f64;
                        gone += bytes;
                    }
                    stays
                });
                seen(&mut stacks, -gone, &event);
            }
            _ => {}
        }
    }
    for block in live.values() {
        let lived = weights.weight(block.size) * end.saturating_sub(block.since) as f64;
        stacks[block.stack as usize].lifetimes += lived;
    }
    Ok(Totals {
        stacks,
        end,
        peak_time: 0,
    })
}
