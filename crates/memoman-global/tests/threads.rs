//! Threads that come and go, and threads that look at the heap while others use theirs.

mod support;

use memoman_global as heap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{ptr, thread};
use support::{free, pool_pages, quietly, status};

#[test]
fn threads_that_come_one_after_the_other_go_on_with_one_heap() {
    let name = "threads_that_come_one_after_the_other_go_on_with_one_heap";
    quietly(name, &[], || {
        let life = || {
            let block = heap::malloc(1000);
            free(block);
            block.addr()
        };
        let first = thread::spawn(life).join().unwrap();
        for _ in 0..100 {
            assert_eq!(thread::spawn(life).join().unwrap(), first);
        }
        assert_eq!(pool_pages(), 16);
    });
}

#[test]
fn what_a_thread_leaves_goes_back_to_the_system_as_others_free_it() {
    let name = "what_a_thread_leaves_goes_back_to_the_system_as_others_free_it";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let run = || {
            let block = || heap::malloc(1000).expose_provenance();
            (0..32_000).map(|_| block()).collect::<Vec<_>>()
        };
        // (In memory, not by the heap's own figures: to sum those up empties inboxes.)
        let before = status("VmRSS:");
        let blocks = thread::spawn(run).join().unwrap();
        assert!(status("VmRSS:") > before + (24 << 10));
        for block in blocks {
            free(ptr::with_exposed_provenance_mut(block));
        }
        let after = status("VmRSS:");
        assert!(after < before + (12 << 10), "{before} {after}");
        assert_eq!(heap::stats().live_blocks, 0);
        assert!(heap::validate());
    });
}

#[test]
fn empty_segments_go_back_while_their_thread_lives() {
    let name = "empty_segments_go_back_while_their_thread_lives";
    quietly(name, &[], || {
        let blocks: Vec<_> = (0..32_000).map(|_| heap::malloc(1000)).collect();
        let most = pool_pages();
        blocks.into_iter().for_each(free);
        // (The cache has some of the rest.)
        assert!(pool_pages() < most / 2, "{} of {most}", pool_pages());
    });
}

#[test]
fn whoever_looks_at_the_whole_heap_finds_each_thread_outside_of_its_own() {
    let name = "whoever_looks_at_the_whole_heap_finds_each_thread_outside_of_its_own";
    quietly(name, &[], || {
        static DONE: AtomicBool = AtomicBool::new(false);
        let work = |mut number: usize| {
            let mut blocks = [ptr::null_mut::<u8>(); 64];
            let mut turn = 0;
            while turn < 1000 || !DONE.load(Ordering::Relaxed) {
                number = number.wrapping_mul(0x5851_F42D).wrapping_add(turn);
                let block = &mut blocks[number >> 5 & 63];
                free(*block);
                *block = heap::malloc(number >> 11 & 0x1FF);
                assert!(!block.is_null());
                turn += 1;
            }
            blocks.into_iter().for_each(free);
        };
        let workers: Vec<_> = (1..4)
            .map(|seed| thread::spawn(move || work(seed)))
            .collect();
        for _ in 0..2000 {
            let stats = heap::stats();
            assert!(stats.used + stats.free <= stats.pool_bytes);
            assert!(stats.live_blocks <= 3 * 64);
            assert!(heap::validate());
        }
        DONE.store(true, Ordering::Relaxed);
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
        assert_eq!(heap::stats().live_blocks, 0);
        assert_eq!(heap::stats().used, 0);
        assert!(heap::validate());
    });
}
