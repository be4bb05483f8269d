//! Large blocks of which the program has changed pages: protected them, locked them in memory, or
//! excluded them from forks or dumps. The next block in such a mapping would inherit that, so the
//! mapping goes back to the system when the block is freed, and nothing is read or written there.
//!
//! The shim sees the calls (feature `late-checks`); elsewhere no block is noted.

#[cfg(feature = "late-checks")]
use core::sync::atomic::Ordering;

use crate::process::map::Owner;
#[cfg(feature = "late-checks")]
use crate::process::map::{self, UNIT};
use crate::process::mapping_word::{self, Mapping, Use};

/// The block with this word is noted.
#[inline(always)]
pub(crate) fn is_noted(word: *mut Owner) -> bool {
    cfg!(feature = "late-checks") && mapping_word::is_changed(word)
}

/// The word of a noted block that is resized.
pub(crate) fn word(mapping: Mapping) -> *mut Owner {
    mapping_word::changed(mapping.word(Use::Block))
}

/// Notes the large blocks that have pages among these bytes: those that begin at most so many bytes
/// before them, and in the first so many of them. (No larger mapping is kept in any case.)
#[cfg(feature = "late-checks")]
pub(crate) fn note(start: usize, bytes: usize) {
    const REACH: usize = crate::process::mapping_spares::ONE_MOST;
    if !crate::process::mapping_spares::any_block() || bytes == 0 {
        return;
    }
    for unit in 0..=REACH / UNIT {
        let Some(at) = start.checked_sub(unit * UNIT) else {
            break;
        };
        // A block, a heap or a region: nothing before it reaches over it.
        if note_in(at, start, bytes) {
            break;
        }
    }
    let behind = bytes.min(REACH).saturating_sub(UNIT - start % UNIT);
    for unit in 1..=behind.div_ceil(UNIT) {
        note_in(
            (start & !(UNIT - 1)).saturating_add(unit * UNIT),
            start,
            bytes,
        );
    }
}

/// Notes the block that begins in the unit at `at`, if it has one of these bytes. True if a block,
/// a heap or a region is there. (The words of freed blocks stay, also inside a later block.)
#[cfg(feature = "late-checks")]
fn note_in(at: usize, start: usize, bytes: usize) -> bool {
    let Some(entry) = map::entry(at) else {
        return false;
    };
    let word = entry.load(Ordering::Relaxed);
    match Mapping::of_word(word, at) {
        Some((_, Use::Spare(_))) => return false,
        Some((mapping, Use::Block))
            if mapping.start < start.saturating_add(bytes) && start < mapping.end() =>
        {
            let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
            // (A thread that changes the word meanwhile resizes or frees the block.)
            let _ = entry.compare_exchange(word, mapping_word::changed(word), set, seen);
        }
        _ => {}
    }
    !word.is_null()
}
