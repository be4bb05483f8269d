//! Blocks freed by other threads: a queue whose links lie in the freed blocks. Any thread puts a
//! block in, with one atomic exchange; the heap's owner takes blocks out. No call waits for another
//! thread: docs/concurrency.md has the argument.
//!
//! ```text
//!  head ─▶ block ─▶ block ─▶ block ◀─ tail       a link: the next block's address under the key
//!          └ first word: the link; 0: not yet    the stub: a word of the queue, for an empty one
//! ```

use core::cell::UnsafeCell;

use crate::system::sync::{AtomicUsize, Ordering, link_word};

/// A queue of freed blocks. Usable after [`Inbox::open`], and never moved.
#[repr(C, align(64))]
pub(crate) struct Inbox {
    /// The block put in last. In a cache line of its own: the exchanges of other threads must not
    /// delay the owner's look at its end.
    tail: AtomicUsize,
    ends: Ends,
}

#[repr(C, align(64))]
struct Ends {
    /// The block that comes out next. Accessed by the owner only.
    head: UnsafeCell<usize>,
    stub: AtomicUsize,
}

// SAFETY: one thread at a time, the owner, accesses `head` (a duty of `take`).
unsafe impl Sync for Inbox {}

/// The result of [`Inbox::take`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Nothing,
    /// A block, by its address, which is out of the queue.
    Block(usize),
    /// The block at this address has an overwritten link. The blocks after it are lost.
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
    /// No other thread uses it yet.
    pub(crate) unsafe fn open(&self) {
        self.ends.stub.store(0, Ordering::Relaxed);
        self.tail.store(self.stub(), Ordering::Relaxed);
        // SAFETY: no other thread uses the queue (caller).
        unsafe { *self.ends.head.get() = self.stub() };
    }

    /// Puts a block in: a store, an exchange, a store. Links are stored under the key, so that an
    /// overwritten one leads nowhere.
    ///
    /// # Safety
    /// The word at `block` is the first of a freed block that no other thread uses, and the queue
    /// is open.
    #[inline]
    pub(crate) unsafe fn put(&self, block: usize, key: usize) {
        // SAFETY: until the exchange, the block's first word is this thread's (caller); after it,
        // the link of the block put in before is this thread's to write, and that block stays in
        // the queue until its link is written.
        unsafe {
            link_word(block).store(0, Ordering::Relaxed);
            // Release: the 0 above comes before the link that the next thread writes there.
            // Acquire: the 0 in the block before comes before the link written below.
            let before = self.tail.swap(block, Ordering::AcqRel);
            // Release: the block's contents come before the owner finds it.
            link_word(before).store(block ^ key, Ordering::Release);
        }
    }

    /// The queue may hold a block.
    ///
    /// # Safety
    /// The caller is the only one that takes out.
    #[inline(always)]
    pub(crate) unsafe fn is_worth_a_look(&self) -> bool {
        // SAFETY: `head` is the caller's (caller); it is the stub or a block of the queue, whose
        // link may be read.
        unsafe {
            link_word(*self.ends.head.get()).load(Ordering::Relaxed) != 0
                || *self.ends.head.get() != self.stub()
        }
    }

    /// Takes the oldest block out. Returns `Nothing`, too, while the thread that puts the next one
    /// in has not written its link. `belongs`: an address may be that of a block in this queue.
    ///
    /// # Safety
    /// The caller is the only one that takes out.
    pub(crate) unsafe fn take(&self, key: usize, belongs: impl Fn(usize) -> bool) -> Taken {
        let stub = self.stub();
        let head = self.ends.head.get();
        // SAFETY: `head` is the caller's (caller); an address is followed only if it is the stub's
        // or `belongs`.
        unsafe {
            // Acquire, here and below: the block's contents, and the 0 in its own link.
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
                // The last one, unless a thread is between exchange and link. The stub takes its
                // place.
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

    /// Empties the queue after an overwritten link. A thread between exchange and link writes into
    /// a block that is lost.
    ///
    /// # Safety
    /// The caller is the only one that takes out.
    #[cold]
    unsafe fn broken(&self, block: usize) -> Taken {
        self.ends.stub.store(0, Ordering::Relaxed);
        self.tail.swap(self.stub(), Ordering::AcqRel);
        // SAFETY: `head` is the caller's (caller).
        unsafe { *self.ends.head.get() = self.stub() };
        Taken::Broken(block)
    }
}
