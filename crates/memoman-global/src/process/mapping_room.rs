//! How many bytes of mappings are kept for the next large blocks, and the counts that decide it.
//!
//! The bytes kept are the least of
//! * what, with the live blocks, makes up nine eighths of the most that was live at one time
//!   recently: so no program takes much more memory than at its peak;
//! * what has been worth keeping: [`WORTH_FIRST`], then at least [`KEPT_LEAST`], at least doubled
//!   by each request that needs no more pages than a mapping had that shortly before was returned,
//!   or took the place of kept ones. So a program whose use rises and falls pays for its pages a
//!   few times only; one that frees its data once, or outgrows it, does not keep it;
//! * [`IDLE_MOST`] more than the live blocks, and [`KEPT_MOST`].
//!
//! "Recently" is counted in bytes requested, in spans of [`Room::span`] bytes, so that no timer and
//! no thread is needed. A peak counts for two spans.

use crate::process::mapping_slots::BYTES_MOST;
use crate::system::memory;
use crate::system::sync::{AtomicUsize, Ordering};

const KEPT_LEAST: usize = 2 << 20;
/// In the shim, the first mappings go: a use after free of a block that is not needed again faults.
const WORTH_FIRST: usize = if cfg!(feature = "late-checks") {
    0
} else {
    KEPT_LEAST
};
pub(super) const KEPT_MOST: usize = if BYTES_MOST < 96 << 20 {
    BYTES_MOST
} else {
    96 << 20
};
/// So many bytes more than are live may be kept: a program that has freed its blocks and sleeps
/// keeps little.
const IDLE_MOST: usize = (32 << 20) + (128 << 10);
/// The most blocks with a mapping of their own, in threads that allocate at the same time one more
/// each. Linux's table has 65,530 entries a process.
const BLOCKS_MOST: usize = 28 << 10;
/// Addresses left unmapped behind a new mapping, while there are few blocks: it can be made longer
/// there, and its pieces become one again without a neighbour of another origin, of which the
/// system could not make one that is longer.
const GAP: usize = if cfg!(windows) { 0 } else { memory::PAGE };
/// So many blocks have gaps, each of which takes an entry of the system's table of mappings.
const GAPS_MOST: usize = 64;
/// This part of the peak may be kept beyond it, so that some of the live blocks can have a mapping
/// as long as the longest of them needs.
const BEYOND_PEAK: usize = 8;
/// The least and the most bytes of a span.
const SPAN_LEAST: usize = 128 << 20;
const SPAN_MOST: usize = 1 << 30;

pub(super) static ROOM: Room = Room {
    requested: AtomicUsize::new(0),
    allocated: AtomicUsize::new(0),
    freed: AtomicUsize::new(0),
    live: AtomicUsize::new(0),
    recent: AtomicUsize::new(0),
    before: AtomicUsize::new(0),
    worth: AtomicUsize::new(0),
    given_back: AtomicUsize::new(0),
    mapped: AtomicUsize::new(0),
    resized: AtomicUsize::new(0),
    peak: AtomicUsize::new(0),
};

/// The counts. All Relaxed: a value that is late by another thread's step keeps a mapping more or
/// less. What each call reads lies in one cache line.
#[repr(C, align(64))]
pub(super) struct Room {
    /// Bytes requested in this span.
    pub(super) requested: AtomicUsize,
    /// Blocks allocated and freed since the process began.
    pub(super) allocated: AtomicUsize,
    freed: AtomicUsize,
    /// Bytes of live blocks.
    pub(super) live: AtomicUsize,
    /// The most bytes live in this span, and in the one before.
    recent: AtomicUsize,
    before: AtomicUsize,
    /// Bytes that have been worth keeping, beyond [`WORTH_FIRST`]: all-zero, this takes no room in
    /// the library's file.
    worth: AtomicUsize,
    /// Bytes of the largest mapping returned since one was mapped that it could have served.
    pub(super) given_back: AtomicUsize,
    /// Those of the bytes requested that no spare has served.
    pub(super) mapped: AtomicUsize,
    /// Blocks resized since the process began.
    pub(super) resized: AtomicUsize,
    /// The most bytes live since the process began.
    pub(super) peak: AtomicUsize,
}

pub(super) fn get(value: &AtomicUsize) -> usize {
    value.load(Ordering::Relaxed)
}

pub(super) fn add(value: &AtomicUsize, bytes: usize) -> usize {
    value
        .fetch_add(bytes, Ordering::Relaxed)
        .wrapping_add(bytes)
}

impl Room {
    fn recent_peak(&self) -> usize {
        get(&self.recent).max(get(&self.before))
    }

    fn worth(&self) -> usize {
        get(&self.worth) + WORTH_FIRST
    }

    /// Bytes that may be kept.
    pub(super) fn to_keep(&self) -> usize {
        let peak = self.recent_peak();
        let live = get(&self.live);
        let below_peak = (peak + peak / BEYOND_PEAK).saturating_sub(live);
        let beside_live = live.saturating_add(IDLE_MOST).min(KEPT_MOST);
        below_peak.min(self.worth()).min(beside_live)
    }

    /// Bytes requested before the peak is taken anew.
    pub(super) fn span(&self) -> usize {
        self.recent_peak()
            .saturating_mul(8)
            .clamp(SPAN_LEAST, SPAN_MOST)
    }

    /// Ends a span in which so many bytes were requested.
    pub(super) fn turn(&self, requested: usize) {
        let set = |value: &AtomicUsize, to| value.swap(to, Ordering::Relaxed);
        set(&self.before, set(&self.recent, get(&self.live)));
        set(&self.given_back, 0);
        let reused = requested.saturating_sub(set(&self.mapped, 0));
        let worth = reused.max(KEPT_LEAST) - WORTH_FIRST;
        self.worth.fetch_min(worth, Ordering::Relaxed);
    }
}

/// The words of the large blocks' live bytes and of the numbers allocated and freed, for readers
/// outside.
pub(crate) const fn published() -> [*const usize; 3] {
    [
        (&raw const ROOM.live).cast(),
        (&raw const ROOM.allocated).cast(),
        (&raw const ROOM.freed).cast(),
    ]
}

/// Counts a block of so many bytes.
pub(crate) fn count_block(bytes: usize) {
    add(&ROOM.allocated, 1);
    count_live(bytes);
}

/// So many blocks have mappings that the next large one gets none: each may take an entry of its
/// own in the system's table of mappings, and the program needs entries too.
pub(crate) fn crowded() -> bool {
    blocks(get(&ROOM.allocated)) >= BLOCKS_MOST
}

/// There is a large block.
#[cfg(feature = "late-checks")]
pub(crate) fn any_block() -> bool {
    get(&ROOM.live) > 0
}

/// The gap behind a new mapping.
pub(crate) fn gap() -> usize {
    let useful = get(&ROOM.worth) > 0 && blocks(get(&ROOM.allocated)) < GAPS_MOST;
    if useful { GAP } else { 0 }
}

/// Live blocks, from the number allocated that was read before: other threads may have freed more
/// since.
pub(super) fn blocks(allocated: usize) -> usize {
    let live = allocated.wrapping_sub(get(&ROOM.freed));
    live.cast_signed().max(0) as usize
}

/// Counts a block that goes.
pub(crate) fn count_freed(bytes: usize) {
    add(&ROOM.freed, 1);
    ROOM.live.fetch_sub(bytes, Ordering::Relaxed);
}

/// Counts a block that realloc has resized.
pub(crate) fn count_resized(from: usize, to: usize) {
    add(&ROOM.resized, 1);
    if to != from {
        count_live(to.wrapping_sub(from));
    }
}

fn count_live(change: usize) {
    let live = add(&ROOM.live, change);
    if live > get(&ROOM.recent) {
        ROOM.recent.fetch_max(live, Ordering::Relaxed);
        ROOM.peak.fetch_max(live, Ordering::Relaxed);
    }
}

/// Counts a block for which no mapping was kept: if one given back before could have served it,
/// more is worth keeping.
pub(crate) fn count_mapped(bytes: usize) {
    add(&ROOM.mapped, bytes);
    if get(&ROOM.given_back) >= bytes {
        ROOM.given_back.store(0, Ordering::Relaxed);
        let worth = ROOM.worth();
        if worth < KEPT_MOST {
            add(&ROOM.worth, worth.max(bytes).max(KEPT_LEAST));
        }
    }
}
