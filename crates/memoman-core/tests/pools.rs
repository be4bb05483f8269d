//! Pools: bounds to the byte, order, refusals, which change nothing (group C).

mod support;

use memoman_core::{Stats, Tlsf};
use std::ptr;
use support::fronts::ByTurns;
use support::pools::{add, blocks, starts, unchanged};
use support::{Instance, Random, Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
/// Bytes of a pool that belong to no block.
const COST: usize = Tlsf::POOL_OVERHEAD - WORD;
/// Smallest block, header included.
const BLOCK_MIN: usize = Tlsf::BLOCK_SIZE_MIN + WORD;

#[test]
fn group_c_the_smallest_pool_holds_the_smallest_block_and_one_byte_less_is_refused() {
    for offset in 0..QUANTUM {
        let skip = offset.wrapping_neg() & (QUANTUM - 1);
        let smallest = skip + COST + BLOCK_MIN;
        for bytes in 0..smallest {
            let instance = Instance::new(1 << 12);
            let region = Region::new(bytes, offset, 0xFF);
            unchanged(instance.tlsf, &[&region], "too small", || {
                add(instance.tlsf, region.start(), bytes).is_some()
            });
        }
        for bytes in smallest..smallest + 3 * QUANTUM {
            let instance = Instance::new(1 << 12);
            let region = Region::new(bytes, offset, 0xFF);
            let pool = add(instance.tlsf, region.start(), bytes).unwrap();
            // SAFETY: live pool.
            let (start, rounded) = unsafe { pool.memory() };
            assert_eq!(start, region.start().wrapping_add(skip));
            assert_eq!(rounded, (bytes - skip) & !(QUANTUM - 1));
            assert_eq!(blocks(pool), [(rounded - COST - WORD, false)]);
            let stats = assert_sound(instance.tlsf);
            assert_eq!(
                stats,
                Stats {
                    pool_bytes: rounded,
                    free: rounded - COST,
                    overhead: COST,
                    largest: rounded - COST - WORD,
                    ..Stats::default()
                }
            );
        }
    }
}

#[test]
fn group_c_a_null_region_and_one_past_the_end_of_the_address_space_are_refused() {
    let instance = Instance::new(1 << 12);
    let region = Region::new(1024, 0, 0xFF);
    let tlsf = instance.tlsf;
    for (start, bytes) in [
        (ptr::null_mut(), 1024),
        (ptr::without_provenance_mut(usize::MAX - 1023), 1025),
        (ptr::without_provenance_mut(usize::MAX), 1024),
        (region.start(), usize::MAX),
        (region.start(), usize::MAX - region.start().addr() + 1),
        // Within the address space, but beyond the size that a header can hold.
        (region.start(), usize::MAX - region.start().addr()),
    ] {
        // 32-bit headers can hold every size in the address space.
        if WORD == 4 && bytes == usize::MAX - region.start().addr() {
            continue;
        }
        unchanged(tlsf, &[&region], "bounds", || {
            add(tlsf, start, bytes).is_some()
        });
    }
    assert!(add(tlsf, region.start(), 1024).is_some());
}

#[test]
fn group_c_pools_stand_in_address_order_however_they_came() {
    let region = Region::new(6 * 512, 0, 0);
    let at = |index: usize| region.start().wrapping_add(index * 512);
    let mut random = Random(7);
    for _ in 0..40 {
        let instance = Instance::new(1 << 12);
        let tlsf = instance.tlsf;
        let mut order: Vec<usize> = (0..6).collect();
        for last in (1..6).rev() {
            order.swap(last, random.below(last + 1));
        }
        let mut added = Vec::new();
        let mut pools = [None; 6];
        for &index in &order {
            // Touching neighbours are no overlap.
            pools[index] = add(tlsf, at(index), 512);
            assert!(pools[index].is_some());
            added.push(at(index).addr());
            added.sort_unstable();
            assert_eq!(starts(tlsf), added);
            assert_sound(tlsf);
        }
        for &index in &order {
            // SAFETY: live, empty pools.
            assert!(unsafe { tlsf.remove_pool(at(index)) });
            // Where pools lie on both sides, the remains of the first removal refuse a second.
            // SAFETY: live instance; the removed pool's memory may be read.
            unsafe {
                assert!(!tlsf.remove_pool(at(index)));
                assert_eq!(tlsf.next_pool(pools[index].unwrap()), None);
                assert!(!tlsf.extend_pool(pools[index].unwrap(), QUANTUM));
            }
            added.retain(|&start| start != at(index).addr());
            assert_eq!(starts(tlsf), added);
            let stats = assert_sound(tlsf);
            assert_eq!(stats.pool_bytes, added.len() * 512);
            assert_eq!(stats.overhead, added.len() * COST);
        }
        assert_eq!(assert_sound(tlsf), Stats::default());
    }
}

#[test]
fn group_c_an_overlap_by_one_byte_is_refused() {
    let region = Region::new(4096, 0, 0);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let at = |offset: usize| region.start().wrapping_add(offset);
    // Two pools whose caller's regions end between two quanta.
    assert!(add(tlsf, at(1024), 513).is_some());
    assert!(add(tlsf, at(2048), 517).is_some());
    for (offset, bytes) in [
        (1024, 513),
        (1024, 100),
        (1100, 100),
        (1023, 3000),
        (900, 125),
        (0, 1025),
        (0, 4096),
        (1024 + 512, 300),
        (1024 + 500, 600),
        (1600, 449),
        (2048 + 516, 300),
        (2100, 600),
    ] {
        unchanged(tlsf, &[&region], &format!("{offset}+{bytes}"), || {
            add(tlsf, at(offset), bytes).is_some()
        });
    }
    assert!(add(tlsf, at(0), 1024).is_some());
    assert!(add(tlsf, at(1024 + 513), 2048 - 1024 - 513).is_some());
    assert!(add(tlsf, at(2048 + 517), 4096 - 2048 - 517).is_some());
    assert_eq!(starts(tlsf).len(), 5);
    assert_sound(tlsf);
}

#[test]
fn group_c_a_pool_may_touch_the_control_structure_and_no_more() {
    // Its end is a multiple of the quantum, so that another pool can begin there.
    let max_block = (1 << 12..)
        .step_by(64)
        .find(|&max_block| Tlsf::control_size(max_block).is_multiple_of(QUANTUM))
        .unwrap();
    let bytes = Tlsf::control_size(max_block);
    let region = Region::new(1024 + bytes + 1024, 0, 0);
    let control = region.start().wrapping_add(1024);
    // SAFETY: the middle of the region is the instance's.
    let tlsf = unsafe { Tlsf::create(control, max_block) }.unwrap();
    for (start, length) in [
        (region.start(), 1025),
        (region.start().wrapping_add(8), 1024),
        (control, bytes),
        (control.wrapping_add(64), 128),
        (control.wrapping_add(bytes - 1), 512),
        (region.start(), region.bytes()),
    ] {
        unchanged(tlsf, &[&region], "control", || {
            add(tlsf, start, length).is_some()
        });
    }
    assert!(add(tlsf, region.start(), 1024).is_some());
    assert!(add(tlsf, control.wrapping_add(bytes), 1024).is_some());
    assert_sound(tlsf);
    // The previous pool cannot be extended into the control structure.
    // SAFETY: live instance and pool.
    unsafe {
        let pool = tlsf.first_pool().unwrap();
        for more in [1, QUANTUM, bytes, bytes + 64] {
            unchanged(tlsf, &[&region], "extend", || tlsf.extend_pool(pool, more));
        }
    }
}

#[test]
fn group_c_every_address_belongs_to_the_pool_that_holds_it() {
    let region = Region::new(4096, 0, 0);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let at = |offset: usize| region.start().wrapping_add(offset);
    let (low, high) = (
        add(tlsf, at(512), 512).unwrap(),
        add(tlsf, at(2048), 1024).unwrap(),
    );
    for offset in 0..4096 {
        let expected = match offset {
            512..1024 => Some(low),
            2048..3072 => Some(high),
            _ => None,
        };
        // SAFETY: live instance.
        assert_eq!(unsafe { tlsf.pool_of(at(offset)) }, expected, "{offset}");
    }
}

#[test]
fn group_c_a_pool_is_removed_by_any_address_that_it_was_added_with() {
    for offset in 0..QUANTUM {
        let region = Region::new(512, offset, 0);
        let instance = Instance::new(1 << 12);
        let tlsf = instance.tlsf;
        add(tlsf, region.start(), 512).unwrap();
        // SAFETY: live instance.
        unsafe {
            assert!(tlsf.remove_pool(region.start()));
            unchanged(tlsf, &[&region], "again", || {
                tlsf.remove_pool(region.start())
            });
            assert!(add(tlsf, region.start(), 512).is_some());
            assert_sound(tlsf);
        }
    }
}

#[test]
fn group_c_a_pool_in_use_or_unknown_or_overwritten_is_not_removed() {
    let region = Region::new(4096, 0, 0);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let at = |offset: usize| region.start().wrapping_add(offset);
    add(tlsf, at(0), 1024).unwrap();
    add(tlsf, at(2048), 1024).unwrap();
    // SAFETY: live instance; every word read lies in the region; damage is undone.
    unsafe {
        let first = tlsf.malloc(100).unwrap();
        let second = tlsf.malloc(100).unwrap();
        let used = tlsf.pool_of(first.as_ptr()).unwrap().as_raw().cast::<u8>();
        assert_eq!(tlsf.pool_of(second.as_ptr()), tlsf.pool_of(first.as_ptr()));
        let other = if used == at(0) { at(2048) } else { at(0) };
        for (what, start) in [
            ("in use", used),
            ("null", ptr::null_mut()),
            ("no pool, between", at(1024)),
            ("no pool, inside", at(512)),
            ("no pool, above", at(3072)),
            ("wild", ptr::without_provenance_mut(1 << 12)),
            ("top", ptr::without_provenance_mut(usize::MAX)),
        ] {
            unchanged(tlsf, &[&region], what, || tlsf.remove_pool(start));
        }
        // The first block is free, but not the only one.
        tlsf.free_by_turns(first).unwrap();
        unchanged(tlsf, &[&region], "half free", || tlsf.remove_pool(used));
        // The hash of the header, a link of the one free block.
        for word in [0, 1, 2, 3, 4, 6, 7] {
            let place = other.cast::<usize>().add(word);
            let old = place.replace(place.read() ^ QUANTUM);
            assert!(!tlsf.remove_pool(other), "word {word}");
            place.write(old);
        }
        assert!(tlsf.remove_pool(other));
        tlsf.free_by_turns(second).unwrap();
        assert!(tlsf.remove_pool(used));
        assert_eq!(assert_sound(tlsf).pool_bytes, 0);
    }
}

#[test]
fn group_c_an_overwritten_pool_header_stops_the_list_and_every_call_that_follows_it() {
    let region = Region::new(4096, 0, 0);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let at = |offset: usize| region.start().wrapping_add(offset);
    let low = add(tlsf, at(0), 1024).unwrap();
    add(tlsf, at(1024), 1024).unwrap();
    // SAFETY: live instance; the damage is a pool header's word, undone.
    unsafe {
        for word in 0..5 {
            let place = at(0).cast::<usize>().add(word);
            let old = place.replace(place.read() ^ QUANTUM);
            assert_eq!(tlsf.next_pool(low), None, "word {word}");
            assert!(add(tlsf, at(2048), 1024).is_none(), "word {word}");
            assert!(!tlsf.extend_pool(low, 0), "word {word}");
            assert!(!tlsf.reset(), "word {word}");
            place.write(old);
            assert_sound(tlsf);
        }
        assert!(tlsf.next_pool(low).is_some());
        // A pool of another instance.
        let other = Instance::new(1 << 12);
        assert_eq!(other.tlsf.next_pool(low), None);
        assert!(!other.tlsf.extend_pool(low, 64));
        assert!(!other.tlsf.remove_pool(at(0)));
        assert_sound(tlsf);
    }
}

/// On a 32-bit target the address space ends first.
#[cfg(target_pointer_width = "64")]
#[test]
fn group_c_a_free_that_empties_its_pool_says_which() {
    let region = Region::new(4096, 0, 0);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let at = |offset: usize| region.start().wrapping_add(offset);
    add(tlsf, at(0), 1024).unwrap();
    add(tlsf, at(2048), 1024).unwrap();
    // SAFETY: live instance; each block is freed once.
    unsafe {
        let blocks: Vec<ptr::NonNull<u8>> =
            std::iter::from_fn(|| tlsf.malloc(Tlsf::BLOCK_SIZE_MIN).ok()).collect();
        let mut left = [0; 2];
        let index = |block: &ptr::NonNull<u8>| usize::from(block.as_ptr() >= at(2048));
        for block in &blocks {
            left[index(block)] += 1;
        }
        assert!(left[0] > 10 && left[1] > 10);
        let mut order = blocks.clone();
        let mut random = Random(11);
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for block in order {
            let freed = tlsf.free_by_turns(block).unwrap();
            let which = index(&block);
            left[which] -= 1;
            let expected = (left[which] == 0).then(|| tlsf.pool_of(block.as_ptr()).unwrap());
            assert_eq!(tlsf.emptied_pool(freed), expected);
            assert_eq!(
                tlsf.pool_of(block.as_ptr()).unwrap().is_empty(),
                left[which] == 0
            );
        }
        assert_sound(tlsf);
    }
}

#[test]
fn group_c_reset_makes_each_pool_one_free_block_and_the_counters_anew() {
    let region = Region::new(16384, 0, 0);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let at = |offset: usize| region.start().wrapping_add(offset);
    add(tlsf, at(0), 1024).unwrap();
    add(tlsf, at(2048), 3000).unwrap();
    // One block for the last bin, which takes all sizes beyond the classes.
    add(tlsf, at(6000), 1024).unwrap();
    add(tlsf, at(9000), 7000).unwrap();
    let fresh = assert_sound(tlsf);
    // SAFETY: live instance; all blocks are given up by the reset.
    unsafe {
        assert!(tlsf.reset());
        assert_eq!(assert_sound(tlsf), fresh);
        let mut size = 1;
        while tlsf.malloc(size).is_ok() {
            size = size * 3 / 2 + 1;
        }
        assert!(tlsf.stats().failed_requests > 0);
        assert!(tlsf.reset());
        assert_eq!(assert_sound(tlsf), fresh);
        let mut pool = tlsf.first_pool();
        while let Some(this) = pool {
            assert!(this.is_empty());
            pool = tlsf.next_pool(this);
        }
        assert!(tlsf.malloc(fresh.largest).is_ok());
    }
}

#[test]
fn group_c_a_walk_ends_at_an_overwritten_header() {
    let region = Region::new(1024, 0, 0);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let pool = add(tlsf, region.start(), 1024).unwrap();
    // SAFETY: live instance; the damage is undone.
    unsafe {
        let live: Vec<_> = (0..4).map(|_| tlsf.malloc(40).unwrap()).collect();
        assert_eq!(blocks(pool).len(), 5);
        let header = live[2].as_ptr().cast::<usize>().sub(1);
        let old = header.read();
        let low_bits = old & (QUANTUM - 1);
        for size in [0, QUANTUM, 1 << 20] {
            let seal = old & !0xFFFF;
            header.write(
                if size < 1 << 16 { seal } else { seal ^ size } | low_bits | (size & 0xFFFF),
            );
            assert_eq!(blocks(pool).len(), 2, "{size}");
        }
        header.write(old);
        assert_eq!(blocks(pool).len(), 5);
        // The pool's own end.
        let end = region.start().cast::<usize>().add(3);
        let old = end.read();
        end.write(old + QUANTUM);
        assert_eq!(blocks(pool), []);
        end.write(old);
        assert_eq!(blocks(pool).len(), 5);
    }
}
