//! Memoman as the global allocator of this test program, its harness and its threads.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::{BTreeMap, HashMap};
use std::thread;

use memoman_global::Memoman;

#[global_allocator]
static ALLOCATOR: Memoman = Memoman;

#[test]
fn the_programs_blocks_are_memomans() {
    let numbers: BTreeMap<u32, String> = (0..1000).map(|n| (n, n.to_string())).collect();
    assert_eq!(numbers[&999], "999");
    for text in numbers.values() {
        // SAFETY: a live block of this allocator; the call would report another one.
        assert!(unsafe { memoman_global::usable_size(text.as_ptr()) } >= text.capacity());
    }
    assert!(ALLOCATOR.stats().live_blocks > 1000);
    assert!(ALLOCATOR.validate());
}

#[test]
fn threads_pass_what_they_allocated() {
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            thread::spawn(move || {
                (0..2000)
                    .map(|n| (n, format!("{worker}:{n}")))
                    .collect::<HashMap<usize, String>>()
            })
        })
        .collect();
    for (worker, handle) in workers.into_iter().enumerate() {
        let map = handle.join().unwrap();
        assert_eq!(map.len(), 2000);
        assert!(map.iter().all(|(n, text)| *text == format!("{worker}:{n}")));
    }
    assert!(ALLOCATOR.validate());
}

#[test]
fn group_b_layouts_keep_their_alignment_and_contents() {
    for align in (0..16).map(|log2| 1usize << log2) {
        for size in [1usize, 15, 4000] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: a block of this layout, resized and freed with its layout at that time.
            unsafe {
                let block = ALLOCATOR.alloc_zeroed(layout);
                assert!(!block.is_null() && block.addr().is_multiple_of(align));
                assert!((0..size).all(|i| block.add(i).read() == 0), "{layout:?}");
                block.write_bytes(0x3C, size);
                let grown = ALLOCATOR.realloc(block, layout, size * 3);
                assert!(
                    !grown.is_null() && grown.addr().is_multiple_of(align),
                    "{layout:?}"
                );
                assert!((0..size).all(|i| grown.add(i).read() == 0x3C));
                let layout = Layout::from_size_align(size * 3, align).unwrap();
                let shrunk = ALLOCATOR.realloc(grown, layout, size);
                assert!(!shrunk.is_null() && shrunk.addr().is_multiple_of(align));
                assert!((0..size).all(|i| shrunk.add(i).read() == 0x3C));
                ALLOCATOR.dealloc(shrunk, Layout::from_size_align(size, align).unwrap());
            }
        }
    }
}

#[test]
fn group_a_a_refused_request_is_null_and_changes_nothing() {
    let layout = Layout::from_size_align(isize::MAX as usize & !15, 16).unwrap();
    let small = Layout::new::<[u8; 100]>();
    // SAFETY: the first call returns no block; `block` has the layout `small`.
    unsafe {
        assert!(ALLOCATOR.alloc(layout).is_null());
        let block = ALLOCATOR.alloc(small);
        block.write_bytes(9, 100);
        assert!(ALLOCATOR.realloc(block, small, layout.size()).is_null());
        assert!((0..100).all(|i| block.add(i).read() == 9));
        ALLOCATOR.dealloc(block, small);
    }
    assert!(ALLOCATOR.validate());
}

/// Resident bytes of this process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn aligned_blocks_of_zeros_touch_no_fresh_page() {
    for align in [64, 4096, 1 << 20] {
        let layout = Layout::from_size_align(1 << 30, align).unwrap();
        let before = resident();
        // SAFETY: the layout's size is not 0; the block is freed with the same layout.
        unsafe {
            let block = ALLOCATOR.alloc_zeroed(layout);
            assert!(!block.is_null() && block.addr().is_multiple_of(align));
            assert_eq!((block.read(), block.add(layout.size() - 1).read()), (0, 0));
            assert!(resident() < before + (64 << 20), "{align}");
            ALLOCATOR.dealloc(block, layout);
        }
    }
    // A block that was in use is cleared.
    for (bytes, align) in [(100, 64), (1 << 20, 4096)] {
        let layout = Layout::from_size_align(bytes, align).unwrap();
        for _ in 0..3 {
            // SAFETY: as above; `bytes` bytes of a live block.
            unsafe {
                let block = ALLOCATOR.alloc_zeroed(layout);
                assert!((0..bytes).all(|at| block.add(at).read() == 0));
                block.write_bytes(1, bytes);
                ALLOCATOR.dealloc(block, layout);
            }
        }
    }
}
