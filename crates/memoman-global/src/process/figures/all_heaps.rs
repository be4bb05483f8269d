//! What looks at the whole heap: its figures, validation, giving back. In the release library every thread is outside its heap
//! meanwhile.

use memoman_debug::allocator::Stats;
#[cfg(not(memoman_debug))]
use memoman_debug::allocator::Tlsf;

use crate::default::with_heap;
use crate::os;
#[cfg(not(memoman_debug))]
use crate::{cache::Cache, default::State, supply, tell, thread_heap::ThreadHeap, tls, world};

/// The heap is sound; O(blocks), under the lock.
#[cfg(memoman_debug)]
pub fn validate() -> bool {
    // SAFETY: live, and under the lock.
    let found = with_heap(|_, tlsf| unsafe { tlsf.diagnose() });
    if let Some(Some(violation)) = &found {
        crate::debug::print(&violation.fault);
    }
    found.is_some_and(|violation| violation.is_none())
}

/// Every heap is sound; O(blocks), under the lock.
#[cfg(not(memoman_debug))]
pub fn validate() -> bool {
    let sound = with_heap(|state, tlsf| {
        world::stopped(|| {
            // SAFETY: live, and under the lock.
            let mut sound = unsafe { tlsf.diagnose() }.is_none();
            // SAFETY: under the lock, and every thread is outside its heap. (After the first damage nothing goes to a heap or back.)
            world::each(|heap| sound = sound && unsafe { is_sound(state, tlsf, heap) });
            sound
        })
    });
    tell::noted();
    sound == Some(true)
}

/// The heap's core is sound, and so is what lies in its inbox, which is emptied, and in its cache.
#[cfg(not(memoman_debug))]
unsafe fn is_sound(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) -> bool {
    // SAFETY: the heap is the caller's.
    unsafe {
        world::gather_inbox(state, tlsf, heap);
        ThreadHeap::is_cache_sound(heap) && ThreadHeap::tlsf(heap).diagnose().is_none()
    }
}

/// The heap's figures.
#[cfg(memoman_debug)]
pub fn stats() -> Stats {
    // SAFETY: live, and under the lock.
    with_heap(|_, tlsf| unsafe { tlsf.stats() }).unwrap_or_default()
}

/// The figures of all heaps together. `peak` is the sum of the heaps' own ones, so never too low; `largest` is what the
/// calling thread can have.
#[cfg(not(memoman_debug))]
pub fn stats() -> Stats {
    let stats = with_heap(|state, tlsf| world::stopped(|| sum(state, tlsf)));
    tell::noted();
    stats.unwrap_or_default()
}

#[cfg(not(memoman_debug))]
fn sum(state: &mut State, tlsf: Tlsf) -> Stats {
    // First: what that empties goes back to the instance.
    // SAFETY: every thread is outside its heap, and the lock is held.
    world::each(|heap| unsafe { world::gather_inbox(state, tlsf, heap) });
    // SAFETY: live, and under the lock.
    let mut all = unsafe { tlsf.stats() };
    world::each(|heap| {
        // SAFETY: as above.
        let (stats, (cached_bytes, cached)) = unsafe {
            (
                ThreadHeap::tlsf(heap).stats(),
                Cache::contents(&raw mut (*heap).cache),
            )
        };
        all.used += stats.used - cached_bytes;
        all.free += stats.free + cached_bytes;
        all.live_blocks += stats.live_blocks - cached;
        all.peak += stats.peak;
        if heap == tls::current().heap() {
            all.largest = all.largest.max(stats.largest);
        }
    });
    let figures = state.figures();
    // SAFETY: as above. The instance's own peak counts what it has lent.
    all.peak = all.peak - unsafe { tlsf.stats() }.peak + figures.peak;
    all.used -= figures.lent;
    all.live_blocks -= figures.segments;
    all.overhead = all.pool_bytes - all.used - all.free;
    all.failed_requests += figures.refused;
    all
}

/// Successful allocations so far.
pub(crate) fn allocations() -> usize {
    with_heap(|state, _| {
        #[cfg(not(memoman_debug))]
        {
            let mut all = state.allocations;
            world::stopped(|| {
                world::each(|heap| {
                    // SAFETY: every thread is outside its heap, and the lock is held.
                    all = all.wrapping_add(unsafe { ThreadHeap::allocations(heap) });
                });
            });
            all
        }
        #[cfg(memoman_debug)]
        state.allocations
    })
    .unwrap_or(0)
}

/// Gives back to the system what it can: empty regions, and whole pages inside free blocks. True if it was something.
/// O(blocks). `pad`, the bytes that `malloc_trim` would keep at the top, has no meaning here.
pub fn trim(_pad: usize) -> bool {
    let released = with_heap(|state, tlsf| {
        #[cfg(not(memoman_debug))]
        let in_heaps = trim_heaps(state, tlsf);
        #[cfg(memoman_debug)]
        let in_heaps = false;
        state.trim(tlsf) | in_heaps
    });
    #[cfg(not(memoman_debug))]
    tell::noted();
    released.unwrap_or(false)
}

#[cfg(not(memoman_debug))]
fn trim_heaps(state: &mut State, tlsf: Tlsf) -> bool {
    let mut released = false;
    world::stopped(|| {
        world::each(|heap| {
            // SAFETY: every thread is outside its heap, and the lock is held.
            unsafe {
                world::gather(state, tlsf, heap);
                // An empty segment's pages go with the free block that it becomes.
                supply::give_back_all(state, tlsf, heap);
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

/// Sets the calling thread's errno: for the layers whose rules ask for another value.
pub fn set_errno(value: i32) {
    os::set_errno(value);
}
