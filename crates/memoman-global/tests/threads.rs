//! Threads that start and end, and threads that examine the whole heap while others use theirs.

mod support;

use memoman_global as heap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, mpsc};
use std::time::{Duration, Instant};
use std::{ptr, thread};
use support::{child_succeeds, errno, free, pool_pages, quietly, status};

#[test]
fn threads_that_run_one_after_the_other_use_one_heap() {
    let name = "threads_that_run_one_after_the_other_use_one_heap";
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
fn a_thread_heaps_memory_goes_back_as_other_threads_free_its_blocks() {
    let name = "a_thread_heaps_memory_goes_back_as_other_threads_free_its_blocks";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let run = || {
            let block = || heap::malloc(1000).expose_provenance();
            (0..32_000).map(|_| block()).collect::<Vec<_>>()
        };
        // (By resident memory, not by the heap's own figures: summing these empties inboxes.)
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
        // (The cache holds some of the rest.)
        assert!(pool_pages() < most / 2, "{} of {most}", pool_pages());
    });
}

#[test]
fn figures_and_validation_find_each_thread_outside_its_heap() {
    let name = "figures_and_validation_find_each_thread_outside_its_heap";
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
        // This thread is nearly always on the fast path.
        let tight = || {
            while !DONE.load(Ordering::Relaxed) {
                let blocks = [(); 4].map(|()| heap::malloc(40));
                blocks.into_iter().for_each(free);
            }
        };
        let mut workers = vec![thread::spawn(tight)];
        workers.extend((1..3).map(|seed| thread::spawn(move || work(seed))));
        // (Fewer rounds on a busy machine.)
        let begun = Instant::now();
        for round in 0..2000 {
            if round > 50 && begun.elapsed() > Duration::from_secs(5) {
                break;
            }
            let stats = heap::stats();
            assert!(stats.overhead < stats.pool_bytes / 64);
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

#[test]
fn in_the_child_of_a_fork_new_threads_get_the_heaps_of_the_parents_threads() {
    let name = "in_the_child_of_a_fork_new_threads_get_the_heaps_of_the_parents_threads";
    quietly(name, &[], || {
        let own = heap::malloc(1000);
        free(own);
        let (send, receive) = mpsc::channel();
        let (done, wait) = mpsc::channel::<()>();
        let other = thread::spawn(move || {
            let block = heap::malloc(1000);
            free(block);
            send.send(block.addr()).unwrap();
            wait.recv().unwrap_err();
        });
        let others = receive.recv().unwrap();
        assert!(child_succeeds(|| {
            let life = || {
                let block = heap::malloc(1000);
                free(block);
                block.addr()
            };
            // At the same time, so that each thread has a heap of its own.
            let both = Barrier::new(2);
            let run = || {
                let address = life();
                both.wait();
                address
            };
            let [first, second] = thread::scope(|scope| {
                [scope.spawn(run), scope.spawn(run)].map(|thread| thread.join().unwrap())
            });
            (first == others) != (second == others)
                && first != own.addr()
                && second != own.addr()
                && life() == own.addr()
                && heap::validate()
                && heap::stats().live_blocks == 0
        }));
        drop(done);
        other.join().unwrap();
    });
}

#[test]
fn a_fork_before_the_first_use_does_not_create_the_heap() {
    let name = "a_fork_before_the_first_use_does_not_create_the_heap";
    quietly(name, &[], || {
        assert!(child_succeeds(|| {
            // SAFETY: the child has one thread.
            unsafe { std::env::set_var("MEMOMAN_GROW", "0") };
            heap::malloc(2 << 20).is_null()
        }));
        assert!(!heap::malloc(2 << 20).is_null());
    });
}

/// Figures stop the other threads by a barrier that each of them executes. (On other processors
/// each side executes a barrier itself.)
#[cfg(target_arch = "x86_64")]
mod barrier {
    use super::*;

    const QUERY: libc::c_long = 0;
    const PRIVATE_EXPEDITED: libc::c_long = 1 << 3;

    fn membarrier(command: libc::c_long) -> libc::c_long {
        // SAFETY: membarrier accesses no memory.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
    }

    /// The process has registered for such barriers.
    fn is_registered() -> bool {
        membarrier(PRIVATE_EXPEDITED) == 0
    }

    /// The system has such barriers. Without them, owners fence.
    fn exists() -> bool {
        membarrier(QUERY) > 0 && membarrier(QUERY) & PRIVATE_EXPEDITED != 0
    }

    /// Reads the figures while another thread has a heap.
    fn figures_beside_another_thread() {
        let (done, wait) = mpsc::channel::<()>();
        let (send, receive) = mpsc::channel();
        let other = thread::spawn(move || {
            free(heap::malloc(1));
            send.send(()).unwrap();
            wait.recv().unwrap_err();
        });
        receive.recv().unwrap();
        heap::set_errno(7);
        heap::stats();
        assert_eq!(errno(), 7);
        drop(done);
        other.join().unwrap();
    }

    #[test]
    fn the_barrier_is_registered_before_a_second_thread_exists() {
        quietly(
            "the_barrier_is_registered_before_a_second_thread_exists",
            &[],
            || {
                free(heap::malloc(1));
                assert_eq!(is_registered(), exists());
                figures_beside_another_thread();
            },
        );
    }

    #[test]
    fn a_child_forked_before_the_first_use_stops_its_threads_too() {
        let name = "a_child_forked_before_the_first_use_stops_its_threads_too";
        quietly(name, &[], || {
            assert!(child_succeeds(|| {
                figures_beside_another_thread();
                is_registered() == exists()
            }));
        });
    }
}

#[test]
fn memory_free_in_other_threads_heaps_serves_before_a_request_is_refused() {
    let name = "memory_free_in_other_threads_heaps_serves_before_a_request_is_refused";
    quietly(name, &[("MEMOMAN_GROW", "0")], || {
        let (done, wait) = mpsc::channel::<()>();
        let (send, receive) = mpsc::channel();
        let other = thread::spawn(move || {
            for _ in 0..2 {
                let blocks: Vec<_> = (0..7000).map(|_| heap::malloc(100)).collect();
                assert!(blocks.iter().all(|block| !block.is_null()));
                blocks.into_iter().for_each(free);
            }
            send.send(()).unwrap();
            wait.recv().unwrap_err();
        });
        receive.recv().unwrap();
        // Larger than what the other thread's cache, inbox and spare segment would leave.
        let block = heap::malloc(1010 << 10);
        assert!(!block.is_null());
        assert_eq!(heap::stats().failed_requests, 0);
        free(block);
        drop(done);
        other.join().unwrap();
    });
}

#[test]
fn idle_heaps_keep_two_mib_of_segments() {
    let name = "idle_heaps_keep_two_mib_of_segments";
    quietly(name, &[], || {
        free(heap::malloc(1));
        // Each keeps a segment when all its blocks are freed; they end one after the other. (With a
        // second segment, the threads would sweep each other's heaps.)
        let threads: Vec<_> = (0..40)
            .map(|_| {
                let (end, wait) = mpsc::channel::<()>();
                let (send, receive) = mpsc::channel();
                let thread = thread::spawn(move || {
                    let blocks: Vec<_> = (0..50).map(|_| heap::malloc(1000)).collect();
                    blocks.into_iter().for_each(free);
                    send.send(()).unwrap();
                    wait.recv().unwrap_err();
                });
                receive.recv().unwrap();
                (thread, end)
            })
            .collect();
        // Each segment has some overhead, in whichever heap.
        let overhead = || heap::stats().overhead;
        let mut before = overhead();
        let mut kept = Vec::new();
        for (thread, end) in threads {
            drop(end);
            thread.join().unwrap();
            let after = overhead();
            assert!(after <= before);
            kept.push(after == before);
            before = after;
        }
        // Of a little less than 64 KiB, and the room of the cache.
        let many = kept.iter().take_while(|kept| **kept).count();
        assert!((16..=33).contains(&many), "{kept:?}");
        assert!(kept[many..].iter().all(|kept| !kept), "{kept:?}");
        assert!(heap::validate());
    });
}

#[test]
fn the_largest_block_is_the_calling_threads() {
    let name = "the_largest_block_is_the_calling_threads";
    quietly(name, &[("MEMOMAN_GROW", "0")], || {
        let kept = heap::malloc(1000);
        let (done, wait) = mpsc::channel::<()>();
        let (send, receive) = mpsc::channel();
        let other = thread::spawn(move || {
            // Two thirds of its segment.
            let block = [(); 2].map(|()| heap::malloc(20 << 10));
            send.send(()).unwrap();
            wait.recv().unwrap_err();
            let largest = heap::stats().largest;
            block.into_iter().for_each(free);
            largest
        });
        receive.recv().unwrap();
        // Until the process-wide instance has no block of that size left.
        while !heap::malloc(33 << 10).is_null() {}
        let own = heap::stats().largest;
        drop(done);
        let others = other.join().unwrap();
        assert!(own > others, "{own} {others}");
        assert!(!heap::malloc(own).is_null());
        free(kept);
    });
}

#[test]
fn the_threads_own_cached_blocks_serve_before_a_request_is_refused() {
    let name = "the_threads_own_cached_blocks_serve_before_a_request_is_refused";
    quietly(name, &[("MEMOMAN_GROW", "0")], || {
        // The cache makes room for blocks of this size with use.
        for _ in 0..40 {
            let blocks = [(); 60].map(|()| heap::malloc(100));
            blocks.into_iter().for_each(free);
        }
        let mut blocks = Vec::with_capacity(10_000);
        loop {
            let block = heap::malloc(100);
            if block.is_null() {
                break;
            }
            blocks.push(block);
        }
        while !heap::malloc(4500).is_null() {}
        blocks.drain(1000..1060).for_each(free);
        // They are in the cache, so the core has none of them; it gets half of them first.
        assert!(heap::stats().largest < 1000);
        assert!(!heap::malloc(4500).is_null());
        assert_eq!(heap::stats().failed_requests, 2);
    });
}
