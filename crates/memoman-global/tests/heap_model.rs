//! Inbox, gate, change of owner and fork under loom: every interleaving of a few threads, with
//! every value that the memory model lets a load return. The library's own sources are compiled
//! here once more, over loom's atomics (`model/sync.rs`); a block's contents lie in a cell in which
//! loom reports two accesses that are not ordered.
//!
//! Run: `RUSTFLAGS="--cfg loom" cargo test -p memoman-global --test heap_model`; without the flag
//! this file is empty.
#![cfg(loom)]
#![allow(dead_code, reason = "the model uses a part of each source")]

#[path = "../src/process/aside.rs"]
mod aside;
#[path = "../src/thread/gate.rs"]
mod gate;
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

use aside::Aside;
use gate::Gate;
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
    let shared = Arc::new(Shared {
        inbox: Inbox::new(),
        lock: Lock::new(),
        owned: AtomicUsize::new(1),
        blocks: [Block::new(), Block::new(), Block::new()],
    });
    // SAFETY: no other thread knows the queue yet, and it is not moved.
    unsafe { shared.inbox.open() };
    shared
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

/// Every order with up to this many switches away from a thread that could go on, and
/// `MEMOMAN_PREEMPTIONS` more.
fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let more = std::env::var("MEMOMAN_PREEMPTIONS").map_or(0, |more| more.parse().unwrap());
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions.map(|bound| bound + more);
    builder.check(model);
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
fn one_threads_blocks_come_out_in_order() {
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
        shared.take_all(&mut taken);
        assert_eq!(taken, [0, 1, 2]);
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

/// A heap's contents behind its gate.
struct Gated {
    gate: Gate,
    /// Held by the thread that closes the gate, from before it closes it until it has opened it.
    lock: Lock,
    contents: UnsafeCell<usize>,
}

// SAFETY: these tests are to show that the gate keeps threads apart.
unsafe impl Sync for Gated {}
// SAFETY: loom runs its threads one at a time, on one thread of the system.
unsafe impl Send for Gated {}

impl Gated {
    fn new() -> Arc<Gated> {
        Arc::new(Gated {
            gate: Gate::new(),
            lock: Lock::new(),
            contents: UnsafeCell::new(0),
        })
    }

    fn work(&self) {
        // SAFETY: loom fails the test if another thread accesses the contents meanwhile.
        self.contents.with_mut(|contents| unsafe { *contents += 1 });
    }

    fn shut(&self, bit: usize, fence: impl Fn(), waits: bool) {
        self.gate.close(bit);
        fence();
        while waits && !self.gate.is_left() {
            thread::yield_now();
        }
    }

    /// Under the lock, unless another thread forks.
    fn be_guest(&self, fence: impl Fn(), waits: bool) {
        self.lock.try_with(|| {
            self.shut(gate::GUEST, fence, waits);
            self.work();
            self.gate.open(gate::GUEST);
        });
    }

    /// One call of the owner, as `calls::enter` makes it. False: served elsewhere.
    fn be_owner(&self) -> bool {
        if !self.gate.try_enter(gate::INSIDE) {
            while self.gate.enter(gate::INSIDE).is_err() {
                if !self.lock.pass() {
                    return false;
                }
            }
        }
        self.work();
        self.gate.leave();
        true
    }

    /// A fork, during which `meanwhile` runs.
    fn be_forking(&self, fence: impl Fn(), waits: bool, meanwhile: impl FnOnce()) {
        self.lock.prefork();
        self.shut(gate::FORK, fence, waits);
        // The kernel copies the heap.
        self.work();
        meanwhile();
        self.gate.open(gate::FORK);
        self.lock.postfork();
    }
}

impl Gated {
    /// A fork that does not wait for an owner in the middle of a call: `copies` is false for a heap
    /// that is left behind, which the kernel copies in any state.
    fn be_impatient(&self, copies: impl FnOnce(bool)) {
        self.lock.prefork();
        self.gate.close(gate::FORK);
        whole_fence();
        let whole = loop {
            if self.gate.is_left() {
                break true;
            }
            if self.gate.leave_behind() {
                break false;
            }
            thread::yield_now();
        };
        copies(whole);
        self.gate.take_along();
        self.gate.open(gate::FORK);
        self.lock.postfork();
    }
}

fn whole_fence() {
    assert!(gate::closed_all());
}

#[test]
fn owner_and_lock_holder_are_never_in_together() {
    explore(Some(3), || {
        let gated = Gated::new();
        let owner = {
            let gated = Arc::clone(&gated);
            thread::spawn(move || {
                assert!(gated.be_owner());
                assert!(gated.be_owner());
            })
        };
        gated.be_guest(whole_fence, true);
        owner.join().unwrap();
        // SAFETY: the other thread has ended.
        gated
            .contents
            .with(|contents| unsafe { assert_eq!(*contents, 3) });
    });
}

/// Without a barrier that the guest can have every thread execute: the owner fences.
#[test]
fn an_owner_that_fences_and_a_guest_are_never_in_together() {
    explore(Some(3), || {
        let gated = Gated::new();
        assert!(gated.gate.demand_fence() && !gated.gate.demand_fence());
        let owner = {
            let gated = Arc::clone(&gated);
            thread::spawn(move || {
                assert!(gated.be_owner());
                assert!(gated.be_owner());
            })
        };
        gated.be_guest(whole_fence, true);
        owner.join().unwrap();
        assert!(!gated.gate.try_enter(gate::INSIDE));
    });
}

/// The owner ends while the fork is in progress: it waits for none of the forking thread's steps.
#[test]
fn a_fork_finds_the_heap_whole_and_delays_no_owner() {
    explore(Some(3), || {
        let gated = Gated::new();
        let owner = {
            let gated = Arc::clone(&gated);
            thread::spawn(move || usize::from(gated.be_owner()) + usize::from(gated.be_owner()))
        };
        let mut calls = 0;
        gated.be_forking(whole_fence, true, || calls = owner.join().unwrap());
        assert!(gated.be_owner());
        // SAFETY: the other thread has ended.
        gated
            .contents
            .with(|contents| unsafe { assert_eq!(*contents, 2 + calls) });
    });
}

#[test]
fn a_fork_a_guest_and_the_owner_are_never_in_together() {
    explore(Some(2), || {
        let gated = Gated::new();
        let others = [true, false].map(|is_owner| {
            let gated = Arc::clone(&gated);
            thread::spawn(move || match is_owner {
                true => drop(gated.be_owner()),
                false => gated.be_guest(whole_fence, true),
            })
        });
        gated.be_forking(whole_fence, true, || {
            others.into_iter().for_each(|one| one.join().unwrap())
        });
        assert!(gated.be_owner());
    });
}

/// A node of the list, and what the thread that adds it has written.
struct Node {
    link: AtomicUsize,
    contents: UnsafeCell<usize>,
}

struct Later {
    aside: Aside,
    lock: Lock,
    nodes: [Node; 2],
}

// SAFETY: these tests are to show that the threads' accesses are ordered.
unsafe impl Sync for Later {}
// SAFETY: loom runs its threads one at a time, on one thread of the system.
unsafe impl Send for Later {}

impl Later {
    fn new() -> Arc<Later> {
        Arc::new(Later {
            aside: Aside::new(),
            lock: Lock::new(),
            nodes: [7, 8].map(|link| Node {
                link: AtomicUsize::new(link),
                contents: UnsafeCell::new(0),
            }),
        })
    }

    fn address(&self, index: usize) -> usize {
        (&raw const self.nodes[index].link).expose_provenance()
    }

    /// Frees: at once, or by putting aside. True in the first case.
    fn free(&self, index: usize) -> bool {
        loop {
            if self.lock.try_with(|| ()).is_some() {
                return true;
            }
            // SAFETY: the node is this thread's.
            self.nodes[index]
                .contents
                .with_mut(|contents| unsafe { *contents = 100 + index });
            // SAFETY: each node is put in once, and lives as long as the model.
            if unsafe { self.aside.put(self.address(index), || self.lock.is_away()) } {
                return false;
            }
        }
    }

    /// After a fork: as `later::settle`. Returns the number of nodes found.
    fn settle(&self) -> usize {
        let mut found = 0;
        loop {
            let quiet = self.aside.is_quiet();
            let mut node = self.aside.take_all();
            while node != 0 {
                let index = usize::from(node == self.address(1));
                assert_eq!(node, self.address(index));
                // SAFETY: out of the list; loom fails the test if the contents are not ordered.
                node = unsafe { Aside::before(node) };
                self.nodes[index]
                    .contents
                    .with(|contents| unsafe { assert_eq!(*contents, 100 + index) });
                found += 1;
            }
            if quiet {
                return found;
            }
            thread::yield_now();
        }
    }
}

/// Nothing that is put aside stays there, and nothing comes out twice.
#[test]
fn what_is_put_aside_comes_out_after_the_fork() {
    explore(Some(1), || {
        let later = Later::new();
        let others = [0, 1].map(|index| {
            let later = Arc::clone(&later);
            thread::spawn(move || later.free(index))
        });
        later.lock.prefork();
        later.lock.postfork();
        let mut found = later.settle();
        let at_once = others.map(|other| usize::from(other.join().unwrap()));
        assert_eq!(at_once[0] + at_once[1] + found, 2);
        found = later.settle();
        assert_eq!(found, 0);
    });
}

#[test]
fn a_fork_copies_a_heap_whole_or_leaves_it_behind() {
    explore(Some(3), || {
        let gated = Gated::new();
        let owner = {
            let gated = Arc::clone(&gated);
            thread::spawn(move || (gated.be_owner(), gated.be_owner()))
        };
        gated.be_impatient(|whole| {
            if whole {
                gated.work();
            }
        });
        owner.join().unwrap();
        assert!(!gated.gate.is_left_behind() && gated.be_owner());
    });
}

/// A thread frees a block of another heap while a third one forks: then the block is in the inbox
/// with its link, or not at all.
fn forks_beside_a_free(purpose: usize) {
    explore(Some(3), move || {
        let (gated, shared) = (Gated::new(), shared());
        let other = {
            let (gated, shared) = (Arc::clone(&gated), Arc::clone(&shared));
            thread::spawn(move || {
                if gated.gate.try_enter(purpose) {
                    shared.put(0);
                    gated.gate.leave();
                }
            })
        };
        gated.be_impatient(|_| {
            let there = !shared.inbox.is_empty();
            assert_eq!(shared.take().is_some(), there, "the link is missing");
        });
        other.join().unwrap();
    });
}

#[test]
fn a_fork_waits_for_the_link() {
    forks_beside_a_free(gate::PUTTING);
}

// The model reports the faults that it is there to find.

#[test]
#[should_panic(expected = "the link is missing")]
fn notices_a_fork_between_exchange_and_link() {
    forks_beside_a_free(gate::INSIDE);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_fork_that_copies_what_is_left_behind() {
    explore(Some(3), || {
        let gated = Gated::new();
        let owner = {
            let gated = Arc::clone(&gated);
            thread::spawn(move || gated.be_owner())
        };
        gated.be_impatient(|_| gated.work());
        owner.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_fork_that_does_not_wait_for_the_owner() {
    explore(Some(3), || {
        let gated = Gated::new();
        let owner = {
            let gated = Arc::clone(&gated);
            thread::spawn(move || gated.be_owner())
        };
        gated.be_forking(whole_fence, false, || ());
        owner.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_fork_without_a_fence() {
    explore(Some(3), || {
        let gated = Gated::new();
        let owner = {
            let gated = Arc::clone(&gated);
            thread::spawn(move || gated.be_owner())
        };
        gated.be_forking(|| (), true, || ());
        owner.join().unwrap();
    });
}

/// The forking thread looks into the list before it has ended the fork.
#[test]
#[should_panic(expected = "a block is lost")]
fn notices_a_list_that_is_emptied_too_early() {
    explore(Some(2), || {
        let later = Later::new();
        let other = {
            let later = Arc::clone(&later);
            thread::spawn(move || later.free(0))
        };
        later.lock.prefork();
        let found = later.settle();
        later.lock.postfork();
        let at_once = other.join().unwrap();
        assert!(at_once || found == 1, "a block is lost");
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_lock_holder_without_a_fence() {
    explore(Some(3), || {
        let gated = Gated::new();
        let owner = {
            let gated = Arc::clone(&gated);
            thread::spawn(move || assert!(gated.be_owner()))
        };
        gated.be_guest(|| (), true);
        owner.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_lock_holder_that_does_not_wait() {
    explore(Some(3), || {
        let gated = Gated::new();
        let owner = {
            let gated = Arc::clone(&gated);
            thread::spawn(move || assert!(gated.be_owner()))
        };
        gated.be_guest(whole_fence, false);
        owner.join().unwrap();
    });
}

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
