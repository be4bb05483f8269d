//! The free blocks of another process's heap, by a walk over all of its blocks.
//!
//! The process runs meanwhile: memory is copied a window at a time, and the walk goes from a block
//! to the next one within the copy. A block that changes at a window's edge can lead to bytes that
//! are no header. Then the pool is walked again, a few times.

use serde::Serialize;

use super::figures::{Published, number};
use super::process::Process;

/// The free blocks of a heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Gaps {
    pub(super) free_blocks: u64,
    pub(super) largest_free: u64,
    /// 1 minus the sum of the squares of their sizes over the square of the sum.
    pub(super) fragmentation: f64,
}

/// What a walk sums up.
#[derive(Clone, Copy, Default)]
struct Sums {
    blocks: u64,
    bytes: u64,
    largest: u64,
    squares: f64,
}

/// Where the words of pools and headers lie.
pub(super) struct Places {
    pub(super) word: usize,
    pub(super) quantum: u64,
    pub(super) header: u64,
    pub(super) block_min: u64,
    pub(super) free: u64,
    pub(super) sentinel: u64,
    pub(super) cookie: u64,
    pub(super) first_pool: u64,
    pub(super) next: u64,
    pub(super) control: u64,
    pub(super) end: u64,
    pub(super) first: u64,
}

const WINDOW: u64 = 256 << 10;
const TRIES: usize = 8;
/// No heap has as many pools.
const POOLS: usize = 1 << 22;

impl Published {
    /// The free blocks of a handle heap, or of the process's own heap; `None` when the heap changes
    /// too fast.
    pub(super) fn gaps(&self, process: &Process, handle: Option<u64>) -> Option<Gaps> {
        let mut sums = Sums::default();
        let controls = match handle {
            Some(handle) => vec![self.control_of(handle)],
            None => self.controls(process).ok()?,
        };
        for control in controls {
            self.places().instance(process, control, &mut sums)?;
        }
        let bytes = sums.bytes as f64;
        Some(Gaps {
            free_blocks: sums.blocks,
            largest_free: sums.largest,
            fragmentation: match sums.blocks {
                0 => 0.0,
                _ => (1.0 - sums.squares / (bytes * bytes)).max(0.0),
            },
        })
    }
}

impl Places {
    fn word(&self, process: &Process, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..self.word];
        process.read(address, bytes).ok()?;
        Some(number(bytes, 0, self.word))
    }

    /// Adds the free blocks of an instance.
    fn instance(&self, process: &Process, control: u64, sums: &mut Sums) -> Option<()> {
        let word = |at: u64| self.word(process, at);
        let cookie = match self.word {
            8 => word(control.wrapping_add(self.cookie))?,
            _ => 0,
        };
        let (mut pool, mut last) = (word(control.wrapping_add(self.first_pool))?, 0);
        for _ in 0..POOLS {
            if pool == 0 {
                return Some(());
            }
            // Pools stand in the order of their addresses.
            if pool <= last || word(pool.wrapping_add(self.control))? != control {
                return None;
            }
            let end = word(pool.wrapping_add(self.end))? & !(self.quantum - 1);
            let found = (0..TRIES).find_map(|_| self.pool(process, pool, end, cookie))?;
            sums.blocks += found.blocks;
            sums.bytes = sums.bytes.saturating_add(found.bytes);
            sums.largest = sums.largest.max(found.largest);
            sums.squares += found.squares;
            (last, pool) = (pool, word(pool.wrapping_add(self.next))?);
        }
        None
    }

    /// The free blocks of a pool; `None` at bytes that are no header.
    fn pool(&self, process: &Process, pool: u64, end: u64, cookie: u64) -> Option<Sums> {
        let mut sums = Sums::default();
        let mut window = vec![0; WINDOW as usize];
        let (mut start, mut filled) = (0u64, 0u64);
        let mut at = pool.checked_add(self.first)?;
        loop {
            let header = at.checked_sub(self.header)?;
            if at > end {
                return None;
            }
            if header < start || header + self.header > start + filled {
                (start, filled) = (header, WINDOW.min(end - header));
                process.read(start, &mut window[..filled as usize]).ok()?;
            }
            let found = number(&window, (header - start) as usize, self.word) ^ cookie;
            let (size, flags) = (found & !(self.quantum - 1), found & (self.quantum - 1));
            if at == end {
                let ends = flags & self.sentinel != 0 && size == at - pool;
                return ends.then_some(sums);
            }
            if size < self.block_min || size > end - at || flags & self.sentinel != 0 {
                return None;
            }
            if flags & self.free != 0 {
                sums.blocks += 1;
                sums.bytes += size;
                sums.largest = sums.largest.max(size);
                sums.squares += size as f64 * size as f64;
            }
            at += size;
        }
    }
}
