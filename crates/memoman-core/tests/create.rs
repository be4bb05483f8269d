//! Creating and destroying an instance, its raw handle, and its error handler.

mod support;

use core::ffi::{CStr, c_char, c_void};
use memoman_core::{Misuse, Refusal, Tlsf};
use std::ptr::{self, NonNull};
use support::fronts::ByTurns;
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
const DEFAULT: usize = Tlsf::DEFAULT_MAX_BLOCK;

#[test]
fn the_limits_are_those_that_are_promised() {
    assert_eq!(QUANTUM, 2 * WORD);
    assert_eq!(Tlsf::ALLOC_OVERHEAD, WORD);
    assert_eq!(Tlsf::BLOCK_SIZE_MIN, 3 * WORD);
    assert_eq!(Tlsf::POOL_OVERHEAD, 7 * WORD);
    let tebibyte = if WORD == 8 { 1u64 << 40 } else { 1 << 30 } as usize;
    assert_eq!(DEFAULT, tebibyte);
    assert_eq!(Tlsf::BLOCK_SIZE_MAX, tebibyte);
}

#[test]
fn a_control_structure_grows_with_the_greatest_request_up_to_a_limit() {
    let limit = if WORD == 8 { 1u64 << 47 } else { 1 << 31 } as usize;
    let mut last = Tlsf::control_size(0);
    assert!(last > 0);
    for bytes in (0..usize::BITS).map(|shift| 1usize << shift) {
        if bytes > limit {
            assert_eq!(Tlsf::control_size(bytes), 0);
            continue;
        }
        let size = Tlsf::control_size(bytes);
        assert!(size >= last && size.is_multiple_of(QUANTUM));
        last = size;
    }
    assert_eq!(Tlsf::control_size(limit), last);
    assert_eq!(Tlsf::control_size(limit + 1), 0);
    assert_eq!(Tlsf::control_size(usize::MAX), 0);
    // 32 more heads for each power of two above the linear part.
    assert_eq!(
        Tlsf::control_size(1 << 20) - Tlsf::control_size(1 << 19),
        32 * WORD
    );
}

#[test]
fn an_instance_wants_aligned_memory_within_the_address_space() {
    let bytes = Tlsf::control_size(1 << 12);
    let region = Region::new(bytes + WORD, 0, 0xFF);
    let untouched = region.image();
    // SAFETY: the region is larger than the control structure; the refused calls write nothing.
    unsafe {
        for offset in 1..WORD {
            assert_eq!(
                Tlsf::create(region.start().wrapping_add(offset), 1 << 12),
                None
            );
        }
        let top = ptr::without_provenance_mut(usize::MAX - WORD + 1);
        assert_eq!(Tlsf::create(top, 1 << 12), None);
        assert_eq!(Tlsf::create(ptr::null_mut(), 1 << 12), None);
        assert_eq!(Tlsf::create(region.start(), usize::MAX), None);
        assert!(region.image() == untouched);
        // A word's alignment suffices.
        assert_sound(Tlsf::create(region.start().wrapping_add(WORD), 1 << 12).unwrap());
        assert!(region.image()[..WORD] == untouched[..WORD]);
    }
}

#[test]
fn group_c_control_structure_and_first_pool_fit_into_any_memory_that_is_large_enough() {
    let least = Tlsf::control_size(0);
    let pool_min = Tlsf::POOL_OVERHEAD + Tlsf::BLOCK_SIZE_MIN;
    for offset in 0..QUANTUM {
        // The smallest sufficient length, found by trying every length.
        let mut smallest = None;
        for bytes in least..least + pool_min + 4 * QUANTUM {
            let control = Tlsf::control_size(Tlsf::max_block_in(bytes));
            let region = Region::new(bytes, offset, 0xFF);
            // SAFETY: the region belongs to the test.
            let made = unsafe { Tlsf::create_with_pool(region.start(), bytes) };
            let Some(tlsf) = made else {
                assert!(region.image().iter().all(|&byte| byte == 0xFF));
                assert_eq!(smallest, None, "{bytes} bytes refused, fewer served");
                continue;
            };
            let stats = assert_sound(tlsf);
            if smallest.is_none() {
                smallest = Some(bytes);
                assert_eq!(stats.largest, Tlsf::BLOCK_SIZE_MIN);
            }
            assert_eq!(tlsf.as_raw().addr() % WORD, 0);
            assert!(tlsf.as_raw().addr() - region.start().addr() < WORD);
            // On either side, less than a quantum is left.
            let end = region.start().addr() + bytes;
            // SAFETY: live instance.
            let (start, rounded) = unsafe { tlsf.first_pool().unwrap().memory() };
            assert!(start.addr() - (tlsf.as_raw().addr() + control) < QUANTUM);
            assert!(end - (start.addr() + rounded) < QUANTUM);
        }
        let start = (4096 + offset).next_multiple_of(WORD) + least;
        let skipped = start.next_multiple_of(QUANTUM) - (4096 + offset);
        assert_eq!(smallest, Some(skipped + pool_min), "{offset}");
    }
}

#[test]
fn group_c_a_control_structure_is_sized_to_its_region() {
    for (bytes, percent) in [
        (12 << 10, 85),
        (16 << 10, 88),
        (64 << 10, 95),
        (1 << 20, 99),
    ] {
        for offset in 0..QUANTUM {
            let region = Region::new(bytes, offset, 0xFF);
            // SAFETY: the region belongs to the test.
            let tlsf = unsafe { Tlsf::create_with_pool(region.start(), bytes) }.unwrap();
            let stats = assert_sound(tlsf);
            assert!(stats.largest * 100 >= bytes * percent, "{stats:?}");
            // SAFETY: live instance.
            assert!(unsafe { tlsf.malloc(stats.largest) }.is_ok());
        }
    }
    // The limit is that of the region, also in a larger pool.
    let (first, more) = (Region::new(4096, 0, 0), Region::new(1 << 16, 0, 0));
    let limit = Tlsf::max_block_in(4096);
    assert!(limit < 4096 && limit > 4096 - Tlsf::control_size(4096));
    // SAFETY: both regions belong to the test.
    unsafe {
        let tlsf = Tlsf::create_with_pool(first.start(), 4096).unwrap();
        tlsf.add_pool(more.start(), 1 << 16).unwrap();
        let largest = assert_sound(tlsf).largest;
        assert!((limit..limit + QUANTUM).contains(&largest));
        assert!(tlsf.malloc(largest).is_ok());
        assert_eq!(tlsf.malloc(largest + 1), Err(Refusal::Exhausted));
        let tlsf = Tlsf::create_for_with_pool(first.start(), 4096, 1 << 16).unwrap();
        tlsf.add_pool(more.start(), 1 << 16).unwrap();
        assert!(assert_sound(tlsf).largest > (1 << 16) - 128);
        assert_eq!(
            Tlsf::create_for_with_pool(first.start(), 4096, usize::MAX),
            None
        );
    }
    assert_eq!(Tlsf::max_block_in(0), 0);
    assert_eq!(
        Tlsf::control_size(Tlsf::max_block_in(usize::MAX)) % QUANTUM,
        0
    );
    assert_ne!(Tlsf::control_size(Tlsf::max_block_in(usize::MAX)), 0);
}

#[test]
fn group_c_impossible_regions_hold_no_instance() {
    let region = Region::new(Tlsf::control_size(DEFAULT) + 4096, 0, 0xFF);
    // SAFETY: a refused call writes nothing.
    unsafe {
        for (start, bytes) in [
            (ptr::null_mut(), 1 << 20),
            (region.start(), 0),
            (region.start(), 1),
            (region.start(), usize::MAX),
            (region.start(), usize::MAX - region.start().addr() + 1),
            // Within the address space, but larger than any pool.
            (region.start(), usize::MAX - region.start().addr()),
            (ptr::without_provenance_mut(usize::MAX - 15), 16),
        ] {
            // 32-bit headers can hold every size in the address space.
            if WORD == 4 && bytes == usize::MAX - region.start().addr() {
                continue;
            }
            assert_eq!(Tlsf::create_with_pool(start, bytes), None, "{bytes:#x}");
        }
    }
}

#[test]
fn handles_lead_back_to_their_instance() {
    let instance = Instance::new(1 << 12);
    let region = Region::new(1024, 0, 0);
    // SAFETY: live instance and pool.
    unsafe {
        let raw = instance.tlsf.as_raw();
        assert_eq!(Tlsf::from_raw(raw), Some(instance.tlsf));
        assert_eq!(Tlsf::from_raw(ptr::null_mut()), None);
        let pool = instance.tlsf.add_pool(region.start(), 1024).unwrap();
        assert_eq!(pool.as_raw(), region.start().cast());
        assert_eq!(memoman_core::Pool::from_raw(pool.as_raw()), Some(pool));
        assert_eq!(memoman_core::Pool::from_raw(ptr::null_mut()), None);
    }
}

#[test]
fn a_destroyed_instance_serves_nothing_and_its_memory_can_be_used_anew() {
    let control = Region::new(Tlsf::control_size(1 << 12), 0, 0xFF);
    let region = Region::new(1024, 0, 0);
    // SAFETY: both regions belong to the test; the block is not used after the instance is
    // destroyed.
    unsafe {
        for _ in 0..2 {
            let tlsf = Tlsf::create(control.start(), 1 << 12).unwrap();
            tlsf.add_pool(region.start(), 1024).unwrap();
            let block = tlsf.malloc(100).unwrap();
            tlsf.destroy();
            for bytes in [1, 100, 1 << 12, usize::MAX] {
                assert_eq!(tlsf.malloc(bytes), Err(Refusal::Exhausted));
                assert_eq!(tlsf.memalign(64, bytes), Err(Refusal::Exhausted));
            }
            assert_eq!(tlsf.first_pool(), None);
            assert_eq!(tlsf.add_pool(region.start(), 1024), None);
            assert!(!tlsf.remove_pool(region.start()));
            assert_eq!(tlsf.free_by_turns(block).err(), Some(Misuse::Foreign));
            assert!(tlsf.diagnose().is_some());
        }
    }
}

#[test]
fn the_handler_is_kept_with_its_word_and_can_be_taken_back() {
    unsafe extern "C" fn handler(_: *const c_char, _: *const c_void, _: *mut c_void) {}
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let word = ptr::without_provenance_mut(0x1234);
    // SAFETY: live instance.
    unsafe {
        assert!(tlsf.misuse_handler().is_none());
        tlsf.set_misuse_handler(Some(handler), word);
        assert_eq!(tlsf.misuse_handler().map(|(_, user)| user), Some(word));
        assert_sound(tlsf);
        tlsf.set_misuse_handler(None, word);
        assert!(tlsf.misuse_handler().is_none());
    }
}

#[test]
fn every_misuse_has_a_message_of_its_own() {
    let all = [
        (Misuse::Misaligned, c"misaligned pointer"),
        (Misuse::Foreign, c"pointer outside every pool"),
        (Misuse::DoubleFree, c"double free"),
        (
            Misuse::NotABlock,
            c"not a live block (or its header is overwritten)",
        ),
        (Misuse::SmashedNext, c"header of the next block overwritten"),
        (
            Misuse::SmashedPrev,
            c"header of the previous block overwritten",
        ),
        (Misuse::SmashedLink, c"free-list link overwritten"),
    ];
    for (number, (misuse, message)) in all.into_iter().enumerate() {
        assert_eq!(misuse as usize, number + 1);
        assert_eq!(misuse.message(), message);
    }
}

#[test]
fn two_instances_know_nothing_of_each_other() {
    let instances = [Instance::new(1 << 12), Instance::new(1 << 12)];
    let regions = [Region::new(2048, 0, 0), Region::new(2048, 0, 0)];
    // SAFETY: live instances; the foreign block lies in readable memory.
    unsafe {
        let mut blocks = Vec::new();
        for (instance, region) in instances.iter().zip(&regions) {
            instance.tlsf.add_pool(region.start(), 2048).unwrap();
            blocks.push(instance.tlsf.malloc(100).unwrap());
        }
        for (index, instance) in instances.iter().enumerate() {
            let foreign = blocks[1 - index];
            let before = assert_sound(instance.tlsf);
            assert_eq!(
                instance.tlsf.free_by_turns(foreign).err(),
                Some(Misuse::Foreign)
            );
            assert_eq!(
                instance.tlsf.realloc(foreign, 10),
                Err(Refusal::Misuse(Misuse::Foreign, foreign.as_ptr()))
            );
            assert_eq!(assert_sound(instance.tlsf), before);
        }
    }
}

#[test]
fn group_i_a_block_of_another_instance_between_ones_own_pools_is_no_block() {
    let region = Region::new(3 * 1024, 0, 0);
    let instances = [Instance::new(1 << 12), Instance::new(1 << 12)];
    let at = |index: usize| region.start().wrapping_add(index * 1024);
    // SAFETY: live instances; the foreign block lies in readable memory.
    unsafe {
        for (index, owner) in [(0, 0), (1, 1), (2, 0)] {
            instances[owner].tlsf.add_pool(at(index), 1024).unwrap();
        }
        let foreign = instances[1].tlsf.malloc(100).unwrap();
        if WORD == 8 {
            // The seal distinguishes the instances.
            let misuse = instances[0].tlsf.free_by_turns(foreign).err();
            assert_eq!(misuse, Some(Misuse::NotABlock));
        }
        assert_sound(instances[0].tlsf);
        assert_sound(instances[1].tlsf);
    }
}

#[test]
fn usable_bytes_are_those_of_a_block_in_use() {
    let instance = Instance::new(1 << 12);
    let region = Region::new(1024, 0, 0);
    // SAFETY: live instance; the freed block's header may still be read.
    unsafe {
        instance.tlsf.add_pool(region.start(), 1024).unwrap();
        assert_eq!(Tlsf::block_size(ptr::null()), 0);
        let [a, b, c] = [(); 3].map(|()| instance.tlsf.malloc(40).unwrap());
        let usable = (40 + WORD).next_multiple_of(QUANTUM) - WORD;
        for block in [a, b, c] {
            assert_eq!(Tlsf::block_size(block.as_ptr()), usable);
        }
        let _ = instance.tlsf.free_by_turns(b);
        assert_eq!(Tlsf::block_size(b.as_ptr()), 0);
        // Its neighbour, with PREV_FREE set, keeps its size.
        assert_eq!(Tlsf::block_size(c.as_ptr()), usable);
        let _: NonNull<u8> = a;
    }
}

#[test]
fn violations_are_numbered_and_named() {
    use memoman_core::Invariant::*;
    let all = [
        Bitmap, List, Listed, Coalesced, PrevPhys, Tiling, Placement, Counters,
    ];
    for (index, invariant) in all.into_iter().enumerate() {
        assert_eq!(usize::from(invariant.number()), index + 1);
        let name: &CStr = invariant.name();
        let prefix = format!("I{}: ", index + 1);
        assert!(name.to_str().unwrap().starts_with(&prefix));
    }
}
