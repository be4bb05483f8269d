//! Gate, fork and what is put aside meanwhile under loom: every interleaving of a few threads, with
//! every value that the memory model lets a load return. The library's own sources are compiled
//! here once more, over loom's atomics (`model/sync.rs`); a heap's contents lie in a cell in which
//! loom reports two accesses that are not ordered.
//!
//! Run: `RUSTFLAGS="--cfg loom" cargo test -p memoman-global --test gate_model`; without the flag
//! this file is empty.
#![cfg(loom)]
#![allow(dead_code, reason = "the model uses a part of each source")]

#[path = "../src/process/aside.rs"]
mod aside;
#[path = "model/explore.rs"]
mod explore;
#[path = "../src/thread/gate.rs"]
mod gate;
#[path = "../src/process/lock.rs"]
mod lock;
#[path = "model/sync.rs"]
mod sync;

/// The path by which the library's sources import `sync`.
mod system {
    pub(crate) use crate::sync;
}

use aside::Aside;
use explore::explore;
use gate::Gate;
use lock::Lock;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use sync::AtomicUsize;

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

    /// As `registry::stopped_one`: with a fence unless the last guest's mark is there.
    fn be_marking_guest(&self, pretends: bool) {
        self.lock.try_with(|| {
            if !self.gate.close_marked() && !pretends {
                whole_fence();
            }
            while !self.gate.is_left() {
                thread::yield_now();
            }
            self.work();
            self.gate.open_marked();
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

    /// After the owner has ended.
    fn has_been_entered(&self, times: usize) {
        // SAFETY: the other thread has ended (callers); loom fails the test if it has not.
        self.contents
            .with(|contents| unsafe { assert_eq!(*contents, times) });
    }

    /// A fork, during which `meanwhile` runs.
    fn be_forking(&self, fence: impl Fn(), waits: bool, meanwhile: impl FnOnce()) {
        self.lock.prefork();
        self.shut(gate::FORK, fence, waits);
        self.lock.closed();
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
        self.lock.closed();
        copies(whole);
        self.gate.take_along();
        self.gate.open(gate::FORK);
        self.lock.postfork();
    }
}

/// A thread that is the owner, and calls twice.
fn owner_of_two_calls(gated: &Arc<Gated>) -> thread::JoinHandle<()> {
    let gated = Arc::clone(gated);
    thread::spawn(move || {
        assert!(gated.be_owner());
        assert!(gated.be_owner());
    })
}

fn whole_fence() {
    assert!(gate::closed_all());
}

#[test]
fn owner_and_lock_holder_are_never_in_together() {
    explore(Some(3), || {
        let gated = Gated::new();
        let owner = owner_of_two_calls(&gated);
        gated.be_guest(whole_fence, true);
        owner.join().unwrap();
        gated.has_been_entered(3);
    });
}

/// Without a barrier that the guest can have every thread execute: the owner fences.
#[test]
fn an_owner_that_fences_and_a_guest_are_never_in_together() {
    explore(Some(3), || {
        let gated = Gated::new();
        assert!(gated.gate.demand_fence() && !gated.gate.demand_fence());
        let owner = owner_of_two_calls(&gated);
        gated.be_guest(whole_fence, true);
        owner.join().unwrap();
        assert!(!gated.gate.try_enter(gate::INSIDE));
    });
}

fn a_guest_comes_twice(pretends: bool) {
    explore(Some(2), move || {
        let gated = Gated::new();
        let owner = owner_of_two_calls(&gated);
        gated.be_marking_guest(pretends);
        gated.be_marking_guest(false);
        owner.join().unwrap();
        gated.has_been_entered(4);
    });
}

/// Without a fence where the owner has not come since.
#[test]
fn owner_and_a_guest_that_has_marked_the_gate_are_never_in_together() {
    a_guest_comes_twice(false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_guest_that_takes_a_gate_for_a_marked_one() {
    a_guest_comes_twice(true);
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
        gated.has_been_entered(2 + calls);
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
        later.lock.closed();
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

// The model reports the faults that it is there to find.

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
        later.lock.closed();
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
