//! The figures by which threads see that an owner is idle, and how much the inboxes hold.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::allocator::FreePlace;
use crate::system::clock;
use crate::thread::gate::Mark;

/// Milliseconds after which a mark is settled; more than two steps of the clock.
const SETTLED: usize = 24;
const HALF: usize = (1 << (usize::BITS / 2)) - 1;

/// What tells visitors whether the owner is idle.
#[repr(C)]
pub(crate) struct Idleness {
    /// The owner's allocations when a thread last looked, and the time when they had last changed.
    pub(crate) seen: AtomicUsize,
    pub(crate) since: AtomicUsize,
    /// The owner's allocations when a visit left nothing but live blocks.
    pub(crate) clean: AtomicUsize,
    /// A mark of the gate, by its number, and the time when a thread has seen it: in the upper and
    /// lower half.
    pub(crate) marked: AtomicUsize,
    /// The last pass over the free blocks. Accessed inside the heap only.
    pub(crate) pass: Pass,
}

/// A pass over the free blocks that releases their pages, in parts.
#[repr(C)]
pub(crate) struct Pass {
    /// Free bytes when the pages inside free blocks were last released; no more than are free since
    /// then.
    pub(crate) released: usize,
    /// Successful allocations of the heap, and its core's live blocks, at the last part: if both
    /// are the same since, the core has had no call.
    pub(crate) allocations: usize,
    pub(crate) live_blocks: usize,
    /// Free bytes when it began; 0 if it has left a block out.
    pub(crate) free: usize,
    /// Where it continues.
    pub(crate) place: FreePlace,
}

impl Pass {
    /// The lists of free blocks may have changed since the last part of the pass.
    pub(crate) fn lose_place(&mut self) {
        if self.place != FreePlace::FIRST {
            // Also blocks that were passed may have been used since.
            self.free = 0;
            self.place.leave_bin();
        }
    }
}

impl Idleness {
    /// The heap has something to give again, though it has allocated nothing since the last visit.
    pub(crate) fn outdate(&self, allocations: usize) {
        if self.clean.load(Ordering::Relaxed) == allocations {
            let other = allocations.wrapping_sub(1);
            self.clean.store(other, Ordering::Relaxed);
        }
    }

    /// Whether each store that the owner made before it could see the mark is visible by now.
    pub(crate) fn is_settled(&self, mark: Mark) -> bool {
        let Some(number) = mark.number() else {
            return true;
        };
        // After the mark was seen.
        let now = clock::milliseconds() & HALF;
        let upper = (number % HALF + 1) << (usize::BITS / 2);
        let seen = self.marked.load(Ordering::Relaxed);
        if seen & !HALF != upper {
            self.marked.store(upper | now, Ordering::Relaxed);
            return false;
        }
        now.wrapping_sub(seen) & HALF >= SETTLED
    }
}

/// A number for a mark.
pub(crate) fn next_mark() -> usize {
    static MARKS: AtomicUsize = AtomicUsize::new(1);
    MARKS.fetch_add(1, Ordering::Relaxed)
}

/// Blocks and bytes that a thread has moved, not yet part of a figure that all threads share.
/// Accessed by the owner.
#[repr(C)]
pub(crate) struct Moved {
    pub(crate) blocks: usize,
    pub(crate) bytes: usize,
}

/// Bytes in all inboxes, but for what each heap has yet to add and to subtract; so it may be less
/// than 0.
static PENDING: AtomicUsize = AtomicUsize::new(0);
/// What a heap may have yet to subtract.
pub(crate) const UNCOUNTED_MOST: usize = 32 << 10;

/// Adds to the bytes in all inboxes.
pub(crate) fn add_pending(bytes: usize) {
    PENDING.fetch_add(bytes, Ordering::Relaxed);
}

/// Subtracts from the bytes in all inboxes.
pub(crate) fn subtract_pending(bytes: usize) {
    PENDING.fetch_sub(bytes, Ordering::Relaxed);
}

/// In the child of a fork that has left heaps behind, with what their inboxes held.
pub(crate) fn forget_pending() {
    PENDING.store(0, Ordering::Relaxed);
}

/// The bytes in all inboxes.
pub(crate) fn pending() -> usize {
    PENDING.load(Ordering::Relaxed).cast_signed().max(0) as usize
}
