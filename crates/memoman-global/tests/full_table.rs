//! Large blocks where the system's table of mappings is full: nothing can be cut in two.
//!
//! (The sizes are those of 64-bit addresses.)
#![cfg(target_pointer_width = "64")]

mod support;

use core::ffi::c_void;
use memoman_global as heap;
use std::ptr;
use support::{BEHIND, OS_PAGE, PAGE, byte, filled, free, quietly, status};

/// The least request that no thread heap serves.
const LARGE: usize = (256 << 10) + 1;

/// The program's own mappings fill the system's table: every second page differs.
struct Full(*mut c_void);
const FULL: usize = 70_000 * PAGE;

fn fill_the_table() -> Full {
    let (none, flags) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping.
    let own = unsafe { libc::mmap(ptr::null_mut(), FULL, none, flags, -1, 0) };
    assert_ne!(own, libc::MAP_FAILED);
    // SAFETY: pages of that mapping.
    let differs =
        |at: usize| unsafe { libc::mprotect(own.byte_add(at), PAGE, libc::PROT_READ) == 0 };
    assert!(!(0..FULL).step_by(2 * PAGE).all(differs));
    Full(own)
}

impl Full {
    fn empty(self) {
        // SAFETY: the mapping of `fill_the_table`.
        unsafe { libc::munmap(self.0, FULL) };
    }
}

/// The system refuses to unmap it, and to release its pages, which are locked.
#[test]
fn a_mapping_that_cannot_go_is_cleared_for_the_next_block() {
    let name = "a_mapping_that_cannot_go_is_cleared_for_the_next_block";
    quietly(name, &[], || {
        let blocks: Vec<_> = (0..8).map(|_| filled(heap::malloc(LARGE), LARGE)).collect();
        let bytes = (LARGE + BEHIND).next_multiple_of(OS_PAGE);
        // Neighbours are one mapping of the system's.
        let is_row = |three: &&[*mut u8]| {
            let address = |at: usize| three[at].addr();
            address(0) == address(1) + bytes && address(1) == address(2) + bytes
        };
        let row = blocks.windows(3).find(is_row).unwrap();
        // SAFETY: the three blocks.
        assert_eq!(unsafe { libc::mlock(row[2].cast(), 3 * bytes) }, 0);
        let middle = row[1];
        let own = fill_the_table();
        free(middle);
        heap::trim(0);
        let again = heap::calloc(1, LARGE);
        assert_eq!(again, middle);
        assert!((0..LARGE).all(|at| byte(again, at) == 0));
        own.empty();
        blocks.into_iter().for_each(free);
        assert_eq!(heap::stats().live_blocks, 0);
    });
}

#[test]
fn when_mappings_run_out_memory_still_goes_back() {
    let name = "when_mappings_run_out_memory_still_goes_back";
    quietly(name, &[], || {
        let before = status("VmRSS:");
        // Neighbours become one mapping of the system's; every second one that goes cuts it.
        let count = 20_000;
        let mut blocks: Vec<_> = (0..count).map(|_| heap::malloc(LARGE)).collect();
        assert!(blocks.iter().all(|block| !block.is_null()));
        assert_eq!(heap::stats().live_blocks, count);
        let own = fill_the_table();
        for block in blocks.iter_mut().step_by(2) {
            // SAFETY: a live block, which is written to and freed.
            unsafe { block.write(1) };
            free(*block);
            *block = ptr::null_mut();
        }
        // (The vector is in memory, and so are the map's words: 20 to a page.)
        assert!(status("VmRSS:") < before + (30 << 10));
        let again = heap::calloc(1, LARGE);
        assert!(!again.is_null() && (0..LARGE).all(|at| byte(again, at) == 0));
        free(again);
        own.empty();
        blocks.into_iter().for_each(free);
        assert_eq!(heap::stats().live_blocks, 0);
    });
}

/// The system refuses to unmap one that lies between two blocks.
#[test]
fn kept_mappings_lose_their_memory_where_they_cannot_go() {
    let name = "kept_mappings_lose_their_memory_where_they_cannot_go";
    quietly(name, &[], || {
        let blocks = || {
            let sizes = (0..100).map(|n| LARGE + n * OS_PAGE);
            let blocks = sizes.map(|bytes| filled(heap::malloc(bytes), bytes));
            blocks.collect::<Vec<_>>()
        };
        // The first rounds show that the blocks come again.
        (0..6).for_each(|_| blocks().into_iter().for_each(free));
        let mut blocks = blocks();
        for block in blocks.iter_mut().skip(1).step_by(2).take(40) {
            free(std::mem::replace(block, ptr::null_mut()));
        }
        let before = status("VmRSS:");
        let own = fill_the_table();
        heap::trim(0);
        let after = status("VmRSS:");
        assert!(after + (12 << 10) < before, "{before} {after}");
        own.empty();
        blocks.into_iter().for_each(free);
        assert_eq!(heap::stats().live_blocks, 0);
    });
}
