//! Segments: blocks of the process-wide instance that are pools of a thread heap. Getting one when
//! a request needs it, and giving it back.
//!
//! Under the lock a segment is a block that is allocated or freed. The map's words, the heap's list
//! of pools and the pages are dealt with outside it, by the thread that has the segment.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::allocator::{ALIGN, HEADER, Pool, Refusal, Stats, Tlsf};
use crate::process::heap::{State, try_with_heap};
use crate::process::map::{self, UNIT};
use crate::process::regions::{LARGE, Wanted};
use crate::process::{core_calls, large, later, mapping_spares, mapping_word, registry};
use crate::system::memory;
use crate::thread::entry::enter;
use crate::thread::heap::ThreadHeap;

/// A segment is this part of the heap's bytes, within these bounds.
const SEGMENT_PART: usize = 16;
pub(crate) const SEGMENT_MIN: usize = 64 << 10;
const SEGMENT_MAX: usize = 1 << 20;
/// What a request may take beyond its bytes and alignment: rounding, a block in the gap before it,
/// headers.
const SLACK: usize = 2 * ALIGN + HEADER + Tlsf::POOL_OVERHEAD;

/// The least number of free bytes that the process-wide instance keeps in memory. A segment beyond
/// has its pages released before it is given back. The number doubles when as many bytes as it says
/// have been released and segments are needed again, up to `KEPT_MOST` or this part of the bytes in
/// use.
const KEPT_LEAST: usize = 8 << 20;
const KEPT_MOST: usize = 12 << 20;
const KEPT_PART: usize = 16;
/// Free bytes that may never have been touched: this part of the pools, at most that of one region.
const FRESH_PART: usize = 4;
const FRESH_MOST: usize = 64 << 20;
/// How many bytes more the instance keeps in memory. Written under the lock; a value read without
/// it may be stale.
static KEEPS: AtomicUsize = AtomicUsize::new(0);

/// Bytes of all pools of the instance, like [`KEEPS`].
static POOLS: AtomicUsize = AtomicUsize::new(0);

/// About the bytes of all pools.
pub(crate) fn pool_bytes() -> usize {
    POOLS.load(Ordering::Relaxed)
}

/// Segments that are part of no heap and not free: a thread has them in hand, or will free them
/// after a fork. Rises under the lock or inside the heap that loses the segment, and falls so.
static IN_HAND: AtomicUsize = AtomicUsize::new(0);

/// Threads have segments in hand that they will give back or add to a heap. Stable under the lock
/// while all threads are outside their heaps.
pub(crate) fn in_hand() -> bool {
    IN_HAND.load(Ordering::Relaxed) > 0
}

/// A segment is free again, or part of a heap. (In the child of a fork it may be one more than are
/// counted.)
fn put_down() {
    let less = |count: usize| count.checked_sub(1);
    let _ = IN_HAND.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}

/// In the child of a fork: what other threads had in hand is lost.
pub(crate) fn forget_in_hand() {
    IN_HAND.store(0, Ordering::Relaxed);
}

/// A segment that is part of no heap: its start, and its bytes in whole units. Its last word
/// belongs to the header of the next block.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    start: NonNull<u8>,
    bytes: usize,
}

/// How the process-wide instance serves a request.
pub(crate) enum Served {
    Segment(Segment),
    Block(NonNull<u8>),
    Refused(Refusal),
    /// Another thread forks, or a section of this thread has been interrupted.
    Away,
}

impl Served {
    pub(crate) fn is_exhausted(&self) -> bool {
        matches!(self, Served::Refused(Refusal::Exhausted))
    }

    pub(crate) fn of(result: Result<NonNull<u8>, Refusal>) -> Served {
        match result {
            Ok(block) => Served::Block(block),
            Err(refusal) => Served::Refused(refusal),
        }
    }
}

/// A request that the thread's heap cannot serve.
pub(crate) struct Request {
    /// Bytes of the segments to try, of one that holds the request at least; 0 for none.
    pub(crate) sizes: [usize; 2],
    pub(crate) align: usize,
    pub(crate) bytes: usize,
}

impl Request {
    /// For the block itself.
    pub(crate) fn without_segment(&self) -> Request {
        Request {
            sizes: [0; 2],
            align: self.align,
            bytes: self.bytes,
        }
    }
}

/// A region for the request. None if there may be no more. Under the lock.
#[cold]
pub(crate) fn wanted(state: &mut State, tlsf: Tlsf, request: &Request) -> Option<Wanted> {
    if request.sizes != [0; 2] {
        return state.wanted(
            tlsf,
            request.sizes.map(|bytes| bytes + UNIT + 4 * ALIGN),
            true,
        );
    }
    let gap = if request.align <= ALIGN {
        0
    } else {
        request.align
    };
    let need = request
        .bytes
        .checked_add(gap)?
        .checked_add(4 * ALIGN + HEADER)?;
    state.wanted(tlsf, [need; 2], need < LARGE || mapping_spares::crowded())
}

/// A segment for the request, or else the block itself, from the instance as it is. Where a region
/// may be mapped for the segment, only the `last` attempt gives the block, since blocks from the
/// instance take the lock one by one. (In a reserve they come first.) Under the lock.
pub(crate) fn serve(state: &mut State, tlsf: Tlsf, request: &Request, last: bool) -> Served {
    for size in request.sizes.into_iter().filter(|&size| size > 0) {
        if let Some(segment) = Segment::new(state, tlsf, size) {
            return Served::Segment(segment);
        }
    }
    let settings = &state.settings;
    if last || request.sizes == [0; 2] || settings.fixed || settings.reserve.is_some() {
        return Served::of(large::allocate(state, tlsf, request.align, request.bytes));
    }
    Served::Refused(Refusal::Exhausted)
}

/// The segments to try for a request of a heap with so many bytes: a part of them, and the least
/// that holds the request.
pub(crate) fn segment_sizes(pool_bytes: usize, align: usize, bytes: usize) -> [usize; 2] {
    let least = (bytes + align + SLACK).next_multiple_of(UNIT);
    let generous = (pool_bytes / SEGMENT_PART).clamp(SEGMENT_MIN, SEGMENT_MAX) & !(UNIT - 1);
    [generous.max(least), least]
}

impl Segment {
    /// Allocates a segment of `bytes`, whole units, at a multiple of a unit. Under the lock.
    fn new(state: &mut State, tlsf: Tlsf, bytes: usize) -> Option<Segment> {
        // SAFETY: the instance is live and under the lock.
        let start = unsafe { core_calls::allocate(tlsf, UNIT, bytes - HEADER) }.ok()?;
        // SAFETY: a live block, just allocated.
        state.shared.segment_bytes += unsafe { Tlsf::block_size(start.as_ptr()) } + HEADER;
        state.shared.segments += 1;
        let shared = &mut state.shared;
        shared.touched = shared.touched.saturating_sub(bytes);
        if shared.released >= shared.keeps.max(KEPT_LEAST) {
            shared.released = 0;
            shared.keeps = 2 * shared.keeps.max(KEPT_LEAST);
        }
        count_kept(state, tlsf);
        IN_HAND.fetch_add(1, Ordering::Relaxed);
        Some(Segment { start, bytes })
    }

    /// Makes the segment a pool of a heap. None if the system has no memory for the map.
    ///
    /// # Safety
    /// The duties of [`ThreadHeap`]. The segment is new, and given back after None.
    pub(crate) unsafe fn add_to(self, heap: *mut ThreadHeap) -> Option<Pool> {
        let start = self.start.as_ptr();
        if !map::prepare(start.addr(), self.bytes) {
            return None;
        }
        map::assign(start.addr(), self.bytes, heap.cast());
        // SAFETY: memory that nothing else uses (caller); the caller is in the heap.
        let pool = unsafe { ThreadHeap::tlsf(heap).add_pool(start, self.bytes - HEADER) };
        if pool.is_none() {
            map::assign(start.addr(), self.bytes, mapping_word::region());
        } else {
            put_down();
        }
        pool
    }

    /// Makes the segment a pool of the heap and allocates from it. None, and given back, if it
    /// cannot become one.
    ///
    /// # Safety
    /// `heap` is the calling thread's, which is outside its gate. The segment is new.
    pub(crate) unsafe fn install(
        self,
        heap: *mut ThreadHeap,
        align: usize,
        bytes: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the owner, inside its gate (caller); the segment is new (caller).
        unsafe {
            let mut block = None;
            if enter(heap) {
                let pool = self.add_to(heap);
                if let Some(pool) = pool {
                    block = ThreadHeap::allocate(heap, align, bytes).ok();
                    ThreadHeap::keep_if_empty(heap, pool);
                }
                ThreadHeap::leave(heap);
                if pool.is_some() {
                    return block;
                }
            }
            self.give_back();
        }
        None
    }

    /// Takes an empty pool's segment from its heap. None if the core refuses.
    ///
    /// # Safety
    /// The duties of [`ThreadHeap`]; the pool's memory may be read.
    pub(crate) unsafe fn take_from(heap: *mut ThreadHeap, pool: Pool) -> Option<Segment> {
        // SAFETY: before it removes the pool, the core tests that it is an empty one of this heap.
        unsafe {
            let start: *mut u8 = pool.as_raw().cast();
            let bytes = pool.memory().1.next_multiple_of(UNIT);
            if !ThreadHeap::tlsf(heap).remove_pool(start) {
                return None;
            }
            IN_HAND.fetch_add(1, Ordering::Relaxed);
            ThreadHeap::forget(heap, pool);
            map::assign(start.addr(), bytes, mapping_word::region());
            NonNull::new(start).map(|start| Segment { start, bytes })
        }
    }

    /// Gives the segment back, its pages released if the process-wide instance has enough in
    /// memory.
    ///
    /// # Safety
    /// Nothing uses it any more, and the calling thread is in no heap.
    #[cold]
    pub(crate) unsafe fn give_back(self) {
        let mut touched = self.bytes;
        if self.bytes > KEEPS.load(Ordering::Relaxed) {
            let page = memory::page_size();
            // SAFETY: whole pages inside a block that this thread has (caller), of which the core
            // uses nothing.
            touched -= unsafe { memory::discard(self.start.as_ptr(), self.bytes - HEADER, page) };
        }
        // SAFETY: nothing uses it (caller).
        let given = try_with_heap(|state, tlsf| unsafe { self.free(state, tlsf, touched) });
        if given.is_err() && !later::give_back(self.start) {
            // The fork is over.
            // SAFETY: the caller's duties.
            unsafe { self.give_back() };
        }
    }

    /// A segment whose return was put aside, of at most this size.
    pub(crate) fn put_aside(start: NonNull<u8>) -> Segment {
        // SAFETY: a live block of the instance, which this thread has.
        let bytes = unsafe { Tlsf::block_size(start.as_ptr()) } & !(UNIT - 1);
        Segment { start, bytes }
    }

    /// Frees the segment, of which so many bytes may be in memory. Under the lock.
    ///
    /// # Safety
    /// Nothing uses it any more.
    pub(crate) unsafe fn free(self, state: &mut State, tlsf: Tlsf, touched: usize) {
        // SAFETY: a live block of the instance (caller), and the lock is held.
        unsafe {
            state.shared.segment_bytes -= Tlsf::block_size(self.start.as_ptr()) + HEADER;
            state.shared.segments -= 1;
            state.shared.touched += touched;
            state.shared.released += self.bytes - touched;
            match core_calls::free(tlsf, self.start) {
                Ok(Some(pool)) => state.emptied(tlsf, pool),
                Ok(None) => {}
                Err(misuse) => state.defer((misuse, self.start.as_ptr())),
            }
        }
        put_down();
        count_kept(state, tlsf);
    }
}

/// Computes [`KEEPS`] anew.
fn count_kept(state: &mut State, tlsf: Tlsf) {
    let settings = &state.settings;
    if settings.reserve.is_some() || settings.fixed || settings.lock {
        KEEPS.store(usize::MAX, Ordering::Relaxed);
        return;
    }
    // SAFETY: the instance is live and under the lock.
    let Stats {
        pool_bytes, free, ..
    } = unsafe { tlsf.stats() };
    POOLS.store(pool_bytes, Ordering::Relaxed);
    state.shared.touched = state.shared.touched.min(free);
    let fresh = (pool_bytes / FRESH_PART).min(FRESH_MOST);
    let kept = state.shared.touched.max(free.saturating_sub(fresh));
    let most = ((pool_bytes - free) / KEPT_PART).max(KEPT_MOST);
    state.shared.keeps = state.shared.keeps.clamp(KEPT_LEAST, most);
    KEEPS.store(state.shared.keeps.saturating_sub(kept), Ordering::Relaxed);
}

/// Frees an empty pool's segment. True if it was freed.
///
/// # Safety
/// The duties of [`ThreadHeap`], under the lock; the pool's memory may be read.
pub(crate) unsafe fn give_back_locked(
    state: &mut State,
    tlsf: Tlsf,
    heap: *mut ThreadHeap,
    pool: Pool,
) -> bool {
    // SAFETY: the lock lets this thread into the heap (caller); out of it, nothing uses the
    // segment.
    unsafe {
        let segment = Segment::take_from(heap, pool);
        if let Some(segment) = segment {
            segment.free(state, tlsf, segment.bytes);
        }
        segment.is_some()
    }
}

/// Frees the segment of every empty pool of a heap. O(pools). True if there was one.
///
/// # Safety
/// The duties of [`ThreadHeap`], under the lock.
pub(crate) unsafe fn give_back_all(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) -> bool {
    let mut any = false;
    // SAFETY: the lock lets this thread into the heap (caller); the next pool is read before one is
    // removed.
    unsafe {
        let core = ThreadHeap::tlsf(heap);
        let mut next = core.first_pool();
        while let Some(pool) = next {
            next = core.next_pool(pool);
            if pool.is_empty() {
                any |= give_back_locked(state, tlsf, heap, pool);
            }
        }
    }
    any
}

/// Sends what waits in all outboxes.
///
/// # Safety
/// Under the lock, inside `registry::stopped`.
#[inline(never)]
pub(crate) unsafe fn empty_outboxes() {
    // SAFETY: every other thread is outside its heap (caller), and the lock is held.
    registry::each(|heap| unsafe { ThreadHeap::send_all(heap) });
}

/// Empties a heap's cache and inbox into its core. Misuse met on the way is deferred.
///
/// # Safety
/// The duties of [`ThreadHeap`], under the lock.
pub(crate) unsafe fn drain(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) {
    // SAFETY: the lock lets this thread into the heap (caller).
    unsafe {
        if let Err(found) = ThreadHeap::flush(heap) {
            state.defer(found);
        }
        drain_inbox(state, tlsf, heap);
    }
}

/// Empties a heap's inbox into its core. Misuse met on the way is deferred.
///
/// # Safety
/// The duties of [`ThreadHeap`], under the lock.
pub(crate) unsafe fn drain_inbox(state: &mut State, tlsf: Tlsf, heap: *mut ThreadHeap) {
    loop {
        // SAFETY: the lock lets this thread into the heap (caller).
        unsafe {
            if let Some(pool) = ThreadHeap::take_surplus(heap) {
                give_back_locked(state, tlsf, heap, pool);
            }
            match ThreadHeap::collect(heap, usize::MAX, None) {
                Ok(0) => break,
                Ok(_) => {}
                // The block is out of the inbox, so the loop ends.
                Err(found) => state.defer(found),
            }
        }
    }
}
