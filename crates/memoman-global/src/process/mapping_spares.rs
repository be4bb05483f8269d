//! Mappings kept for the next large blocks, and how many bytes of them.
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
//! No mapping of more than [`ONE_MOST`] is kept, and a new region takes the place of kept ones: a
//! program whose small blocks grow where its large ones were takes no more than it needs.
//!
//! "Recently" is counted in bytes requested, in spans of [`Room::span`] bytes: no timer and no
//! thread is needed. A mapping not used for one span is unmapped, and a peak counts for two. No
//! function here takes a lock.

use core::ptr;

use crate::process::heap;
use crate::process::map::{self, UNIT};
use crate::process::mapping_marks as marks;
use crate::process::mapping_slots::{BYTES_MOST, Slots};
use crate::process::mapping_word::{Mapping, Use};
use crate::system::memory;
use crate::system::sync::{AtomicUsize, Ordering};

const KEPT_LEAST: usize = 2 << 20;
/// In the shim, the first mappings go: a use after free of a block that is not needed again faults.
const WORTH_FIRST: usize = if cfg!(feature = "late-checks") {
    0
} else {
    KEPT_LEAST
};
const KEPT_MOST: usize = if BYTES_MOST < 96 << 20 {
    BYTES_MOST
} else {
    96 << 20
};
/// More than the live blocks. So a program that has freed what it had, and sleeps, keeps little.
const IDLE_MOST: usize = (32 << 20) + (128 << 10);
pub(crate) const ONE_MOST: usize = 32 << 20;
/// The least bytes of a mapping of which only a part is kept.
const KEPT_PART_LEAST: usize = 256 << 10;
/// The most blocks with a mapping of their own, in threads that allocate at the same time one more
/// each. Linux's table has 65,530 entries a process.
const BLOCKS_MOST: usize = 28 << 10;
/// Smaller mappings that one call gives back in favour of a larger one.
const EVICTED_MOST: usize = 4;
/// The least bytes that are cut off a mapping.
const GONE_LEAST: usize = 64 << 10;
const _: () = assert!(GONE_LEAST >= UNIT);
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

static SLOTS: Slots = Slots::new();
static ROOM: Room = Room {
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

/// What decides on keeping. All Relaxed: a value that is late by another thread's step keeps a
/// mapping more or less. What each call reads lies in one cache line.
#[repr(C, align(64))]
struct Room {
    /// Bytes requested in this span.
    requested: AtomicUsize,
    /// Blocks allocated and freed since the process began.
    allocated: AtomicUsize,
    freed: AtomicUsize,
    /// Bytes of live blocks.
    live: AtomicUsize,
    /// The most bytes live in this span, and in the one before.
    recent: AtomicUsize,
    before: AtomicUsize,
    /// Bytes that have been worth keeping, beyond [`WORTH_FIRST`]: all-zero, this takes no room in
    /// the library's file.
    worth: AtomicUsize,
    /// Bytes of the largest mapping returned since one was mapped that it could have served.
    given_back: AtomicUsize,
    /// Those of the bytes requested that no spare has served.
    mapped: AtomicUsize,
    /// Blocks resized since the process began.
    resized: AtomicUsize,
    /// The most bytes live since the process began.
    peak: AtomicUsize,
}

fn get(value: &AtomicUsize) -> usize {
    value.load(Ordering::Relaxed)
}

fn add(value: &AtomicUsize, bytes: usize) -> usize {
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
    fn to_keep(&self) -> usize {
        let peak = self.recent_peak();
        let live = get(&self.live);
        let below_peak = (peak + peak / BEYOND_PEAK).saturating_sub(live);
        let beside_live = live.saturating_add(IDLE_MOST).min(KEPT_MOST);
        below_peak.min(self.worth()).min(beside_live)
    }

    /// Bytes requested before the peak is taken anew.
    fn span(&self) -> usize {
        self.recent_peak()
            .saturating_mul(8)
            .clamp(SPAN_LEAST, SPAN_MOST)
    }

    /// Ends a span in which so many bytes were requested.
    fn turn(&self, requested: usize) {
        let set = |value: &AtomicUsize, to| value.swap(to, Ordering::Relaxed);
        set(&self.before, set(&self.recent, get(&self.live)));
        set(&self.given_back, 0);
        let reused = requested.saturating_sub(set(&self.mapped, 0));
        let worth = reused.max(KEPT_LEAST) - WORTH_FIRST;
        self.worth.fetch_min(worth, Ordering::Relaxed);
    }
}

/// The figures of the large blocks: exact while no other thread allocates or frees one.
pub(crate) struct Figures {
    /// Live blocks.
    pub(crate) blocks: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
    /// Bytes kept.
    pub(crate) kept: usize,
    /// The most bytes live at a time.
    pub(crate) peak: usize,
    /// Allocations, and blocks that realloc has resized.
    pub(crate) allocations: usize,
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

pub(crate) fn figures() -> Figures {
    let allocated = get(&ROOM.allocated);
    Figures {
        blocks: blocks(allocated),
        bytes: get(&ROOM.live),
        kept: SLOTS.contents().1,
        peak: get(&ROOM.peak),
        allocations: allocated.wrapping_add(get(&ROOM.resized)),
    }
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
fn blocks(allocated: usize) -> usize {
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
    count_live(to.wrapping_sub(from));
}

fn count_live(change: usize) {
    let live = add(&ROOM.live, change);
    if live > get(&ROOM.recent) {
        ROOM.recent.fetch_max(live, Ordering::Relaxed);
        ROOM.peak.fetch_max(live, Ordering::Relaxed);
    }
}

/// Counts bytes requested of something else than the spares.
pub(crate) fn count_requested(bytes: usize) {
    add(&ROOM.mapped, bytes);
    count_wanted(bytes);
}

/// Counts bytes requested: after enough of them, what is not worth keeping any more goes back to
/// the system.
pub(crate) fn count_wanted(bytes: usize) {
    let sum = add(&ROOM.requested, bytes);
    if sum >= ROOM.span() {
        let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        // (A thread that fails has counted later, and the next one turns.)
        if ROOM.requested.compare_exchange(sum, 0, set, seen).is_ok() {
            end_span(sum);
        }
    }
}

#[cold]
#[inline(never)]
fn end_span(requested: usize) {
    ROOM.turn(requested);
    release_above(ROOM.to_keep());
    heap::age();
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

/// Unmaps every spare. True if there was one.
pub(crate) fn release() -> bool {
    release_above(0)
}

/// Unmaps spares of so many bytes, and the rest of the last one, as a region takes their place.
pub(crate) fn make_room(bytes: usize) {
    release_above(SLOTS.contents().1.saturating_sub(bytes));
}

/// Unmaps spares, the smallest first, until no more than so many bytes are kept. True if there was
/// one.
fn release_above(most: usize) -> bool {
    let (mut any, mut least) = (false, 0);
    // As often as there are slots: others may come meanwhile.
    for _ in 0..SLOTS.len() {
        if SLOTS.contents().1 <= most {
            break;
        }
        let Some(mapping) = SLOTS.take(least, None) else {
            break;
        };
        // SAFETY: taken out, so it is this thread's, and no block.
        unsafe {
            marks::test(mapping);
            if !give_back(mapping) {
                // It comes back, without memory.
                least = mapping.bytes + 1;
            }
        }
        any = true;
    }
    any
}

/// Unmaps spares that, with the live blocks, are more than may be kept: after a block that no spare
/// has served.
pub(crate) fn release_beyond_limit() {
    release_above(ROOM.to_keep());
}

/// Reports the kept mappings that have been written to. They are not kept any more: the process
/// ends. Outside every section of the lock.
#[cfg(all(feature = "late-checks", target_os = "linux"))]
pub(crate) fn test_all() {
    for _ in 0..SLOTS.len() {
        let Some(mapping) = SLOTS.take(0, None) else {
            break;
        };
        // SAFETY: taken out, so it is this thread's; the calling thread holds no lock (caller).
        unsafe { marks::test(mapping) };
    }
}

/// Takes a mapping of at least `bytes`, or of at least `or_less`, that begins at a multiple of
/// `align`, a power of two. With true, it reads as zero. Its word in the map is still a spare's.
pub(crate) fn take(bytes: usize, or_less: Option<usize>, align: usize) -> Option<(Mapping, bool)> {
    let mapping = SLOTS.take_aligned(bytes, or_less, align)?;
    // SAFETY: taken out, so it is this thread's; large blocks are served without a lock.
    unsafe { marks::test(mapping) };
    let word = map::owner_outlined(mapping.start);
    let clean = Mapping::of_word(word, mapping.start) == Some((mapping, Use::Spare(true)));
    Some((mapping, clean))
}

/// Takes the mapping that begins where this one ends, if it has `bytes`, and removes its word.
pub(crate) fn take_behind(mapping: Mapping, bytes: usize) -> Option<Mapping> {
    let other = SLOTS.take_at(mapping.end(), bytes)?;
    // SAFETY: taken out, so it is this thread's; large blocks are served without a lock.
    unsafe { marks::test(other) };
    forget(other);
    Some(other)
}

/// Removes the word of a mapping that was taken.
pub(crate) fn forget(mapping: Mapping) {
    if let Some(entry) = map::entry(mapping.start) {
        entry.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// Keeps a mapping, or unmaps it.
///
/// # Safety
/// The mapping is this thread's, and nothing in it is used any more. Its word in the map is null,
/// or that of a spare.
pub(crate) unsafe fn retire(mut mapping: Mapping) {
    let (to_keep, kept) = (ROOM.to_keep(), SLOTS.contents().1);
    let mut room = to_keep.saturating_sub(kept);
    // SAFETY: the duties of the caller.
    unsafe {
        if kept > to_keep {
            // What may be kept falls with the live blocks.
            release_above(to_keep);
        }
        if mapping.bytes > ONE_MOST {
            give_back(mapping);
            return;
        }
        if room < mapping.bytes {
            // It goes, or takes the place of smaller ones.
            ROOM.given_back.fetch_max(mapping.bytes, Ordering::Relaxed);
        }
        // The largest is the most useful one: it can be cut.
        for _ in 0..EVICTED_MOST {
            if room >= mapping.bytes {
                break;
            }
            let Some(least) = SLOTS.take(0, None) else {
                break;
            };
            if least.bytes >= mapping.bytes {
                if let Some(other) = SLOTS.put(least) {
                    marks::test(other);
                    give_back(other);
                }
                break;
            }
            marks::test(least);
            let bytes = least.bytes;
            if !give_back(least) {
                break;
            }
            room += bytes;
        }
        if room < mapping.bytes {
            // What goes is a unit at least, so that no other mapping begins in its first one.
            room = room.min(mapping.bytes - GONE_LEAST.min(mapping.bytes));
            room &= !(memory::page_size() - 1);
        }
        if room < KEPT_PART_LEAST.min(mapping.bytes) || !map::prepare(mapping.start, 1) {
            give_back(mapping);
            return;
        }
        if room < mapping.bytes {
            let end = Mapping {
                start: mapping.start + room,
                bytes: mapping.bytes - room,
            };
            mapping.bytes = room;
            give_back(end);
        }
        // Neighbours become one: pieces cut for small blocks fit large ones again.
        while mapping.bytes < KEPT_MOST
            && let Some(other) = SLOTS.take_beside(mapping)
        {
            marks::test(other);
            forget(other);
            mapping = Mapping {
                start: mapping.start.min(other.start),
                bytes: mapping.bytes + other.bytes,
            };
        }
        marks::set(mapping);
        if let Some(other) = keep(mapping, false) {
            give_back(other);
        }
    }
}

/// [`retire`] for a mapping that is not worth keeping.
///
/// # Safety
/// The duties of [`retire`].
pub(crate) unsafe fn discard(mapping: Mapping) {
    // SAFETY: the duties of the caller.
    unsafe { give_back(mapping) };
}

/// Puts a mapping into a slot. Returns the one that is left over, which is this thread's.
fn keep(mapping: Mapping, clean: bool) -> Option<Mapping> {
    let entry = map::entry(mapping.start)?;
    entry.store(mapping.word(Use::Spare(clean)), Ordering::Relaxed);
    let other = SLOTS.put(mapping)?;
    // SAFETY: taken out, so it is this thread's; large blocks are served without a lock.
    unsafe { marks::test(other) };
    forget(other);
    Some(other)
}

/// Unmaps a mapping. Where the system refuses, since the process has too many mappings, its pages
/// go, the addresses are kept for the next block, and the answer is false.
///
/// # Safety
/// The mapping is this thread's, and nothing in it is used any more. Its word in the map may be
/// that of a spare.
unsafe fn give_back(mapping: Mapping) -> bool {
    debug_assert!(mapping.bytes >= UNIT);
    // Before the addresses may be another mapping's.
    #[cfg(not(feature = "late-checks"))]
    forget(mapping);
    // Until then, a second free is recognised.
    #[cfg(feature = "late-checks")]
    if let Some(entry) = map::entry(mapping.start) {
        entry.store(mapping.word(Use::Spare(true)), Ordering::Relaxed);
    }
    // SAFETY: this thread's, and unused (caller).
    unsafe {
        if memory::unmap(mapping.block(), mapping.bytes) {
            return true;
        }
        let page = memory::page_size();
        let clean = memory::discard(mapping.block(), mapping.bytes, page) > 0;
        if mapping.bytes <= BYTES_MOST && map::prepare(mapping.start, 1) {
            #[cfg(feature = "late-checks")]
            if !clean {
                marks::set(mapping);
            }
            // One without a slot is lost: addresses without memory.
            if let Some(other) = keep(mapping, clean) {
                memory::discard(other.block(), other.bytes, page);
            }
        }
    }
    false
}
