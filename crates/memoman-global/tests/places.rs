//! Blocks outside the calling thread's heap: of another thread's heap, of one without an owner, of
//! the process-wide instance.

mod support;

use core::ffi::{CStr, c_char, c_void};
use memoman_global::{self as heap, Memoman};
use std::ptr;
use std::sync::Mutex;
use std::thread;
use support::{errno, free, quietly};

/// Sizes within a thread heap's limit, with and without its cache.
const SIZES: [usize; 7] = [24, 40, 1000, 3000, 10_000, 30_000, 120_000];

/// With these variables the process-wide instance serves large blocks.
const RESERVED: [(&str, &str); 2] = [("MEMOMAN_RESERVE", "16M"), ("MEMOMAN_GROW", "0")];

fn usable(block: *mut u8) -> usize {
    // SAFETY: a live block, or one whose misuse is reported.
    unsafe { heap::usable_size(block) }
}

fn resized(block: *mut u8, bytes: usize) -> *mut u8 {
    // SAFETY: a live block, not used any more if it is resized.
    unsafe { heap::realloc(block, bytes) }
}

/// A block of `bytes` may have this many usable bytes: blocks are cut at a bin's edge, at most a
/// thirty-second beyond.
fn fits(usable: usize, bytes: usize) -> bool {
    (bytes..=bytes + bytes / 32 + 24).contains(&usable)
}

/// Fills a block with a pattern, by which [`holds`] recognises it after a move.
fn filled(block: *mut u8) -> *mut u8 {
    assert!(!block.is_null());
    for at in 0..usable(block) {
        // SAFETY: usable bytes of a live block.
        unsafe { block.add(at).write(at as u8) };
    }
    block
}

fn holds(block: *mut u8, bytes: usize) -> bool {
    // SAFETY: usable bytes of a live block.
    !block.is_null() && (0..bytes).all(|at| unsafe { block.add(at).read() } == at as u8)
}

/// Runs `work` on another thread with the address of a block.
fn on_another_thread<R: Send>(block: *mut u8, work: impl Fn(*mut u8) -> R + Send) -> R {
    let address = block.expose_provenance();
    let run = move || work(ptr::with_exposed_provenance_mut(address));
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

#[test]
fn another_threads_block_stays_in_place_while_it_is_half_full() {
    let name = "another_threads_block_stays_in_place_while_it_is_half_full";
    quietly(name, &[], || {
        for size in SIZES {
            let block = filled(heap::malloc(size));
            let have = usable(block);
            assert!(fits(have, size));
            on_another_thread(block, move |block| {
                // The thread has a heap of its own, which gets the moved block.
                free(heap::malloc(1));
                assert_eq!(usable(block), have);
                for bytes in [have, have / 2] {
                    assert_eq!(resized(block, bytes), block, "{have} {bytes}");
                }
                assert!(holds(block, have));
                let moved = resized(block, have / 2 - 1);
                assert!(moved != block && holds(moved, have / 2 - 1), "{have}");
                free(moved);
            });
            let block = filled(heap::malloc(size));
            on_another_thread(block, move |block| {
                let moved = resized(block, have + 1);
                assert!(moved != block && holds(moved, have), "{have}");
                free(moved);
            });
        }
        assert_eq!(heap::stats().live_blocks, 0);
        assert!(heap::validate());
    });
}

#[test]
fn blocks_of_a_thread_that_has_ended_are_freed_and_resized() {
    quietly(
        "blocks_of_a_thread_that_has_ended_are_freed_and_resized",
        &[],
        || {
            free(heap::malloc(1));
            let ended = || {
                let run = || SIZES.map(|size| filled(heap::malloc(size)).expose_provenance());
                thread::spawn(run).join().unwrap()
            };
            let blocks = ended().map(ptr::with_exposed_provenance_mut::<u8>);
            assert_eq!(heap::stats().live_blocks, blocks.len());
            for (size, block) in SIZES.into_iter().zip(blocks) {
                assert!(usable(block) >= size && holds(block, usable(block)));
                let moved = resized(block, 2 * size);
                assert!(moved != block && holds(moved, size));
                free(moved);
            }
            assert_eq!(heap::stats().live_blocks, 0);
            // One after the other; the last one empties the pool.
            for block in ended() {
                free(ptr::with_exposed_provenance_mut(block));
            }
            assert_eq!(heap::stats().live_blocks, 0);
            assert!(heap::validate());
        },
    );
}

#[test]
fn a_large_block_of_a_reserve_is_resized_in_place_or_moved() {
    let name = "a_large_block_of_a_reserve_is_resized_in_place_or_moved";
    quietly(name, &RESERVED, || {
        let block = filled(heap::malloc(300 << 10));
        assert!(fits(usable(block), 300 << 10));
        let larger = resized(block, 900 << 10);
        assert_eq!(larger, block, "only free memory follows it");
        assert!(holds(larger, 300 << 10) && usable(larger) >= 900 << 10);
        let smaller = resized(larger, 270 << 10);
        assert_eq!(smaller, block);
        assert!(fits(usable(smaller), 270 << 10));
        // With a block after it.
        let following = filled(heap::malloc(700 << 10));
        let moved = resized(smaller, 1200 << 10);
        assert!(moved != smaller && holds(moved, 270 << 10));
        assert!(holds(following, 700 << 10));
        assert_eq!(heap::stats().live_blocks, 2);
        // Refused: nothing changes but the count of refused requests.
        heap::set_errno(0);
        let before = heap::stats();
        assert!(resized(moved, usize::MAX / 4).is_null());
        assert_eq!(errno(), libc::ENOMEM);
        assert!(holds(moved, 270 << 10));
        let after = heap::stats();
        assert_eq!(after.failed_requests, before.failed_requests + 1);
        assert_eq!(
            (after.used, after.live_blocks),
            (before.used, before.live_blocks)
        );
        // Into the thread's heap.
        let small = resized(moved, 100);
        assert!(holds(small, 100));
        free(small);
        free(following);
        assert_eq!(heap::stats().live_blocks, 0);
        assert!(heap::validate());
    });
}

/// The misuse reported so far: message and address.
static REPORTS: Mutex<Vec<(&CStr, usize)>> = Mutex::new(Vec::new());

unsafe extern "C" fn note(message: *const c_char, address: *const c_void, _: *mut c_void) {
    // SAFETY: a message is a constant C string.
    let message: &'static CStr = unsafe { CStr::from_ptr(message) };
    REPORTS.lock().unwrap().push((message, address.addr()));
}

#[test]
fn misuse_of_blocks_outside_the_heap_is_reported_and_has_no_effect() {
    quietly(
        "misuse_of_blocks_outside_the_heap_is_reported_and_has_no_effect",
        &[],
        || {
            let reports = reports_from_here();
            for size in [1000, 100 << 10, 700 << 10] {
                let block = filled(heap::malloc(size));
                let have = usable(block);
                let before = heap::stats();
                let inside = |at| block.wrapping_add(at).expose_provenance();
                let places = [inside(8), inside(64), inside(16)];
                on_another_thread(block, move |block| {
                    free(heap::malloc(1));
                    for place in places {
                        let place = ptr::with_exposed_provenance_mut(place);
                        assert_eq!(usable(place), 0);
                        assert!(resized(place, 10).is_null());
                        free(place);
                    }
                    assert_eq!(usable(block), have);
                });
                // Three calls for each address, and each has reported it.
                let addresses: Vec<_> = reports().into_iter().map(|(_, address)| address).collect();
                let expected: Vec<_> = places.iter().flat_map(|&place| [place; 3]).collect();
                assert_eq!(addresses, expected);
                assert!(holds(block, have));
                assert_eq!(heap::stats().live_blocks, before.live_blocks);
                // Freed twice by the other thread, and once more by this thread.
                on_another_thread(block, |block| {
                    free(heap::malloc(1));
                    free(block);
                    assert!(REPORTS.lock().unwrap().is_empty());
                    free(block);
                    assert_eq!(usable(block), 0);
                });
                free(block);
                // (The other thread may have moved a large block from the inbox to this thread's
                // core, where it has merged.)
                let merged = c"not a live block (or its header is overwritten)";
                let found = reports();
                assert_eq!(found.len(), 3);
                for (message, address) in found {
                    let large = size > 32 << 10 && message == merged;
                    assert!(large || message == c"double free", "{size} {message:?}");
                    assert_eq!(address, block.addr());
                }
                assert_eq!(heap::stats().live_blocks, before.live_blocks - 1);
            }
            assert!(heap::validate());
        },
    );
}

/// Has misuse reported to [`note`] from here on; the returned function takes the reports.
fn reports_from_here() -> impl Fn() -> Vec<(&'static CStr, usize)> {
    let tlsf = heap::handle().unwrap();
    // SAFETY: the instance is live.
    unsafe { tlsf.set_misuse_handler(Some(note), ptr::null_mut()) };
    REPORTS.lock().unwrap().reserve(100);
    || REPORTS.lock().unwrap().drain(..).collect()
}

/// Runs `work` while a word at `distance` bytes from the block is changed.
fn with_smashed(
    block: *mut u8,
    distance: isize,
    value: impl Fn(usize) -> usize,
    work: impl FnOnce(),
) {
    let word: *mut usize = block.wrapping_offset(distance).cast();
    // SAFETY: a header, or a word of a block, restored below.
    unsafe {
        let sound = word.read();
        word.write(value(sound));
        work();
        word.write(sound);
    }
}

#[test]
fn another_threads_header_with_a_size_beyond_a_heaps_greatest_is_misuse() {
    let name = "another_threads_header_with_a_size_beyond_a_heaps_greatest_is_misuse";
    quietly(name, &[], || {
        let reports = reports_from_here();
        let block = filled(heap::malloc(1000));
        for bit in 19..30 {
            with_smashed(
                block,
                -8,
                |header| header ^ 1 << bit,
                || {
                    on_another_thread(block, |block| {
                        free(heap::malloc(1));
                        assert_eq!(usable(block), 0, "{bit}");
                        free(block);
                    });
                },
            );
            assert_eq!(reports().len(), 2, "{bit}");
        }
        assert_eq!(heap::stats().live_blocks, 1);
        free(block);
        assert!(reports().is_empty());
    });
}

#[test]
fn misuse_found_under_the_lock_is_reported_without_it() {
    let name = "misuse_found_under_the_lock_is_reported_without_it";
    quietly(name, &RESERVED, || {
        let reports = reports_from_here();
        free(heap::malloc(1));
        // Neighbours in the heap of a thread that has ended: the header between the first two.
        let run = || [(); 3].map(|()| heap::malloc(1000).expose_provenance());
        let [first, second, third] = thread::spawn(run).join().unwrap();
        let [first, second, third] =
            [first, second, third].map(ptr::with_exposed_provenance_mut::<u8>);
        with_smashed(second, -8, |_| 0, || free(first));
        let [(message, address)] = reports()[..] else {
            panic!("not reported once");
        };
        assert_eq!(
            (message, address),
            (c"header of the next block overwritten", first.addr())
        );
        assert_eq!(heap::stats().live_blocks, 3);
        // An allocation that finds an overwritten free block of the process-wide instance.
        let [large, guard] = [(); 2].map(|()| heap::malloc(300 << 10));
        free(large);
        with_smashed(
            large,
            -8,
            |_| 0,
            || {
                heap::set_errno(0);
                assert!(heap::malloc(300 << 10).is_null());
            },
        );
        assert_eq!(reports().len(), 1);
        assert_eq!(heap::malloc(300 << 10), large);
        [first, second, third, large, guard]
            .into_iter()
            .for_each(free);
        assert!(reports().is_empty());
        assert_eq!(heap::stats().live_blocks, 0);
        assert!(heap::validate());
    });
}

#[test]
fn large_blocks_count_as_allocations_and_for_the_peak() {
    let name = "large_blocks_count_as_allocations_and_for_the_peak";
    let end = support::alone(name, &[], || {
        let small = heap::malloc(1000);
        let large = heap::malloc(100 << 10);
        let stats = heap::stats();
        assert_eq!(stats.peak, stats.used);
        free(large);
        let lower = heap::stats();
        assert_eq!((lower.peak, lower.used < 2000), (stats.peak, true));
        let large = resized(heap::malloc(100 << 10), 150 << 10);
        assert!(heap::stats().peak > stats.peak);
        heap::print_table();
        free(large);
        free(small);
    });
    if let Some(end) = end {
        // Three allocations, and the block that realloc has resized.
        let first = end.stderr.lines().nth(1);
        assert_eq!(first, Some("memoman: allocations                   4"));
        assert_eq!(end.signal, None);
    }
}

#[test]
fn a_block_written_to_after_free_is_reported_and_not_handed_out() {
    let name = "a_block_written_to_after_free_is_reported_and_not_handed_out";
    quietly(name, &[], || {
        let reports = reports_from_here();
        for (word, size) in [(0, 100), (8, 200)] {
            // The cache makes room for blocks of this size with use.
            for _ in 0..10 {
                let blocks = [(); 20].map(|()| heap::malloc(size));
                blocks.into_iter().for_each(free);
            }
            let block = heap::malloc(size);
            free(block);
            with_smashed(
                block,
                word,
                |_| 1,
                || {
                    assert!(heap::malloc(size).is_null());
                    assert_eq!(reports(), [(c"free-list link overwritten", block.addr())]);
                    assert_ne!(heap::malloc(size), block);
                    // Another thread can stop this one: it is outside its gate.
                    thread::spawn(|| assert_eq!(heap::stats().failed_requests, 0))
                        .join()
                        .unwrap();
                },
            );
        }
    });
}

#[test]
fn the_block_freed_last_is_handed_out_first() {
    quietly("the_block_freed_last_is_handed_out_first", &[], || {
        for size in [24, 100, 400] {
            // The cache makes room for blocks of this size with use.
            for _ in 0..10 {
                let blocks = [(); 20].map(|()| heap::malloc(size));
                blocks.into_iter().for_each(free);
            }
            let blocks = [(); 5].map(|()| heap::malloc(size));
            blocks.into_iter().for_each(free);
            for block in blocks.into_iter().rev() {
                assert_eq!(heap::malloc(size), block);
            }
        }
    });
}

#[test]
fn the_rust_allocators_figures_are_the_heaps() {
    quietly("the_rust_allocators_figures_are_the_heaps", &[], || {
        let block = heap::malloc(200 << 10);
        assert_eq!(Memoman.stats(), heap::stats());
        assert_eq!(Memoman.stats().live_blocks, 1);
        assert!(Memoman.validate());
        // SAFETY: the header of a live block, restored below.
        unsafe {
            let header = block.cast::<usize>().sub(1);
            let old = header.replace(0);
            assert!(!Memoman.validate());
            header.write(old);
        }
        // The first one shows the shim that blocks of this size come again.
        free(heap::malloc(1500 << 10));
        let other = heap::malloc(1500 << 10);
        let pools = heap::stats().pool_bytes;
        free(other);
        assert_eq!(heap::stats().pool_bytes, pools, "kept");
        assert!(Memoman.trim());
        assert!(heap::stats().pool_bytes < pools);
        free(block);
    });
}
