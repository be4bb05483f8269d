//! A heap's gate: its owner passes it at each call, with at most two stores and a load; a holder of
//! the process's lock closes it, waits until the owner is outside, and then has the heap.
//!
//! The owner stores "inside" and then loads "closed"; the lock holder stores "closed" and then
//! loads "inside". If each store comes before the load that follows it, at least one of them sees
//! the other. On x86-64 the lock holder alone pays for that order: between its store and its load
//! it makes every other thread of the process execute a barrier (`heavy_fence`).

use crate::system::sync::{AtomicUsize, Ordering, heavy_fence, light_fence};

/// The gate of one heap. All-zero: open, and the owner outside.
#[repr(C)]
pub(crate) struct Gate {
    /// 1 while the owner is inside.
    inside: AtomicUsize,
    /// 1 while the owner must stay outside.
    closed: AtomicUsize,
}

impl Gate {
    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Gate {
        Gate {
            inside: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        }
    }

    /// The owner enters, unless the gate is closed; false: it stays outside.
    #[inline(always)]
    #[must_use]
    pub(crate) fn try_enter(&self) -> bool {
        self.inside.store(1, Ordering::Relaxed);
        light_fence();
        // Acquire: what a lock holder has done comes before what the owner does next.
        if self.closed.load(Ordering::Acquire) == 0 {
            return true;
        }
        self.leave();
        false
    }

    /// The owner enters. `wait` returns when the gate may be open.
    pub(crate) fn enter(&self, wait: impl Fn()) {
        while !self.try_enter() {
            wait();
        }
    }

    /// The owner leaves.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        // Release: what the owner has done comes before what a lock holder does that sees it
        // outside.
        self.inside.store(0, Ordering::Release);
    }

    /// Closes the gate. [`closed_all`] must follow before [`Gate::is_left`] is called.
    pub(crate) fn close(&self) {
        self.closed.store(1, Ordering::Relaxed);
    }

    /// The owner is outside, and stays outside until [`Gate::open`].
    pub(crate) fn is_left(&self) -> bool {
        self.inside.load(Ordering::Acquire) == 0
    }

    /// Opens the gate.
    pub(crate) fn open(&self) {
        self.closed.store(0, Ordering::Release);
    }

    /// Opens the gate of an owner that no longer exists: in the child of a fork.
    pub(crate) fn forget(&self) {
        self.inside.store(0, Ordering::Relaxed);
        self.closed.store(0, Ordering::Relaxed);
    }
}

/// Orders [`Gate::close`] before [`Gate::is_left`], for all gates: an owner that enters from here
/// on sees its gate closed, and one that entered before is seen inside.
pub(crate) fn closed_all() {
    heavy_fence();
}
