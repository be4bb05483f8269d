//! Figures, validation and trim over the process-wide instance and every thread heap, under the
//! lock. All other threads are outside their heaps meanwhile.

use crate::allocator::{Stats, Tlsf};
use crate::process::figures::{COUNTED_MAX, Info};
use crate::process::heap::{State, with_heap};
use crate::process::mapping_spares::Figures;
use crate::process::pages::Listed;
use crate::process::{mapping_spares, misuse, registry, segments, side};
use crate::thread::cache::Cache;
use crate::thread::heap::ThreadHeap;
use crate::thread::lifetime;

/// Blocks that are moved from an inbox under the lock at a time, and how often: while other threads
/// free as fast, there is no end.
const DRAINED_MOST: usize = 4096;
const PIECES_MOST: usize = 1 << 14;

/// Every heap is sound. O(blocks).
#[inline(never)]
pub(crate) fn validate() -> bool {
    empty_inboxes();
    let sound = with_heap(|state, tlsf| {
        registry::stopped(|| {
            // SAFETY: the instance is live and under the lock.
            let mut sound = unsafe { tlsf.diagnose() }.is_none();
            // SAFETY: the lock is held, and every other thread is outside its heap.
            unsafe { segments::empty_outboxes() };
            // After the first damage no segment goes to a heap or back.
            // SAFETY: the lock is held, and every other thread is outside its heap.
            registry::each(|heap| sound = sound && unsafe { is_sound(state, tlsf, heap) });
            sound
        })
    });
    misuse::report_deferred();
    sound == Some(true)
}

/// The heap's core and its cache are sound, and so is its inbox, which is emptied.
unsafe fn is_sound(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) -> bool {
    // SAFETY: the lock lets this thread into the heap (caller).
    unsafe {
        segments::drain_inbox(state, tlsf, heap);
        ThreadHeap::is_cache_sound(heap) && ThreadHeap::tlsf(heap).diagnose().is_none()
    }
}

/// The figures of all heaps together. `peak` is the sum of the heaps' own peaks, so never too low;
/// `largest` is the largest request of the calling thread that would succeed.
pub(crate) fn stats() -> Stats {
    empty_inboxes();
    let mut stats = Stats::default();
    with_heap(|state, tlsf| {
        registry::stopped(|| sum(state, tlsf, &mut stats));
    });
    misuse::report_deferred();
    stats
}

/// Writes the figures; returns those of the large blocks among them.
fn sum(state: &mut State, tlsf: Tlsf, all: &mut Stats) -> Figures {
    // Before the sums: a segment that this empties goes back to the instance.
    // SAFETY: the lock is held, and every other thread is outside its heap.
    unsafe { segments::empty_outboxes() };
    // SAFETY: as above.
    registry::each(|heap| unsafe { segments::drain_inbox(state, tlsf, heap) });
    // SAFETY: the instance is live and under the lock.
    *all = unsafe { tlsf.stats() };
    let own_peak = all.peak;
    registry::each(|heap| {
        // SAFETY: the lock is held, and every other thread is outside its heap.
        let (stats, (cached_bytes, cached)) = unsafe {
            (
                ThreadHeap::tlsf(heap).stats(),
                Cache::contents(ThreadHeap::cache(heap)),
            )
        };
        all.used += stats.used - cached_bytes;
        all.free += stats.free + cached_bytes;
        all.live_blocks += stats.live_blocks - cached;
        all.peak += stats.peak;
        if heap == lifetime::current().heap() {
            all.largest = all.largest.max(stats.largest);
        }
    });
    let shared = &state.shared;
    // The instance's own peak counts its segments.
    all.peak = all.peak - own_peak + shared.peak;
    all.used -= shared.segment_bytes;
    all.live_blocks -= shared.segments;
    let large = mapping_spares::figures();
    all.pool_bytes += large.bytes + large.kept;
    all.used += large.bytes;
    all.free += large.kept;
    all.live_blocks += large.blocks;
    all.peak += large.peak;
    all.overhead = all.pool_bytes - all.used - all.free;
    all.failed_requests += shared.refused;
    large
}

/// The figures, and the numbers of blocks that are cached, free, and outside the threads' heaps.
/// (Counted after the figures, one heap after the other: a free block takes a cache miss.)
pub(crate) fn info() -> Info {
    empty_inboxes();
    let info = with_heap(|state, tlsf| {
        let mut stats = Stats::default();
        let large = registry::stopped(|| sum(state, tlsf, &mut stats));
        let mut info = Info {
            stats,
            large_blocks: large.blocks,
            large_bytes: large.bytes,
            ..Info::default()
        };
        // SAFETY: the instance is live and under the lock.
        info.free_blocks = unsafe { tlsf.free_blocks(COUNTED_MAX) };
        info
    });
    let mut info = info.unwrap_or_default();
    one_after_the_other(|_| true, &mut |_, _, heap, _| {
        // SAFETY: the lock is held, and no other thread is in the heap.
        unsafe {
            let left = COUNTED_MAX - info.free_blocks;
            info.free_blocks += ThreadHeap::tlsf(heap).free_blocks(left);
            let (bytes, blocks) = Cache::contents(ThreadHeap::cache(heap));
            info.cached_bytes += bytes;
            info.cached_blocks += blocks;
        }
        None
    });
    // (More may be cached by now than was free then.)
    info.cached_bytes = info.cached_bytes.min(info.stats.free);
    info.free_blocks += info.cached_blocks;
    misuse::report_deferred();
    info
}

/// Successful allocations so far.
pub(crate) fn allocations() -> usize {
    with_heap(|state, _| {
        let mut all = state.allocations + mapping_spares::figures().allocations;
        registry::stopped(|| {
            registry::each(|heap| {
                // SAFETY: the lock is held, and every other thread is outside its heap.
                all = all.wrapping_add(unsafe { ThreadHeap::allocations(heap) });
            });
        });
        all
    })
    .unwrap_or(0)
}

/// Gives memory back to the system: empty regions, and whole pages inside free blocks. True if any
/// was given back. O(blocks), in bounded pieces under the lock.
pub(crate) fn trim() -> bool {
    empty_inboxes();
    let mut released = false;
    let mut lists = Listed::FIRST;
    one_after_the_other(|_| true, &mut |state, tlsf, heap, &mut from| {
        // SAFETY: the lock is held, and no other thread is in the heap.
        unsafe {
            if from == 0 {
                lists = Listed::FIRST;
                segments::drain(state, tlsf, heap);
                // The pages of an empty segment go with the free block that it becomes.
                segments::give_back_all(state, tlsf, heap);
            }
            let (next, any) = if from < Listed::POOLS {
                lists.over(state, heap)
            } else {
                state.release_pages(ThreadHeap::tlsf(heap), from)
            };
            released |= any;
            next
        }
    });
    released |= with_heap(|state, tlsf| state.remove_empty(tlsf)) == Some(true);
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
    misuse::report_deferred();
    released | mapping_spares::release() | side::trim()
}

/// Empties outboxes and inboxes into the cores, but for what other threads free meanwhile.
fn empty_inboxes() {
    // SAFETY: any thread may look whether a block waits in an outbox.
    let sends = |heap: *mut ThreadHeap| unsafe { !(*heap).outbox.is_empty() };
    if registry::any(sends) {
        one_after_the_other(sends, &mut |_, _, heap, _| {
            // SAFETY: the lock is held, and no other thread is in the heap.
            unsafe { ThreadHeap::send_all(heap) };
            None
        });
    }
    // SAFETY: any thread may look whether a block waits in an inbox.
    let receives = |heap: *mut ThreadHeap| unsafe { !(*heap).inbox.is_empty() };
    if registry::any(receives) {
        one_after_the_other(receives, &mut |state, tlsf, heap, &mut pieces| {
            // SAFETY: the lock is held, and no other thread is in the heap.
            let more = unsafe { drain_some(state, tlsf, heap) };
            (more && pieces < PIECES_MOST).then_some(pieces + 1)
        });
    }
}

/// Moves a bounded number of blocks from a heap's inbox to its core. True if there may be more.
///
/// # Safety
/// The duties of [`ThreadHeap`], under the lock.
unsafe fn drain_some(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) -> bool {
    let mut left = DRAINED_MOST;
    while left > 0 {
        // SAFETY: the lock lets this thread into the heap (caller).
        unsafe {
            if let Some(pool) = ThreadHeap::take_surplus(heap) {
                segments::give_back_locked(state, tlsf, heap, pool);
            }
            match ThreadHeap::collect(heap, left, None) {
                Ok(0) => return false,
                Ok(taken) => left -= taken,
                // The block is out of the inbox.
                Err(found) => {
                    state.defer(found);
                    left -= 1;
                }
            }
        }
    }
    true
}

/// Calls `work` with one of the `wanted` heaps after the other, each under the lock and with its
/// owner alone kept out, and anew with what it returns until that is None. It begins with 0.
/// Compiled once.
fn one_after_the_other(
    wanted: fn(*mut ThreadHeap) -> bool,
    work: &mut dyn FnMut(&mut State, Tlsf, *mut ThreadHeap, &mut usize) -> Option<usize>,
) {
    for index in 0.. {
        let mut next = Some(0);
        while let Some(mut at) = next {
            let found = with_heap(|state, tlsf| {
                // (A heap that is made meanwhile comes first: the one before is visited again.)
                let heap = registry::nth(index)?;
                if !wanted(heap) {
                    return Some(None);
                }
                let result = registry::stopped_one(heap, || work(state, tlsf, heap, &mut at));
                Some(result.flatten())
            });
            match found.flatten() {
                Some(more) => next = more,
                None => return,
            }
        }
    }
}
