//! When pools are mapped and given back: the sizes of regions, the spares, trimming.

mod support;

use memoman_global as heap;
use std::sync::mpsc::sync_channel;
use std::thread;
use support::{PAGE, free, pool_pages, quietly, random};

/// What the heap adds to a request when it grows: four quanta and a header.
const SLACK: usize = 4 * 16 + 8;
const MIB: usize = 1 << 20;

/// Pages of all pools after each growth.
fn growths(bytes: usize, count: usize) -> Vec<usize> {
    let mut found = Vec::new();
    while found.len() < count {
        assert!(!heap::malloc(bytes).is_null());
        let pages = pool_pages();
        if found.last() != Some(&pages) {
            found.push(pages);
        }
    }
    assert!(heap::validate());
    found
}

#[test]
fn the_first_region_is_a_mebibyte_and_later_ones_a_quarter_of_all() {
    quietly(
        "the_first_region_is_a_mebibyte_and_later_ones_a_quarter_of_all",
        &[],
        || {
            let pages = growths(1000, 12);
            assert_eq!(
                pages,
                [16, 32, 48, 64, 80, 100, 125, 156, 195, 243, 303, 378]
            );
            assert_eq!(heap::stats().failed_requests, 0);
        },
    );
}

#[test]
fn no_ordinary_region_is_greater_than_64_mebibytes() {
    quietly(
        "no_ordinary_region_is_greater_than_64_mebibytes",
        &[],
        || {
            let pages = growths(200 << 10, 27);
            let steps: Vec<_> = pages.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(
                steps.iter().all(|&step| step <= 64 * MIB / PAGE),
                "{steps:?}"
            );
            assert_eq!(steps.last(), Some(&(64 * MIB / PAGE)));
        },
    );
}

#[test]
fn a_large_request_gets_a_region_that_fits() {
    quietly("a_large_request_gets_a_region_that_fits", &[], || {
        let full = heap::malloc(MIB - 4096);
        assert_eq!(pool_pages(), 16);
        // One byte more, and the request gets a region of its own instead of an ordinary one.
        let large = (256 << 10) - SLACK;
        assert!(!heap::malloc(large).is_null());
        assert_eq!(pool_pages(), 16 + 5);
        assert!(!heap::malloc(large - 1).is_null());
        assert_eq!(pool_pages(), 16 + 5 + 16);
        // Header, pool overhead and rounding count: 2 MiB need one page more.
        assert!(!heap::malloc(2 * MIB).is_null());
        assert_eq!(pool_pages(), 37 + 33);
        // A request that just fills its pages.
        assert!(!heap::malloc(2 * MIB - SLACK - 56).is_null());
        assert_eq!(pool_pages(), 70 + 32);
        assert!(!heap::malloc(2 * MIB - SLACK - 55).is_null());
        assert_eq!(pool_pages(), 102 + 33);
        assert_eq!(heap::stats().failed_requests, 0);
        assert!(heap::validate());
        free(full);
    });
}

#[test]
fn an_aligned_request_gets_room_for_its_gap() {
    quietly("an_aligned_request_gets_room_for_its_gap", &[], || {
        for align in [64 << 10, MIB, 4 * MIB] {
            for bytes in [1, 1000, MIB] {
                let before = pool_pages();
                let block = heap::memalign(align, bytes);
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
fn an_emptied_region_is_spared_up_to_two_mebibytes() {
    quietly(
        "an_emptied_region_is_spared_up_to_two_mebibytes",
        &[],
        || {
            free(heap::malloc(100));
            assert_eq!(pool_pages(), 16);
            // Exactly 2 MiB may be kept.
            let fits = 2 * MIB - SLACK - 56;
            for _ in 0..3 {
                free(heap::malloc(fits));
                assert_eq!(pool_pages(), 16 + 32);
            }
            // A second one beside it is unmapped at once.
            let block = heap::malloc(2 * MIB);
            assert_eq!(pool_pages(), 16 + 32 + 33);
            free(block);
            assert_eq!(pool_pages(), 16 + 32);
            // The spare is used again, is full, and counts as a spare again when it is emptied.
            let block = heap::malloc(fits);
            assert_eq!(pool_pages(), 16 + 32);
            let other = heap::malloc(MIB);
            assert_eq!(pool_pages(), 16 + 32 + 17);
            free(other);
            assert_eq!(
                pool_pages(),
                16 + 32 + 17,
                "the first one is no spare while it is in use"
            );
            free(block);
            assert_eq!(pool_pages(), 16 + 17, "both together exceed the bound");
            assert!(heap::validate());
        },
    );
}

#[test]
fn small_spares_add_up_to_two_mebibytes() {
    quietly("small_spares_add_up_to_two_mebibytes", &[], || {
        let full = heap::malloc(MIB - 4096);
        // Each has a region of five pages; 32 pages hold six of them.
        let blocks: Vec<_> = (0..10).map(|_| heap::malloc(300 << 10)).collect();
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
            "the first region is never given back"
        );
        assert!(heap::validate());
    });
}

#[test]
fn a_great_heap_keeps_a_part_in_at_most_sixteen_spares() {
    quietly(
        "a_great_heap_keeps_a_part_in_at_most_sixteen_spares",
        &[],
        || {
            let full = heap::malloc(MIB - 4096);
            let great = heap::malloc(240 * MIB);
            let all = pool_pages();
            let blocks: Vec<_> = (0..20).map(|_| heap::malloc(300 << 10)).collect();
            for &block in &blocks {
                free(block);
            }
            assert_eq!(pool_pages(), all + 16 * 5);
            // Used again and emptied in another order, still sixteen are kept.
            for _ in 0..3 {
                let blocks: Vec<_> = (0..20).map(|_| heap::malloc(300 << 10)).collect();
                for &block in blocks.iter().rev() {
                    free(block);
                }
                assert_eq!(pool_pages(), all + 16 * 5);
            }
            assert!(heap::trim(0));
            assert_eq!(pool_pages(), all);
            // All sixteen places are free again.
            let blocks: Vec<_> = (0..20).map(|_| heap::malloc(300 << 10)).collect();
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
fn a_thirty_second_of_all_may_be_one_spare() {
    quietly("a_thirty_second_of_all_may_be_one_spare", &[], || {
        let great = heap::malloc(240 * MIB);
        let all = pool_pages();
        // A thirty-first of the rest is a thirty-second of all.
        let pages = all / 31;
        let block = heap::malloc(pages * PAGE - SLACK - 56);
        assert_eq!(pool_pages(), all + pages);
        free(block);
        assert_eq!(pool_pages(), all + pages);
        assert!(heap::trim(0));
        assert_eq!(pool_pages(), all);
        let block = heap::malloc((pages + 1) * PAGE - SLACK - 56);
        assert_eq!(pool_pages(), all + pages + 1);
        free(block);
        assert_eq!(pool_pages(), all);
        free(great);
    });
}

#[test]
fn regions_given_back_and_mapped_again_are_kept_up_to_half_of_all() {
    let name = "regions_given_back_and_mapped_again_are_kept_up_to_half_of_all";
    quietly(name, &[], || {
        let full = heap::malloc(MIB - 4096);
        let great = heap::malloc(20 * MIB);
        let low = pool_pages();
        // Four regions of 33 pages come and go. The bound is 2 MiB, too little for one; then it is
        // 4 MiB, which keeps one; 8 MiB, three; then all are kept.
        let mut kept = Vec::new();
        for _ in 0..6 {
            let blocks: Vec<_> = (0..4).map(|_| heap::malloc(2 * MIB)).collect();
            assert_eq!(pool_pages(), low + 4 * 33);
            for &block in &blocks {
                free(block);
            }
            kept.push((pool_pages() - low) / 33);
        }
        assert_eq!(kept, [0, 1, 3, 4, 4, 4]);
        // Half of all 16 + 4 * 33 pages: two may be kept.
        free(great);
        assert!(heap::trim(0));
        let blocks: Vec<_> = (0..4).map(|_| heap::malloc(2 * MIB)).collect();
        for &block in &blocks {
            free(block);
        }
        assert_eq!(pool_pages(), 16 + 2 * 33);
        free(full);
        assert!(heap::validate());
    });
}

#[test]
fn a_region_that_was_outgrown_is_not_kept() {
    quietly("a_region_that_was_outgrown_is_not_kept", &[], || {
        let great = heap::malloc(40 * MIB);
        let low = pool_pages();
        // No region unmapped could have satisfied the next request.
        for mib in 3..12 {
            free(heap::malloc(mib * MIB));
            assert_eq!(pool_pages(), low, "{mib}");
        }
        // The last one could have satisfied this request, so the bound is 4 MiB, and this region is
        // kept.
        free(heap::malloc(3 * MIB));
        assert_eq!(pool_pages(), low + 49);
        free(great);
    });
}

#[test]
fn a_region_larger_than_the_greatest_bound_does_not_raise_it() {
    let name = "a_region_larger_than_the_greatest_bound_does_not_raise_it";
    quietly(name, &[], || {
        let great = heap::malloc(20 * MIB);
        let low = pool_pages();
        for _ in 0..4 {
            free(heap::malloc(33 * MIB));
            assert_eq!(pool_pages(), low);
        }
        // The bound is still 2 MiB, too little for this region.
        free(heap::malloc(2 * MIB));
        assert_eq!(pool_pages(), low);
        free(great);
    });
}

#[test]
fn aligned_requests_of_any_size_leave_no_segments_behind() {
    let name = "aligned_requests_of_any_size_leave_no_segments_behind";
    quietly(name, &[], || {
        let mut below = random();
        // At most 512 blocks of at most 40,000 bytes, about 10 MB: free blocks between others serve
        // most requests.
        let mut blocks = [std::ptr::null_mut::<u8>(); 512];
        for _ in 0..200_000 {
            let place = &mut blocks[below(512)];
            if place.is_null() {
                let bytes = if below(2) == 0 {
                    below(40_000)
                } else {
                    below(300)
                };
                *place = heap::memalign(1 << below(13), bytes);
                assert!(!place.is_null());
            } else {
                free(*place);
                *place = std::ptr::null_mut();
            }
        }
        assert!(pool_pages() < 16 * 24, "{} KiB", pool_pages() * PAGE / 1024);
        blocks.into_iter().for_each(free);
        assert!(heap::validate());
    });
}

/// Allocates `count` blocks that another thread frees; at most `between` of them are under way at a
/// time.
fn handed_over(count: usize, between: usize, mut allocate: impl FnMut() -> *mut u8) {
    let (give, take) = sync_channel::<usize>(between);
    let other = thread::spawn(move || {
        for block in take {
            free(std::ptr::with_exposed_provenance_mut(block));
        }
    });
    for _ in 0..count {
        let block = allocate();
        assert!(!block.is_null());
        give.send(block.expose_provenance()).unwrap();
    }
    drop(give);
    other.join().unwrap();
    assert!(heap::validate());
    assert_eq!(heap::stats().live_blocks, 0);
}

#[test]
fn blocks_freed_by_another_thread_serve_before_the_heap_grows() {
    let name = "blocks_freed_by_another_thread_serve_before_the_heap_grows";
    quietly(name, &[], || {
        // 128 KiB at a time, of random sizes: the cache seldom has a block for the next request.
        let mut below = random();
        handed_over(400_000, 1024, || heap::malloc(16 + below(112)));
        let peak = heap::stats().peak;
        assert!(peak < 192 << 10, "{peak}");
    });
}

#[test]
fn figures_count_segments_that_the_inbox_empties_as_given_back() {
    let name = "figures_count_segments_that_the_inbox_empties_as_given_back";
    quietly(name, &[], || {
        let blocks: Vec<_> = (0..20_000)
            .map(|_| heap::malloc(1000).expose_provenance())
            .collect();
        let peak = pool_pages();
        let other = move || {
            // With a heap of its own, the thread puts them into the inbox of this thread's heap,
            // which empties many segments at once.
            free(heap::malloc(1));
            for block in blocks {
                free(std::ptr::with_exposed_provenance_mut(block));
            }
        };
        thread::spawn(other).join().unwrap();
        let first = heap::stats();
        assert_eq!((first.used, first.live_blocks), (0, 0));
        assert_eq!(first.free + first.overhead, first.pool_bytes);
        assert_eq!(heap::stats(), first);
        // All have gone but the kept segment, its region, and the kept regions.
        assert!(pool_pages() < peak / 2, "{} of {peak}", pool_pages());
    });
}

#[test]
fn blocks_freed_by_another_thread_serve_aligned_requests() {
    let name = "blocks_freed_by_another_thread_serve_aligned_requests";
    quietly(name, &[], || {
        // 64 KiB at a time, of 20 MiB.
        handed_over(20_000, 64, || heap::memalign(64, 1000));
        let peak = heap::stats().peak;
        assert!(peak < 192 << 10, "{peak}");
    });
}

/// The addresses of the first byte of a block that is not `value`, and of the end of the last one.
fn differing(block: *mut u8, bytes: usize, value: u8) -> Option<(usize, usize)> {
    // SAFETY: a live block whose bytes are initialised.
    let contents = unsafe { std::slice::from_raw_parts(block, bytes) };
    let first = contents.iter().position(|&byte| byte != value)?;
    let last = contents.iter().rposition(|&byte| byte != value)?;
    Some((block.addr() + first, block.addr() + last + 1))
}

#[test]
fn trim_releases_the_whole_pages_inside_free_blocks() {
    quietly(
        "trim_releases_the_whole_pages_inside_free_blocks",
        &[],
        || {
            let page = 4096;
            let bytes = 4 * page;
            // At several offsets of the block in its page.
            for lead in [8, 1000, 2000, 3000, 4000] {
                let lead = heap::malloc(lead);
                let block = heap::malloc(bytes);
                let guard = heap::malloc(8);
                // SAFETY: a live block.
                let usable = unsafe { heap::usable_size(block) };
                // SAFETY: all of it may be written.
                unsafe { block.write_bytes(0x5A, usable) };
                free(block);
                assert!(heap::trim(0));
                assert!(heap::validate());
                let again = heap::malloc(bytes);
                assert_eq!(again, block);
                // The free block's links lay in its first two words, its ghost in the last one.
                let word = size_of::<usize>();
                let (start, end) = (block.wrapping_add(2 * word), block.addr() + usable - word);
                let (gone, gone_end) =
                    differing(start, end - start.addr(), 0x5A).expect("no page was released");
                assert_eq!(gone, start.addr().next_multiple_of(page));
                assert_eq!(gone_end % page, 0);
                assert!(end - gone_end < page);
                let inside = std::ptr::with_exposed_provenance_mut(gone);
                let _ = block.expose_provenance();
                assert_eq!(differing(inside, gone_end - gone, 0), None);
                free(again);
                free(guard);
                free(lead);
            }
        },
    );
}

#[test]
fn trim_keeps_the_links_of_a_free_block_that_starts_with_a_page() {
    let name = "trim_keeps_the_links_of_a_free_block_that_starts_with_a_page";
    quietly(name, &[], || {
        let page = 4096;
        // One block of just a page, aligned: the block after it starts with a page too.
        let before = heap::memalign(page, page - size_of::<usize>());
        let block = heap::malloc(4 * page);
        assert_eq!(block.addr(), before.addr() + page);
        let guard = heap::malloc(8);
        free(block);
        assert!(heap::trim(0));
        assert!(heap::validate());
        assert_eq!(heap::malloc(4 * page), block);
        free(guard);
        free(before);
    });
}

#[test]
fn trim_returns_whether_memory_went_back() {
    quietly("trim_returns_whether_memory_went_back", &[], || {
        // The first region is one free block of whole pages.
        assert!(heap::trim(0));
        let full = heap::malloc(heap::stats().largest);
        assert_eq!(heap::stats().free, 0);
        assert!(!heap::trim(0));
        // A spare is unmapped, which counts.
        let block = heap::malloc(MIB);
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
fn trim_keeps_free_blocks_without_a_whole_page() {
    quietly("trim_keeps_free_blocks_without_a_whole_page", &[], || {
        let mut blocks = Vec::new();
        while heap::stats().largest > 8000 || heap::stats().pool_bytes == 0 {
            blocks.push(heap::malloc(2000));
            assert!(!blocks[blocks.len() - 1].is_null());
        }
        let last = heap::malloc(heap::stats().largest);
        for block in blocks.iter().step_by(2) {
            free(*block);
        }
        assert!(heap::stats().free > 100_000);
        assert!(!heap::trim(0));
        free(last);
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
        let block = heap::malloc(16 * MIB);
        let inside = block.addr() + 8 * MIB;
        assert!(mapped(inside));
        free(block);
        assert!(!mapped(inside));
    });
}
