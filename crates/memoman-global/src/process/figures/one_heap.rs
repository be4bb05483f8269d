//! The debug library's figures, validation and trim: those of the process-wide instance, under the
//! lock.

use crate::allocator::Stats;
use crate::process::figures::Info;
use crate::process::heap::with_heap;

/// The heap is sound; a fault is printed. O(blocks).
pub(crate) fn validate() -> bool {
    // SAFETY: the instance is live and under the lock.
    let found = with_heap(|_, tlsf| unsafe { tlsf.diagnose() });
    if let Some(Some(violation)) = &found {
        crate::debug::report::print(&violation.fault);
    }
    found.is_some_and(|violation| violation.is_none())
}

/// The heap's figures.
pub(crate) fn stats() -> Stats {
    // SAFETY: the instance is live and under the lock.
    with_heap(|_, tlsf| unsafe { tlsf.stats() }).unwrap_or_default()
}

/// The heap's figures. Free blocks are not counted, and no block is outside a thread's heap.
pub(crate) fn info() -> Info {
    let stats = stats();
    Info {
        stats,
        free_blocks: usize::from(stats.free > 0),
        ..Info::default()
    }
}

/// Successful allocations so far.
pub(crate) fn allocations() -> usize {
    with_heap(|state, _| state.allocations).unwrap_or(0)
}

/// Gives memory back to the system: empty regions, and whole pages inside free blocks. True if any
/// was given back. O(blocks).
pub(crate) fn trim() -> bool {
    with_heap(|state, tlsf| state.trim(tlsf)).unwrap_or(false)
}
