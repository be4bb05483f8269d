//! The adversary for promises that are too large for the game: hill climbing over sequences of
//! calls, for the one that takes the most of memoman's own core.

use std::ptr::NonNull;

use super::game::max_block;
use super::input::{Lifetime, Promise};
use crate::heap::{FIRST_PAYLOAD, Memory, PoolHeap};
use crate::progress::Progress;

/// What the search has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) sequences: usize,
    /// Bytes for blocks that the worst sequence took.
    pub(crate) worst: u64,
    /// A request within the promise was refused.
    pub(crate) refused: bool,
}

/// Tries sequences of together about `calls` calls in a pool with `usable` bytes for blocks. None
/// when there is no memory for it.
pub(crate) fn search(promise: &Promise, usable: u64, calls: usize, seed: u64) -> Option<Found> {
    let pool = usize::try_from(usable).ok()?.checked_add(FIRST_PAYLOAD)?;
    let mut memory = Memory::reserve(pool).ok()?;
    let max_block = max_block(promise);
    let length = (promise.blocks() as usize * 6).clamp(32, 20_000);
    let permanent: u64 = promise
        .classes
        .iter()
        .filter(|class| class.lifetime == Lifetime::Permanent)
        .map(|class| class.count)
        .sum();
    let sequences = (calls / (length + permanent as usize)).max(4);
    let mut random = Random(seed);
    let mut found = Found {
        sequences,
        worst: 0,
        refused: false,
    };
    let restarts = (sequences / 500).clamp(1, 8);
    let mut progress = Progress::new("searching", sequences as u64);
    let mut done = 0;
    for _ in 0..restarts {
        let mut best: Vec<u32> = (0..length).map(|_| random.next() as u32).collect();
        let mut best_score = 0;
        for round in 0..sequences / restarts {
            let mut tried = best.clone();
            if round > 0 {
                mutate(&mut tried, &mut random);
            }
            done += 1;
            if done % 64 == 0 {
                progress.at(done);
            }
            let heap = PoolHeap::new(&mut memory, max_block, 0, pool)?;
            let (score, refused) = run(promise, heap, &tried);
            found.refused |= refused;
            found.worst = found.worst.max(score as u64);
            if score >= best_score {
                (best, best_score) = (tried, score);
            }
        }
    }
    Some(found)
}

/// Changes a few calls, repeats a stretch of them elsewhere, or turns a stretch into requests of
/// one kind.
fn mutate(calls: &mut [u32], random: &mut Random) {
    let length = calls.len();
    match random.below(3) {
        0 => {
            for _ in 0..1 + random.below(8) {
                calls[random.below(length)] = random.next() as u32;
            }
        }
        1 => {
            let stretch = 1 + random.below(length / 4);
            let (from, to) = (
                random.below(length - stretch),
                random.below(length - stretch),
            );
            calls.copy_within(from..from + stretch, to);
        }
        _ => {
            let stretch = 1 + random.below(length / 4);
            let from = random.below(length - stretch);
            let call = random.next() as u32;
            calls[from..from + stretch].fill(call);
        }
    }
}

/// Makes the calls that the numbers select among those that the promise allows; the bytes for
/// blocks that were taken, and whether a request was refused.
fn run(promise: &Promise, mut heap: PoolHeap<'_>, calls: &[u32]) -> (usize, bool) {
    let classes = &promise.classes;
    let quantum = promise.geometry().quantum();
    let mut live: Vec<Vec<NonNull<u8>>> = classes.iter().map(|_| Vec::new()).collect();
    let mut worst = 0;
    let mut allocate = |heap: &mut PoolHeap<'_>, class: usize, scale: usize| {
        let of = &classes[class];
        let size = if of.varies {
            of.size as usize * scale.max(1) / 16
        } else {
            of.size as usize
        };
        let block = if of.align > quantum {
            heap.memalign(of.align as usize, size.max(1))
        } else {
            heap.malloc(size.max(1))
        }?;
        // SAFETY: the block has just been allocated.
        worst = worst.max(unsafe { heap.end_of(block) });
        Some(block)
    };
    let fixed = |class: usize| {
        classes[class].lifetime == Lifetime::Permanent && classes[class].align <= quantum
    };
    for class in (0..classes.len()).filter(|&class| fixed(class)) {
        for _ in 0..classes[class].count {
            match allocate(&mut heap, class, 16) {
                Some(block) => live[class].push(block),
                None => return (0, true),
            }
        }
    }
    for &call in calls {
        let class = (call >> 8) as usize % classes.len();
        let blocks = &mut live[class];
        let frees = call & 1 == 1 || blocks.len() as u64 >= classes[class].count;
        if frees && !fixed(class) && !blocks.is_empty() {
            let at = match call >> 1 & 3 {
                0 => 0,
                1 => blocks.len() - 1,
                2 => blocks.len() / 2,
                _ => (call >> 16) as usize % blocks.len(),
            };
            let block = blocks.remove(at);
            // SAFETY: a live block of this heap; it leaves the list.
            unsafe { heap.free(block) };
        } else if (blocks.len() as u64) < classes[class].count {
            match allocate(&mut heap, class, 1 + (call >> 4) as usize % 16) {
                Some(block) => live[class].push(block),
                None => return (taken(worst), true),
            }
        }
    }
    (taken(worst), false)
}

/// Bytes for blocks, up to the end of a block's payload.
fn taken(end: usize) -> usize {
    (end + size_of::<usize>()).saturating_sub(FIRST_PAYLOAD)
}

/// A random generator: splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
