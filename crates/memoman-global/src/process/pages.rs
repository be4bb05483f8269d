//! Releasing the whole OS pages inside free blocks: the work of `malloc_trim`, in pieces, so that
//! no piece takes longer than a bounded number of bytes.

use crate::allocator::Pool;
use crate::system::memory;

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
        const WORD: usize = size_of::<usize>();
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
