//! Who is in a thread heap: its owner, at no more than two stores and a load each time, or now and then a guest, who has the
//! lock, has closed the gate and has waited until the owner was out.
//!
//! The owner says "I am in" and looks whether the gate is closed; the guest closes it and looks whether the owner is in.
//! One of them sees the other, if each store comes before the look that follows it. On x86-64 the owner leaves that to the guest,
//! who has every other thread of the process pass a barrier (`heavy_fence`) between store and look.

use crate::sync::{AtomicUsize, Ordering, heavy_fence, light_fence};

/// The gate of one heap. All-zero: open, and nobody in.
#[repr(C)]
pub(crate) struct Gate {
    /// 1 while the owner is in.
    inside: AtomicUsize,
    /// 1 while guests are let in and the owner is not.
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

    /// The owner comes in, if no guest is there; false: it is out as before.
    #[inline(always)]
    #[must_use]
    pub(crate) fn try_enter(&self) -> bool {
        self.inside.store(1, Ordering::Relaxed);
        light_fence();
        // Acquire: what a guest has done comes before what the owner does now.
        if self.closed.load(Ordering::Acquire) == 0 {
            return true;
        }
        self.leave();
        false
    }

    /// The owner comes in. `wait` returns when no guest is there.
    pub(crate) fn enter(&self, wait: impl Fn()) {
        while !self.try_enter() {
            wait();
        }
    }

    /// The owner goes out.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        // Release: what the owner has done comes before what a guest does who finds it out.
        self.inside.store(0, Ordering::Release);
    }

    /// Closes the gate. Before a guest looks with [`Gate::is_left`], [`closed_all`] must follow.
    pub(crate) fn close(&self) {
        self.closed.store(1, Ordering::Relaxed);
    }

    /// The owner is out, and stays out until [`Gate::open`].
    pub(crate) fn is_left(&self) -> bool {
        self.inside.load(Ordering::Acquire) == 0
    }

    /// Opens the gate.
    pub(crate) fn open(&self) {
        self.closed.store(0, Ordering::Release);
    }

    /// The owner is gone for good, wherever it was: the child of a fork.
    pub(crate) fn forget(&self) {
        self.inside.store(0, Ordering::Relaxed);
        self.closed.store(0, Ordering::Relaxed);
    }
}

/// Every owner that is in, or comes in from here on, has seen the closed gates, or is seen to be in.
pub(crate) fn closed_all() {
    heavy_fence();
}
