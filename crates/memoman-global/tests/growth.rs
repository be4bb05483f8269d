//! When pools are mapped and given back: the sizes of regions, the spares, trimming.

mod support;

use memoman_global as heap;
use std::sync::mpsc::sync_channel;
use std::thread;
use support::{PAGE, free, pool_pages, quietly, random};

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
fn trim_keeps_free_blocks_without_a_whole_page() {
    // Without growth the last bytes of the first region serve single blocks.
    let settings = [("MEMOMAN_GROW", "0")];
    quietly(
        "trim_keeps_free_blocks_without_a_whole_page",
        &settings,
        || {
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
        },
    );
}

#[test]
fn trim_reads_no_block_in_use() {
    quietly("trim_reads_no_block_in_use", &[], || {
        const BYTES: usize = 16 << 10;
        let live = heap::malloc(100);
        let block = heap::malloc(BYTES);
        let guard = heap::malloc(8);
        // In the same segment, below the block.
        assert!(block.addr() - live.addr() < 64 << 10);
        // SAFETY: a live block.
        unsafe { block.write_bytes(0x5A, BYTES) };
        free(block);
        // A walk from block to block ends at an overwritten header.
        let header: *mut usize = live.cast::<usize>().wrapping_sub(1);
        // SAFETY: the word before a block is its header, which stands again before the next call
        // that reads it.
        let word = unsafe { header.replace(0) };
        assert!(heap::trim(0));
        // SAFETY: as above.
        unsafe { header.write(word) };
        assert_eq!(heap::malloc(BYTES), block);
        // The middle lies in whole pages.
        assert_eq!(differing(block.wrapping_add(BYTES / 2), 4096, 0), None);
        [live, block, guard].into_iter().for_each(free);
        assert!(heap::validate());
    });
}
