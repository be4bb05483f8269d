//! Memory of idle threads. A thread that sleeps executes nothing, so what its heap holds of freed
//! blocks, in inbox, cache and spare, is given back by the others: a thread that frees blocks of
//! other threads looks at their owner now and then, and one that gets or gives back a segment looks
//! at the next heap of the list. An owner that has allocated nothing for a while is idle, and gets
//! a visit of bounded length.
//!
//! A visitor is inside its own gate, so a fork and a holder of the lock wait until it is gone. It
//! takes no lock meanwhile and waits for no thread: if the owner is inside, it leaves. Its signals
//! are blocked, so that no handler forks in the middle of another thread's heap.
//!
//! A fixed reserve has no reclaiming: there it would be work without a bound in time, and the last
//! attempts before a refusal find the same memory.

use core::ptr;
use core::sync::atomic::Ordering;

use crate::allocator::{FreePlace, Misuse, Stats};
use crate::process::heap::LargeBlocks;
use crate::process::segments::Segment;
use crate::process::{misuse, registry, segments};
use crate::system::{clock, memory, signals, sync};
use crate::thread::cache::{CLASSES, Cache};
use crate::thread::entry::{enter, enter_to_put};
use crate::thread::gate::Mark;
use crate::thread::heap::{GIVEN_AT_ONCE, ThreadHeap};
use crate::thread::idleness::{add_pending, next_mark, pending};

/// A thread looks at an owner after freeing this many blocks of other threads, or bytes.
const LOOK_BLOCKS: usize = 256;
const LOOK_BYTES: usize = 64 << 10;
/// Milliseconds after which an owner is idle.
const IDLE: usize = 100;
/// How often, at most, a thread sleeps until another visitor has left.
const WAITS: u32 = 4;
/// [`most_pending`]: this many bytes, or this part of all pools.
const PENDING_MOST: usize = 8 << 20;
const PENDING_PART: usize = 32;
/// Blocks that one visit moves to the core, and segments that it takes.
const VISITED_BLOCKS: usize = 256;
const VISITED_SEGMENTS: usize = 4;
/// Visits in a row.
const VISITS: usize = 4;
/// As many times as much is done when a thread ends.
const SETTLED_TURNS: usize = 256;
/// Heaps that a thread looks at: together with an owner whose blocks it frees, and when it ends and
/// has freed blocks since its last look.
const SWEPT_AT_LOOK: usize = 2;
const SWEPT_AT_END: usize = 16;

/// A heap of more than so many bytes, more than half of them free, empties its cache, up to
/// [`GIVEN_AT_ONCE`] blocks each time when so many bytes more have been freed.
const EMPTIED_BEYOND: usize = 256 << 10;
const EMPTIED_AGAIN: usize = 64 << 10;
/// A heap keeps so many free bytes in memory. So many more, or this part of the bytes in use, may
/// become free before their pages are released. A visit releases those inside so many free blocks
/// of at least so many bytes.
const RELEASED_BEYOND: usize = 256 << 10;
const RELEASED_AGAIN: usize = 64 << 10;
const RELEASED_PART: usize = 4;
const RELEASED_BLOCKS: usize = 64;
const RELEASED_LEAST: usize = 8 << 10;

/// The thread of the heap `own` has sent so much that it is to call [`look`] when it has left its
/// heap.
///
/// # Safety
/// `own` is the calling thread's heap, and the thread is in it.
#[inline(always)]
#[must_use]
pub(crate) unsafe fn is_to_look(own: *mut ThreadHeap) -> bool {
    // SAFETY: the caller is in the heap.
    let sent = unsafe { &(*own).sent };
    sent.blocks >= LOOK_BLOCKS || sent.bytes >= LOOK_BYTES
}

/// Looks at an owner whose blocks this thread frees, and at two heaps more.
///
/// # Safety
/// `own` is the calling thread's heap, which is outside its gate; `owner` is a heap.
#[cold]
#[inline(never)]
pub(crate) unsafe fn look(own: *mut ThreadHeap, owner: *mut ThreadHeap) {
    // SAFETY: the calling thread's heap (caller); heaps are never given back.
    unsafe {
        if !enter_to_put(own) {
            return;
        }
        add_pending((*own).sent.bytes);
        ((*own).sent.blocks, (*own).sent.bytes) = (0, 0);
        ThreadHeap::leave(own);
        look_at(own, owner);
        sweep(own, SWEPT_AT_LOOK);
    }
}

/// Sends what waits in the calling thread's outbox, unless another thread forks.
///
/// # Safety
/// `heap` is the calling thread's, or null.
pub(crate) unsafe fn send_waiting(heap: *mut ThreadHeap) {
    // SAFETY: the calling thread's heap (caller), inside its gate to put.
    unsafe {
        if !heap.is_null() && !(*heap).outbox.is_empty() && enter_to_put(heap) {
            ThreadHeap::send_all(heap);
            ThreadHeap::leave(heap);
        }
    }
}

/// What all inboxes may hold before owners count as idle at once.
fn most_pending() -> usize {
    (segments::pool_bytes() / PENDING_PART).max(PENDING_MOST)
}

/// Looks at the next heaps of the list, each once at most.
///
/// # Safety
/// `own` is the calling thread's heap, which is outside its gate.
#[cold]
#[inline(never)]
pub(crate) unsafe fn sweep(own: *mut ThreadHeap, heaps: usize) {
    let mut first = ptr::null_mut();
    for _ in 0..heaps {
        let heap = registry::next_to_sweep();
        if heap == first {
            break;
        }
        if first.is_null() {
            first = heap;
        }
        // SAFETY: the calling thread's heap (caller), and a heap.
        unsafe { look_at(own, heap) };
    }
}

/// Visits a heap whose owner is idle and has something to give: it has allocated nothing since the
/// last look, and that for a while, unless the inboxes are too full for waiting. (A thread that is
/// ready to run and has no processor looks idle. A visit then costs it its cache.)
///
/// # Safety
/// `own` is the calling thread's heap, which is outside its gate; `heap` is a heap.
unsafe fn look_at(own: *mut ThreadHeap, heap: *mut ThreadHeap) {
    if own == heap || LargeBlocks::read().in_pools_only() {
        return;
    }
    // SAFETY: heaps are never given back; their atomics may be accessed by any thread.
    unsafe {
        let allocations = ThreadHeap::allocations(heap);
        let idleness = &raw const (*heap).idleness;
        if (*idleness).seen.load(Ordering::Relaxed) != allocations {
            let now = clock::milliseconds();
            (*idleness).since.store(now, Ordering::Relaxed);
            (*idleness).seen.store(allocations, Ordering::Relaxed);
            return;
        }
        let clean = (*idleness).clean.load(Ordering::Relaxed) == allocations;
        if clean && (*heap).inbox.is_empty() && (*heap).outbox.is_empty() {
            return;
        }
        let since = (*idleness).since.load(Ordering::Relaxed);
        if clock::milliseconds().wrapping_sub(since) >= IDLE || pending() > most_pending() {
            visit(own, heap);
        }
    }
}

/// Visits a heap a few times, unless its owner is inside, and gives back what becomes free.
///
/// # Safety
/// `own` is the calling thread's heap, which is outside its gate; `heap` is a heap.
unsafe fn visit(own: *mut ThreadHeap, heap: *mut ThreadHeap) {
    // SAFETY: heaps are never given back; any thread may access the gate.
    let gate = unsafe { &(*heap).gate };
    let mut waits = 0;
    while gate.is_visited() {
        // Another visitor has more to do than it will. This thread looks again soon, and now where
        // the visitors cannot keep up.
        if waits == WAITS || pending() <= 2 * most_pending() {
            // SAFETY: the calling thread's heap (caller), of which it alone accesses `sent`.
            unsafe { (*own).sent.blocks = LOOK_BLOCKS / 2 };
            return;
        }
        sync::pause(u32::MAX);
        waits += 1;
    }
    for _ in 0..VISITS {
        let Some(mark) = gate.mark(next_mark()) else {
            return;
        };
        // SAFETY: heaps are never given back; any thread may access these atomics.
        if !unsafe { (*heap).idleness.is_settled(mark) } {
            if pending() <= most_pending() {
                // SAFETY: as above.
                unsafe { (*own).sent.blocks = LOOK_BLOCKS / 2 };
                return;
            }
            sync::let_stores_land();
        }
        let mut segments = Segments::default();
        // SAFETY: the calling thread's heap (caller), and a heap.
        let visited = signals::blocked(|| unsafe { visit_once(own, heap, mark, &mut segments) });
        let done = !matches!(visited, Ok(false));
        give_back(segments, visited.err());
        if done {
            break;
        }
    }
}

/// One visit. True if there is no need for another, or no way.
///
/// # Safety
/// The duties of [`visit`]; no signal handler runs on this thread meanwhile; the mark is settled.
unsafe fn visit_once(
    own: *mut ThreadHeap,
    heap: *mut ThreadHeap,
    mark: Mark,
    segments: &mut Segments,
) -> Result<bool, Found> {
    let mut visited = Ok(true);
    // SAFETY: the calling thread's heap, and a heap (caller), which is this thread's while it is
    // claimed and its owner outside.
    unsafe {
        if !enter_to_put(own) {
            return visited;
        }
        let gate = &(*heap).gate;
        if gate.claim_marked(mark) {
            let outside = gate.is_left();
            if outside {
                ThreadHeap::send_all(heap);
                visited = relieve(heap, true, segments);
            }
            gate.dismiss(outside);
        }
        ThreadHeap::leave(own);
    }
    visited
}

/// Before its thread ends: empties the heap, but for what it may keep for the next thread. What a
/// long inbox still holds then is left for the sweeps of other threads. False if another thread
/// forks.
///
/// # Safety
/// `heap` is the calling thread's heap, which is outside its gate.
#[must_use]
pub(crate) unsafe fn settle(heap: *mut ThreadHeap) -> bool {
    // SAFETY: the owner (caller), inside its gate to put.
    let sent = unsafe {
        if !enter_to_put(heap) {
            return false;
        }
        let sent = (*heap).sent.blocks > 0 || !(*heap).outbox.is_empty();
        ThreadHeap::send_all(heap);
        ThreadHeap::leave(heap);
        sent
    };
    for _ in 0..SETTLED_TURNS {
        let mut segments = Segments::default();
        // SAFETY: the owner (caller), inside its gate.
        let done = unsafe {
            if !enter(heap) {
                return false;
            }
            let all = !ThreadHeap::keep_warm(heap);
            let done = relieve(heap, all, &mut segments);
            ThreadHeap::leave(heap);
            done
        };
        give_back(segments, done.err());
        if matches!(done, Ok(true)) {
            break;
        }
    }
    // SAFETY: the calling thread's heap, which is outside its gate (caller).
    unsafe {
        if sent {
            add_pending((*heap).sent.bytes);
            ((*heap).sent.blocks, (*heap).sent.bytes) = (0, 0);
            sweep(heap, SWEPT_AT_END);
        }
    }
    true
}

/// Segments taken from a heap.
type Segments = [Option<Segment>; VISITED_SEGMENTS];
type Found = (Misuse, *const u8);

/// Gives segments back, and reports misuse. The calling thread is in no heap.
fn give_back(segments: Segments, found: Option<Found>) {
    for segment in segments.into_iter().flatten() {
        // SAFETY: `relieve` has taken it from its heap, and the calling thread is in none.
        unsafe { segment.give_back() };
    }
    if let Some((misuse, address)) = found {
        misuse::report_global(misuse, address);
    }
}

/// Moves blocks of the inbox to the core, with `all` or in a heap that is not small those of the
/// cache, and takes segments that become empty, both up to a bound. Without `all`, the spare and
/// the pages of free blocks stay. True if nothing is left. Returns the first misuse it finds.
///
/// # Safety
/// The duties of [`ThreadHeap`].
unsafe fn relieve(
    heap: *mut ThreadHeap,
    all: bool,
    segments: &mut Segments,
) -> Result<bool, Found> {
    let mut left = VISITED_BLOCKS;
    for place in segments {
        // SAFETY: the caller is in the heap.
        unsafe {
            left -= ThreadHeap::collect(heap, left, None)?;
            if all || ThreadHeap::tlsf(heap).pool_bytes() > EMPTIED_BEYOND {
                left -= uncache(heap, left)?;
            }
            let pool = if all {
                ThreadHeap::take_emptied(heap)
            } else {
                ThreadHeap::take_surplus(heap)
            };
            if let Some(pool) = pool {
                *place = Segment::take_from(heap, pool);
            } else if left == 0 {
                return Ok(false);
            } else {
                if all {
                    if !release_pages(heap) {
                        return Ok(false);
                    }
                    // What the owner frees from here on goes to the core.
                    Cache::close(ThreadHeap::cache(heap));
                    ThreadHeap::cool(heap);
                    let allocations = ThreadHeap::allocations(heap);
                    (*heap).idleness.clean.store(allocations, Ordering::Relaxed);
                    (*heap).high = ThreadHeap::tlsf(heap).used_bytes();
                }
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A block was freed to the core. True if the use has fallen so far that a visit is worth it, and
/// one may come.
///
/// # Safety
/// The duties of [`ThreadHeap`].
#[inline(always)]
pub(crate) unsafe fn note_fall(heap: *mut ThreadHeap) -> bool {
    // SAFETY: the caller is in the heap.
    unsafe {
        let used = ThreadHeap::tlsf(heap).used_bytes();
        (*heap).high = (*heap).high.max(used);
        let fallen = (*heap).high - used > EMPTIED_AGAIN;
        if fallen {
            (*heap).idleness.outdate(ThreadHeap::allocations(heap));
        }
        fallen
    }
}

/// The owner has freed a block to the core: where the heap's use falls, cached blocks follow. Its
/// thread may not make a call for long. Nothing where no memory goes back to the system.
///
/// # Safety
/// The duties of [`ThreadHeap`].
#[inline(always)]
pub(crate) unsafe fn fall(heap: *mut ThreadHeap) -> Result<(), (Misuse, *const u8)> {
    // SAFETY: the caller is in the heap.
    unsafe {
        if note_fall(heap) {
            return fall_further(heap);
        }
    }
    Ok(())
}

/// The heap's use has fallen.
///
/// # Safety
/// The duties of [`ThreadHeap`].
#[cold]
#[inline(never)]
unsafe fn fall_further(heap: *mut ThreadHeap) -> Result<(), (Misuse, *const u8)> {
    // SAFETY: the caller is in the heap.
    unsafe {
        let core = ThreadHeap::tlsf(heap);
        let (used, pool_bytes) = (core.used_bytes(), core.pool_bytes());
        if pool_bytes > EMPTIED_BEYOND
            && used < pool_bytes / 2
            && !LargeBlocks::read().in_pools_only()
        {
            (*heap).high = used;
            // What is freed from here on goes to the core.
            Cache::close(ThreadHeap::cache(heap));
            uncache(heap, GIVEN_AT_ONCE)?;
        }
    }
    Ok(())
}

/// Moves up to `most` cached blocks to the core and removes their room, and returns how many;
/// ends early when a pool becomes surplus. Returns the first misuse it finds as an error.
///
/// # Safety
/// The duties of [`ThreadHeap`].
unsafe fn uncache(heap: *mut ThreadHeap, most: usize) -> Result<usize, (Misuse, *const u8)> {
    let mut moved = 0;
    for class in 0..CLASSES {
        // SAFETY: the caller is in the heap.
        unsafe {
            if moved == most || (*heap).surplus.is_some() {
                break;
            }
            moved += ThreadHeap::shrink(heap, class, most - moved)?;
        }
    }
    Ok(moved)
}

/// Releases the pages inside free blocks, up to a bound, if many bytes have become free since that
/// was done, or the owner has allocated. True if nothing is left to do. A pass over all free blocks
/// takes several calls. If the heap is used meanwhile, the pass leaves out the rest of the bin that
/// it was in, and another one follows.
///
/// # Safety
/// The duties of [`ThreadHeap`].
unsafe fn release_pages(heap: *mut ThreadHeap) -> bool {
    const WORD: usize = size_of::<usize>();
    // SAFETY: the caller is in the heap. A free block's links and ghost are kept: its first two
    // words and its last one. Each call of the core that allocates counts an allocation, each one
    // that only frees changes the live blocks, and `ThreadHeap::forget` follows the removal of a
    // pool: so the place is left if its bin may have changed.
    unsafe {
        let core = ThreadHeap::tlsf(heap);
        let Stats {
            free,
            used,
            live_blocks,
            ..
        } = core.stats();
        let allocations = ThreadHeap::allocations(heap);
        let pass = &mut (*heap).idleness.pass;
        let is_used_since = pass.allocations != allocations;
        if pass.place == FreePlace::FIRST {
            let settings = LargeBlocks::read();
            // A reserve stays in memory, and locked pages do.
            let keeps_pages = settings.in_pools_first() || settings.locked();
            if is_used_since {
                pass.released = 0;
            }
            pass.released = pass.released.min(free);
            let again = (used / RELEASED_PART).min(RELEASED_AGAIN);
            if free < RELEASED_BEYOND || free - pass.released <= again || keeps_pages {
                return true;
            }
            pass.free = free;
        } else if is_used_since || pass.live_blocks != live_blocks {
            pass.lose_place();
        }
        pass.allocations = allocations;
        pass.live_blocks = live_blocks;
        let page = memory::page_size();
        core.walk_free(
            &mut pass.place,
            RELEASED_LEAST,
            RELEASED_BLOCKS,
            &mut |block, bytes| {
                let inside = block.as_ptr().wrapping_add(2 * WORD);
                let _ = memory::discard(inside, bytes - 3 * WORD, page);
            },
        );
        if pass.place != FreePlace::FIRST {
            return false;
        }
        pass.released = pass.free;
        pass.released > 0
    }
}
