//! The smallest pool that serves a run, by repeating it in memoman's own core.
//!
//! One run in a pool that is certainly large enough shows how far its blocks reach: a pool of that
//! size serves the same calls, unless aligned requests are among them, whose search needs more
//! room than they take. And a smaller one may do, where a resized or cut block goes elsewhere when
//! the pool's end is near. So the answer is looked for below and above, and named "served": that
//! it is the smallest of all sizes is tested near it only.

use crate::calls::{Calls, Core, run};
use crate::error::Error;
use crate::heap::{FIRST_PAYLOAD, Memory, PoolHeap};

/// The step of pool sizes.
pub(super) const QUANTUM: usize = 16;

/// Most sizes tried right below the answer, and above it; fewer for long traces.
const NEAR: usize = 24;
const CALLS_NEAR: usize = 100_000_000;

/// Repeats calls in pools of chosen sizes.
pub(super) struct Bench<'c> {
    calls: &'c Calls,
    memory: Memory,
    slots: Vec<crate::calls::Slot>,
}

/// A run in a pool.
pub(super) struct Ran {
    pub(super) served: bool,
    pub(super) reach: usize,
    /// Bytes of live blocks, headers included, at most.
    pub(super) peak_used: usize,
}

impl<'c> Bench<'c> {
    /// Room for pools that are certainly large enough for the calls.
    pub(super) fn new(calls: &'c Calls) -> Result<Bench<'c>, Error> {
        let memory = reserve(calls.facts.room() as usize)?;
        Ok(Bench {
            calls,
            memory,
            slots: vec![Default::default(); calls.blocks as usize],
        })
    }

    /// The largest pool there is room for.
    pub(super) fn most(&self, offset: usize) -> usize {
        (self.memory.bytes() - offset) / QUANTUM * QUANTUM
    }

    /// Repeats the calls in a pool of `bytes` bytes that starts `offset` bytes behind a page.
    pub(super) fn run(&mut self, bytes: usize, offset: usize) -> Ran {
        let max_block = self.calls.facts.max_block as usize;
        let Some(heap) = PoolHeap::new(&mut self.memory, max_block, offset, bytes) else {
            return Ran {
                served: false,
                reach: 0,
                peak_used: 0,
            };
        };
        let mut core = Core::new(heap);
        let refused = run(&self.calls.list, &mut core, &mut self.slots);
        debug_assert!(core.heap.is_sound());
        Ran {
            served: refused.is_none(),
            reach: core.reach,
            peak_used: core.heap.stats().peak,
        }
    }

    /// The run in as much room as there is; more is reserved while it is too little.
    pub(super) fn footprint(&mut self, offset: usize) -> Result<Ran, Error> {
        loop {
            let ran = self.run(self.most(offset), offset);
            if ran.served {
                return Ok(ran);
            }
            self.memory = reserve(self.memory.bytes().saturating_mul(4))?;
        }
    }
}

fn reserve(bytes: usize) -> Result<Memory, Error> {
    Memory::reserve(bytes).map_err(|error| {
        Error::failed(format_args!(
            "no address space for a pool of {bytes} bytes: {error}"
        ))
    })
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Smallest {
    /// Bytes of a pool that served the run.
    pub(super) pool: usize,
    /// How far the blocks reach in a pool with room to spare.
    pub(super) footprint: usize,
    pub(super) peak_used: usize,
    /// The sizes tried near the answer: below it, all refused; above it, so many refused.
    pub(super) below: usize,
    pub(super) above: usize,
    pub(super) above_refused: usize,
}

/// Looks for the smallest pool that serves the calls. `step` is called after each run.
pub(super) fn smallest(bench: &mut Bench<'_>, step: &mut dyn FnMut()) -> Result<Smallest, Error> {
    let wide = bench.footprint(0)?;
    step();
    let footprint = wide
        .reach
        .max(FIRST_PAYLOAD + 2 * QUANTUM)
        .next_multiple_of(QUANTUM);
    let serves = |bench: &mut Bench<'_>, size: usize, step: &mut dyn FnMut()| {
        let ran = bench.run(size, 0);
        step();
        ran.served
    };

    // Up, where an aligned request's search lacks room.
    let mut low = (wide.peak_used + FIRST_PAYLOAD).next_multiple_of(QUANTUM) - QUANTUM;
    let mut high = footprint;
    let mut stride = QUANTUM;
    while !serves(bench, high, step) {
        low = low.max(high);
        high += stride;
        stride *= 2;
    }
    // Down: no pool is smaller than the blocks at their peak. Large blocks are cut at the edge of
    // their bin only where there is room, so the bytes in use may be fewer near the end.
    low = low.min(high - QUANTUM);
    low = ((low - low / 32) / QUANTUM * QUANTUM).max(FIRST_PAYLOAD);
    let bisects = bench.calls.facts.reallocs > 0
        || bench.calls.facts.align > 0
        || bench.calls.facts.largest >= 2000;
    if bisects {
        while high - low > QUANTUM {
            let middle = low + (high - low) / 2 / QUANTUM * QUANTUM;
            if serves(bench, middle, step) {
                high = middle;
            } else {
                low = middle;
            }
        }
    }
    // Near the answer: a smaller size that serves replaces it.
    let near = (CALLS_NEAR / bench.calls.list.len().max(1)).clamp(2, NEAR);
    let mut below = 0;
    while below < near {
        let size = high.saturating_sub((below + 1) * QUANTUM);
        if size < FIRST_PAYLOAD + 2 * QUANTUM {
            break;
        }
        if serves(bench, size, step) {
            high = size;
            below = 0;
        } else {
            below += 1;
        }
    }
    let above_refused = (1..=near)
        .filter(|above| !serves(bench, high + above * QUANTUM, step))
        .count();
    Ok(Smallest {
        pool: high,
        footprint,
        peak_used: wide.peak_used,
        below,
        above: near,
        above_refused,
    })
}
