//! The same run, a little different: other start addresses, other interleavings of its threads.

use crate::calls::{Call, Calls};
use crate::error::Error;

use super::size::{Bench, QUANTUM};

/// How far threads are shifted against each other, as parts of the run.
const SHIFTS: [f64; 3] = [0.0001, 0.001, 0.01];
/// Seeds of each.
const SEEDS: u64 = 4;
/// Starts of the pool behind a page's start.
const STARTS: [usize; 5] = [16, 48, 208, 1040, 2064];

/// The runs' results, smallest and largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Range {
    pub(super) runs: usize,
    pub(super) footprint: (u64, u64),
    pub(super) peak_live: (u64, u64),
}

impl Range {
    fn note(&mut self, footprint: u64, peak_live: u64) {
        let wider = |range: (u64, u64), value: u64| (range.0.min(value), range.1.max(value));
        if self.runs == 0 {
            self.footprint = (footprint, footprint);
            self.peak_live = (peak_live, peak_live);
        }
        self.runs += 1;
        self.footprint = wider(self.footprint, footprint);
        self.peak_live = wider(self.peak_live, peak_live);
    }
}

/// Repeats the run at other start addresses.
pub(super) fn starts(
    bench: &mut Bench<'_>,
    peak_live: u64,
    step: &mut dyn FnMut(),
) -> Result<Range, Error> {
    let mut range = Range::default();
    for start in STARTS {
        let ran = bench.footprint(start)?;
        range.note(ran.reach.next_multiple_of(QUANTUM) as u64, peak_live);
        step();
    }
    Ok(range)
}

/// Repeats the run with its threads shifted against each other, for each of [`SHIFTS`].
pub(super) fn interleavings(
    calls: &Calls,
    step: &mut dyn FnMut(),
) -> Result<Vec<(f64, Range)>, Error> {
    let mut results = Vec::new();
    for shift in SHIFTS {
        let mut range = Range::default();
        for seed in 0..SEEDS {
            let shifted = shifted(calls, shift, seed);
            let mut bench = Bench::new(&shifted)?;
            let ran = bench.footprint(0)?;
            range.note(
                ran.reach.next_multiple_of(QUANTUM) as u64,
                shifted.facts.peak_live,
            );
            step();
        }
        results.push((shift, range));
    }
    Ok(results)
}

/// The number of runs, for the progress line.
pub(super) fn runs(calls: &Calls) -> u64 {
    let starts = if calls.facts.align > 0 {
        STARTS.len()
    } else {
        0
    };
    let shifts = if calls.threads > 1 {
        SHIFTS.len() as u64 * SEEDS
    } else {
        0
    };
    starts as u64 + shifts
}

/// The calls with each thread's clock moved by up to `shift` of the run, back and forth, smoothly.
/// The order of each thread's calls, and of each block's, stays.
fn shifted(calls: &Calls, shift: f64, seed: u64) -> Calls {
    const POINTS: usize = 64;
    let start = calls.times.first().copied().unwrap_or(0);
    let end = calls.times.last().copied().unwrap_or(0);
    let length = end.saturating_sub(start).max(1) as f64;
    let offset = |thread: u16, point: usize| {
        let mut z = seed << 40 ^ u64::from(thread) << 20 ^ point as u64;
        z = z
            .wrapping_add(0x9E37_79B9_7F4A_7C15)
            .wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 31).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0) * shift * length
    };
    let mut by_thread = vec![0.0f64; calls.threads as usize + 1];
    let mut by_block = vec![0.0f64; calls.blocks as usize];
    let mut order: Vec<(f64, u32)> = Vec::with_capacity(calls.list.len());
    for (index, (call, &time)) in calls.list.iter().zip(&calls.times).enumerate() {
        let at = time.saturating_sub(start) as f64;
        let place = at / length * (POINTS - 1) as f64;
        let (point, part) = (place as usize, place.fract());
        let moved =
            at + offset(call.thread, point) * (1.0 - part) + offset(call.thread, point + 1) * part;
        let thread = &mut by_thread[call.thread as usize];
        let block = &mut by_block[call.block as usize];
        let key = moved.max(*thread).max(*block);
        (*thread, *block) = (key, key);
        order.push((key, index as u32));
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let list: Vec<Call> = order
        .iter()
        .map(|&(_, index)| calls.list[index as usize])
        .collect();
    let mut shifted = Calls {
        list,
        times: calls.times.clone(),
        blocks: calls.blocks,
        threads: calls.threads,
        facts: Default::default(),
    };
    shifted.count();
    shifted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::What;

    #[test]
    fn shifting_keeps_each_block_in_order() {
        let mut calls = Calls {
            blocks: 200,
            threads: 2,
            ..Calls::default()
        };
        for n in 0..400u32 {
            calls.list.push(Call {
                size: if n.is_multiple_of(2) { 100 } else { 0 },
                block: n / 2,
                thread: (n * 7 / 3 % 2) as u16,
                what: if n.is_multiple_of(2) {
                    What::Malloc
                } else {
                    What::Free
                },
                align: 0,
            });
            calls.times.push(u64::from(n) * 1000);
        }
        calls.count();
        let mut moved = 0;
        for seed in 0..8 {
            let shifted = shifted(&calls, 0.1, seed);
            let mut live = [false; 200];
            for call in &shifted.list {
                let is_live = &mut live[call.block as usize];
                assert_eq!(*is_live, call.what == What::Free);
                *is_live = !*is_live;
            }
            moved += usize::from(shifted.list != calls.list);
        }
        assert!(moved > 4);
    }
}
