//! The outbox under loom: a thread that frees blocks of another heap, the owner that takes them, a
//! visitor that sends what waits, and a fork, in every interleaving. Outbox and links lie in cells
//! in which loom reports two accesses that are not ordered.
//! `RUSTFLAGS="--cfg loom" cargo test -p memoman-global --test outbox_model`
#![cfg(loom)]
#![allow(
    dead_code,
    unused_imports,
    reason = "the model uses a part of each source"
)]

#[path = "model/explore.rs"]
mod explore;
#[path = "../src/thread/gate.rs"]
mod gate;
#[path = "../src/thread/inbox.rs"]
mod inbox;
#[path = "../src/thread/outbox.rs"]
mod outbox;
#[path = "model/sync.rs"]
mod sync;

/// The path by which the library's sources import `sync`.
mod system {
    pub(crate) use crate::sync;
}

use explore::explore;
use gate::Gate;
use inbox::{Inbox, Taken};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use outbox::{Chain, Outbox};
use sync::{AtomicUsize, Ordering, fence};

const KEY: usize = 1 << (usize::BITS - 1) | 5;
const OWNER: usize = 64;
const QUANTA: usize = 2;
const BLOCKS: usize = 2;

/// A block: its third word, and its first one.
struct Block {
    node: AtomicUsize,
    link: UnsafeCell<usize>,
}

/// What a thread leaves out, for the tests that the model notices it.
#[derive(Clone, Copy, Default)]
struct Leaves {
    /// The visitor does not look whether the thread is inside.
    look: bool,
    /// The visitor does not wait until the mark is settled.
    fence: bool,
    /// A chain goes in before the way to its first block is written.
    back_link: bool,
    /// The thread that frees enters its gate as for a call of its own.
    notice: bool,
}

/// A thread's gate and outbox, a visitor's gate, and the inbox of the heap whose blocks are freed.
struct Process {
    gate: Gate,
    outbox: UnsafeCell<Outbox>,
    visitor: Gate,
    inbox: Inbox,
    blocks: [Block; BLOCKS],
    leaves: Leaves,
}

// SAFETY: these tests are to show that the gates keep threads apart.
unsafe impl Sync for Process {}
// SAFETY: loom runs its threads one at a time, on one thread of the system.
unsafe impl Send for Process {}

impl Process {
    fn new(leaves: Leaves) -> Arc<Process> {
        Arc::new(Process {
            gate: Gate::new(),
            outbox: UnsafeCell::new(Outbox::new()),
            visitor: Gate::new(),
            inbox: Inbox::new(),
            blocks: core::array::from_fn(|_| Block {
                node: AtomicUsize::new(77),
                link: UnsafeCell::new(0),
            }),
            leaves,
        })
    }

    fn address(&self, index: usize) -> usize {
        (&raw const self.blocks[index].node).expose_provenance()
    }

    fn index(&self, address: usize) -> Option<usize> {
        (0..BLOCKS).find(|&index| self.address(index) == address)
    }

    fn write(&self, block: usize, link: usize) {
        let block = &self.blocks[self.index(block).unwrap()];
        // SAFETY: loom fails the test if another thread accesses the word meanwhile.
        block.link.with_mut(|word| unsafe { *word = link });
    }

    fn read(&self, block: usize) -> usize {
        let block = &self.blocks[self.index(block).unwrap()];
        // SAFETY: loom fails the test if another thread writes the word meanwhile.
        block.link.with(|word| unsafe { *word })
    }

    /// As in `chains.rs`.
    fn deliver(&self, chain: Chain) {
        if !self.leaves.back_link {
            self.write(chain.last, chain.first);
        }
        // SAFETY: each block is put in once, and lives as long as the model.
        unsafe { self.inbox.put(chain.last, KEY) };
        if self.leaves.back_link {
            self.write(chain.last, chain.first);
        }
    }

    /// As `remote::free`, by the thread whose outbox it is. False while another thread forks.
    fn free(&self, index: usize) -> bool {
        let purpose = if self.leaves.notice {
            gate::INSIDE
        } else {
            gate::PUTTING
        };
        while !self.gate.try_enter(purpose) && self.gate.enter(purpose).is_err() {
            if self.gate.has_guest() {
                return false;
            }
            thread::yield_now();
        }
        let block = self.address(index);
        // SAFETY: loom fails the test if another thread accesses the outbox meanwhile.
        self.outbox.with_mut(|outbox| unsafe {
            let link = |block, next| self.write(block, next);
            if !(*outbox).add(OWNER, QUANTA, block, link) {
                assert!((*outbox).open(OWNER, QUANTA, block).is_none());
            }
        });
        self.gate.leave();
        true
    }

    /// As `ThreadHeap::send_all`, by a thread that is in the heap.
    fn send_all(&self) {
        // SAFETY: loom fails the test if another thread accesses the outbox meanwhile.
        self.outbox
            .with_mut(|outbox| unsafe { (*outbox).empty(|chain| self.deliver(chain)) });
    }

    /// The thread ends, as in `reclaim::settle`.
    fn end(&self) {
        while !self.gate.try_enter(gate::PUTTING) && self.gate.enter(gate::PUTTING).is_err() {
            thread::yield_now();
        }
        self.send_all();
        self.gate.leave();
    }

    /// One visit, as in `reclaim.rs`.
    fn visit(&self) {
        if !self.visitor.try_enter(gate::PUTTING) {
            return;
        }
        let mark = self.gate.mark(1);
        if !self.leaves.fence {
            // It stands for the time until the mark is settled.
            fence(Ordering::SeqCst);
        }
        if mark.is_some_and(|mark| self.gate.claim_marked(mark)) {
            let outside = self.leaves.look || self.gate.is_left();
            if outside {
                self.send_all();
            }
            self.gate.dismiss(outside);
        }
        self.visitor.leave();
    }

    /// The owner takes chains out until there is none, and follows each to its end.
    fn take_all(&self, taken: &mut Vec<usize>) {
        let belongs = |address| self.index(address).is_some();
        // SAFETY: one thread takes out.
        while let Taken::Block(last) = unsafe { self.inbox.take(KEY, belongs) } {
            let mut block = self.read(last);
            taken.push(self.index(block).unwrap());
            while block != last {
                block = self.read(block);
                taken.push(self.index(block).unwrap());
            }
        }
    }

    /// What the child of a fork finds: the blocks that wait and those that have come.
    fn fork(&self) -> Vec<usize> {
        let gates = [&self.gate, &self.visitor];
        gates.iter().for_each(|gate| gate.close(gate::FORK));
        assert!(gate::closed_all());
        for gate in gates {
            while !gate.is_left() && !gate.leave_behind() {
                thread::yield_now();
            }
        }
        let mut taken = Vec::new();
        self.send_all();
        self.take_all(&mut taken);
        gates.iter().for_each(|gate| gate.take_along());
        gates.iter().for_each(|gate| gate.open(gate::FORK));
        taken
    }
}

fn spawn<R: 'static>(
    process: &Arc<Process>,
    work: impl FnOnce(&Process) -> R + 'static,
) -> thread::JoinHandle<R> {
    let process = Arc::clone(process);
    thread::spawn(move || work(&process))
}

fn sends_while_the_owner_takes(leaves: Leaves) {
    explore(None, move || {
        let process = Process::new(leaves);
        let other = spawn(&process, |process| {
            assert!(process.free(0) && process.free(1));
            process.end();
        });
        let mut taken = Vec::new();
        process.take_all(&mut taken);
        other.join().unwrap();
        process.take_all(&mut taken);
        assert_eq!(taken, [1, 0], "a chain arrives as it is, and once");
    });
}

#[test]
fn a_chain_arrives_whole() {
    sends_while_the_owner_takes(Leaves::default());
}

fn is_visited(leaves: Leaves) {
    explore(Some(3), move || {
        let process = Process::new(leaves);
        let other = spawn(&process, |process| {
            assert!(process.free(0) && process.free(1));
        });
        process.visit();
        let mut taken = Vec::new();
        process.take_all(&mut taken);
        other.join().unwrap();
        process.end();
        process.take_all(&mut taken);
        taken.sort_unstable();
        assert_eq!(taken, [0, 1], "each block arrives, and once");
    });
}

#[test]
fn a_visitor_sends_what_waits_and_no_block_twice() {
    is_visited(Leaves::default());
}

/// In the child each block that was freed before the fork waits or has come, with its links.
fn is_forked(leaves: Leaves) {
    explore(Some(2), move || {
        let process = Process::new(leaves);
        let other = spawn(&process, |process| {
            usize::from(process.free(0)) + usize::from(process.free(1))
        });
        let mut taken = process.fork();
        let freed = other.join().unwrap();
        process.end();
        process.take_all(&mut taken);
        assert_eq!(taken.len(), freed, "each block arrives, and once");
    });
}

#[test]
fn a_fork_finds_each_block_waiting_or_sent() {
    is_forked(Leaves::default());
}

/// A visitor sends while a thread forks: the fork waits for it.
#[test]
fn a_fork_waits_for_a_visitor_that_sends() {
    explore(Some(3), || {
        let process = Process::new(Leaves::default());
        assert!(process.free(0) && process.free(1));
        let visitor = spawn(&process, Process::visit);
        let taken = process.fork();
        assert_eq!(taken, [1, 0]);
        visitor.join().unwrap();
    });
}

// The model reports the faults that it is there to find.

fn but(change: impl Fn(&mut Leaves)) -> Leaves {
    let mut leaves = Leaves::default();
    change(&mut leaves);
    leaves
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_visitor_that_does_not_look() {
    is_visited(but(|leaves| leaves.look = true));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_chain_that_goes_in_before_its_words_are_written() {
    sends_while_the_owner_takes(but(|leaves| leaves.back_link = true));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_fork_in_the_middle_of_a_free() {
    is_forked(but(|leaves| leaves.notice = true));
}
