//! The inbox and a change of owner under loom: every interleaving of a few threads, with every
//! value that the memory model lets a load return. The library's own sources are compiled here once
//! more, over loom's atomics (`model/sync.rs`); a block's contents lie in a cell in which loom
//! reports two accesses that are not ordered.
//!
//! Run: `RUSTFLAGS="--cfg loom" cargo test -p memoman-global --test inbox_model`; without the flag
//! this file is empty.
#![cfg(loom)]
#![allow(dead_code, reason = "the model uses a part of each source")]

#[path = "model/explore.rs"]
mod explore;
#[path = "../src/thread/inbox.rs"]
mod inbox;
#[path = "../src/process/lock.rs"]
mod lock;
#[path = "model/sync.rs"]
mod sync;

/// The path by which the library's sources import `sync`.
mod system {
    pub(crate) use crate::sync;
}

use explore::explore;
use inbox::{Inbox, Taken};
use lock::Lock;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use sync::{AtomicUsize, Ordering};

const KEY: usize = 1 << (usize::BITS - 1) | 5;

/// A block: its first word is the link; the thread that frees it writes its contents.
#[repr(C)]
struct Block {
    link: AtomicUsize,
    contents: UnsafeCell<usize>,
}

impl Block {
    fn new() -> Arc<Block> {
        Arc::new(Block {
            link: AtomicUsize::new(77),
            contents: UnsafeCell::new(0),
        })
    }

    fn address(&self) -> usize {
        (&raw const self.link).expose_provenance()
    }

    fn write(&self, value: usize) {
        // SAFETY: loom fails the test if another thread accesses the contents meanwhile.
        self.contents
            .with_mut(|contents| unsafe { *contents = value });
    }

    fn read(&self) -> usize {
        // SAFETY: loom fails the test if another thread writes the contents meanwhile.
        self.contents.with(|contents| unsafe { *contents })
    }
}

struct Shared {
    inbox: Inbox,
    lock: Lock,
    /// 1 while a thread owns the heap.
    owned: AtomicUsize,
    blocks: [Arc<Block>; 3],
}

// SAFETY: these tests are to show that the threads' accesses are ordered.
unsafe impl Sync for Shared {}
// SAFETY: loom runs its threads one at a time, on one thread of the system.
unsafe impl Send for Shared {}

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        inbox: Inbox::new(),
        lock: Lock::new(),
        owned: AtomicUsize::new(1),
        blocks: [Block::new(), Block::new(), Block::new()],
    })
}

impl Shared {
    /// Frees a block from another thread.
    fn put(&self, index: usize) {
        self.blocks[index].write(index + 100);
        // SAFETY: each block is put in once, and lives as long as the model.
        unsafe { self.inbox.put(self.blocks[index].address(), KEY) };
    }

    /// Takes one block out and reads it. Returns its index, or None.
    fn take(&self) -> Option<usize> {
        let belongs = |address| self.blocks.iter().any(|block| block.address() == address);
        // SAFETY: one thread at a time takes out.
        match unsafe { self.inbox.take(KEY, belongs) } {
            Taken::Nothing => None,
            Taken::Block(address) => {
                let index = self
                    .blocks
                    .iter()
                    .position(|block| block.address() == address)
                    .unwrap();
                assert_eq!(self.blocks[index].read(), index + 100);
                // The block is allocated again and written to.
                self.blocks[index].write(7);
                Some(index)
            }
            Taken::Broken(address) => panic!("a link is broken at {address:#x}"),
        }
    }

    fn take_all(&self, taken: &mut Vec<usize>) {
        while let Some(index) = self.take() {
            taken.push(index);
        }
    }
}

fn spawn(shared: &Arc<Shared>, work: impl FnOnce(&Shared) + 'static) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || work(&shared))
}

#[test]
fn two_threads_put_in_while_the_owner_takes_out() {
    explore(Some(3), || {
        let shared = shared();
        let others = [0, 1].map(|index| spawn(&shared, move |shared| shared.put(index)));
        let mut taken = Vec::new();
        // Three times, with a block there or not: no call waits.
        for _ in 0..3 {
            taken.extend(shared.take());
        }
        for other in others {
            other.join().unwrap();
        }
        shared.take_all(&mut taken);
        taken.sort_unstable();
        assert_eq!(taken, [0, 1], "each block comes out, and once");
        assert_eq!(shared.take(), None);
    });
}

#[test]
fn one_threads_blocks_come_out() {
    explore(None, || {
        let shared = shared();
        let other = spawn(&shared, |shared| {
            shared.put(0);
            shared.put(1);
            shared.put(2);
        });
        let mut taken = Vec::new();
        shared.take_all(&mut taken);
        shared.take_all(&mut taken);
        other.join().unwrap();
        assert_eq!(shared.inbox.is_empty(), taken.len() == 3);
        shared.take_all(&mut taken);
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2], "each block comes out, and once");
        assert!(shared.inbox.is_empty());
    });
}

#[test]
fn what_waits_comes_out_last_in_first_out() {
    explore(None, || {
        let shared = shared();
        shared.put(0);
        shared.put(1);
        assert_eq!(shared.take(), Some(1));
        shared.put(2);
        assert_eq!([(); 3].map(|()| shared.take()), [Some(2), Some(0), None]);
    });
}

/// The heap's owner gives it up; another thread attaches to it and takes out what a third one puts
/// in meanwhile.
#[test]
fn a_heap_changes_hands_while_blocks_come_in() {
    explore(Some(2), || {
        let shared = shared();
        let puts = spawn(&shared, |shared| {
            // Read without the lock, the value may be stale either way.
            if shared.owned.load(Ordering::Relaxed) == 1 {
                shared.put(0);
            } else {
                shared.lock.with(|| shared.put(0));
            }
        });
        let attaches = spawn(&shared, |shared| {
            let idle = shared.lock.with(|| {
                let idle = shared.owned.load(Ordering::Relaxed) == 0;
                shared.owned.store(1, Ordering::Relaxed);
                idle
            });
            if idle {
                let mut taken = Vec::new();
                shared.take_all(&mut taken);
                shared
                    .lock
                    .with(|| shared.owned.store(0, Ordering::Relaxed));
                assert!(taken.is_empty() || taken == [0]);
                if taken == [0] {
                    shared.blocks[0].write(1);
                }
            }
        });
        let mut taken = Vec::new();
        shared.take_all(&mut taken);
        shared
            .lock
            .with(|| shared.owned.store(0, Ordering::Relaxed));
        puts.join().unwrap();
        attaches.join().unwrap();
    });
}

// The model reports the faults that it is there to find.

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_link_without_order() {
    explore(None, || {
        let block = Block::new();
        let link = Arc::new(AtomicUsize::new(0));
        let other = {
            let (block, link) = (Arc::clone(&block), Arc::clone(&link));
            thread::spawn(move || {
                block.write(100);
                link.store(block.address(), Ordering::Relaxed);
            })
        };
        if link.load(Ordering::Acquire) != 0 {
            assert_eq!(block.read(), 100);
        }
        other.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_two_owners() {
    explore(Some(2), || {
        let shared = shared();
        shared.put(0);
        let other = spawn(&shared, |shared| {
            shared.take();
        });
        shared.take();
        other.join().unwrap();
    });
}
