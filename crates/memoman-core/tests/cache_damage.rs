//! The optional cache: what it and the other calls find of misuse and damage.
#![cfg(all(not(memoman_small), target_pointer_width = "64"))]

mod support;

use memoman_core::{DumpFormat, Event, Heap, Invariant, Misuse, Refusal};
use std::mem::MaybeUninit;
use std::sync::Mutex;
use support::cache::*;

#[test]
fn a_second_free_is_found() {
    let (mut memory, mut table) = (memory(64 << 10), table());
    let heap = cached(&mut memory, &mut table, 4);
    let (block, other) = (
        heap.allocate(layout(64)).unwrap(),
        heap.allocate(layout(64)).unwrap(),
    );
    free(&heap, block, 64).unwrap();
    free(&heap, other, 64).unwrap();
    for _ in 0..2 {
        assert_eq!(free(&heap, block, 64), Err(Misuse::DoubleFree));
        assert_eq!(free(&heap, other, 64), Err(Misuse::DoubleFree));
        // SAFETY: a test of misuse, which the header shows.
        let resized = unsafe { heap.reallocate(block, layout(64), layout(200)) };
        assert_eq!(
            resized,
            Err(Refusal::Misuse(Misuse::DoubleFree, block.as_ptr()))
        );
        // SAFETY: as above.
        assert_eq!(unsafe { heap.usable_size(block) }, Err(Misuse::DoubleFree));
        // The program writes over both links: the header still shows it.
        // SAFETY: the freed block's payload lies in the heap's memory.
        unsafe { block.write_bytes(0x5a, 64) };
    }
    assert_eq!(heap.stats().used, 2 * 80);
}

#[test]
fn a_write_after_free_is_found_when_the_block_is_taken() {
    for index in [-1, 0, 1] {
        for value in [0usize, 1, usize::MAX, 0x4141_4141] {
            let (mut memory, mut table) = (memory(64 << 10), table());
            let mut heap = cached(&mut memory, &mut table, 4);
            let block = heap.allocate(layout(64)).unwrap();
            free(&heap, block, 64).unwrap();
            // SAFETY: a word of the heap's memory.
            unsafe {
                if word(block, index).read() == value {
                    continue;
                }
                word(block, index).write(value);
            }
            let broken = Refusal::Misuse(Misuse::SmashedLink, block.as_ptr());
            assert_eq!(heap.allocate(layout(64)), Err(broken), "{index} {value:#x}");
            assert!(heap.validate().is_err(), "{index} {value:#x}");
            assert!(!heap.remove_cache(), "{index} {value:#x}");
            // Other sizes are served.
            assert!(heap.allocate(layout(300)).is_ok());
        }
    }
}

#[test]
fn validation_finds_every_overwritten_word_of_a_cached_block_and_of_the_table() {
    let (mut memory, mut table) = (memory(64 << 10), table());
    let start: *mut u8 = table.as_mut_ptr().cast();
    let skip = start.align_offset(16);
    let words = TABLE / WORD;
    let heap = cached(&mut memory, &mut table, 3);
    let blocks: Vec<_> = [40, 40, 40, 700, 700, 3000]
        .map(|bytes| (heap.allocate(layout(bytes)).unwrap(), bytes))
        .to_vec();
    for &(block, bytes) in &blocks {
        free(&heap, block, bytes).unwrap();
    }
    assert_eq!(heap.validate(), Ok(()));
    let mut places: Vec<*mut usize> = blocks
        .iter()
        .flat_map(|&(block, _)| [-1, 0, 1].map(|index| word(block, index)))
        .collect();
    places.extend((0..words).map(|index| start.wrapping_add(skip + index * WORD).cast()));
    for place in places {
        // SAFETY: a word of the heap's memory or of the cache's.
        unsafe {
            let value = place.read();
            for damage in [!value, value ^ 16, value.wrapping_add(1), value ^ 4] {
                place.write(damage);
                assert!(heap.validate().is_err(), "{place:p}: {damage:#x}");
            }
            place.write(value);
        }
        assert_eq!(heap.validate(), Ok(()));
    }
}

/// No header, link and guard are three equal words, wherever the block lies after the table.
#[test]
fn one_word_over_header_and_links_is_found() {
    let mut memory = memory(32 << 10);
    let (memory, near) = memory.split_at_mut(16 << 10);
    let (table, pool) = near.split_at_mut(TABLE + 15);
    let mut heap = Heap::new(memory).unwrap();
    let rest = heap.stats().largest;
    assert!(heap.add_pool(pool).is_some() && heap.set_cache(table, 1));
    for bytes in (24..600).step_by(16) {
        for gap in (24..2000).step_by(16) {
            // All of the pool before the table.
            assert!(heap.allocate(layout(rest)).is_ok());
            let [first, block, wall] = [gap, bytes, 24].map(|bytes| heap.allocate(layout(bytes)));
            let block = block.unwrap();
            free(&heap, block, bytes).unwrap();
            for fill in [0, 2, usize::MAX] {
                // SAFETY: words of the heap's memory, restored.
                unsafe {
                    let saved = [-1, 0, 1].map(|index| word(block, index).read());
                    (-1..2).for_each(|index| word(block, index).write(fill));
                    let broken = Refusal::Misuse(Misuse::SmashedLink, block.as_ptr());
                    assert_eq!(heap.allocate(layout(bytes)), Err(broken), "{fill:#x}");
                    (-1..2)
                        .zip(saved)
                        .for_each(|(at, value)| word(block, at).write(value));
                }
            }
            assert!(first.is_ok() && wall.is_ok() && heap.reset());
        }
    }
}

/// Bit 1 of a header may change while the block is cached; that of the word after it may not.
#[test]
fn a_change_of_the_first_words_bit_1_is_found() {
    let (mut memory, mut table) = (memory(64 << 10), table());
    let heap = cached(&mut memory, &mut table, 1);
    let block = heap.allocate(layout(100)).unwrap();
    free(&heap, block, 100).unwrap();
    for index in [0, 1] {
        // SAFETY: a word of the heap's memory.
        unsafe { *word(block, index) ^= 2 };
        let broken = Refusal::Misuse(Misuse::SmashedLink, block.as_ptr());
        assert_eq!(heap.allocate(layout(100)), Err(broken), "{index}");
        assert!(heap.validate().is_err(), "{index}");
        // SAFETY: as above.
        unsafe { *word(block, index) ^= 2 };
    }
    assert_eq!(heap.allocate(layout(100)), Ok(block));
}

/// Nothing behind the table is read or written, whatever its words say of its length.
#[test]
fn an_overwritten_table_is_reported_and_ends_with_a_reset() {
    for value in [0, 700, 1 << 40, usize::MAX] {
        let (mut memory, mut table) = (memory(64 << 10), memory(8 << 10));
        let start: *mut u8 = table.as_mut_ptr().cast();
        let start = start.wrapping_add(start.align_offset(16)).cast::<usize>();
        let (short, rest) = table.split_at_mut(TABLE + 15);
        rest.fill(MaybeUninit::new(0xee));
        let mut heap = cached(&mut memory, short, 4);
        let blocks = [40, 700, 700].map(|bytes| heap.allocate(layout(bytes)).unwrap());
        free(&heap, blocks[1], 700).unwrap();
        // SAFETY: the table's word for the number of classes.
        unsafe {
            assert!((190..200).contains(&start.add(7).read()));
            start.add(7).write(value);
        }
        assert!(!heap.remove_cache());
        assert!(heap.stats().cached == 0 && heap.validate().is_err());
        let refused = heap.allocate(layout(1 << 15));
        assert!(refused.is_ok());
        let overwritten = Refusal::Misuse(Misuse::SmashedHooks, start.cast());
        assert_eq!(heap.allocate(layout(1 << 15)), Err(overwritten));
        assert!(heap.reset());
        assert_eq!(heap.validate(), Ok(()));
        let block = heap.allocate(layout(700)).unwrap();
        free(&heap, block, 700).unwrap();
        assert_eq!(heap.stats().used, 0);
        // SAFETY: written above.
        let all = rest
            .iter()
            .all(|byte| unsafe { byte.assume_init() } == 0xee);
        assert!(all, "{value:#x}");
    }
}

#[test]
fn a_refused_reallocation_changes_no_figure() {
    let (mut memory, mut table) = (memory(64 << 10), table());
    let heap = cached(&mut memory, &mut table, 1);
    let blocks = [100, 40, 24, 100, 40, 24].map(|bytes| heap.allocate(layout(bytes)).unwrap());
    free(&heap, blocks[0], 100).unwrap();
    free(&heap, blocks[1], 40).unwrap();
    // The next block is free in the core, and its link is overwritten.
    free(&heap, blocks[4], 40).unwrap();
    // SAFETY: a word of the heap's memory.
    unsafe { *word(blocks[4], 1) = 0x123_4560 };
    let before = heap.stats();
    // SAFETY: a block of this heap.
    let refused = unsafe { heap.reallocate(blocks[3], layout(100), layout(900)) };
    assert!(matches!(refused, Err(Refusal::Misuse(..))));
    assert_eq!(heap.stats(), before);
}

/// A cached block that has been overwritten, and what the other calls make of it.
#[test]
fn damage_is_dumped_and_refuses_an_observer() {
    let kinds = Mutex::new(0);
    let mut note = |_: &Event| *kinds.lock().unwrap() += 1;
    let (mut memory, mut table) = (memory(64 << 10), table());
    let mut heap = cached(&mut memory, &mut table, 4);
    let blocks = [40, 700, 3000].map(|bytes| (heap.allocate(layout(bytes)).unwrap(), bytes));
    for (block, bytes) in blocks {
        free(&heap, block, bytes).unwrap();
    }
    // SAFETY: a word of the heap's memory.
    unsafe { *word(blocks[1].0, 0) ^= 16 };
    assert!(!heap.dump(DumpFormat::Text, |_| true));
    assert!(!heap.set_observer(&mut note));
    assert!(heap.validate().is_err());
    // SAFETY: as above.
    unsafe { *word(blocks[1].0, 0) ^= 16 };
    assert!(heap.dump(DumpFormat::Text, |_| true));
    // The larger blocks have been freed.
    assert_eq!(heap.stats().cached, 48 + 720);
    assert_eq!(heap.allocate(layout(700)), Ok(blocks[1].0));
    assert_eq!(*kinds.lock().unwrap(), 0);
}

/// The flag of a cached block means damage in a heap without a cache.
#[test]
fn without_a_cache_the_mark_is_damage() {
    let mut memory = memory(64 << 10);
    let heap = Heap::new(&mut memory).unwrap();
    let block = heap.allocate(layout(100)).unwrap();
    // SAFETY: the block's header.
    unsafe { *word(block, -1) ^= 4 };
    assert_eq!(heap.validate().unwrap_err().invariant, Invariant::Tiling);
    assert_eq!(free(&heap, block, 100), Err(Misuse::NotABlock));
}
