//! Blocks that wait in the outbox of a thread that sleeps: they are free for every call that has to
//! know, and go to their owner.

#![cfg(not(memoman_debug))]

mod support;

use memoman_global as heap;
use std::collections::HashSet;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use support::{alone, child_succeeds, free, quietly};

const BYTES: usize = 200;
/// Fewer than a chain has.
const FREED: usize = 3;

fn block(address: usize) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address)
}

fn allocate(count: usize) -> Vec<usize> {
    let blocks: Vec<_> = (0..count).map(|_| heap::malloc(BYTES)).collect();
    assert!(blocks.iter().all(|block| !block.is_null()));
    blocks
        .into_iter()
        .map(<*mut u8>::expose_provenance)
        .collect()
}

/// A thread that has a heap, frees blocks that it gets, and sleeps between two calls.
struct Other {
    blocks: Sender<Vec<usize>>,
    done: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Other {
    fn new() -> Other {
        let (blocks, receive) = mpsc::channel::<Vec<usize>>();
        let (send, done) = mpsc::channel();
        let thread = thread::spawn(move || {
            free(heap::malloc(BYTES));
            while let Ok(blocks) = receive.recv() {
                blocks.into_iter().for_each(|address| free(block(address)));
                send.send(()).unwrap();
            }
        });
        Other {
            blocks,
            done,
            thread,
        }
    }

    fn free(&self, blocks: &[usize]) {
        self.blocks.send(blocks.to_vec()).unwrap();
        self.done.recv().unwrap();
    }

    fn end(self) {
        drop(self.blocks);
        self.thread.join().unwrap();
    }
}

fn live() -> usize {
    heap::stats().live_blocks
}

#[test]
fn the_figures_count_what_waits_as_free() {
    let name = "the_figures_count_what_waits_as_free";
    quietly(name, &[], || {
        let other = Other::new();
        let blocks = allocate(10 + FREED);
        let before = heap::stats();
        other.free(&blocks[..FREED]);
        let after = heap::stats();
        assert_eq!(after.live_blocks, before.live_blocks - FREED);
        // (A block has 208 usable bytes, and a header.)
        assert!(after.used <= before.used - FREED * BYTES);
        assert!(heap::validate());
        other.free(&blocks[FREED..]);
        heap::trim(0);
        assert_eq!(live(), before.live_blocks - blocks.len());
        other.end();
    });
}

#[test]
fn what_waits_goes_to_its_owner_at_the_threads_end() {
    let name = "what_waits_goes_to_its_owner_at_the_threads_end";
    quietly(name, &[], || {
        let other = Other::new();
        let blocks = allocate(100);
        other.free(&blocks[..FREED]);
        other.end();
        // (The first ones may come from the cache and the core.)
        let again: HashSet<_> = allocate(1000).into_iter().collect();
        assert!(blocks[..FREED].iter().all(|block| again.contains(block)));
    });
}

/// Gets and gives back segments: with each one it looks at another heap.
fn look_at_others() {
    let blocks: Vec<_> = (0..100).map(|_| heap::malloc(20_000)).collect();
    blocks.into_iter().for_each(free);
}

#[test]
fn a_visitor_sends_what_a_sleeping_thread_has_freed() {
    let name = "a_visitor_sends_what_a_sleeping_thread_has_freed";
    quietly(name, &[], || {
        let other = Other::new();
        let blocks = allocate(100);
        other.free(&blocks[..FREED]);
        let mut again = HashSet::new();
        let begun = Instant::now();
        while !blocks[..FREED].iter().all(|block| again.contains(block)) {
            assert!(begun.elapsed() < Duration::from_secs(15), "it still waits");
            look_at_others();
            again.extend(allocate(100));
        }
        other.end();
    });
}

/// Everything is taken; what another thread then frees and keeps waiting is found.
#[test]
fn what_waits_serves_before_a_request_is_refused() {
    let name = "what_waits_serves_before_a_request_is_refused";
    let variables = [("MEMOMAN_GROW", "0"), ("MEMOMAN_RESERVE", "1M")];
    quietly(name, &variables, || {
        let other = Other::new();
        let blocks: Vec<_> = core::iter::from_fn(|| {
            let block = heap::malloc(BYTES).expose_provenance();
            (block != 0).then_some(block)
        })
        .collect();
        // The first ones, which are of this thread's heap.
        let mut freed = blocks[..FREED].to_vec();
        freed.sort_unstable();
        other.free(&freed);
        let mut again = allocate(FREED);
        again.sort_unstable();
        assert_eq!(again, freed);
        other.end();
    });
}

#[test]
fn the_child_of_a_fork_finds_what_waits() {
    let name = "the_child_of_a_fork_finds_what_waits";
    quietly(name, &[], || {
        let other = Other::new();
        let blocks = allocate(10 + FREED);
        let before = live();
        other.free(&blocks[..FREED]);
        assert!(child_succeeds(|| {
            let right = live() == before - FREED && heap::validate();
            blocks[FREED..]
                .iter()
                .for_each(|&address| free(block(address)));
            right && live() == before - blocks.len()
        }));
        assert_eq!(live(), before - FREED);
        other.end();
    });
}

#[test]
fn a_second_free_by_the_owner_is_reported() {
    reported("a_second_free_by_the_owner_is_reported", || {
        let (other, blocks) = waiting();
        free(block(blocks[0]));
        other.end();
    });
}

#[test]
fn a_second_free_by_a_third_thread_is_reported() {
    reported("a_second_free_by_a_third_thread_is_reported", || {
        let (other, blocks) = waiting();
        Other::new().free(&blocks[..1]);
        other.end();
    });
}

#[test]
fn the_size_of_what_waits_is_reported_as_misuse() {
    reported("the_size_of_what_waits_is_reported_as_misuse", || {
        let (other, blocks) = waiting();
        // SAFETY: misuse, which the heap reports.
        unsafe { heap::usable_size(block(blocks[0])) };
        other.end();
    });
}

fn waiting() -> (Other, Vec<usize>) {
    let other = Other::new();
    let blocks = allocate(100);
    other.free(&blocks[..FREED]);
    (other, blocks)
}

fn reported(name: &str, body: fn()) {
    if let Some(end) = alone(name, &[], body) {
        assert_eq!(end.signal, Some(libc::SIGABRT));
        assert!(end.stderr.contains("double free"), "{}", end.stderr);
    }
}
