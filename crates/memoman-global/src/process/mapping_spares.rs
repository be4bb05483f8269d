//! Mappings kept for the next large blocks: `process/mapping_room.rs` says how many bytes of them.
//!
//! No mapping of more than [`ONE_MOST`] is kept, and a new region takes the place of kept ones: a
//! program whose small blocks grow where its large ones were takes no more than it needs. A mapping
//! not used for one span is unmapped. No function here takes a lock.

use core::ptr;

use crate::process::heap;
use crate::process::map::{self, UNIT};
use crate::process::mapping_marks as marks;
#[cfg(feature = "late-checks")]
pub(crate) use crate::process::mapping_room::any_block;
use crate::process::mapping_room::{KEPT_MOST, ROOM, add, blocks, get};
pub(crate) use crate::process::mapping_room::{
    count_block, count_freed, count_mapped, count_resized, crowded, gap, published,
};
use crate::process::mapping_slots::{BYTES_MOST, Slots};
use crate::process::mapping_word::{Mapping, Use};
use crate::system::memory;
use crate::system::sync::Ordering;

pub(crate) const ONE_MOST: usize = 32 << 20;
/// The least bytes of a mapping of which only a part is kept.
const KEPT_PART_LEAST: usize = 256 << 10;
/// Smaller mappings that one call gives back in favour of a larger one.
const EVICTED_MOST: usize = 4;
/// The least bytes that are cut off a mapping.
const GONE_LEAST: usize = 64 << 10;
const _: () = assert!(GONE_LEAST >= UNIT);

static SLOTS: Slots = Slots::new();

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
            if least.bytes >= mapping.bytes || is_as_useful(least, mapping, room) {
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

/// In the place of the least spare, only a part of `mapping` that is no longer could be kept. (The
/// library has no room for this test.)
fn is_as_useful(least: Mapping, mapping: Mapping, room: usize) -> bool {
    #[cfg(feature = "late-checks")]
    {
        room < KEPT_PART_LEAST
            && room + least.bytes < mapping.bytes
            && !SLOTS.any_below(mapping.bytes)
    }
    #[cfg(not(feature = "late-checks"))]
    {
        let _ = (least, mapping, room);
        false
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
