//! The optional cache: hits, what leaves it, and what every other call makes of a cached block.
#![cfg(all(not(memoman_small), target_pointer_width = "64"))]

mod support;

use memoman_core::{DumpFormat, Event, EventKind, Heap, Refusal, Shortage, Step};
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Mutex;
use support::Random;
use support::cache::*;

#[test]
fn blocks_return_last_in_first_out_without_a_merge() {
    let (mut memory, mut table) = (memory(64 << 10), table());
    let heap = cached(&mut memory, &mut table, 4);
    let blocks: Vec<_> = (0..6)
        .map(|_| heap.allocate(layout(100)).unwrap())
        .collect();
    let used = heap.stats().used;
    for &block in &blocks {
        free(&heap, block, 100).unwrap();
    }
    // Four of them stay; they are in use for the core.
    let stats = heap.stats();
    assert_eq!(stats.cached, 4 * 112);
    assert_eq!(stats.used, used - 2 * 112);
    assert_eq!(stats.live_blocks, 4);
    assert_eq!(heap.validate(), Ok(()));
    for &block in blocks[..4].iter().rev() {
        assert_eq!(heap.allocate(layout(100)), Ok(block));
    }
    assert_eq!(heap.stats().cached, 0);
    assert_eq!(heap.validate(), Ok(()));
}

#[test]
fn every_size_up_to_the_largest_is_found_again() {
    let (mut memory, mut table) = (memory(1 << 20), table());
    let heap = cached(&mut memory, &mut table, 2);
    for bytes in (1..=MOST).step_by(7).chain([MOST]) {
        let block = heap.allocate(layout(bytes)).unwrap();
        free(&heap, block, bytes).unwrap();
        assert!(heap.stats().cached > bytes, "{bytes}");
        assert_eq!(heap.allocate(layout(bytes)), Ok(block));
        free(&heap, block, bytes).unwrap();
    }
    let beyond = heap.allocate(layout(2 * MOST)).unwrap();
    let cached = heap.stats().cached;
    free(&heap, beyond, 2 * MOST).unwrap();
    assert_eq!(heap.stats().cached, cached);
    assert_eq!(heap.validate(), Ok(()));
}

#[test]
fn a_request_beyond_the_largest_leaves_the_cache() {
    let (mut memory, mut table) = (memory(64 << 10), table());
    let heap = cached(&mut memory, &mut table, 4);
    let (block, other) = (
        heap.allocate(layout(100)).unwrap(),
        heap.allocate(layout(100)).unwrap(),
    );
    free(&heap, block, 100).unwrap();
    assert!(heap.allocate(layout(1 << 40)).is_err());
    // SAFETY: a block of this heap.
    let refused = unsafe { heap.reallocate(other, layout(100), layout(1 << 40)) };
    assert!(refused.is_err());
    let stats = heap.stats();
    assert_eq!((stats.cached, stats.failed_requests), (112, 2));
}

#[test]
fn a_request_that_finds_no_memory_frees_cached_blocks() {
    let (mut memory, mut table) = (memory(64 << 10), table());
    let heap = cached(&mut memory, &mut table, 15);
    let largest = heap.stats().largest;
    let blocks: Vec<_> = (1..=60)
        .map(|index| (heap.allocate(layout(16 * index)).unwrap(), 16 * index))
        .collect();
    for &(block, bytes) in &blocks {
        free(&heap, block, bytes).unwrap();
    }
    assert!(heap.stats().largest < largest);
    let whole = heap.allocate(layout(largest)).expect("all memory is free");
    assert_eq!((heap.stats().cached, heap.stats().failed_requests), (0, 0));
    assert_eq!(heap.allocate(layout(1)), Err(Refusal::Exhausted));
    assert_eq!(heap.stats().failed_requests, 1);
    free(&heap, whole, largest).unwrap();
    assert_eq!(heap.validate(), Ok(()));
}

#[test]
fn random_calls_keep_contents_and_invariants() {
    for seed in 0..12 {
        let (mut memory, mut table) = (memory(96 << 10), table());
        let mut heap = cached(&mut memory, &mut table, [1, 4, 15][seed as usize % 3]);
        let mut random = Random(seed);
        let mut live: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
        for step in 0..3000u32 {
            let bytes = match random.below(8) {
                0 => 1 + random.below(12_000),
                _ => 1 + random.below(900),
            };
            let wanted = Layout::from_size_align(bytes, 1 << random.below(8)).unwrap();
            let at = random.below(live.len() + 1);
            match random.below(5) {
                0 if at < live.len() => {
                    let (block, old, fill) = live[at];
                    // SAFETY: a live block of this heap; the contents lie in it.
                    unsafe {
                        if let Ok(new) = heap.reallocate(block, old, wanted) {
                            let kept = old.size().min(bytes);
                            let all = std::slice::from_raw_parts(new.as_ptr(), kept);
                            assert!(all.iter().all(|&byte| byte == fill), "seed {seed}");
                            new.write_bytes(fill, bytes);
                            live[at] = (new, wanted, fill);
                        }
                    }
                }
                1 | 2 if at < live.len() => {
                    let (block, old, fill) = live.swap_remove(at);
                    // SAFETY: a live block of this heap, whose bytes were written.
                    unsafe {
                        let all = std::slice::from_raw_parts(block.as_ptr(), old.size());
                        assert!(all.iter().all(|&byte| byte == fill), "seed {seed}");
                        heap.deallocate(block, old).unwrap();
                    }
                }
                _ => {
                    if let Ok(block) = heap.allocate(wanted) {
                        assert_eq!(block.addr().get() % wanted.align(), 0);
                        // SAFETY: a live block of at least so many bytes.
                        unsafe { block.write_bytes(step as u8, bytes) };
                        live.push((block, wanted, step as u8));
                    }
                }
            }
            if step % 16 == 0 {
                assert_eq!(heap.validate(), Ok(()), "seed {seed}, step {step}");
            }
        }
        for (block, old, _) in live {
            // SAFETY: a live block of this heap.
            unsafe { heap.deallocate(block, old).unwrap() };
        }
        assert!(heap.remove_cache());
        assert_eq!(heap.validate(), Ok(()));
        let stats = heap.stats();
        assert_eq!((stats.used, stats.live_blocks, stats.cached), (0, 0, 0));
        assert_eq!(heap.measure().unwrap().free_blocks, 1);
    }
}

#[test]
fn neighbours_of_cached_blocks_are_freed_resized_and_probed() {
    let (mut memory, mut table) = (memory(64 << 10), table());
    let heap = cached(&mut memory, &mut table, 1);
    // The second free of a size is the core's: its neighbours are in use, cached, free.
    let blocks: Vec<_> = (0..9)
        .map(|_| heap.allocate(layout(200)).unwrap())
        .collect();
    let wall = heap.allocate(layout(200)).unwrap();
    free(&heap, blocks[4], 200).unwrap();
    assert_eq!(heap.stats().cached, 208);
    free(&heap, blocks[3], 200).unwrap();
    free(&heap, blocks[5], 200).unwrap();
    assert_eq!(heap.validate(), Ok(()));
    free(&heap, blocks[6], 200).unwrap();
    free(&heap, blocks[2], 200).unwrap();
    assert_eq!(heap.validate(), Ok(()));
    // SAFETY: live blocks of this heap.
    unsafe {
        // A block that grows moves to a class; one that shrinks stays.
        let grown = heap
            .reallocate(blocks[1], layout(200), layout(400))
            .unwrap();
        assert_ne!(grown, blocks[1]);
        assert_eq!(
            heap.reallocate(blocks[7], layout(200), layout(60)),
            Ok(blocks[7])
        );
        assert!(heap.usable_size(blocks[0]).is_ok());
    }
    assert_eq!(heap.allocate(layout(200)), Ok(blocks[4]));
    assert_eq!(heap.validate(), Ok(()));
    free(&heap, wall, 200).unwrap();
    assert_eq!(heap.validate(), Ok(()));
}

#[test]
fn an_observer_sees_each_call_and_ends_the_cache() {
    let kinds = Mutex::new(Vec::new());
    let mut note = |event: &Event| kinds.lock().unwrap().push(event.kind);
    let (mut memory, mut first, mut second, mut third) =
        (memory(64 << 10), table(), table(), table());
    let mut heap = cached(&mut memory, &mut first, 4);
    let block = heap.allocate(layout(64)).unwrap();
    free(&heap, block, 64).unwrap();
    heap.set_observer(&mut note);
    assert!(!heap.set_cache(&mut second, 4));
    assert_eq!(heap.stats().cached, 0);
    let block = heap.allocate(layout(64)).unwrap();
    free(&heap, block, 64).unwrap();
    assert_eq!(heap.stats().used, 0);
    heap.remove_observer();
    assert!(heap.set_cache(&mut third, 4));
    let block = heap.allocate(layout(64)).unwrap();
    free(&heap, block, 64).unwrap();
    assert_eq!(heap.stats().cached, 80);
    assert_eq!(heap.validate(), Ok(()));
    assert_eq!(*kinds.lock().unwrap(), [EventKind::Malloc, EventKind::Free]);
}

#[test]
fn the_handler_of_exhausted_requests_comes_after_the_cache() {
    let mut more = memory(64 << 10);
    let mut spare = Some(&mut more[..]);
    let mut calls = 0;
    let mut grow = |_: &Shortage| {
        calls += 1;
        spare.take()
    };
    let (mut memory, mut table) = (memory(16 << 10), table());
    let mut heap = Heap::with_max_block(&mut memory, 64 << 10).unwrap();
    assert!(heap.set_cache(&mut table, 8));
    heap.set_exhausted_handler(&mut grow);
    let half = heap.stats().largest / 2;
    let first = heap.allocate(layout(half)).unwrap();
    free(&heap, first, half).unwrap();
    assert!(heap.stats().cached >= half);
    // From the memory of the cached block.
    let larger = heap.allocate(layout(half + 2000)).unwrap();
    assert!(heap.stats().pool_bytes < 16 << 10);
    let beyond = heap.allocate(layout(30_000)).unwrap();
    assert_eq!(heap.stats().failed_requests, 0);
    free(&heap, larger, half + 2000).unwrap();
    free(&heap, beyond, 30_000).unwrap();
    assert!(heap.allocate(layout(64 << 10)).is_err());
    assert_eq!(heap.stats().failed_requests, 1);
    assert_eq!(heap.validate(), Ok(()));
    assert_eq!(calls, 2);
}

#[test]
fn a_pool_is_removed_and_a_heap_reset_with_blocks_of_it_cached() {
    let mut more = memory(64 << 10);
    let (mut memory, mut table) = (memory(16 << 10), table());
    let mut heap = Heap::with_max_block(&mut memory, 32 << 10).unwrap();
    assert!(heap.set_cache(&mut table, 8));
    let pool = heap.add_pool(&mut more).unwrap();
    let blocks: Vec<_> = (0..6)
        .map(|_| heap.allocate(layout(9000)).unwrap())
        .collect();
    for block in blocks {
        free(&heap, block, 9000).unwrap();
    }
    assert!(heap.stats().cached >= 6 * 9000);
    assert!(heap.remove_pool(pool).is_ok());
    assert_eq!(heap.stats().cached, 0);
    assert_eq!(heap.validate(), Ok(()));
    let block = heap.allocate(layout(100)).unwrap();
    free(&heap, block, 100).unwrap();
    assert!(heap.reset());
    assert_eq!((heap.stats().cached, heap.stats().used), (0, 0));
    assert_eq!(heap.validate(), Ok(()));
    // A block of the life before.
    assert!(free(&heap, block, 100).is_err());
    assert!(heap.allocate(layout(heap.stats().largest)).is_ok());
}

#[test]
fn walks_figures_steps_and_dumps_know_cached_blocks() {
    let (mut memory, mut table) = (memory(64 << 10), table());
    let mut heap = cached(&mut memory, &mut table, 4);
    let blocks: Vec<_> = (0..8)
        .map(|_| heap.allocate(layout(100)).unwrap())
        .collect();
    for &block in blocks.iter().step_by(2) {
        free(&heap, block, 100).unwrap();
    }
    let (mut used, mut unused) = (Vec::new(), Vec::new());
    heap.walk(|block, _, live| {
        if live {
            used.push(block)
        } else {
            unused.push(block)
        }
    });
    let odd: Vec<_> = blocks.iter().copied().skip(1).step_by(2).collect();
    assert_eq!(used, odd);
    assert_eq!(
        unused[..4],
        blocks.iter().copied().step_by(2).collect::<Vec<_>>()
    );
    let measure = heap.measure().unwrap();
    assert_eq!((measure.live_blocks, measure.free_blocks), (4, 5));
    let mut text = Vec::new();
    assert!(heap.dump(DumpFormat::Json, |piece| {
        text.extend_from_slice(piece);
        true
    }));
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches("\"state\":\"cached\"").count(), 4);
    assert!(text.contains("\"cached\":448}"));
    // A step of one block after the other, from cached blocks on too.
    let mut steps = heap.steps();
    let mut count = 0;
    while steps.step(1) == Step::More {
        count += 1;
        assert!(count < 100, "steps do not end");
    }
    assert!(count >= 8);
}

#[test]
fn what_no_cache_can_have_is_refused() {
    let (mut memory, mut table, mut small) = (memory(64 << 10), table(), memory(64));
    let mut heap = Heap::new(&mut memory).unwrap();
    assert!(!heap.set_cache(&mut small, 8));
    assert!(heap.remove_cache());
    let raw = heap.raw();
    let pool = heap.allocate(layout(8192)).unwrap();
    // SAFETY: the heap's own memory, which the call refuses.
    unsafe {
        assert_eq!(raw.set_cache(pool.as_ptr(), 1024, 8), Ok(false));
        assert_eq!(raw.set_cache(raw.as_raw().cast(), 1024, 8), Ok(false));
        let start: *mut u8 = table.as_mut_ptr().cast();
        let start = start.wrapping_add(start.align_offset(16));
        assert_eq!(raw.set_cache(start, 1024, 0), Ok(false));
        assert_eq!(raw.set_cache(start, 1024, 16), Ok(false));
        assert_eq!(raw.set_cache(start, 103, 8), Ok(false));
        assert_eq!(raw.set_cache(start, 0, 8), Ok(false));
        assert_eq!(raw.set_cache(start, usize::MAX, 8), Ok(false));
    }
    assert_eq!(heap.stats().cached, 0);
    assert_eq!(heap.validate(), Ok(()));
}
