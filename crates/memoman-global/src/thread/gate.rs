//! A heap's gate: its owner passes it at each call, with at most two stores and a load; a guest (a
//! holder of the process's lock, or a thread that forks) closes it, waits until the owner is
//! outside, and then has the heap. A visitor, which frees what an idle owner holds, marks the gate;
//! a while later it claims the marked gate and looks once: it has the heap if the owner is outside,
//! and leaves if not.
//!
//! The owner stores "inside" and then loads "closed"; the guest stores "closed" and then loads
//! "inside". If each store comes before the load that follows it, at least one of them sees the
//! other. On x86-64 the guest alone pays for that order: between its store and its load it makes
//! every other thread of the process execute a barrier (`heavy_fence`). Where the system has no
//! such barrier, the bit [`FENCED`] keeps the gate from being simply open, and the owner enters by
//! [`Gate::enter`], which has a fence of its own.
//!
//! A visitor executes no barrier and makes no system call. The time since the mark stands for it:
//! an owner that did not see the mark had stored "inside" before it was set, and a processor
//! completes a store within microseconds (`Idleness::is_settled` waits for milliseconds). An owner
//! that sees the mark takes it away first. A guest of one heap leaves a mark, too: the next guest
//! that finds it executes no barrier (`trim_marks_the_gates_of_idle_threads`).

use crate::system::sync::{AtomicUsize, Ordering, fence, heavy_fence, light_fence};

/// Bits of [`Gate::closed`]. The holder of the lock has the heap.
pub(crate) const GUEST: usize = 1;
/// A thread forks.
pub(crate) const FORK: usize = 2;
/// Not closed: the owner enters with a fence.
const FENCED: usize = 4;
/// The child of the fork does without the heap.
const LEFT_BEHIND: usize = 8;
/// A visitor has the heap, or is about to look whether it has.
const VISITOR: usize = 16;
/// A visitor has marked the gate, and the owner has not entered since: it takes the bit away first.
const MARKED: usize = 32;
/// Above the bits: the number of the mark; 0 if a visitor has seen the owner outside since.
const NUMBER: usize = 1 << 6;
const BITS: usize = NUMBER - 1;

/// Bits of [`Gate::inside`]. The owner is inside, in its own heap only.
pub(crate) const INSIDE: usize = 1;
/// The owner is inside, and puts a block into another heap's inbox.
pub(crate) const PUTTING: usize = 5;
/// A signal handler that has interrupted the owner there forks.
const INTERRUPTED: usize = 2;

/// The mark of a gate: [`Gate::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(usize);

impl Mark {
    /// The owner has been seen outside since. None: that depends on the time since the mark with
    /// this number was seen first.
    pub(crate) fn number(self) -> Option<usize> {
        let number = self.0 / NUMBER;
        (number != 0).then_some(number)
    }
}

/// The gate of one heap. All-zero: open, and the owner outside.
#[repr(C)]
pub(crate) struct Gate {
    inside: AtomicUsize,
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

    /// The owner enters, if the gate is simply open; false: it stays outside, and calls
    /// [`Gate::enter`]. `purpose` is [`INSIDE`] or [`PUTTING`].
    #[inline(always)]
    #[must_use]
    pub(crate) fn try_enter(&self, purpose: usize) -> bool {
        self.inside.store(purpose, Ordering::Relaxed);
        light_fence();
        // Acquire: what a guest has done comes before what the owner does next.
        if self.closed.load(Ordering::Acquire) == 0 {
            return true;
        }
        self.leave();
        false
    }

    /// The owner enters. An error if the gate is closed.
    pub(crate) fn enter(&self, purpose: usize) -> Result<(), ()> {
        loop {
            if self.closed.load(Ordering::Relaxed) & MARKED != 0 {
                self.closed.fetch_and(BITS & !MARKED, Ordering::AcqRel);
            }
            self.inside.store(purpose, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            // Acquire: what a guest has done comes before what the owner does next.
            let closed = self.closed.load(Ordering::Acquire) & !FENCED;
            if closed == 0 {
                return Ok(());
            }
            self.leave();
            if closed & BITS != MARKED {
                return Err(());
            }
        }
    }

    /// The owner leaves.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        // Release: what the owner has done comes before what a guest does that sees it outside.
        self.inside.store(0, Ordering::Release);
    }

    /// Marks the gate for visitors with a number that no other mark has, unless it is marked.
    /// Returns its mark; None if it is closed.
    #[must_use]
    pub(crate) fn mark(&self, number: usize) -> Option<Mark> {
        let closed = self.closed.load(Ordering::Relaxed);
        if closed & BITS & !FENCED == MARKED {
            return Some(Mark(closed));
        }
        if closed & !FENCED != 0 {
            return None;
        }
        // Not 0, also after an overflow.
        let marked = closed | MARKED | number.wrapping_mul(NUMBER).max(NUMBER);
        self.closed
            .compare_exchange(closed, marked, Ordering::Relaxed, Ordering::Relaxed)
            .ok()
            .map(|_| Mark(marked))
    }

    /// Closes the gate for a visitor, if it still has this mark, which is settled. The visitor has
    /// the heap if [`Gate::is_left`]. [`Gate::dismiss`] must follow.
    #[must_use]
    pub(crate) fn claim_marked(&self, mark: Mark) -> bool {
        self.close_for_visitor(mark.0)
    }

    /// Closes the gate of a heap that has no owner, and gets none meanwhile, unless it is closed.
    /// [`Gate::dismiss`] must follow.
    #[must_use]
    pub(crate) fn claim(&self) -> bool {
        let closed = self.closed.load(Ordering::Relaxed);
        closed & BITS & !(FENCED | MARKED) == 0 && self.close_for_visitor(closed)
    }

    fn close_for_visitor(&self, closed: usize) -> bool {
        // Acquire: what the last visitor or guest has done comes before what this one does.
        self.closed
            .compare_exchange(
                closed,
                closed & FENCED | VISITOR,
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// The visitor leaves. `outside`: it has seen the owner outside, so that the next visitor need
    /// not wait.
    pub(crate) fn dismiss(&self, outside: bool) {
        // Release: what the visitor has done comes before what the next one does, or the owner.
        let _ = if outside {
            self.closed.fetch_xor(VISITOR | MARKED, Ordering::Release)
        } else {
            self.closed.fetch_and(!VISITOR, Ordering::Release)
        };
    }

    /// A visitor has the gate, or is about to leave it. None comes while a guest keeps it closed.
    pub(crate) fn has_visitor(&self) -> bool {
        // Acquire: what the visitor has done comes before what the guest does.
        self.closed.load(Ordering::Acquire) & VISITOR != 0
    }

    /// A visitor has the gate, and no guest or fork has.
    pub(crate) fn is_visited(&self) -> bool {
        self.closed.load(Ordering::Relaxed) & !FENCED == VISITOR
    }

    /// A guest or a fork has the gate: what the owner waits for is the lock.
    pub(crate) fn has_guest(&self) -> bool {
        self.closed.load(Ordering::Relaxed) & (GUEST | FORK | LEFT_BEHIND) != 0
    }

    /// Closes the gate, for a guest or for a fork. [`closed_all`] must follow before
    /// [`Gate::is_left`] is called.
    pub(crate) fn close(&self, bit: usize) {
        self.closed.fetch_or(bit, Ordering::Relaxed);
    }

    /// [`Gate::close`] for a guest. True if [`closed_all`] is not needed: a guest or a visitor has
    /// seen the owner outside, and the mark that it has left is there still. (The owner takes it
    /// away before it enters, with a fence.)
    #[must_use]
    pub(crate) fn close_marked(&self) -> bool {
        // Acquire: what that guest or visitor has done comes before what this one does. Release: an
        // owner that sees the gate closed sees the lock taken.
        let closed = self.closed.fetch_or(GUEST, Ordering::AcqRel);
        closed & !FENCED == MARKED
    }

    /// [`Gate::open`] by a guest that has seen the owner outside, for [`Gate::close_marked`].
    pub(crate) fn open_marked(&self) {
        // No visitor marks a closed gate, so the second step adds the mark.
        self.closed.fetch_and(BITS & !MARKED, Ordering::Relaxed);
        // Release: what the guest has done comes before what the next one does, or the owner.
        self.closed.fetch_xor(GUEST | MARKED, Ordering::Release);
    }

    /// The owner is outside, and stays outside until [`Gate::open`].
    pub(crate) fn is_left(&self) -> bool {
        self.inside.load(Ordering::Acquire) == 0
    }

    /// Opens the gate, as far as `bit` has closed it.
    pub(crate) fn open(&self, bit: usize) {
        self.closed.fetch_and(!bit, Ordering::Release);
    }

    /// Has the owner fence when it enters, from its next call on. True if it has not until now.
    pub(crate) fn demand_fence(&self) -> bool {
        self.closed.fetch_or(FENCED, Ordering::Relaxed) & FENCED == 0
    }

    /// The owner forks. If a signal handler does it that has interrupted the owner inside, no
    /// thread may wait for the owner to leave, nor touch the heap.
    pub(crate) fn fork_begins(&self) {
        if self.inside.load(Ordering::Relaxed) != 0 {
            self.inside.fetch_or(INTERRUPTED, Ordering::Relaxed);
        }
    }

    /// The owner has forked.
    pub(crate) fn fork_ends(&self) {
        self.inside.fetch_and(!INTERRUPTED, Ordering::Relaxed);
    }

    /// No thread but the owner may touch the heap: the owner is inside and cannot leave before it
    /// has forked, or the heap is left behind.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.inside.load(Ordering::Relaxed) & INTERRUPTED != 0 || self.is_left_behind()
    }

    /// Before a fork that does not wait for the owner to leave: the child is to do without this
    /// heap, whose owner is in the middle of a call in it. False while the owner writes to another
    /// heap's inbox, and when it is outside. The gate is closed, so the owner does not come back
    /// for another purpose.
    pub(crate) fn leave_behind(&self) -> bool {
        let behind = self.inside.load(Ordering::Acquire) == INSIDE;
        if behind {
            self.closed.fetch_or(LEFT_BEHIND, Ordering::Relaxed);
        }
        behind
    }

    /// In the child of such a fork: the heap's owner does not exist, and was in the middle of a
    /// call.
    pub(crate) fn is_left_behind(&self) -> bool {
        self.closed.load(Ordering::Relaxed) & LEFT_BEHIND != 0
    }

    /// In the parent, after the fork.
    pub(crate) fn take_along(&self) {
        self.closed.fetch_and(!LEFT_BEHIND, Ordering::Relaxed);
    }

    /// A guest has closed the gate.
    #[cfg(feature = "announced-threads")]
    pub(crate) fn is_guests(&self) -> bool {
        self.closed.load(Ordering::Relaxed) & GUEST != 0
    }

    /// In such a child: the process does without the heap.
    #[cfg(feature = "announced-threads")]
    pub(crate) fn abandon(&self) {
        self.closed.fetch_or(LEFT_BEHIND, Ordering::Relaxed);
        self.closed
            .fetch_and(FENCED | LEFT_BEHIND, Ordering::Relaxed);
    }

    /// In such a child: the forking thread that has closed the own gate is not in this process.
    #[cfg(feature = "announced-threads")]
    pub(crate) fn reopen(&self) {
        self.closed.fetch_and(!FORK, Ordering::Relaxed);
    }

    /// Opens the gate of an owner that no longer exists: in the child of a fork.
    pub(crate) fn forget(&self) {
        self.inside.store(0, Ordering::Relaxed);
        let kept = BITS & !(GUEST | FORK | VISITOR | MARKED);
        self.closed.fetch_and(kept, Ordering::Release);
    }
}

/// Orders [`Gate::close`] before [`Gate::is_left`], for all gates: an owner that enters from here
/// on sees its gate closed, and one that entered before is seen inside. False if that is so only
/// for owners that fence: see [`Gate::demand_fence`].
#[must_use]
pub(crate) fn closed_all() -> bool {
    heavy_fence()
}
