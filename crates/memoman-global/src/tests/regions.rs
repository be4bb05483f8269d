//! Regions of the process-wide instance: their sizes, the spares, trimming. The instance's own
//! blocks show them, as a thread without a heap gets them.

use super::support::{PAGE, pool_pages, quietly};
use crate as heap;
use crate::allocator::ALIGN;
use crate::process::heap::{age, with_heap};
use crate::process::map::UNIT;
use crate::process::pages::Listed;
use crate::process::segments::{Request, Served};
use crate::process::{large, registry, supply};
use crate::thread::heap::ThreadHeap;
use crate::thread::lifetime;
use core::ptr::NonNull;
use std::vec::Vec;

/// What the instance adds to a request when it grows: four quanta and a header.
const SLACK: usize = 4 * 16 + 8;
const MIB: usize = 1 << 20;

fn allocated(align: usize, bytes: usize) -> *mut u8 {
    let request = Request {
        sizes: [0; 2],
        align,
        bytes,
    };
    match supply::from_instance(&request) {
        Served::Block(block) => block.as_ptr(),
        _ => panic!("no block"),
    }
}

fn malloc(bytes: usize) -> *mut u8 {
    allocated(ALIGN, bytes)
}

fn free(block: *mut u8) {
    // SAFETY: a live block of the instance, which the caller does not use any more.
    unsafe { large::free(NonNull::new(block).unwrap()) };
}

#[test]
fn a_large_request_gets_a_region_that_fits() {
    quietly("a_large_request_gets_a_region_that_fits", &[], || {
        let full = malloc(MIB - 4096);
        assert_eq!(pool_pages(), 16);
        // One byte more, and the request gets a region of its own instead of an ordinary one.
        let large = (256 << 10) - SLACK;
        assert!(!malloc(large).is_null());
        assert_eq!(pool_pages(), 16 + 5);
        assert!(!malloc(large - 1).is_null());
        assert_eq!(pool_pages(), 16 + 5 + 16);
        // Header, pool overhead and rounding count: 2 MiB need one page more.
        assert!(!malloc(2 * MIB).is_null());
        assert_eq!(pool_pages(), 37 + 33);
        // A request that just fills its pages.
        assert!(!malloc(2 * MIB - SLACK - 56).is_null());
        assert_eq!(pool_pages(), 70 + 32);
        assert!(!malloc(2 * MIB - SLACK - 55).is_null());
        assert_eq!(pool_pages(), 102 + 33);
        assert_eq!(heap::stats().failed_requests, 0);
        assert!(heap::validate());
        free(full);
    });
}

#[test]
fn a_great_heap_keeps_a_part_in_at_most_sixteen_spares() {
    quietly(
        "a_great_heap_keeps_a_part_in_at_most_sixteen_spares",
        &[],
        || {
            let full = malloc(MIB - 4096);
            let great = malloc(240 * MIB);
            let all = pool_pages();
            let blocks: Vec<_> = (0..20).map(|_| malloc(300 << 10)).collect();
            for &block in &blocks {
                free(block);
            }
            assert_eq!(pool_pages(), all + 16 * 5);
            // Used again and emptied in another order, still sixteen are kept.
            for _ in 0..3 {
                let blocks: Vec<_> = (0..20).map(|_| malloc(300 << 10)).collect();
                for &block in blocks.iter().rev() {
                    free(block);
                }
                assert_eq!(pool_pages(), all + 16 * 5);
            }
            assert!(heap::trim(0));
            assert_eq!(pool_pages(), all);
            // All sixteen places are free again.
            let blocks: Vec<_> = (0..20).map(|_| malloc(300 << 10)).collect();
            for &block in &blocks {
                free(block);
            }
            assert_eq!(pool_pages(), all + 16 * 5);
            free(great);
            free(full);
            assert!(heap::validate());
        },
    );
}

#[test]
fn a_region_larger_than_the_greatest_bound_does_not_raise_it() {
    let name = "a_region_larger_than_the_greatest_bound_does_not_raise_it";
    quietly(name, &[], || {
        let great = malloc(20 * MIB);
        let low = pool_pages();
        for _ in 0..4 {
            free(malloc(33 * MIB));
            assert_eq!(pool_pages(), low);
        }
        // The bound is still 2 MiB, too little for this region.
        free(malloc(2 * MIB));
        assert_eq!(pool_pages(), low);
        free(great);
    });
}

#[test]
fn a_region_that_was_outgrown_is_not_kept() {
    quietly("a_region_that_was_outgrown_is_not_kept", &[], || {
        let great = malloc(40 * MIB);
        let low = pool_pages();
        // No region unmapped before could have served the next request.
        for mib in 3..12 {
            free(malloc(mib * MIB));
            assert_eq!(pool_pages(), low, "{mib}");
        }
        // The last one could have served this request, so the bound is 4 MiB, and this region is
        // kept.
        free(malloc(3 * MIB));
        assert_eq!(pool_pages(), low + 49);
        free(great);
    });
}

#[test]
fn an_aligned_request_gets_room_for_its_gap() {
    quietly("an_aligned_request_gets_room_for_its_gap", &[], || {
        for align in [64 << 10, MIB, 4 * MIB] {
            for bytes in [1, 1000, MIB] {
                let before = pool_pages();
                let block = allocated(align, bytes);
                assert!(!block.is_null());
                assert_eq!(block.addr() % align, 0);
                // No more than the alignment and the request need, each rounded up.
                let most = (align + bytes) / PAGE + 3;
                assert!(pool_pages() - before <= most.max(16));
            }
        }
        assert_eq!(heap::stats().failed_requests, 0);
        assert!(heap::validate());
    });
}

#[test]
fn a_thirty_second_of_all_may_be_one_spare() {
    quietly("a_thirty_second_of_all_may_be_one_spare", &[], || {
        let great = malloc(240 * MIB);
        let all = pool_pages();
        // A thirty-first of the rest is a thirty-second of all.
        let pages = all / 31;
        let block = malloc(pages * PAGE - SLACK - 56);
        assert_eq!(pool_pages(), all + pages);
        free(block);
        assert_eq!(pool_pages(), all + pages);
        assert!(heap::trim(0));
        assert_eq!(pool_pages(), all);
        let block = malloc((pages + 1) * PAGE - SLACK - 56);
        assert_eq!(pool_pages(), all + pages + 1);
        free(block);
        assert_eq!(pool_pages(), all);
        free(great);
    });
}

#[test]
fn an_emptied_region_is_spared_up_to_two_mebibytes() {
    quietly(
        "an_emptied_region_is_spared_up_to_two_mebibytes",
        &[],
        || {
            free(malloc(100));
            assert_eq!(pool_pages(), 16);
            // Exactly 2 MiB may be kept.
            let fits = 2 * MIB - SLACK - 56;
            for _ in 0..3 {
                free(malloc(fits));
                assert_eq!(pool_pages(), 16 + 32);
            }
            // A second one beside it goes back at once.
            let block = malloc(2 * MIB);
            assert_eq!(pool_pages(), 16 + 32 + 33);
            free(block);
            assert_eq!(pool_pages(), 16 + 32);
            // The spare serves again, is full, and counts as a spare again when it is emptied.
            let block = malloc(fits);
            assert_eq!(pool_pages(), 16 + 32);
            let other = malloc(MIB);
            assert_eq!(pool_pages(), 16 + 32 + 17);
            free(other);
            assert_eq!(
                pool_pages(),
                16 + 32 + 17,
                "the first one is no spare while it is in use"
            );
            // The last request could have been served by the region that went back.
            free(block);
            assert_eq!(pool_pages(), 16 + 32 + 17, "the bound has doubled");
            assert!(heap::validate());
        },
    );
}

#[test]
fn small_spares_add_up_to_two_mebibytes() {
    quietly("small_spares_add_up_to_two_mebibytes", &[], || {
        let full = malloc(MIB - 4096);
        // Each has a region of five pages; 32 pages hold six of them.
        let blocks: Vec<_> = (0..10).map(|_| malloc(300 << 10)).collect();
        assert_eq!(pool_pages(), 16 + 10 * 5);
        for (index, &block) in blocks.iter().enumerate() {
            free(block);
            let kept = (index + 1).min(6);
            assert_eq!(pool_pages(), 16 + (9 - index + kept) * 5);
        }
        free(full);
        assert_eq!(
            pool_pages(),
            16 + 6 * 5,
            "the first region is never returned"
        );
        assert!(heap::validate());
    });
}

#[test]
fn regions_given_back_and_mapped_again_are_kept_while_they_are_used() {
    let name = "regions_given_back_and_mapped_again_are_kept_while_they_are_used";
    quietly(name, &[], || {
        let full = malloc(MIB - 4096);
        let great = malloc(20 * MIB);
        let low = pool_pages();
        // Four regions of 33 pages come and go. The bound is 2 MiB, too little for one; then it is
        // 4 MiB, which keeps one; 8 MiB, three; then all are kept.
        let mut kept = Vec::new();
        for _ in 0..6 {
            let blocks: Vec<_> = (0..4).map(|_| malloc(2 * MIB)).collect();
            assert_eq!(pool_pages(), low + 4 * 33);
            for &block in &blocks {
                free(block);
            }
            kept.push((pool_pages() - low) / 33);
        }
        assert_eq!(kept, [0, 1, 3, 4, 4, 4]);
        // Used in this span, they are kept for the next two; of the first, the peak is still known.
        free(great);
        assert_eq!(pool_pages(), 16 + 4 * 33);
        age();
        assert_eq!(pool_pages(), 16 + 4 * 33);
        age();
        assert!(pool_pages() <= 16 + 32, "{}", pool_pages());
        free(full);
        assert!(heap::validate());
    });
}

/// Resident pages of the system's size.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn trim_releases_every_page_in_pieces() {
    quietly("trim_releases_every_page_in_pieces", &[], || {
        // Free blocks of one page and of many, in regions in use and in others.
        let mut live = Vec::new();
        let mut freed = Vec::new();
        for bytes in [5000, 40_000, 200_000, 9 * MIB].repeat(20) {
            freed.push((malloc(bytes), bytes));
            live.push(malloc(100));
        }
        let before = resident();
        let mut all = 0;
        for &(block, bytes) in &freed {
            // SAFETY: a live block of that size.
            unsafe { block.write_bytes(1, bytes) };
            all += bytes / 4096;
        }
        assert!(resident() >= before + all - 100);
        for (block, _) in freed {
            free(block);
        }
        heap::trim(0);
        assert!(resident() <= before + 100, "{} {before}", resident());
        live.into_iter().for_each(free);
        assert!(heap::validate());
    });
}

#[test]
fn a_trim_goes_on_with_the_lists_of_an_unchanged_heap() {
    let name = "a_trim_goes_on_with_the_lists_of_an_unchanged_heap";
    quietly(name, &[], || {
        const BYTES: usize = 20_000;
        // SAFETY: a live block of the thread's heap, which is not used any more.
        let free = |block| unsafe { heap::free(block) };
        let blocks: Vec<_> = (0..240)
            .map(|_| [heap::malloc(BYTES), heap::malloc(2000)])
            .collect();
        let own = lifetime::current().heap();
        let piece = |lists: &mut Listed| {
            // SAFETY: the thread's own heap, stopped under the lock.
            let work = |state: &_| unsafe { lists.over(state, own) };
            let mut work = Some(work);
            with_heap(|state, _| registry::stopped_one(own, || work.take().unwrap()(state)))
                .flatten()
                .unwrap()
        };
        let before = resident();
        for &[block, _] in &blocks {
            // SAFETY: a live block of that size.
            unsafe { block.write_bytes(1, BYTES) };
        }
        for &[block, _] in &blocks {
            free(block);
        }
        let full = resident();
        assert!(full > before + 700);
        let mut lists = Listed::FIRST;
        let mut pieces = 1;
        while let (Some(next), released) = piece(&mut lists) {
            assert!(next < Listed::POOLS && released);
            pieces += 1;
        }
        // 240 blocks, but for cached ones, and what was free before.
        assert!((4..=6).contains(&pieces), "{pieces}");
        assert!(resident() + 700 < full);

        let mut lists = Listed::FIRST;
        assert!(matches!(piece(&mut lists), (Some(next), true) if next < Listed::POOLS));
        free(heap::malloc(100));
        assert_eq!(piece(&mut lists), (Some(Listed::POOLS), false));
        blocks.iter().for_each(|&[_, guard]| free(guard));
        assert!(heap::validate());
    });
}

#[test]
fn trim_returns_whether_memory_went_back() {
    quietly("trim_returns_whether_memory_went_back", &[], || {
        // The first region is one free block of whole pages.
        assert!(heap::trim(0));
        let full = malloc(heap::stats().largest);
        assert_eq!(heap::stats().free, 0);
        assert!(!heap::trim(0));
        // A spare goes back, which counts.
        let block = malloc(MIB);
        assert!(!heap::trim(0) || heap::stats().free > 4096);
        free(block);
        let pages = pool_pages();
        assert!(heap::trim(0));
        assert_eq!(pool_pages(), pages - 17);
        assert!(!heap::trim(0));
        free(full);
        assert!(heap::validate());
    });
}

#[test]
fn a_region_that_goes_back_is_unmapped() {
    quietly("a_region_that_goes_back_is_unmapped", &[], || {
        let mapped = |address: usize| {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            maps.lines().any(|line| {
                let (start, rest) = line.split_once('-').unwrap();
                let end = rest.split(' ').next().unwrap();
                let number = |text| usize::from_str_radix(text, 16).unwrap();
                (number(start)..number(end)).contains(&address)
            })
        };
        let block = malloc(16 * MIB);
        let inside = block.addr() + 8 * MIB;
        assert!(mapped(inside));
        free(block);
        assert!(!mapped(inside));
    });
}

#[test]
fn a_block_is_found_without_a_look_at_other_regions() {
    quietly(
        "a_block_is_found_without_a_look_at_other_regions",
        &[],
        || {
            let full = malloc(MIB - 4096);
            let mut blocks: Vec<_> = (0..8).map(|_| malloc(600 << 10)).collect();
            blocks.push(full);
            blocks.sort_unstable();
            // Every pool but the last one can be neither read nor written.
            let protect = |access| {
                for block in &blocks[..8] {
                    let start = block.wrapping_sub(block.addr() % UNIT).cast();
                    // SAFETY: the page at a region's start, which no other code uses meanwhile.
                    assert_eq!(unsafe { libc::mprotect(start, 4096, access) }, 0);
                }
            };
            protect(libc::PROT_NONE);
            // SAFETY: a live block.
            let usable = unsafe { large::usable_size(NonNull::new(blocks[8]).unwrap()) };
            protect(libc::PROT_READ | libc::PROT_WRITE);
            assert!(usable >= 600 << 10);
            blocks.into_iter().for_each(free);
            assert!(heap::validate());
        },
    );
}

#[test]
fn a_region_has_words_until_it_goes() {
    quietly("a_region_has_words_until_it_goes", &[], || {
        let great = malloc(3 * MIB);
        let units = || (0..3 * MIB).step_by(UNIT).map(|at| great.addr() + at);
        assert_eq!(great.addr() % UNIT, great.addr() % 4096, "whole units");
        assert!(units().all(|at| !ThreadHeap::of(at).is_null()));
        free(great);
        assert!(units().all(|at| ThreadHeap::of(at).is_null()));
    });
}

/// The end of a region has room for blocks and for no segment: served from there, each block would
/// take the lock at `malloc` and at `free`.
#[test]
fn a_heap_gets_segments_and_no_single_blocks() {
    quietly("a_heap_gets_segments_and_no_single_blocks", &[], || {
        let blocks: Vec<_> = (0..40_000).map(|_| heap::malloc(500)).collect();
        let own = lifetime::current().heap();
        for &block in &blocks {
            assert_eq!(ThreadHeap::of(block.addr()), own);
        }
        for block in blocks {
            // SAFETY: a live block, not used any more.
            unsafe { heap::free(block) };
        }
        assert!(heap::validate());
    });
}
