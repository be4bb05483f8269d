//! In the shim (feature `late-checks`): mappings without memory, whose addresses are kept for the
//! next large blocks. They serve blocks that come and go and exceed the bytes that may be kept in
//! memory. `madvise` and a page fault take less than half of the time of `mmap`, `munmap` and the
//! page tables.
//!
//! They are kept as far as so many bytes have been worth keeping, and unmapped after a span in
//! which none was used. They count against the limits of the process, so they go where the system
//! refuses something. No function here takes a lock.

use crate::process::map;
use crate::process::mapping_slots::Slots;
use crate::process::mapping_word::{Mapping, Use};
use crate::system::memory;
#[cfg(feature = "announced-threads")]
use crate::system::sandbox;
use crate::system::sync::{AtomicUsize, Ordering};

static SLOTS: Slots = Slots::new();
/// Taken since the last span began.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Bytes of addresses.
pub(crate) fn bytes() -> usize {
    SLOTS.contents().1
}

/// Releases a mapping's pages and keeps its addresses. The error is the mapping left over, which is
/// this thread's: the same one if the system refuses, this or another one if all slots are taken.
///
/// # Safety
/// The mapping is this thread's, and nothing in it is used any more.
pub(crate) unsafe fn keep(mapping: Mapping) -> Result<(), Mapping> {
    #[cfg(feature = "announced-threads")]
    if !sandbox::permits_advice() {
        return Err(mapping);
    }
    let Some(entry) = map::entry(mapping.start) else {
        return Err(mapping);
    };
    // SAFETY: this thread's, and unused (caller).
    let released = unsafe { memory::discard(mapping.block(), mapping.bytes, memory::page_size()) };
    if released < mapping.bytes {
        return Err(mapping);
    }
    entry.store(mapping.word(Use::Spare(true)), Ordering::Relaxed);
    SLOTS.put(mapping).map_or(Ok(()), Err)
}

/// Takes a mapping of at least `bytes` that begins at a multiple of `align`, a power of two. It
/// reads as zero.
pub(crate) fn take(bytes: usize, align: usize) -> Option<Mapping> {
    let mapping = SLOTS.take_aligned(bytes, None, align)?;
    TAKEN.fetch_add(1, Ordering::Relaxed);
    Some(mapping)
}

/// Takes the shortest mapping if it has less than `bytes`.
pub(crate) fn take_below(bytes: usize) -> Option<Mapping> {
    if SLOTS.any_below(bytes) {
        SLOTS.take(0, None)
    } else {
        None
    }
}

/// Takes any mapping.
pub(crate) fn take_any() -> Option<Mapping> {
    SLOTS.take(0, None)
}

/// The number of slots.
pub(crate) fn most() -> usize {
    SLOTS.len()
}

/// A span ends. True if none was taken in it.
pub(crate) fn end_span() -> bool {
    TAKEN.swap(0, Ordering::Relaxed) == 0
}
