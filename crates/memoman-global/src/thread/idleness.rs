//! The figures by which threads see that an owner is idle, and how much the inboxes hold.

use core::sync::atomic::{AtomicUsize, Ordering};

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
    /// The bin of free blocks to continue with.
    pub(crate) next_bin: usize,
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
