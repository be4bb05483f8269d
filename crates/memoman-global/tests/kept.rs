//! Mappings kept for the next large blocks: for which programs, how many bytes, and when they go.
//! Blocks kept for the next small ones: how many bytes.
//!
//! (The sizes are those of 64-bit addresses.)
#![cfg(target_pointer_width = "64")]

mod support;

use memoman_global as heap;
use std::ptr;
use support::{OS_PAGE, byte, faults, filled, free, limit, quietly, random, resized, status};

const MIB: usize = 1 << 20;
/// The least request that no thread heap serves.
const LARGE: usize = (256 << 10) + 1;

#[test]
fn a_program_that_has_freed_its_large_blocks_keeps_little() {
    let name = "a_program_that_has_freed_its_large_blocks_keeps_little";
    quietly(name, &[], || {
        for bytes in [MIB + MIB / 2, 3 * MIB] {
            let before = status("VmRSS:");
            for _ in 0..12 {
                let blocks: Vec<_> = (0..60)
                    .map(|_| filled(heap::malloc(bytes), bytes))
                    .collect();
                blocks.into_iter().for_each(free);
            }
            let after = status("VmRSS:");
            assert!(after < before + (33 << 10), "{before} {after}");
        }
    });
}

#[test]
fn a_sparse_block_stays_so_when_it_grows() {
    let name = "a_sparse_block_stays_so_when_it_grows";
    quietly(name, &[], || {
        let before = status("VmRSS:");
        for _ in 0..40 {
            let sparse = filled(heap::malloc(5 * MIB), 1);
            free(filled(heap::malloc(10 * MIB), 1));
            let grown = resized(sparse, 10 * MIB);
            assert_eq!(byte(grown, 0), 0x5A);
        }
        let after = status("VmRSS:");
        assert!(after < before + (8 << 10), "{before} {after}");
    });
}

#[test]
fn what_is_kept_makes_room_for_a_block_that_grows() {
    let name = "what_is_kept_makes_room_for_a_block_that_grows";
    quietly(name, &[], || {
        let large = filled(heap::malloc(40 * MIB), 1);
        for _ in 0..6 {
            let blocks = [(); 6].map(|()| heap::malloc(4 * MIB));
            blocks.into_iter().for_each(free);
        }
        let kept = heap::stats().pool_bytes - 40 * MIB;
        assert!(kept > 20 * MIB, "{kept}");
        limit(libc::RLIMIT_AS, (status("VmSize:") << 10) + MIB);
        assert_eq!(byte(resized(large, 55 * MIB), 0), 0x5A);
    });
}

#[test]
fn blocks_that_come_and_go_keep_their_pages_and_idle_ones_go() {
    let name = "blocks_that_come_and_go_keep_their_pages_and_idle_ones_go";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let low = heap::stats().pool_bytes;
        let round = || {
            let blocks = [(); 8].map(|()| filled(heap::malloc(4 * MIB), 4 * MIB));
            blocks.into_iter().for_each(free);
        };
        // The first rounds show that the blocks come again.
        (0..8).for_each(|_| round());
        let before = faults();
        (0..20).for_each(|_| round());
        assert!(faults() - before < 100, "{}", faults() - before);
        let kept = heap::stats().pool_bytes - low;
        assert!((30 * MIB..=40 * MIB).contains(&kept), "{kept}");
        // With time, in bytes requested, what is not needed any more goes.
        for _ in 0..4096 {
            free(heap::malloc(MIB));
        }
        assert!(heap::stats().pool_bytes - low <= 2 * MIB);
    });
}

#[test]
fn blocks_of_changing_sizes_find_pages_in_memory() {
    let name = "blocks_of_changing_sizes_find_pages_in_memory";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let (low, mut below) = (heap::stats(), random());
        let mut blocks = [ptr::null_mut(); 16];
        let mut replaced = |times: usize| {
            let mut pages = 0;
            for _ in 0..times {
                let (place, bytes) = (below(blocks.len()), LARGE + below(320 << 10));
                free(blocks[place]);
                blocks[place] = heap::malloc(bytes);
                for at in (0..bytes).step_by(OS_PAGE) {
                    // SAFETY: a byte of a live block.
                    unsafe { blocks[place].add(at).write(1) };
                    pages += 1;
                }
            }
            pages
        };
        replaced(1000);
        let before = faults();
        let pages = replaced(4000);
        let faults = faults() - before;
        assert!(faults < pages / 100, "{faults} faults, {pages} pages");
        // And that takes no more memory than an eighth beyond the peak.
        let stats = heap::stats();
        let peak = stats.peak - low.used;
        assert!(stats.pool_bytes - low.pool_bytes <= peak + peak / 8);
        blocks.into_iter().for_each(free);
    });
}

/// The library maps a block aligned beyond a page anew each time.
#[cfg(feature = "late-checks")]
#[test]
fn aligned_blocks_find_pages_in_memory() {
    quietly("aligned_blocks_find_pages_in_memory", &[], || {
        let mut blocks = [ptr::null_mut(); 8];
        let mut replaced = |times: usize| {
            for time in 0..times {
                let (place, align) = (time * 5 % 8, OS_PAGE << (1 + time % 6));
                free(blocks[place]);
                blocks[place] = filled(heap::memalign(align, LARGE), LARGE);
                assert!(blocks[place].addr().is_multiple_of(align));
            }
        };
        replaced(400);
        let before = faults();
        replaced(400);
        let faults = faults() - before;
        // 400 blocks of 65 pages.
        assert!(faults < 400 * 65 / 2, "{faults}");
        blocks.into_iter().for_each(free);
    });
}

#[test]
fn blocks_that_are_cut_and_grow_find_pages_in_memory() {
    let name = "blocks_that_are_cut_and_grow_find_pages_in_memory";
    quietly(name, &[], || {
        let touch = |block: *mut u8, bytes| {
            for at in (0..bytes).step_by(OS_PAGE) {
                // SAFETY: a byte of a live block.
                unsafe { block.add(at).write(1) };
            }
        };
        let mut one = heap::malloc(4 * MIB);
        let mut cut_and_grown = |times| {
            for _ in 0..times {
                one = resized(resized(one, 2 * MIB), 4 * MIB);
                touch(one, 4 * MIB);
            }
        };
        cut_and_grown(10);
        let before = faults();
        cut_and_grown(50);
        assert!(faults() - before < 100, "{}", faults() - before);
        free(one);

        // The library does not look for pages in memory, so it copies no block from 512 KiB on.
        if !cfg!(feature = "late-checks") {
            return;
        }
        // Every other block grows by a half, or is cut when it has become too large.
        let (most, mut below) = (3 * MIB, random());
        let mut blocks = [(ptr::null_mut(), 0); 16];
        let mut changed = |times: usize| {
            let mut pages = 0;
            for time in 0..times {
                let (place, mut bytes) = (below(blocks.len()), LARGE + below(most - LARGE));
                let (block, old) = blocks[place];
                blocks[place].0 = if time % 2 == 0 || old == 0 {
                    free(block);
                    heap::malloc(bytes)
                } else {
                    bytes = old + old / 2;
                    if bytes > most {
                        bytes = most / 3;
                    }
                    resized(block, bytes)
                };
                blocks[place].1 = bytes;
                touch(blocks[place].0, bytes);
                pages += bytes / OS_PAGE;
            }
            pages
        };
        changed(1000);
        let before = faults();
        let pages = changed(4000);
        let faults = faults() - before;
        assert!(faults < pages / 8, "{faults} faults, {pages} pages");
        blocks.into_iter().for_each(|(block, _)| free(block));
    });
}

/// In the shim only: the library looks at what it keeps when a block is allocated or freed.
#[cfg(feature = "late-checks")]
#[test]
fn what_is_kept_goes_as_a_block_grows() {
    quietly("what_is_kept_goes_as_a_block_grows", &[], || {
        let mut grown = heap::malloc(LARGE);
        let low = heap::stats().pool_bytes;
        for _ in 0..6 {
            let blocks = [(); 8].map(|()| heap::malloc(4 * MIB));
            blocks.into_iter().for_each(free);
        }
        assert!(heap::stats().pool_bytes - low >= 30 * MIB);
        for bytes in (MIB / 2..30 * MIB).step_by(64 << 10) {
            grown = resized(grown, bytes);
            let stats = heap::stats();
            let most = stats.peak + stats.peak / 8 + MIB;
            assert!(stats.pool_bytes <= most, "{bytes} {stats:?}");
        }
        free(grown);
    });
}

/// In the shim only: the library's cache has no bound over all sizes together.
#[cfg(feature = "late-checks")]
#[test]
fn what_is_cached_of_many_sizes_is_a_small_part() {
    let name = "what_is_cached_of_many_sizes_is_a_small_part";
    quietly(name, &[], || {
        let mut below = random();
        let mut blocks = [ptr::null_mut(); 10_000];
        for time in 1..=600_000 {
            let place = below(blocks.len());
            let power = 8 << below(7);
            free(blocks[place]);
            blocks[place] = heap::malloc(power + below(power));
            if time % 100_000 == 0 {
                let info = heap::info();
                let (cached, used) = (info.cached_bytes, info.stats.used);
                assert!(cached <= used / 8, "{cached} cached, {used} used");
            }
        }
        blocks.into_iter().for_each(free);
    });
}

#[test]
fn spares_are_bounded() {
    quietly("spares_are_bounded", &[], || {
        free(heap::malloc(1));
        let low = heap::stats().pool_bytes;
        for _ in 0..12 {
            let blocks = [(); 100].map(|()| heap::malloc(3 * MIB));
            blocks.into_iter().for_each(free);
            assert!(heap::stats().pool_bytes - low <= 96 * MIB);
        }
        assert!(heap::trim(0));
        assert_eq!(heap::stats().pool_bytes, low);
    });
}

/// Kept mappings count against the limit that the system has reached.
#[test]
fn small_blocks_get_what_is_kept_of_large_ones() {
    quietly("small_blocks_get_what_is_kept_of_large_ones", &[], || {
        for _ in 0..4 {
            let block = heap::malloc(16 * MIB);
            assert!(!block.is_null());
            free(block);
        }
        limit(libc::RLIMIT_AS, status("VmSize:") << 10);
        let mut bytes = 0;
        while !heap::malloc(1000).is_null() {
            bytes += 1000;
        }
        assert!(bytes > 14 * MIB, "{bytes}");
    });
}
