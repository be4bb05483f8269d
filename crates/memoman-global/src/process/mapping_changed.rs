//! Large blocks of which the program has changed pages: protected them, locked them in memory, or
//! excluded them from forks or dumps. The next block in such a mapping would inherit that, so the
//! mapping goes back to the system when the block is freed, and nothing is read or written there.
//!
//! The shim sees the calls (feature `late-checks`); elsewhere no block is noted.

#[cfg(feature = "late-checks")]
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::process::map::Owner;
#[cfg(feature = "late-checks")]
use crate::process::map::{self, UNIT};
#[cfg(feature = "late-checks")]
use crate::process::mapping_word::Use;
use crate::process::mapping_word::{self, Mapping};

/// The block with this word is noted.
#[inline(always)]
pub(crate) fn is_noted(word: *mut Owner) -> bool {
    cfg!(feature = "late-checks") && mapping_word::is_changed(word)
}

/// This word, noted.
pub(crate) fn noted(word: *mut Owner) -> *mut Owner {
    mapping_word::changed(word)
}

/// The block is so long that pages far behind its start are not noted.
pub(crate) fn may_be_unseen(mapping: Mapping) -> bool {
    cfg!(feature = "late-checks") && mapping.bytes > REACH
}

/// Blocks that begin at most so many bytes before changed pages are noted. (No larger mapping is
/// kept.)
const REACH: usize = crate::process::mapping_spares::ONE_MOST;

/// Where large blocks have been: the lowest start, inverted, and the highest end.
#[cfg(feature = "late-checks")]
static LOWEST: AtomicUsize = AtomicUsize::new(0);
#[cfg(feature = "late-checks")]
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// A block begins to be one.
#[inline(always)]
pub(crate) fn cover(mapping: Mapping) {
    #[cfg(feature = "late-checks")]
    {
        if !mapping.start > LOWEST.load(Ordering::Relaxed) {
            LOWEST.fetch_max(!mapping.start, Ordering::Relaxed);
        }
        if mapping.end() > HIGHEST.load(Ordering::Relaxed) {
            HIGHEST.fetch_max(mapping.end(), Ordering::Relaxed);
        }
    }
    #[cfg(not(feature = "late-checks"))]
    let _ = mapping;
}

/// Notes the large blocks that have pages among these bytes: those that begin at most [`REACH`]
/// before them, and in the first so many of them.
#[cfg(feature = "late-checks")]
pub(crate) fn note(start: usize, bytes: usize) {
    let lowest = !LOWEST.load(Ordering::Relaxed);
    let highest = HIGHEST.load(Ordering::Relaxed);
    let end = start.saturating_add(bytes).min(highest);
    if start >= end || end <= lowest || !crate::process::mapping_spares::any_block() {
        return;
    }
    for unit in 0..=REACH / UNIT {
        let Some(at) = start.checked_sub(unit * UNIT) else {
            break;
        };
        // A block, a heap or a region: nothing before it reaches over it.
        if at < lowest & !(UNIT - 1) || note_in(at, start, end) {
            break;
        }
    }
    let behind = (end - start).min(REACH).saturating_sub(UNIT - start % UNIT);
    for unit in 1..=behind.div_ceil(UNIT) {
        note_in(
            (start & !(UNIT - 1)).saturating_add(unit * UNIT),
            start,
            end,
        );
    }
}

/// Notes the block that begins in the unit at `at`, if it has one of the bytes from `start` to
/// `end`. True if a block, a heap or a region begins there at `start` or before. (The words of
/// freed blocks stay, also inside a later block.)
#[cfg(feature = "late-checks")]
fn note_in(at: usize, start: usize, end: usize) -> bool {
    let Some(entry) = map::entry(at) else {
        return false;
    };
    let word = entry.load(Ordering::Relaxed);
    match Mapping::of_word(word, at) {
        Some((_, Use::Spare(_))) => false,
        Some((mapping, Use::Block)) => {
            if mapping.start < end && start < mapping.end() {
                let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
                // (A thread that changes the word meanwhile resizes or frees the block.)
                let _ = entry.compare_exchange(word, noted(word), set, seen);
            }
            mapping.start <= start
        }
        None => !word.is_null(),
    }
}
