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
/// was given back. O(blocks), in bounded pieces under the lock.
pub(crate) fn trim() -> bool {
    let mut released = with_heap(|state, tlsf| {
        // Damage to a quarantined block is reported by validation, not by a call that frees no
        // block.
        // SAFETY: the instance is live and under the lock.
        unsafe {
            if tlsf.diagnose().is_none() {
                let _ = tlsf.drain();
            }
        }
        state.remove_empty(tlsf)
    })
    .unwrap_or(false);
    let mut next = Some(0);
    while let Some(from) = next {
        next = with_heap(|state, tlsf| {
            // SAFETY: the instance is live and under the lock.
            let (more, any) = unsafe { state.release_pages(tlsf, from) };
            released |= any;
            more
        })
        .flatten();
    }
    released
}
