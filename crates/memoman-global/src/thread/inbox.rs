//! Blocks freed by other threads: a stack whose links lie in the freed blocks. Any thread puts a
//! block in, with one atomic exchange; the heap's owner takes all of them and uses them one by one.
//! No call waits for another thread: docs/concurrency.md has the argument.
//!
//! ```text
//!  top ─▶ block ─▶ block                  put in since the owner took what was there
//!  list ─▶ block ─▶ block ─▶ block        the owner's; a link: the next block's address under the
//!  below ─▶ block ─▶ block                key. First word of a block: its link; 0: not yet
//! ```
//!
//! The block put in last comes out first: its words lie in a cache, where those of a queue that has
//! become long do not.

use crate::system::sync::{AtomicUsize, Ordering, link_word};

/// A stack of freed blocks. All-zero: empty.
#[repr(C, align(64))]
pub(crate) struct Inbox {
    /// The block put in last, or 0. In a cache line of its own: the exchanges of other threads must
    /// not delay the owner's use of what it has taken.
    top: AtomicUsize,
    taken: Lists,
}

/// What the owner has taken and not used. It alone writes these words.
#[repr(C, align(64))]
struct Lists {
    /// The block that comes out next, or 0.
    list: AtomicUsize,
    /// The rest of what was taken before `list`, or 0.
    below: AtomicUsize,
    /// Calls of [`Inbox::take`].
    turn: AtomicUsize,
}

/// The result of [`Inbox::take`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Nothing,
    /// A block, by its address, which is out of the stack.
    Block(usize),
    /// The block at this address has an overwritten link. The blocks after it are lost.
    Broken(usize),
}

impl Inbox {
    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Inbox {
        Inbox {
            top: AtomicUsize::new(0),
            taken: Lists {
                list: AtomicUsize::new(0),
                below: AtomicUsize::new(0),
                turn: AtomicUsize::new(0),
            },
        }
    }

    /// Empties the stack; what it held is lost.
    ///
    /// # Safety
    /// No other thread uses it.
    pub(crate) unsafe fn forget(&self) {
        self.top.store(0, Ordering::Relaxed);
        self.taken.list.store(0, Ordering::Relaxed);
        self.taken.below.store(0, Ordering::Relaxed);
    }

    /// Puts a block in: a store, an exchange, a store. Links are stored under the key, so that an
    /// overwritten one leads nowhere.
    ///
    /// # Safety
    /// The word at `block` is the first of a freed block that no other thread uses.
    #[inline]
    pub(crate) unsafe fn put(&self, block: usize, key: usize) {
        // SAFETY: the block's first word is this thread's (caller), after the exchange, too: the
        // block stays in the stack until its link is written.
        unsafe {
            link_word(block).store(0, Ordering::Relaxed);
            // Release: the 0 above, and the block's contents, come before the owner finds it.
            // Acquire: the same of the blocks put in before comes before the link written below.
            let before = self.top.swap(block, Ordering::AcqRel);
            // Release: all that comes before the owner follows the link.
            link_word(block).store(before ^ key, Ordering::Release);
        }
    }

    /// The stack is empty, unless a thread puts a block in meanwhile. Any thread may call it; a
    /// value read by another one than the owner may be stale.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        let taken = &self.taken;
        let ours = taken.list.load(Ordering::Relaxed) | taken.below.load(Ordering::Relaxed);
        ours | self.top.load(Ordering::Relaxed) == 0
    }

    /// Takes a block out: one that was put in late, but every fourth time one of those taken
    /// before, which would stay for good where others put in as many as the owner takes. Returns
    /// `Nothing`, too, while the threads that have put in the next block of both lists have not
    /// written its link. `belongs`: an address may be that of a block in this stack.
    ///
    /// # Safety
    /// The caller is the only one that takes out.
    pub(crate) unsafe fn take(&self, key: usize, belongs: impl Fn(usize) -> bool) -> Taken {
        let Lists { list, below, turn } = &self.taken;
        let get = |word: &AtomicUsize| word.load(Ordering::Relaxed);
        let set = |word: &AtomicUsize, value| word.store(value, Ordering::Relaxed);
        set(turn, get(turn).wrapping_add(1));
        if get(list) == 0 {
            set(list, get(below));
            set(below, 0);
        }
        if get(below) == 0 && get(&self.top) != 0 {
            set(below, get(list));
            // Acquire: the contents of the block put in last, and the 0 in its link.
            set(list, self.top.swap(0, Ordering::AcqRel));
        }
        let is_old = get(below) != 0 && get(turn).is_multiple_of(4);
        for from in if is_old { [below, list] } else { [list, below] } {
            let block = get(from);
            if block == 0 {
                continue;
            }
            // SAFETY: a block of the stack, or one that `belongs`: its first word may be read.
            let link = unsafe { link_word(block) }.load(Ordering::Acquire);
            if link == 0 {
                // Not yet written. The other list may have a block.
                continue;
            }
            let next = link ^ key;
            if next != 0 && !belongs(next) {
                set(from, 0);
                return Taken::Broken(block);
            }
            set(from, next);
            return Taken::Block(block);
        }
        Taken::Nothing
    }
}
