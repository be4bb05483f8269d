//! A trace as calls that can be repeated: addresses become numbers of blocks, what cannot be
//! repeated is left out and counted.

mod load;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use load::load;
pub(crate) use run::{Allocator, Core, Slot, run};

/// The alignment of a `malloc`.
pub(crate) const ALIGN: usize = 16;

/// A call of one heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Requested bytes; 0 only for `Free`.
    pub(crate) size: u64,
    /// The block: numbers count up from 0, and are not used again.
    pub(crate) block: u32,
    pub(crate) thread: u16,
    pub(crate) what: What,
    /// Binary logarithm of the alignment; 0 is the default.
    pub(crate) align: u8,
}

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Malloc,
    Memalign,
    Realloc,
    Free,
}

/// The calls of a heap, and what is known about them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    pub(crate) list: Vec<Call>,
    /// Nanoseconds since the start, for each call.
    pub(crate) times: Vec<u64>,
    /// Blocks: their numbers are below this.
    pub(crate) blocks: u32,
    pub(crate) threads: u16,
    pub(crate) facts: Facts,
}

/// What the calls add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Requested bytes of live blocks, at most.
    pub(crate) peak_live: u64,
    /// Live blocks, at most.
    pub(crate) peak_blocks: u64,
    /// The largest request.
    pub(crate) largest: u64,
    /// For `mm_create_for`: the largest request, with the room that the search for an aligned block
    /// needs.
    pub(crate) max_block: u64,
    /// The largest alignment above the default.
    pub(crate) align: u64,
    pub(crate) reallocs: u64,
    /// Frees and resizes of blocks that the trace did not show: a parent's, or lost events.
    pub(crate) unknown: u64,
    /// Blocks handed out while the trace still has them live: a free that it lost.
    pub(crate) doubled: u64,
    /// Requests that the program's allocator refused.
    pub(crate) failed: u64,
    /// The largest of those.
    pub(crate) largest_failed: u64,
}

impl Facts {
    /// Bytes of a pool that is certainly large enough, or nearly so: each block rounded up, thrice
    /// over, and the gap of each alignment.
    pub(crate) fn room(&self) -> u64 {
        let blocks = self.peak_blocks.saturating_mul(128 + 2 * self.align);
        let live = self.peak_live.saturating_mul(3);
        live.saturating_add(self.largest.saturating_mul(2))
            .saturating_add(blocks)
            .max(1 << 20)
    }
}

impl Calls {
    /// Computes the sums of `facts` that follow from the list.
    pub(crate) fn count(&mut self) {
        let mut sizes = vec![0u64; self.blocks as usize];
        let (mut live, mut count) = (0u64, 0u64);
        let facts = &mut self.facts;
        for call in &self.list {
            let size = &mut sizes[call.block as usize];
            live = live.saturating_sub(*size);
            match call.what {
                What::Free => {
                    *size = 0;
                    count -= 1;
                    continue;
                }
                What::Realloc => facts.reallocs += 1,
                What::Malloc | What::Memalign => count += 1,
            }
            let mut searched = call.size;
            if call.what == What::Memalign {
                facts.align = facts.align.max(1 << call.align);
                searched = call.size.next_multiple_of(16) + (1 << call.align) + 32;
            }
            facts.max_block = facts.max_block.max(searched);
            *size = call.size;
            live = live.saturating_add(call.size);
            facts.largest = facts.largest.max(call.size);
            facts.peak_live = facts.peak_live.max(live);
            facts.peak_blocks = facts.peak_blocks.max(count);
        }
    }
}
