//! What other threads free: a queue through the freed blocks themselves. Any thread puts in, with one atomic exchange; the
//! heap's owner takes out. No call ever waits for another one: docs/concurrency.md has the argument.
//!
//! ```text
//!  head ─▶ block ─▶ block ─▶ block ◀─ tail        a link is the next block's address under the heap's key;
//!          └ first word: the link, 0: not yet     the stub, a word of the queue itself, stands for "empty"
//! ```

use core::cell::UnsafeCell;

use crate::sync::{AtomicUsize, Ordering, link_word};

/// A queue of freed blocks. Usable after [`Inbox::open`]; it stays where it is.
#[repr(C, align(64))]
pub(crate) struct Inbox {
    /// The block that was put in last. In a cache line of its own: the others' exchanges must not delay the owner's look.
    tail: AtomicUsize,
    ends: Ends,
}

#[repr(C, align(64))]
struct Ends {
    /// The block that comes out next. The owner's.
    head: UnsafeCell<usize>,
    stub: AtomicUsize,
}

// SAFETY: `head` is only touched by the owner, of which there is one at a time (a duty of `take`).
unsafe impl Sync for Inbox {}

/// What [`Inbox::take`] finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Nothing,
    /// A block, by its address. It is the caller's now.
    Block(usize),
    /// The block at this address has had its link overwritten. What hung behind it is lost.
    Broken(usize),
}

impl Inbox {
    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Inbox {
        Inbox {
            tail: AtomicUsize::new(0),
            ends: Ends {
                head: UnsafeCell::new(0),
                stub: AtomicUsize::new(0),
            },
        }
    }

    fn stub(&self) -> usize {
        (&raw const self.ends.stub).expose_provenance()
    }

    /// Makes an empty queue.
    ///
    /// # Safety
    /// Nobody else uses it yet.
    pub(crate) unsafe fn open(&self) {
        self.ends.stub.store(0, Ordering::Relaxed);
        self.tail.store(self.stub(), Ordering::Relaxed);
        // SAFETY: nobody else is here.
        unsafe { *self.ends.head.get() = self.stub() };
    }

    /// Puts a block in: a store, an exchange, a store. The key hides links, so that a word written over one by mistake leads
    /// nowhere.
    ///
    /// # Safety
    /// The word at `block` is the caller's to give, and the queue is open.
    #[inline]
    pub(crate) unsafe fn put(&self, block: usize, key: usize) {
        // SAFETY: the block's first word, ours until the exchange; then that of the block put in before, whose link is
        // this thread's to write, and which nobody takes out until it is written.
        unsafe {
            link_word(block).store(0, Ordering::Relaxed);
            // Release: the 0 above comes before whoever follows writes the link. Acquire: theirs before ours.
            let before = self.tail.swap(block, Ordering::AcqRel);
            // Release: the block's contents come before the owner finds it.
            link_word(before).store(block ^ key, Ordering::Release);
        }
    }

    /// Something may be in it.
    ///
    /// # Safety
    /// As for [`Inbox::take`].
    #[inline(always)]
    pub(crate) unsafe fn is_worth_a_look(&self) -> bool {
        // SAFETY: the owner's word (caller); the head's link may be read.
        unsafe {
            link_word(*self.ends.head.get()).load(Ordering::Relaxed) != 0
                || *self.ends.head.get() != self.stub()
        }
    }

    /// Takes the oldest block out. Nothing is found, too, while the thread that puts one in has not written its link.
    /// `belongs` tells whether an address may be that of a block in this queue.
    ///
    /// # Safety
    /// The caller is the only one that takes out.
    pub(crate) unsafe fn take(&self, key: usize, belongs: impl Fn(usize) -> bool) -> Taken {
        let stub = self.stub();
        let head = self.ends.head.get();
        // SAFETY: `head` is the caller's; an address is followed when it is the stub's or `belongs`.
        unsafe {
            // Acquire, here and below: the block's contents, and its own 0.
            let mut block = *head;
            let mut link = link_word(block).load(Ordering::Acquire);
            if block == stub {
                if link == 0 {
                    return Taken::Nothing;
                }
                let next = link ^ key;
                if !belongs(next) {
                    return self.broken(block);
                }
                *head = next;
                block = next;
                link = link_word(block).load(Ordering::Acquire);
            }
            if link == 0 {
                // The last one, unless somebody is between exchange and link. The stub takes its place.
                if self.tail.load(Ordering::Relaxed) != block {
                    return Taken::Nothing;
                }
                self.put(stub, key);
                link = link_word(block).load(Ordering::Acquire);
                if link == 0 {
                    return Taken::Nothing;
                }
            }
            let next = link ^ key;
            if next != stub && !belongs(next) {
                return self.broken(block);
            }
            *head = next;
            Taken::Block(block)
        }
    }

    /// Starts anew behind an overwritten link. Whoever is between exchange and link writes it into what is lost.
    #[cold]
    unsafe fn broken(&self, block: usize) -> Taken {
        self.ends.stub.store(0, Ordering::Relaxed);
        self.tail.swap(self.stub(), Ordering::AcqRel);
        // SAFETY: the owner's (caller).
        unsafe { *self.ends.head.get() = self.stub() };
        Taken::Broken(block)
    }
}
