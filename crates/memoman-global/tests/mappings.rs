//! Large blocks, each a mapping of its own: growing, shrinking, clearing, refusals, and pointers
//! from anywhere.
//!
//! (The sizes are those of 64-bit addresses.)
#![cfg(target_pointer_width = "64")]

mod support;

use core::ffi::{CStr, c_char, c_void};
use memoman_global as heap;
use std::sync::Mutex;
use std::{ptr, thread};
use support::{
    BEHIND, OS_PAGE, byte, child_succeeds, errno, faults, filled, free, quietly, random, resized,
    status,
};

const MIB: usize = 1 << 20;
/// The least request that no thread heap serves.
const LARGE: usize = (256 << 10) + 1;

/// In the shim, a block's usable bytes are the request's, some bytes of its mapping follow them,
/// and the first blocks freed are not kept.
const IN_THE_SHIM: bool = cfg!(feature = "late-checks");

/// Bytes of the mapping of a block.
fn whole(request: usize) -> usize {
    (request + BEHIND).next_multiple_of(OS_PAGE)
}

fn usable(block: *mut u8) -> usize {
    // SAFETY: a live block, or one whose misuse is reported.
    unsafe { heap::usable_size(block) }
}

#[test]
fn a_large_block_has_the_pages_it_needs_and_no_header() {
    quietly(
        "a_large_block_has_the_pages_it_needs_and_no_header",
        &[],
        || {
            free(heap::malloc(1));
            let before = heap::stats();
            for bytes in [LARGE, MIB, MIB + 1, 5 * MIB - 1] {
                let block = filled(heap::malloc(bytes), bytes);
                assert_eq!(block.addr() % OS_PAGE, 0);
                let pages = whole(bytes);
                assert_eq!(usable(block), if IN_THE_SHIM { bytes } else { pages });
                let stats = heap::stats();
                assert_eq!(stats.used - before.used, pages);
                assert_eq!(stats.live_blocks, before.live_blocks + 1);
                assert_eq!(stats.used + stats.free + stats.overhead, stats.pool_bytes);
                free(block);
                assert!(heap::stats().pool_bytes - before.pool_bytes <= 2 * MIB);
                heap::trim(0);
                assert_eq!(heap::stats().pool_bytes, before.pool_bytes);
            }
            assert_eq!(heap::stats().used, before.used);
        },
    );
}

#[test]
fn a_block_that_grows_in_steps_is_resized_seldom_and_never_copied() {
    let name = "a_block_that_grows_in_steps_is_resized_seldom_and_never_copied";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let before = heap::stats().used;
        let mapped = || heap::stats().used - before;
        let mut block = filled(heap::malloc(LARGE), LARGE);
        let (mut sizes, start) = (1, faults());
        let (mut bytes, mut have) = (LARGE, mapped());
        while bytes < 100 * MIB {
            // SAFETY: the last byte so far.
            unsafe { block.add(bytes - 1).write(bytes as u8) };
            let last = bytes - 1;
            bytes += 5000;
            block = resized(block, bytes);
            assert_eq!(byte(block, last), (last + 1) as u8);
            sizes += usize::from(mapped() != have);
            have = mapped();
            assert!(have >= usable(block) && usable(block) >= bytes);
            assert!(have <= bytes + bytes / 7 + OS_PAGE);
        }
        assert!(sizes < 64, "{sizes}");
        // Each page is touched once: a copy would touch them anew.
        let pages = 100 * MIB / OS_PAGE;
        assert!(faults() - start < pages + pages / 16);
        assert!((0..LARGE - 1).all(|at| byte(block, at) == 0x5A));
        assert!(status("VmHWM:") < status("VmSize:") && heap::stats().peak < 120 * MIB);
        free(block);
        assert!(heap::validate());
    });
}

#[test]
fn a_block_that_is_made_smaller_gives_its_memory_back() {
    let name = "a_block_that_is_made_smaller_gives_its_memory_back";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let before = status("VmRSS:");
        let mut kept = Vec::with_capacity(20);
        for _ in 0..20 {
            let block = resized(filled(heap::malloc(50 * MIB), 50 * MIB), 1000);
            assert!((0..1000).all(|at| byte(block, at) == 0x5A));
            kept.push(block);
            assert!(status("VmRSS:") < before + (8 << 10));
        }
        kept.into_iter().for_each(free);
        let block = filled(heap::malloc(50 * MIB), 50 * MIB);
        for mib in [40, 20, 3, 1] {
            assert_eq!(resized(block, mib * MIB), block);
            assert!(status("VmRSS:") < before + ((mib + 8) << 10));
            assert_eq!(usable(block), mib * MIB);
            assert_eq!(byte(block, mib * MIB - 1), 0x5A);
        }
        // A little less leaves it as it is.
        let used = heap::stats().used;
        assert_eq!(resized(block, MIB - OS_PAGE), block);
        assert_eq!(heap::stats().used, used);
        free(block);
    });
}

#[test]
fn cleared_blocks_touch_no_fresh_page_and_clear_used_ones() {
    let name = "cleared_blocks_touch_no_fresh_page_and_clear_used_ones";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let before = status("VmRSS:");
        let sparse = heap::calloc(2048, MIB);
        assert!(!sparse.is_null());
        assert_eq!((byte(sparse, 0), byte(sparse, 2047 * MIB)), (0, 0));
        assert!(status("VmRSS:") < before + (4 << 10));
        free(sparse);
        for bytes in [LARGE, MIB, 2 * MIB - BEHIND] {
            // The second one shows that blocks of this size come again.
            free(heap::malloc(bytes));
            let block = filled(heap::malloc(bytes), bytes);
            free(block);
            let again = heap::calloc(1, bytes);
            assert_eq!(again, block, "the kept mapping");
            assert!((0..bytes).all(|at| byte(again, at) == 0));
            free(again);
            heap::trim(0);
        }
    });
}

#[test]
fn a_request_that_cannot_be_served_leaves_nothing_behind() {
    let name = "a_request_that_cannot_be_served_leaves_nothing_behind";
    quietly(name, &[], || {
        free(heap::malloc(1));
        let (size, stats) = (status("VmSize:"), heap::stats());
        let mut refused = 0;
        for bytes in [1 << 48, 1 << 57, 1 << 62, isize::MAX as usize] {
            for bytes in [bytes - OS_PAGE, bytes, bytes + 1, !bytes] {
                heap::set_errno(0);
                assert!(heap::malloc(bytes).is_null(), "{bytes:#x}");
                assert_eq!(errno(), libc::ENOMEM);
                assert!(heap::calloc(1, bytes).is_null());
                assert!(heap::memalign(1 << 21, bytes).is_null());
                refused += 3;
            }
        }
        for align in [1 << 48, 1 << 62, 1 << 63] {
            assert!(heap::memalign(align, 100).is_null(), "{align:#x}");
            refused += 1;
        }
        assert_eq!(status("VmSize:"), size);
        let after = heap::stats();
        assert_eq!(after.failed_requests, stats.failed_requests + refused);
        assert_eq!(after.pool_bytes, stats.pool_bytes);
        // A block is unchanged by a resize that fails.
        let block = filled(heap::malloc(MIB), MIB);
        assert!(resized(block, isize::MAX as usize).is_null());
        assert!((0..MIB).all(|at| byte(block, at) == 0x5A));
        free(block);
    });
}

#[test]
fn great_alignments_take_no_more_memory_than_the_block() {
    let name = "great_alignments_take_no_more_memory_than_the_block";
    quietly(name, &[], || {
        free(heap::malloc(1));
        for align in [OS_PAGE, 256 << 10, 1 << 21, 1 << 30] {
            for bytes in [1, LARGE, 3 * MIB] {
                let before = heap::stats().pool_bytes;
                let block = heap::memalign(align, bytes);
                assert!(!block.is_null());
                assert_eq!(block.addr() % align, 0);
                let have = usable(block);
                assert!(have >= bytes && heap::stats().pool_bytes - before <= whole(have).max(MIB));
                free(filled(block, have));
                heap::trim(0);
            }
        }
        assert_eq!(heap::stats().live_blocks, 0);
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
fn a_pointer_from_anywhere_is_reported_and_not_followed() {
    let name = "a_pointer_from_anywhere_is_reported_and_not_followed";
    quietly(name, &[], || {
        let tlsf = heap::handle().unwrap();
        // SAFETY: the instance is live.
        unsafe { tlsf.set_misuse_handler(Some(note), ptr::null_mut()) };
        REPORTS.lock().unwrap().reserve(100);
        // A region of the instance on each side of the hole, so that it is between two pools.
        free(heap::malloc(1));
        let hole = || {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a fresh mapping.
            let hole = unsafe { libc::mmap(ptr::null_mut(), MIB, libc::PROT_NONE, flags, -1, 0) };
            hole.cast::<u8>()
        };
        let holes = [(); 3].map(|()| {
            let hole = hole();
            let _ = [(); 40].map(|()| heap::malloc(200 << 10));
            hole
        });
        let [live, kept, gone] = [40, 1, 40].map(|mib| filled(heap::malloc(mib * MIB), mib * MIB));
        free(kept);
        free(gone);
        let foreign = c"pointer outside every pool";
        let mut expected = vec![
            (c"double free", kept.addr()),
            (foreign, kept.addr() + MIB / 2),
            (foreign, gone.addr() + 30 * MIB),
            (foreign, live.addr() + 20 * MIB),
            (
                c"not a live block (or its header is overwritten)",
                live.addr() + 16,
            ),
            (c"misaligned pointer", live.addr() + 8),
            (foreign, live.addr() + 20 * MIB + 1),
            (foreign, 16),
            (foreign, (1 << 47) + 4096),
            (foreign, 0xFFFF_8000_0000_0010),
        ];
        for hole in holes {
            for at in [0, 16, MIB / 2, MIB - 16] {
                expected.push((foreign, hole.addr() + at));
            }
        }
        for (message, address) in expected {
            let pointer = ptr::with_exposed_provenance_mut(address);
            free(pointer);
            assert_eq!(usable(pointer), 0);
            assert!(resized(pointer, 5 * MIB).is_null());
            assert!(resized(pointer, 10).is_null());
            let reports: Vec<_> = REPORTS.lock().unwrap().drain(..).collect();
            assert_eq!(reports, [(message, address); 4]);
        }
        assert!((0..40 * MIB).step_by(997).all(|at| byte(live, at) == 0x5A));
        free(live);
        assert!(REPORTS.lock().unwrap().is_empty() && heap::validate());
    });
}

#[test]
fn threads_allocate_resize_and_free_each_others_large_blocks() {
    let name = "threads_allocate_resize_and_free_each_others_large_blocks";
    quietly(name, &[], || {
        let places: Vec<Mutex<(usize, usize)>> = (0..24).map(|_| Mutex::new((0, 0))).collect();
        let work = |first: usize| {
            let mut below = random();
            (0..first * 7).for_each(|_| _ = below(2));
            for _ in 0..4000 {
                let mut place = places[below(places.len())].lock().unwrap();
                let (address, old) = *place;
                let mut block = ptr::with_exposed_provenance_mut::<u8>(address);
                if !block.is_null() {
                    assert_eq!(
                        (byte(block, 0), byte(block, old - 1)),
                        (old as u8, old as u8)
                    );
                }
                let bytes = (100 << 10) + below(2 * MIB);
                block = match below(3) {
                    0 => {
                        free(block);
                        heap::malloc(bytes)
                    }
                    1 => {
                        free(block);
                        let block = heap::calloc(1, bytes);
                        assert!((0..bytes).step_by(1009).all(|at| byte(block, at) == 0));
                        block
                    }
                    _ => resized(block, bytes),
                };
                // SAFETY: the first and the last byte of a live block.
                unsafe {
                    block.write(bytes as u8);
                    block.add(bytes - 1).write(bytes as u8);
                }
                *place = (block.expose_provenance(), bytes);
            }
        };
        thread::scope(|scope| {
            for first in 0..6 {
                scope.spawn(move || work(first));
            }
        });
        for place in &places {
            free(ptr::with_exposed_provenance_mut(place.lock().unwrap().0));
        }
        assert_eq!(heap::stats().live_blocks, 0);
        assert!(heap::validate());
    });
}

#[test]
fn a_forked_child_has_the_large_blocks_of_its_parent() {
    let name = "a_forked_child_has_the_large_blocks_of_its_parent";
    quietly(name, &[], || {
        let block = filled(heap::malloc(3 * MIB), 3 * MIB);
        free(heap::malloc(MIB));
        assert!(child_succeeds(|| {
            let block = resized(block, 9 * MIB);
            let sound = !block.is_null() && byte(block, 3 * MIB - 1) == 0x5A;
            free(block);
            let other = heap::malloc(MIB);
            free(other);
            sound && !other.is_null() && heap::stats().live_blocks == 0
        }));
        assert_eq!(byte(block, 3 * MIB - 1), 0x5A);
        free(block);
    });
}

#[test]
fn a_pool_at_the_top_of_the_address_space_serves_threads() {
    let name = "a_pool_at_the_top_of_the_address_space_serves_threads";
    quietly(name, &[("MEMOMAN_GROW", "0")], || {
        let tlsf = heap::handle().unwrap();
        let mut high = Vec::with_capacity(8);
        for hint in [
            (1 << 47) - 64 * MIB,
            1 << 47,
            (1 << 48) - 64 * MIB,
            1 << 48,
            1 << 56,
        ] {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            let (hint, access) = (
                ptr::without_provenance_mut(hint),
                libc::PROT_READ | libc::PROT_WRITE,
            );
            // SAFETY: a fresh mapping, where none is.
            let start = unsafe { libc::mmap(hint, MIB, access, flags, -1, 0) };
            if start != libc::MAP_FAILED {
                let _ = start.expose_provenance();
                high.push(start.addr());
                // SAFETY: fresh memory, for the instance only.
                assert!(unsafe { tlsf.add_pool(start.cast(), MIB) }.is_some());
            }
        }
        assert!(!high.is_empty());
        // The blocks of one thread, from every pool; another one frees them.
        let blocks: Vec<_> = std::iter::from_fn(|| {
            let block = heap::malloc(1000);
            (!block.is_null()).then(|| filled(block, 1000).expose_provenance())
        })
        .collect();
        for &start in &high {
            let inside = |block: &&usize| (start..start + MIB).contains(*block);
            assert!(blocks.iter().filter(inside).count() > 500);
        }
        let freeing = move || {
            free(heap::malloc(1));
            for block in blocks {
                let block = ptr::with_exposed_provenance_mut(block);
                assert!(usable(block) >= 1000);
                free(block);
            }
        };
        thread::spawn(freeing).join().unwrap();
        assert_eq!(heap::stats().live_blocks, 0);
        assert!(heap::validate());
    });
}
