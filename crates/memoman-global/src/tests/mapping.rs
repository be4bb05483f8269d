//! A large block's word, and the places of the spares.

use crate::process::map::UNIT;
use crate::process::mapping_slots::{BYTES_MOST, Slots};
use crate::process::mapping_word::{MAPPING_MOST, Mapping, STEP, Use, is_large};
use core::ptr;

const MIB: usize = 1 << 20;

fn mapping(start: usize, bytes: usize) -> Mapping {
    Mapping { start, bytes }
}

#[test]
fn a_word_describes_start_size_and_use() {
    let most = (isize::MAX as usize >> 8).min(MAPPING_MOST) & !(STEP - 1);
    let high = [47, 57].map(|bits| ((1u64 << bits) as usize).wrapping_sub(UNIT));
    for unit in [UNIT, 77 * UNIT].into_iter().chain(high) {
        for step in 0..UNIT / STEP {
            for bytes in [UNIT, UNIT + STEP, most] {
                let mapping = mapping(unit + step * STEP, bytes);
                for used in [Use::Block, Use::Spare(false), Use::Spare(true)] {
                    let word = mapping.word(used);
                    assert!(is_large(word));
                    for address in [unit, unit + UNIT - 1] {
                        assert_eq!(Mapping::of_word(word, address), Some((mapping, used)));
                    }
                }
            }
        }
    }
    // Null and a heap's address, which is even, are none.
    for word in [0, 64, 0x7000_0000_1240_u64] {
        let word = ptr::without_provenance_mut(word as usize);
        assert!(!is_large(word) && Mapping::of_word(word, UNIT).is_none());
    }
}

#[test]
fn the_least_that_fits_is_taken_or_else_the_greatest() {
    let slots = Slots::new();
    let sizes = [5, 3, 9, 4].map(|mib| mapping(mib * 64 * MIB, mib * MIB));
    for mapping in sizes {
        assert_eq!(slots.put(mapping), None);
    }
    assert_eq!(slots.contents(), (4, 21 * MIB));
    assert!(slots.any_below(3 * MIB + STEP) && !slots.any_below(3 * MIB));
    assert_eq!(slots.take(10 * MIB, None), None);
    assert_eq!(slots.take(20 * MIB, Some(10 * MIB)), None);
    assert_eq!(slots.take(4 * MIB - STEP, Some(0)), Some(sizes[3]));
    assert_eq!(slots.take(10 * MIB, Some(2 * MIB)), Some(sizes[2]));
    assert_eq!(slots.take(5 * MIB, None), Some(sizes[0]));
    assert_eq!(slots.take(0, None), Some(sizes[1]));
    assert_eq!((slots.take(0, None), slots.contents()), (None, (0, 0)));
}

#[test]
fn the_one_behind_is_taken_if_it_is_long_enough() {
    let slots = Slots::new();
    let two = [5, 7].map(|mib| mapping(mib * 64 * MIB, mib * MIB));
    for mapping in two {
        assert_eq!(slots.put(mapping), None);
    }
    assert_eq!(slots.take_at(two[1].start, 7 * MIB + STEP), None);
    assert_eq!(slots.take_at(two[1].start - STEP, STEP), None);
    assert_eq!(slots.take_at(two[1].start, 7 * MIB), Some(two[1]));
    assert_eq!(slots.take_at(two[1].start, STEP), None);
    assert_eq!(slots.contents(), (1, 5 * MIB));
}

#[test]
fn when_all_places_are_taken_the_smallest_goes() {
    let slots = Slots::new();
    let count = slots.len();
    let nth = |index: usize| mapping((index + 1) * MIB, (index + 2) * STEP);
    for index in 0..count {
        assert_eq!(slots.put(nth(index)), None);
    }
    assert_eq!(slots.put(mapping(UNIT, STEP)), Some(mapping(UNIT, STEP)));
    let greatest = mapping(UNIT, BYTES_MOST);
    assert_eq!(slots.put(greatest), Some(nth(0)));
    assert_eq!(slots.take(BYTES_MOST, None), Some(greatest));
    assert_eq!(slots.contents().0, count - 1);
}

#[test]
fn neighbours_are_found_on_both_sides() {
    let slots = Slots::new();
    let (before, middle) = (mapping(MIB, MIB), mapping(2 * MIB, 3 * MIB));
    let (after, apart) = (mapping(5 * MIB, MIB), mapping(7 * MIB, MIB));
    for mapping in [apart, before, after] {
        assert_eq!(slots.put(mapping), None);
    }
    assert_eq!(slots.take_beside(middle), Some(before));
    assert_eq!(slots.take_beside(middle), Some(after));
    assert_eq!(slots.take_beside(middle), None);
    assert_eq!(slots.take(0, None), Some(apart));
}

/// A word stays where a large block was until its unit is used again. The side heap's regions have
/// no words.
#[test]
#[cfg(feature = "late-checks")]
fn the_side_heap_may_be_where_large_blocks_were() {
    use super::support::quietly;
    use crate::imp::{free, malloc, usable_size};
    use crate::process::{map, side};
    use std::vec::Vec;

    quietly("the_side_heap_may_be_where_large_blocks_were", &[], || {
        let large: Vec<_> = (0..64).map(|_| malloc(MIB)).collect();
        // SAFETY: live blocks.
        large.into_iter().for_each(|block| unsafe { free(block) });
        let bytes = 16 << 10;
        let blocks: Vec<_> = (0..2000)
            .map(|_| side::allocate(16, bytes).unwrap().as_ptr())
            .collect();
        let is_stale = |block: &&*mut u8| {
            let word = map::owner_outlined(block.addr());
            matches!(Mapping::of_word(word, block.addr()), Some((mapping, _)) if
                block.addr() >= mapping.start)
        };
        assert!(blocks.iter().filter(is_stale).count() > 4);
        for block in blocks {
            // SAFETY: a live block, then not used any more.
            unsafe {
                assert!(usable_size(block) >= bytes);
                free(block);
            }
        }
    });
}
