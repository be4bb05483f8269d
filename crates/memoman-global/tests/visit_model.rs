//! What threads do in each other's heaps under loom: visitors, the owner, a holder of the lock, a
//! thread that frees and a fork, in every interleaving. The contents of a heap lie in a cell in
//! which loom reports two accesses that are not ordered; the sources are compiled over
//! `model/sync.rs`. `RUSTFLAGS="--cfg loom" cargo test -p memoman-global --test visit_model`
#![cfg(loom)]
#![allow(dead_code, reason = "the model uses a part of each source")]

#[path = "model/explore.rs"]
mod explore;
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

use explore::explore;
use gate::Gate;
use inbox::{Inbox, Taken};
use lock::Lock;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use sync::{AtomicUsize, Ordering, fence};

const KEY: usize = 1 << (usize::BITS - 1) | 5;

/// What a visitor leaves out, for the tests that the model notices it.
#[derive(Clone, Copy, Default)]
struct Leaves {
    claim: bool,
    fence: bool,
    look: bool,
    own_gate: bool,
    /// It enters its own gate as for a call of its own.
    notice: bool,
    /// It says that it has seen the owner outside, and has not waited or looked.
    pretend: bool,
}

impl Leaves {
    fn purpose(self) -> usize {
        if self.notice {
            gate::INSIDE
        } else {
            gate::PUTTING
        }
    }
}

/// One heap, whose owner is idle or not, and the heaps of two visitors.
struct Process {
    gate: Gate,
    contents: UnsafeCell<usize>,
    inbox: Inbox,
    link: AtomicUsize,
    owned: AtomicUsize,
    own_gates: [Gate; 2],
    lock: Lock,
}

// SAFETY: these tests are to show that the gates keep threads apart.
unsafe impl Sync for Process {}
// SAFETY: loom runs its threads one at a time, on one thread of the system.
unsafe impl Send for Process {}

impl Process {
    fn new() -> Arc<Process> {
        Arc::new(Process {
            gate: Gate::new(),
            contents: UnsafeCell::new(0),
            inbox: Inbox::new(),
            link: AtomicUsize::new(77),
            owned: AtomicUsize::new(1),
            own_gates: [Gate::new(), Gate::new()],
            lock: Lock::new(),
        })
    }

    fn work(&self) {
        // SAFETY: loom fails the test if another thread accesses the contents meanwhile.
        self.contents.with_mut(|contents| unsafe { *contents += 1 });
    }

    /// As `entry::enter`: the owner of this gate enters. False while another thread forks.
    fn enter(&self, gate: &Gate, purpose: usize) -> bool {
        if !gate.try_enter(purpose) {
            while gate.enter(purpose).is_err() {
                if gate.has_guest() && !self.lock.pass() {
                    return false;
                }
                thread::yield_now();
            }
        }
        true
    }

    /// One call of the owner.
    fn be_owner(&self) -> usize {
        if !self.enter(&self.gate, gate::INSIDE) {
            return 0;
        }
        self.work();
        self.gate.leave();
        1
    }

    /// One visit, as in `reclaim.rs`. Returns how often the contents were changed.
    fn be_visitor(&self, index: usize, leaves: Leaves) -> usize {
        let own = &self.own_gates[index];
        if !leaves.own_gate && !self.enter(own, leaves.purpose()) {
            return 0;
        }
        let mut visits = 0;
        let mark = self.gate.mark(index + 1);
        if mark.is_none_or(|mark| mark.number().is_some()) && !leaves.fence && !leaves.pretend {
            settle();
        }
        if leaves.claim || mark.is_some_and(|mark| self.gate.claim_marked(mark)) {
            let outside = leaves.look || self.gate.is_left();
            if outside && !leaves.pretend {
                self.work();
                visits = 1;
            }
            if !leaves.claim {
                self.gate.dismiss(outside || leaves.pretend);
            }
        }
        if !leaves.own_gate {
            own.leave();
        }
        visits
    }

    /// As `registry::shut`.
    fn shut(&self, bit: usize) {
        let gates = self.gates();
        gates.iter().for_each(|gate| gate.close(bit));
        assert!(gate::closed_all());
        for gate in gates {
            while !gate.is_left() {
                thread::yield_now();
            }
        }
    }

    fn gates(&self) -> [&Gate; 3] {
        [&self.gate, &self.own_gates[0], &self.own_gates[1]]
    }

    fn open(&self, bit: usize) {
        self.gates().iter().for_each(|gate| gate.open(bit));
    }

    /// As `registry::stopped`, under the lock.
    fn be_guest(&self) {
        self.lock.try_with(|| {
            self.shut(gate::GUEST);
            self.work();
            self.open(gate::GUEST);
        });
    }

    /// As `registry::stopped_one`, under the lock.
    fn be_guest_of_one(&self, waits: bool) {
        self.lock.try_with(|| {
            self.gate.close(gate::GUEST);
            assert!(gate::closed_all());
            while (waits && self.gate.has_visitor()) || !self.gate.is_left() {
                thread::yield_now();
            }
            self.work();
            self.gate.open(gate::GUEST);
        });
    }

    /// A fork without patience. Returns how often the contents were changed.
    fn be_forking(&self, copy: impl FnOnce()) -> usize {
        self.lock.prefork();
        let gates = self.gates();
        gates.iter().for_each(|gate| gate.close(gate::FORK));
        assert!(gate::closed_all());
        for gate in gates {
            while !gate.is_left() && !gate.leave_behind() {
                thread::yield_now();
            }
        }
        self.lock.closed();
        let behind = self.gate.is_left_behind();
        if !behind {
            // The kernel copies the heap, and the child goes on with it.
            self.work();
        }
        copy();
        gates.iter().for_each(|gate| gate.take_along());
        self.open(gate::FORK);
        self.lock.postfork();
        usize::from(!behind)
    }

    /// As `remote::free_under_lock`: frees a block of a heap without an owner.
    fn be_holder(&self) -> usize {
        let worked = self.lock.try_with(|| {
            let is_free = self.owned.load(Ordering::Relaxed) == 0 && self.gate.claim();
            if is_free {
                self.work();
                self.gate.dismiss(false);
            }
            usize::from(is_free)
        });
        worked.unwrap_or(0)
    }

    /// A thread gets the heap.
    fn attach(&self) {
        self.lock.with(|| self.owned.store(1, Ordering::Relaxed));
    }

    fn put(&self) {
        // SAFETY: the only block, put in once, and it lives as long as the model.
        unsafe {
            self.inbox
                .put((&raw const self.link).expose_provenance(), KEY)
        };
    }

    /// Inside the heap: takes the block out, if it is there.
    fn take(&self) -> bool {
        let block = (&raw const self.link).addr();
        // SAFETY: the gate keeps all other threads that take out away.
        match unsafe { self.inbox.take(KEY, |address| address == block) } {
            Taken::Block(address) => {
                assert_eq!(address, block);
                true
            }
            Taken::Nothing => false,
            Taken::Broken(_) => panic!("a link is broken"),
        }
    }

    fn total(&self) -> usize {
        // SAFETY: the other threads have ended.
        self.contents.with(|contents| unsafe { *contents })
    }
}

/// The time until a mark is settled. In the model a fence stands for it.
fn settle() {
    fence(Ordering::SeqCst);
}

fn spawn<R: 'static>(
    process: &Arc<Process>,
    work: impl FnOnce(&Process) -> R + 'static,
) -> thread::JoinHandle<R> {
    let process = Arc::clone(process);
    thread::spawn(move || work(&process))
}

#[test]
fn owner_and_visitor_are_never_in_together() {
    explore(Some(3), || {
        let process = Process::new();
        let owner = spawn(&process, |process| process.be_owner() + process.be_owner());
        let visits =
            process.be_visitor(0, Leaves::default()) + process.be_visitor(0, Leaves::default());
        assert_eq!(owner.join().unwrap(), 2, "an owner waits for the visitor");
        assert_eq!(process.total(), visits + 2);
    });
}

/// Without a barrier that the visitor can have every thread execute: the owner fences.
#[test]
fn an_owner_that_fences_and_a_visitor_are_never_in_together() {
    explore(Some(3), || {
        let process = Process::new();
        assert!(process.gate.demand_fence());
        let owner = spawn(&process, |process| process.be_owner() + process.be_owner());
        let visits = process.be_visitor(0, Leaves::default());
        assert_eq!(owner.join().unwrap(), 2);
        assert_eq!(process.total(), visits + 2);
    });
}

#[test]
fn two_visitors_and_the_owner_are_never_in_together() {
    explore(Some(1), || {
        let process = Process::new();
        let owner = spawn(&process, Process::be_owner);
        let other = spawn(&process, |process| process.be_visitor(1, Leaves::default()));
        let visits = process.be_visitor(0, Leaves::default()) + other.join().unwrap();
        assert_eq!(owner.join().unwrap() + visits, process.total());
    });
}

#[test]
fn a_visitor_a_lock_holder_and_the_owner_are_never_in_together() {
    explore(Some(1), || {
        let process = Process::new();
        let owner = spawn(&process, Process::be_owner);
        let visitor = spawn(&process, |process| process.be_visitor(0, Leaves::default()));
        process.be_guest();
        let visits = visitor.join().unwrap();
        assert_eq!(owner.join().unwrap() + visits + 1, process.total());
    });
}

#[test]
fn a_visitor_and_the_guest_of_one_heap_are_never_in_together() {
    explore(Some(3), || {
        let process = Process::new();
        let visitor = spawn(&process, |process| process.be_visitor(0, Leaves::default()));
        process.be_guest_of_one(true);
        assert_eq!(visitor.join().unwrap() + 1, process.total());
    });
}

/// No heap is in the middle of a visit when the kernel copies it.
#[test]
fn a_fork_waits_for_a_visitor() {
    explore(Some(1), || {
        let process = Process::new();
        let owner = spawn(&process, Process::be_owner);
        let visitor = spawn(&process, |process| process.be_visitor(0, Leaves::default()));
        let forked = process.be_forking(|| ());
        let visits = visitor.join().unwrap();
        assert_eq!(owner.join().unwrap() + visits + forked, process.total());
    });
}

/// The heap has no owner; one attaches to it, while a visitor and a holder of the lock come.
#[test]
fn an_ownerless_heap_has_one_visitor_or_its_new_owner() {
    explore(Some(2), || {
        let process = Process::new();
        process.owned.store(0, Ordering::Relaxed);
        let owner = spawn(&process, |process| {
            process.attach();
            process.be_owner()
        });
        let visitor = spawn(&process, |process| process.be_visitor(0, Leaves::default()));
        let freed = process.be_holder();
        let visits = visitor.join().unwrap();
        assert_eq!(owner.join().unwrap() + visits + freed, process.total());
    });
}

/// A sender puts a block in; the visitor takes it out, or the owner after it.
#[test]
fn a_block_comes_out_once_by_visitor_or_owner() {
    explore(Some(2), || {
        let process = Process::new();
        let sender = spawn(&process, Process::put);
        let visitor = spawn(&process, |process| {
            let own = &process.own_gates[0];
            assert!(process.enter(own, gate::PUTTING));
            let mut taken = false;
            let mark = process.gate.mark(1);
            settle();
            if mark.is_some_and(|mark| process.gate.claim_marked(mark)) {
                let outside = process.gate.is_left();
                taken = outside && process.take();
                process.gate.dismiss(outside);
            }
            own.leave();
            taken
        });
        let owner = |process: &Process| {
            assert!(process.enter(&process.gate, gate::INSIDE));
            let taken = process.take();
            process.gate.leave();
            taken
        };
        let early = owner(&process);
        sender.join().unwrap();
        let visited = visitor.join().unwrap();
        let late = owner(&process);
        assert_eq!([early, visited, late].iter().filter(|&&one| one).count(), 1);
    });
}

/// A thread frees a block of another heap while a third one forks: then the block is in the inbox
/// with its link, or not at all.
fn forks_beside_a_free(purpose: usize) {
    explore(Some(3), move || {
        let process = Process::new();
        let other = spawn(&process, move |process| {
            if process.own_gates[0].try_enter(purpose) {
                process.put();
                process.own_gates[0].leave();
            }
        });
        process.be_forking(|| {
            let there = !process.inbox.is_empty();
            assert_eq!(process.take(), there, "the link is missing");
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

fn but(change: impl Fn(&mut Leaves)) -> Leaves {
    let mut leaves = Leaves::default();
    change(&mut leaves);
    leaves
}

fn with_a_careless_visitor(change: impl Fn(&mut Leaves)) {
    let leaves = but(change);
    explore(Some(3), move || {
        let process = Process::new();
        let owner = spawn(&process, Process::be_owner);
        process.be_visitor(0, leaves);
        owner.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_visitor_without_a_fence() {
    with_a_careless_visitor(|leaves| leaves.fence = true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_visitor_that_does_not_look() {
    with_a_careless_visitor(|leaves| leaves.look = true);
}

/// The second visit need not wait only if the first one has seen the owner outside.
#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_visitor_that_pretends_to_have_seen_the_owner_outside() {
    explore(Some(3), || {
        let process = Process::new();
        let owner = spawn(&process, Process::be_owner);
        process.be_visitor(0, but(|leaves| leaves.pretend = true));
        // Without the fence of its own gate, which is none on x86-64.
        process.be_visitor(0, but(|leaves| leaves.own_gate = true));
        owner.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_two_visitors_without_a_claim() {
    explore(Some(2), || {
        let process = Process::new();
        let other = spawn(&process, |process| {
            process.be_visitor(1, but(|leaves| leaves.claim = true))
        });
        process.be_visitor(0, but(|leaves| leaves.claim = true));
        other.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_guest_of_one_heap_that_does_not_wait_for_a_visitor() {
    explore(Some(3), || {
        let process = Process::new();
        let visitor = spawn(&process, |process| process.be_visitor(0, Leaves::default()));
        process.be_guest_of_one(false);
        visitor.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_fork_beside_a_visitor_outside_its_gate() {
    explore(Some(2), || {
        let process = Process::new();
        let visitor = spawn(&process, |process| {
            process.be_visitor(0, but(|leaves| leaves.own_gate = true))
        });
        process.be_forking(|| ());
        visitor.join().unwrap();
    });
}
