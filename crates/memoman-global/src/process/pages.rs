//! Releasing the whole OS pages inside free blocks: the work of `malloc_trim`, in pieces, so that
//! no piece takes longer than a bounded number of bytes. A thread heap's free blocks are found by
//! its lists ([`Listed`]). The process-wide instance, whose blocks are mostly segments, is walked
//! pool by pool ([`Piece`]), as is a heap that changes between two pieces.

#[cfg(not(memoman_debug))]
use crate::allocator::FreePlace;
use crate::allocator::Pool;
#[cfg(not(memoman_debug))]
use crate::process::heap::State;
use crate::system::memory;
#[cfg(not(memoman_debug))]
use crate::thread::heap::ThreadHeap;

const WORD: usize = size_of::<usize>();

/// Bytes released, and bytes of pools walked, in one piece.
const RELEASED_MOST: usize = 1 << 20;
const WALKED_MOST: usize = 4 << 20;

/// One piece of the work on the pools of an instance.
pub(crate) struct Piece {
    /// What lies below this address is done.
    from: usize,
    released_left: usize,
    walked_left: usize,
    /// Where the next piece begins.
    next: Option<usize>,
    pub(crate) released: bool,
}

impl Piece {
    pub(crate) fn new(from: usize) -> Piece {
        Piece {
            from,
            released_left: RELEASED_MOST,
            walked_left: WALKED_MOST,
            next: None,
            released: false,
        }
    }

    /// Where the next piece begins; None when all pools are done.
    pub(crate) fn next(&self) -> Option<usize> {
        self.next
    }

    /// Goes on with these pools, in address order, as far as the piece reaches.
    ///
    /// # Safety
    /// The pools are live, and no other thread is in their instance.
    pub(crate) unsafe fn over(&mut self, pools: impl Iterator<Item = Pool>) {
        for pool in pools {
            // SAFETY: a live pool (caller).
            let (start, bytes) = unsafe { pool.memory() };
            let end = start.addr() + bytes;
            if end <= self.from {
                continue;
            }
            if self.walked_left == 0 {
                self.next = Some(start.addr());
                return;
            }
            self.walked_left = self.walked_left.saturating_sub(bytes);
            // SAFETY: a live pool, and this thread's (caller).
            unsafe { self.over_pool(pool) };
            if self.next.is_some() {
                return;
            }
        }
    }

    /// # Safety
    /// The pool is live, and no other thread is in its instance.
    unsafe fn over_pool(&mut self, pool: Pool) {
        let page = memory::page_size();
        // SAFETY: the pool is live and this thread's (caller). A free block's links and ghost are
        // kept: its first two words and its last one.
        unsafe {
            pool.walk(&mut |payload, size, used| {
                let address = payload.as_ptr().addr();
                let end = address + size - WORD;
                let start = (address + 2 * WORD).max(self.from);
                if used || self.next.is_some() || end.saturating_sub(start) < page {
                    return;
                }
                let mut bytes = end - start;
                if bytes > self.released_left {
                    // To a page's end.
                    let last = (start + self.released_left) & !(page - 1);
                    bytes = last.saturating_sub(start);
                    self.next = Some(last.max(start));
                }
                self.released_left -= bytes;
                let inside = payload.as_ptr().wrapping_add(start - address);
                self.released |= memory::discard(inside, bytes, page) > 0;
            });
        }
    }
}

/// The work on the free blocks of a thread heap, by their lists: blocks in use cost nothing.
#[cfg(not(memoman_debug))]
pub(crate) struct Listed {
    place: FreePlace,
    /// In the block at the place, what lies below this address is done.
    at: usize,
    /// More bytes than the other free blocks have: an overwritten link may lead in a circle.
    rest: usize,
    /// The heap and its figures at the last piece. If they are the same, the core's lists are: each
    /// call of the core that allocates or resizes counts an allocation, each one that only frees
    /// changes the live blocks, and one that removes a pool changes the bytes of the pools; one
    /// that adds a pool is followed by an allocation.
    seen: [usize; 4],
}

#[cfg(not(memoman_debug))]
impl Listed {
    /// What `over` returns for the next piece: on with the lists, or all pools from the first one.
    const MORE: usize = 1;
    pub(crate) const POOLS: usize = 2;

    pub(crate) const FIRST: Listed = Listed {
        place: FreePlace::FIRST,
        at: 0,
        rest: 0,
        seen: [0; 4],
    };

    /// One piece. Returns how the next one begins, None after the last, and whether pages were
    /// released. It is [`Listed::POOLS`] if the lists may have changed since the last piece.
    ///
    /// # Safety
    /// The duties of [`ThreadHeap`], under the lock.
    pub(crate) unsafe fn over(
        &mut self,
        state: &State,
        heap: *mut ThreadHeap,
    ) -> (Option<usize>, bool) {
        let page = memory::page_size();
        let (mut left, mut released) = (RELEASED_MOST, false);
        // SAFETY: the caller is in the heap. The place is of this heap, whose lists are as they
        // were, or the first one. A free block's links and ghost are kept: its first two words and
        // its last one.
        unsafe {
            let core = ThreadHeap::tlsf(heap);
            let stats = core.stats();
            let allocations = ThreadHeap::allocations(heap);
            let seen = [
                heap.addr(),
                allocations,
                stats.live_blocks,
                stats.pool_bytes,
            ];
            if self.seen == Listed::FIRST.seen {
                (self.seen, self.rest) = (seen, stats.free);
            } else if self.seen != seen {
                return (Some(Listed::POOLS), false);
            }
            loop {
                let before = self.place;
                let mut found = None;
                core.walk_free(&mut self.place, page, 1, &mut |block, bytes| {
                    found = Some((block.as_ptr(), bytes));
                });
                let Some((block, bytes)) = found else {
                    return (None, released);
                };
                let start = (block.addr() + 2 * WORD).max(self.at);
                let mut end = block.addr() + bytes - WORD;
                let more = end.saturating_sub(start) > left;
                if more {
                    // To a page's end.
                    end = ((start + left) & !(page - 1)).max(start);
                    self.place = before;
                }
                let bytes = end.saturating_sub(start);
                if bytes > self.rest {
                    return (None, released);
                }
                self.at = if more { end } else { 0 };
                self.rest -= bytes;
                left -= bytes;
                if !state.is_reserved(start) {
                    let inside = block.wrapping_add(start - block.addr());
                    released |= memory::discard(inside, bytes, page) > 0;
                }
                if more {
                    return (Some(Listed::MORE), released);
                }
                if self.place == FreePlace::FIRST {
                    return (None, released);
                }
            }
        }
    }
}
