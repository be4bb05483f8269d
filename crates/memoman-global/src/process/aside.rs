//! A list that any thread adds to while a thread forks, and that the forking thread empties after
//! it. An addition waits for no other thread.

use crate::system::sync::{AtomicUsize, Ordering, fence, link_word};

/// A list of nodes, by their addresses. A node's first word is its link.
pub(crate) struct Aside {
    last: AtomicUsize,
    /// Threads in [`Aside::put`].
    putting: AtomicUsize,
}

impl Aside {
    #[cfg(not(all(loom, test)))]
    pub(crate) const fn new() -> Aside {
        Aside {
            last: AtomicUsize::new(0),
            putting: AtomicUsize::new(0),
        }
    }

    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Aside {
        Aside {
            last: AtomicUsize::new(0),
            putting: AtomicUsize::new(0),
        }
    }

    /// Adds a node, if `is_away` still returns true. A node added comes out of a
    /// [`Aside::take_all`] that follows an [`Aside::is_quiet`] that returned true.
    ///
    /// # Safety
    /// The word at `node` is the first of a node that no other thread uses.
    pub(crate) unsafe fn put(&self, node: usize, is_away: impl Fn() -> bool) -> bool {
        // Against the store that ends the fork and `is_quiet`: either this thread sees the end, or
        // the forking thread sees this one.
        self.putting.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let away = is_away();
        if away {
            let mut last = self.last.load(Ordering::Relaxed);
            loop {
                // SAFETY: this thread's node until the exchange succeeds (caller).
                unsafe { link_word(node).store(last, Ordering::Relaxed) };
                // Release: the node's words come before the thread that takes it out.
                match self
                    .last
                    .compare_exchange(last, node, Ordering::Release, Ordering::Relaxed)
                {
                    Ok(_) => break,
                    Err(found) => last = found,
                }
            }
        }
        self.putting.fetch_sub(1, Ordering::Release);
        away
    }

    /// Takes all nodes out: the last one, linked to the others; 0 when there is none.
    pub(crate) fn take_all(&self) -> usize {
        self.last.swap(0, Ordering::Acquire)
    }

    /// No thread is adding a node, and none will before the next fork. After the store that ends
    /// the fork.
    pub(crate) fn is_quiet(&self) -> bool {
        fence(Ordering::SeqCst);
        // Acquire: what was added comes out of the next `take_all`.
        self.putting.load(Ordering::Acquire) == 0
    }

    /// The node before this one; 0 when there is none.
    ///
    /// # Safety
    /// The node is out of the list by [`Aside::take_all`].
    pub(crate) unsafe fn before(node: usize) -> usize {
        // SAFETY: a node, whose first word is its link (caller).
        unsafe { link_word(node).load(Ordering::Relaxed) }
    }

    /// In the child of a fork: what other threads have added is not taken over.
    pub(crate) fn forget(&self) {
        self.last.store(0, Ordering::Relaxed);
        self.putting.store(0, Ordering::Relaxed);
    }
}
