//! Two pools in place of one, by the sizes of requests: which requests go together, as the run
//! itself shows.

use serde::Serialize;

use crate::calls::{Call, Calls, What};
use crate::error::Error;

use super::size::{Bench, QUANTUM};

/// The requests between two powers of two.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Row {
    /// Requests are above half of this, and at most this.
    pub(super) up_to: u64,
    pub(super) blocks: u64,
    /// Requested bytes of live blocks, at most.
    pub(super) peak_live: u64,
    /// Median of the blocks' lives, as a part of the run's calls; blocks that are never freed live
    /// to its end.
    pub(super) median_life: f64,
}

/// Sizes of two pools, and where they part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Split {
    /// Requests of at most this many bytes go to the first pool.
    pub(super) at: u64,
    pub(super) small: u64,
    pub(super) large: u64,
    /// The largest request of the first pool, and of the second, for `mm_create_for`.
    pub(super) small_max: u64,
    pub(super) large_max: u64,
}

impl Split {
    pub(super) fn pools(&self) -> u64 {
        self.small + self.large
    }
}

/// The run's requests by size.
pub(super) fn rows(calls: &Calls) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut lives: Vec<Vec<u32>> = Vec::new();
    let mut live: Vec<u64> = Vec::new();
    let mut born = vec![(0u32, 0u64); calls.blocks as usize];
    let total = calls.list.len().max(1);
    let row_of = |size: u64| size.next_power_of_two().max(16).trailing_zeros() as usize - 4;
    let end = |born: (u32, u64), now: usize, lives: &mut Vec<Vec<u32>>, live: &mut Vec<u64>| {
        if born.1 > 0 {
            let row = row_of(born.1);
            live[row] = live[row].saturating_sub(born.1);
            lives[row].push((now - born.0 as usize) as u32);
        }
    };
    for (index, call) in calls.list.iter().enumerate() {
        let slot = &mut born[call.block as usize];
        end(*slot, index, &mut lives, &mut live);
        *slot = (index as u32, call.size);
        if call.what != What::Free {
            let row = row_of(call.size);
            while rows.len() <= row {
                rows.push(Row {
                    up_to: 16 << rows.len(),
                    ..Row::default()
                });
                lives.push(Vec::new());
                live.push(0);
            }
            rows[row].blocks += 1;
            live[row] = live[row].saturating_add(call.size);
            rows[row].peak_live = rows[row].peak_live.max(live[row]);
        }
    }
    for slot in born {
        end(slot, total, &mut lives, &mut live);
    }
    for (row, lives) in rows.iter_mut().zip(&mut lives) {
        if !lives.is_empty() {
            let middle = lives.len() / 2;
            let median = *lives.select_nth_unstable(middle).1;
            row.median_life = f64::from(median) / total as f64;
        }
    }
    rows.retain(|row| row.blocks > 0);
    rows
}

/// The best split at a power of two, by repeating the run in two pools for each. None when no size
/// parts the requests.
pub(super) fn best(
    calls: &Calls,
    rows: &[Row],
    step: &mut dyn FnMut(),
) -> Result<Option<Split>, Error> {
    let mut best: Option<Split> = None;
    let whole = rows
        .iter()
        .fold(0, |sum: u64, row| sum.saturating_add(row.peak_live));
    let mut below = 0;
    for row in &rows[..rows.len().saturating_sub(1)] {
        let at = row.up_to;
        below = row.peak_live.saturating_add(below);
        // A pool for next to nothing saves next to nothing.
        if below.min(whole.saturating_sub(below)) < whole / 100 {
            continue;
        }
        let mut pools = [0, 0];
        let mut largest = [1, 1];
        for (pool, bytes) in pools.iter_mut().enumerate() {
            let part = part(calls, at, pool == 0);
            largest[pool] = part.facts.max_block.max(1);
            let mut bench = Bench::new(&part)?;
            *bytes = bench.footprint(0)?.reach.next_multiple_of(QUANTUM) as u64;
            step();
        }
        let split = Split {
            at,
            small: pools[0],
            large: pools[1],
            small_max: largest[0],
            large_max: largest[1],
        };
        if best.is_none_or(|best| split.pools() < best.pools()) {
            best = Some(split);
        }
    }
    Ok(best)
}

/// The calls for one of two pools. A block that is resized over the border is allocated in the
/// other pool, then freed in its own.
fn part(calls: &Calls, at: u64, small: bool) -> Calls {
    let mut sizes = vec![0u64; calls.blocks as usize];
    let belongs = |size: u64| size > 0 && (size <= at) == small;
    let mut list: Vec<Call> = Vec::new();
    for call in &calls.list {
        let had = sizes[call.block as usize];
        sizes[call.block as usize] = call.size;
        match (belongs(had), belongs(call.size)) {
            (false, false) => {}
            (true, true) => list.push(*call),
            (true, false) => list.push(Call {
                size: 0,
                what: What::Free,
                ..*call
            }),
            (false, true) if call.what == What::Memalign => list.push(*call),
            (false, true) => list.push(Call {
                what: What::Malloc,
                ..*call
            }),
        }
    }
    let mut part = Calls {
        list,
        times: Vec::new(),
        blocks: calls.blocks,
        threads: calls.threads,
        facts: Default::default(),
    };
    part.count();
    part
}
