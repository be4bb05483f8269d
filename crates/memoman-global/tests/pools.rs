//! Pools that the program adds to the process-wide instance, and figures of large blocks that
//! other threads take and free.
#![cfg(not(memoman_debug))]

mod support;

use core::sync::atomic::{AtomicBool, Ordering};
use memoman_global as heap;
use std::{ptr, thread};
use support::{free, quietly};

const MIB: usize = 1 << 20;

/// Fresh memory of the program.
fn memory(bytes: usize) -> *mut u8 {
    let (access, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a fresh mapping.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    start.cast()
}

#[test]
fn an_emptied_pool_of_the_program_stays_mapped_and_serves_again() {
    let name = "an_emptied_pool_of_the_program_stays_mapped_and_serves_again";
    quietly(name, &[("MEMOMAN_RESERVE", "1M")], || {
        let tlsf = heap::handle().unwrap();
        let start = memory(8 * MIB);
        // SAFETY: fresh memory, for the instance only.
        assert!(unsafe { tlsf.add_pool(start, 8 * MIB) }.is_some());
        let pools = heap::stats().pool_bytes;
        for _ in 0..3 {
            let block = heap::malloc(6 * MIB);
            assert!((start.addr()..start.addr() + 8 * MIB).contains(&block.addr()));
            // SAFETY: both ends of a live block.
            unsafe {
                block.write(1);
                block.add(6 * MIB - 1).write(1);
            }
            free(block);
            heap::trim(0);
            assert_eq!(heap::stats().pool_bytes, pools);
        }
        // SAFETY: the program's mapping; no block is in use there. A page that is gone faults.
        unsafe { start.add(7 * MIB).read_volatile() };
        assert!(heap::validate());
    });
}

#[test]
fn large_blocks_in_use_are_a_part_of_the_bytes_in_use_at_any_moment() {
    let name = "large_blocks_in_use_are_a_part_of_the_bytes_in_use_at_any_moment";
    quietly(name, &[], || {
        static STOP: AtomicBool = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !STOP.load(Ordering::Relaxed) {
                        free(heap::malloc(300_000));
                    }
                });
            }
            let sound = (0..1000).all(|_| {
                let info = heap::info();
                info.large_bytes <= info.stats.used
                    && info.large_blocks <= 4
                    && info.cached_bytes <= info.stats.free
            });
            STOP.store(true, Ordering::Relaxed);
            assert!(sound);
        });
    });
}
