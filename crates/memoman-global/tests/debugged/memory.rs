//! The debug library's memory: fill patterns, pools, quarantine.

use super::*;

#[test]
fn fresh_freed_and_cleared_memory_have_their_patterns() {
    let name = "fresh_freed_and_cleared_memory_have_their_patterns";
    quietly(name, &[], || {
        let block = heap::malloc(1000);
        assert!(filled_with(block, 1000, 0xAA));
        free(block);
        assert!(filled_with(block, 1000, 0xDF));
        let block = heap::calloc(7, 13);
        assert!(filled_with(block, 91, 0));
        assert_eq!(usable(block), 91);
        let grown = resized(block, 200);
        assert!(filled_with(grown, 91, 0) && usable(grown) == 200);
        let shrunk = resized(grown, 50);
        assert!(filled_with(shrunk, 50, 0) && usable(shrunk) == 50);
        assert!(resized(shrunk, 0).is_null());
        let block = resized(core::ptr::null_mut(), 33);
        assert_eq!(usable(block), 33);
        free(block);
        free(core::ptr::null_mut());
        assert_eq!(usable(core::ptr::null_mut()), 0);
        assert_eq!(heap::stats().live_blocks, 0);
        assert!(heap::validate());
    });
}

#[test]
fn refused_requests_set_errno_and_change_nothing() {
    let name = "refused_requests_set_errno_and_change_nothing";
    quietly(name, &[], || {
        let block = heap::calloc(1, 100);
        let before = heap::stats();
        let fails = |code, result: *mut u8| {
            assert!(result.is_null());
            assert_eq!(errno(), code);
            heap::set_errno(0);
        };
        heap::set_errno(0);
        fails(libc::ENOMEM, heap::malloc(usize::MAX));
        fails(libc::ENOMEM, heap::calloc(usize::MAX / 2, 3));
        fails(libc::ENOMEM, heap::memalign(1 << 62, 100));
        fails(libc::ENOMEM, heap::memalign(1 << 63, usize::MAX));
        fails(libc::ENOMEM, resized(block, usize::MAX - 64));
        fails(libc::EINVAL, heap::memalign(0, 100));
        fails(libc::EINVAL, heap::memalign(48, 100));
        assert!(filled_with(block, 100, 0));
        let after = heap::stats();
        assert_eq!(
            (after.used, after.live_blocks),
            (before.used, before.live_blocks)
        );
        free(block);
    });
}

#[test]
fn pools_for_aligned_blocks_are_just_large_enough() {
    let name = "pools_for_aligned_blocks_are_just_large_enough";
    quietly(name, &[], || {
        for align in [1, 16, 64, 4096, PAGE, 4 * MIB] {
            for bytes in [0, 1, 100, MIB, 3 * MIB] {
                let block = heap::memalign(align, bytes);
                assert!(!block.is_null() && block.addr().is_multiple_of(align));
                assert_eq!(usable(block), bytes);
                free(block);
            }
        }
        heap::trim(0);
        assert_eq!(pool_pages(), 16);
        assert_eq!(heap::stats().failed_requests, 0);
    });
}

#[test]
fn a_large_blocks_pool_just_fits_and_goes_back() {
    let name = "a_large_blocks_pool_just_fits_and_goes_back";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let start = pool_pages();
        let block = heap::malloc(8 * MIB);
        assert_eq!(pool_pages(), start + 8 * 16 + 1);
        free(block);
        assert_eq!(pool_pages(), start);
        let block = heap::memalign(MIB, 8 * MIB);
        // A gap of one alignment may be skipped twice.
        assert!(
            pool_pages() <= start + 10 * 16 + 1,
            "{}",
            pool_pages() - start
        );
        free(block);
        assert_eq!(pool_pages(), start);
    });
}

#[test]
fn a_region_is_no_page_larger_than_the_request_needs() {
    let name = "a_region_is_no_page_larger_than_the_request_needs";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let start = pool_pages();
        for bytes in 8 * MIB - 300..8 * MIB + 20 {
            let block = heap::malloc(bytes);
            assert!(!block.is_null());
            assert!(pool_pages() - start <= 8 * 16 + 1);
            free(block);
        }
        let block = heap::malloc(8 * MIB - 1000);
        assert_eq!(pool_pages() - start, 8 * 16);
        free(block);
        // After an alignment gap too.
        for align in [32, 64, 128, 4096, MIB] {
            let most = 10 * MIB - 2 * align;
            for bytes in (most - 400..most + 20).step_by(4) {
                let block = heap::memalign(align, bytes);
                assert!(!block.is_null(), "{align} {bytes}");
                assert!(pool_pages() - start <= 10 * 16 + 1);
                free(block);
            }
        }
        assert_eq!(heap::stats().failed_requests, 0);
        // Below 256 KiB an ordinary region, with room for other blocks; above, one that just fits.
        let full = heap::malloc(900 << 10);
        heap::malloc(300 << 10);
        assert_eq!(pool_pages() - start, 5);
        heap::malloc(200 << 10);
        assert_eq!(pool_pages() - start, 5 + 16);
        free(full);
    });
}

#[test]
fn the_quarantine_is_drained_before_a_request_is_refused() {
    let name = "the_quarantine_is_drained_before_a_request_is_refused";
    quietly(name, &[("MEMOMAN_GROW", "0")], || {
        for _ in 0..20 {
            free(heap::malloc(200 << 10));
        }
        let block = heap::malloc(900 << 10);
        assert!(!block.is_null());
        assert_eq!(heap::stats().failed_requests, 0);
        assert!(heap::malloc(200 << 10).is_null());
        assert_eq!(errno(), libc::ENOMEM);
        assert_eq!(heap::stats().failed_requests, 1);
        free(block);
    });
}

#[test]
fn a_refusal_that_growing_resolves_does_not_count() {
    let name = "a_refusal_that_growing_resolves_does_not_count";
    if let Some(end) = alone(name, &[], || {
        let blocks = [(); 5].map(|()| heap::malloc(MIB));
        assert!(blocks.iter().all(|block| !block.is_null()));
        heap::print_table();
        blocks.into_iter().for_each(free);
    }) {
        let table = end.stderr;
        assert!(
            table.contains("memoman: allocations                   5\n"),
            "{table}"
        );
        assert!(
            table.contains("memoman: live blocks                   5\n"),
            "{table}"
        );
        assert!(
            table.contains("memoman: failed requests               0\n"),
            "{table}"
        );
        assert_eq!(end.signal, None, "{table}");
    }
}

#[test]
fn damage_in_the_quarantine_is_reported_by_a_drain() {
    let name = "damage_in_the_quarantine_is_reported_by_a_drain";
    let report = "\
memoman: write after free: @
memoman:   first overwritten byte: @, 5 bytes into the block, is now @
memoman:   block of 204800 bytes allocated at @, freed at @ (program+@); allocation number 1
";
    dies(name, &[("MEMOMAN_GROW", "0")], report, || {
        let block = malloc_at(200 << 10, SITE);
        free(block);
        smash(block, 5);
        heap::malloc(900 << 10);
    });
}
