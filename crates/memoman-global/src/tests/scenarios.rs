//! Threads and forks, each in a process of its own.

use super::support::{child_succeeds, free, quietly};
use crate::allocator::ALIGN;
use crate::imp;
use crate::process::heap::{LargeBlocks, try_with_heap};
use crate::process::segments::{self, Request, Served};
use crate::thread::cache::Cache;
use crate::thread::heap::ThreadHeap;
use crate::thread::{entry, idleness, lifetime};
use core::ptr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use std::vec::Vec;

const RESERVE: [(&str, &str); 2] = [("MEMOMAN_RESERVE", "8M"), ("MEMOMAN_GROW", "0")];

/// The settings are known as soon as the instance is: while its creation brings the reserve into
/// memory, another thread waits.
#[test]
fn settings_are_known_with_the_instance() {
    let name = "settings_are_known_with_the_instance";
    let large = [("MEMOMAN_RESERVE", "512M"), ("MEMOMAN_GROW", "0")];
    quietly(name, &large, || {
        static STARTED: AtomicBool = AtomicBool::new(false);
        let creator = thread::spawn(|| {
            STARTED.store(true, Ordering::Release);
            imp::malloc(1).addr()
        });
        while !STARTED.load(Ordering::Acquire) {
            thread::yield_now();
        }
        // (The reserve takes longer.)
        thread::sleep(Duration::from_millis(5));
        assert!(LargeBlocks::read().in_pools_only());
        assert_ne!(creator.join().unwrap(), 0);
    });
}

/// A segment that another thread has taken out of its heap, and not yet given back.
#[test]
fn a_refusal_waits_for_a_segment_on_its_way() {
    let name = "a_refusal_waits_for_a_segment_on_its_way";
    quietly(name, &RESERVE, || {
        static STAGE: Barrier = Barrier::new(2);
        static ASKED: AtomicBool = AtomicBool::new(false);
        const ROUNDS: usize = 10;
        // Too many for the cache.
        const BYTES: usize = 20_000;
        let other = thread::spawn(|| {
            for _ in 0..ROUNDS {
                let request = Request {
                    sizes: [64 << 10; 2],
                    align: ALIGN,
                    bytes: 100,
                };
                let serve = |state: &mut _, tlsf| segments::serve(state, tlsf, &request, true);
                let Ok(Some(Served::Segment(segment))) = try_with_heap(serve) else {
                    panic!("no segment");
                };
                STAGE.wait();
                while !ASKED.swap(false, Ordering::Acquire) {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_millis(1));
                // SAFETY: nothing uses it, and the thread has no heap.
                unsafe { segment.give_back() };
                STAGE.wait();
                STAGE.wait();
            }
        });
        let mut served = 0;
        for _ in 0..ROUNDS {
            STAGE.wait();
            let all = core::iter::from_fn(|| {
                let block = imp::malloc(BYTES);
                (!block.is_null()).then_some(block)
            });
            let mut blocks: Vec<_> = all.collect();
            ASKED.store(true, Ordering::Release);
            let block = imp::malloc(BYTES);
            served += usize::from(!block.is_null());
            STAGE.wait();
            blocks.push(block);
            blocks.into_iter().for_each(free);
            STAGE.wait();
        }
        other.join().unwrap();
        // (A thread that gets no processor for long loses.)
        assert!(served > 0, "refused in each of {ROUNDS} rounds");
        assert!(crate::validate());
    });
}

/// With `MEMOMAN_GROW=0` nothing goes back, so the cache stays.
#[test]
fn a_fixed_reserve_keeps_the_cache_as_its_use_falls() {
    let name = "a_fixed_reserve_keeps_the_cache_as_its_use_falls";
    quietly(name, &RESERVE, || {
        let take = |count, bytes| (0..count).map(|_| imp::malloc(bytes)).collect::<Vec<_>>();
        let others = take(2000, 1000);
        for _ in 0..20 {
            take(400, 100).into_iter().for_each(free);
        }
        let cached = || {
            let heap = lifetime::current().heap();
            // SAFETY: the calling thread's heap, inside its gate.
            unsafe {
                assert!(entry::enter(heap));
                let (_, blocks) = Cache::contents(ThreadHeap::cache(heap));
                ThreadHeap::leave(heap);
                blocks
            }
        };
        let before = cached();
        assert!(before > 100, "{before}");
        others.into_iter().for_each(free);
        assert!(cached() >= before, "{before} {}", cached());
    });
}

/// The child of a fork that has left a heap behind frees the blocks of that heap: they do not count
/// as waiting for an owner.
#[test]
fn blocks_of_a_heap_left_behind_wait_for_no_owner() {
    let name = "blocks_of_a_heap_left_behind_wait_for_no_owner";
    quietly(name, &[], || {
        static STAGE: Barrier = Barrier::new(2);
        free(imp::malloc(1));
        let owner = thread::spawn(|| {
            let blocks: Vec<_> = (0..4000)
                .map(|_| imp::malloc(4000).expose_provenance())
                .collect();
            let heap = lifetime::current().heap();
            // SAFETY: the calling thread's heap.
            unsafe {
                assert!(entry::enter(heap));
                STAGE.wait();
                ThreadHeap::leave(heap);
            }
            blocks
        });
        // The owner is inside, and stays there.
        thread::sleep(Duration::from_millis(100));
        let heaps = || (0..).map_while(crate::process::registry::nth);
        // SAFETY: heaps of the list; any thread may access the gate.
        while !heaps().any(|heap| unsafe { !(*heap).gate.is_left() }) {
            thread::sleep(Duration::from_millis(10));
        }
        let owned: Vec<_> = heaps()
            // SAFETY: as above.
            .filter(|&heap| unsafe { !(*heap).gate.is_left() })
            .collect();
        let core = owned[0];
        assert!(child_succeeds(|| {
            // SAFETY: as above.
            assert!(unsafe { (*core).gate.is_left_behind() });
            // SAFETY: the pools are read only, and the heap is not used any more.
            unsafe {
                let tlsf = ThreadHeap::tlsf(core);
                let mut next = tlsf.first_pool();
                let mut freed = 0;
                while let Some(pool) = next {
                    next = tlsf.next_pool(pool);
                    let mut blocks = Vec::new();
                    pool.walk(&mut |payload, size, used| {
                        if used && size > 3000 {
                            blocks.push(payload);
                        }
                    });
                    freed += blocks.len();
                    for block in blocks {
                        free(block.as_ptr());
                    }
                }
                // (A fork of the child leaves it as it is.)
                freed > 3000
                    && idleness::pending() < 1 << 20
                    && child_succeeds(|| true)
                    && crate::validate()
            }
        }));
        STAGE.wait();
        for block in owner.join().unwrap() {
            free(ptr::with_exposed_provenance_mut(block));
        }
    });
}

/// The first guest of a heap has every thread execute a barrier; the next ones, until the owner has
/// come, do not.
#[test]
fn trim_marks_the_gates_of_idle_threads() {
    let name = "trim_marks_the_gates_of_idle_threads";
    quietly(name, &[], || {
        let step = Barrier::new(2);
        let heap = || lifetime::current().heap().expose_provenance();
        let is_marked = |heap| {
            let heap: *mut ThreadHeap = ptr::with_exposed_provenance_mut(heap);
            // SAFETY: heaps are never given back; the lock is held.
            let marked = try_with_heap(|_, _| unsafe {
                let marked = (*heap).gate.close_marked();
                (*heap).gate.open(crate::thread::gate::GUEST);
                marked
            });
            marked.ok().flatten().unwrap()
        };
        thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let step = &step;
            scope.spawn(move || {
                free(imp::malloc(1));
                sender.send(heap()).unwrap();
                step.wait();
                free(imp::malloc(1));
                step.wait();
            });
            let theirs = receiver.recv().unwrap();
            let fresh = is_marked(theirs);
            let marked = [(); 2].map(|()| {
                crate::trim(0);
                is_marked(theirs)
            });
            step.wait();
            step.wait();
            let seen = (fresh, marked, is_marked(theirs));
            assert_eq!(seen, (false, [true, true], false));
        });
    });
}

/// A program that gives up privileges only: its threads pay for no fence before a guest comes.
#[test]
#[cfg(feature = "announced-threads")]
fn threads_after_the_announcement_of_a_filter_execute_no_fence() {
    let name = "threads_after_the_announcement_of_a_filter_execute_no_fence";
    quietly(name, &[], || {
        free(imp::malloc(1));
        crate::expect_filter();
        let is_first_demand = thread::spawn(|| {
            free(imp::malloc(1));
            // SAFETY: the calling thread's heap; any thread may access the gate.
            unsafe { (*lifetime::current().heap()).gate.demand_fence() }
        });
        assert!(is_first_demand.join().unwrap());
    });
}
