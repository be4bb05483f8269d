//! The figures by which threads see that an owner is idle, and how much the inboxes hold.

use core::sync::atomic::{AtomicUsize, Ordering};

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
    /// Free bytes when the pages inside free blocks were last released; no more than are free since
    /// then. Accessed inside the heap.
    pub(crate) released: usize,
    /// A mark of the gate, by its number, and the time when a thread has seen it: in the upper and
    /// lower half.
    pub(crate) marked: AtomicUsize,
    /// The bin of free blocks to continue with.
    pub(crate) next_bin: usize,
}

impl Idleness {
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

/// The bytes in all inboxes.
pub(crate) fn pending() -> usize {
    PENDING.load(Ordering::Relaxed).cast_signed().max(0) as usize
}
