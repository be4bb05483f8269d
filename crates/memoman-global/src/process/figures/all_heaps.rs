//! Figures, validation and trim over the process-wide instance and every thread heap, under the
//! lock. All other threads are outside their heaps meanwhile.

use crate::allocator::{Stats, Tlsf};
use crate::process::figures::{COUNTED_MAX, Info};
use crate::process::heap::{State, with_heap};
use crate::process::{mapping_spares, misuse, registry, segments, side};
use crate::thread::cache::Cache;
use crate::thread::heap::ThreadHeap;
use crate::thread::lifetime;

/// Every heap is sound. O(blocks).
pub(crate) fn validate() -> bool {
    let sound = with_heap(|state, tlsf| {
        registry::stopped(|| {
            // SAFETY: the instance is live and under the lock.
            let mut sound = unsafe { tlsf.diagnose() }.is_none();
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
    let stats = with_heap(|state, tlsf| registry::stopped(|| sum(state, tlsf)));
    misuse::report_deferred();
    stats.unwrap_or_default()
}

fn sum(state: &mut State, tlsf: Tlsf) -> Stats {
    // Before the sums: a segment that this empties goes back to the instance.
    // SAFETY: the lock is held, and every other thread is outside its heap.
    registry::each(|heap| unsafe { segments::drain_inbox(state, tlsf, heap) });
    // SAFETY: the instance is live and under the lock.
    let mut all = unsafe { tlsf.stats() };
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
    // SAFETY: the instance is live and under the lock.
    all.peak = all.peak - unsafe { tlsf.stats() }.peak + shared.peak;
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
    all
}

/// The figures, and the numbers of blocks that are cached, free, and outside the threads' heaps.
pub(crate) fn info() -> Info {
    let info = with_heap(|state, tlsf| {
        registry::stopped(|| {
            let mut info = Info {
                stats: sum(state, tlsf),
                ..Info::default()
            };
            count(state, tlsf, &mut info);
            info
        })
    });
    misuse::report_deferred();
    info.unwrap_or_default()
}

fn count(state: &State, tlsf: Tlsf, info: &mut Info) {
    // SAFETY: the instance is live and under the lock.
    let (stats, mut free) = unsafe { (tlsf.stats(), tlsf.free_blocks(COUNTED_MAX)) };
    let large = mapping_spares::figures();
    info.large_blocks = stats.live_blocks - state.shared.segments + large.blocks;
    info.large_bytes = stats.used - state.shared.segment_bytes + large.bytes;
    registry::each(|heap| {
        // SAFETY: the lock is held, and every other thread is outside its heap.
        unsafe {
            free += ThreadHeap::tlsf(heap).free_blocks(COUNTED_MAX - free);
            let (bytes, blocks) = Cache::contents(ThreadHeap::cache(heap));
            info.cached_bytes += bytes;
            info.cached_blocks += blocks;
        }
    });
    info.free_blocks = free + info.cached_blocks;
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
/// was given back. O(blocks).
pub(crate) fn trim() -> bool {
    let released = with_heap(|state, tlsf| {
        let in_heaps = trim_heaps(state, tlsf);
        state.trim(tlsf) | in_heaps
    });
    misuse::report_deferred();
    released.unwrap_or(false) | mapping_spares::release() | side::trim()
}

fn trim_heaps(state: &mut State, tlsf: Tlsf) -> bool {
    let mut released = false;
    registry::stopped(|| {
        registry::each(|heap| {
            // SAFETY: the lock is held, and every other thread is outside its heap.
            unsafe {
                segments::drain(state, tlsf, heap);
                // The pages of an empty segment go with the free block that it becomes.
                segments::give_back_all(state, tlsf, heap);
                let core = ThreadHeap::tlsf(heap);
                let mut next = core.first_pool();
                while let Some(pool) = next {
                    next = core.next_pool(pool);
                    released |= state.discard_free(pool);
                }
            }
        });
    });
    released
}
