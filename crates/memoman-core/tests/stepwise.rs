//! Validation in steps while the allocator is used: no false alarm, and complete cover (group I).

mod support;

use memoman_core::{Cursor, Invariant, Step, Tlsf};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Instance, Random, Region, assert_sound};

fn step(tlsf: Tlsf, cursor: &mut Cursor, max_blocks: usize) -> Step {
    // SAFETY: the tests' instances are live; the cursor belongs to this one.
    unsafe { tlsf.validate_step(cursor, max_blocks) }
}

#[test]
fn group_i_a_reset_between_two_steps_is_no_violation() {
    for blocks_seen in 1..30 {
        let instance = Instance::new(1 << 16);
        let region = Region::new(8192, 0, 0);
        let tlsf = instance.tlsf;
        // SAFETY: the region outlives the instance's use; each block is given up by the reset.
        unsafe {
            tlsf.add_pool(region.start(), region.bytes()).unwrap();
            let blocks: Vec<_> = (0..40).map(|_| tlsf.malloc(100).unwrap()).collect();
            for ptr in blocks.iter().skip(1).step_by(3) {
                tlsf.free_by_turns(*ptr).unwrap();
            }
            let mut cursor = Cursor::START;
            assert_eq!(step(tlsf, &mut cursor, blocks_seen), Step::More);
            assert!(tlsf.reset());
            loop {
                match step(tlsf, &mut cursor, 4) {
                    Step::More => {}
                    Step::Sound => break,
                    Step::Broken(found) => panic!("after {blocks_seen} blocks: {found:?}"),
                }
            }
            if size_of::<usize>() == 8 {
                // A block from before the reset is none any more, although its header remains.
                // 32-bit headers have no seal.
                for ptr in blocks {
                    assert!(tlsf.free_by_turns(ptr).is_err());
                }
            }
            assert_sound(tlsf);
        }
    }
}

/// Makes a random change between two steps.
fn work(
    tlsf: Tlsf,
    random: &mut Random,
    live: &mut Vec<NonNull<u8>>,
    extra: &Region,
    added: &mut bool,
) {
    // SAFETY: a live instance; each block is freed or resized once; the region outlives the
    // instance's use.
    unsafe {
        match random.below(40) {
            0 if !*added => *added = tlsf.add_pool(extra.start(), extra.bytes()).is_some(),
            1 if *added => *added = !tlsf.remove_pool(extra.start()),
            // Without a seal, headers from before a reset look like later ones: the only possible
            // false alarm.
            2 if random.below(8) == 0 && cfg!(target_pointer_width = "64") => {
                assert!(tlsf.reset());
                live.clear();
            }
            3..16 if !live.is_empty() => {
                let ptr = live.swap_remove(random.below(live.len()));
                tlsf.free_by_turns(ptr).unwrap();
            }
            16..24 if !live.is_empty() => {
                let at = random.below(live.len());
                if let Ok(ptr) = tlsf.realloc(live[at], 1 + random.below(400)) {
                    live[at] = ptr;
                }
            }
            24..28 => live.extend(tlsf.memalign(1 << random.below(8), 1 + random.below(200))),
            _ => live.extend(tlsf.malloc(1 + random.below(200))),
        }
    }
}

#[test]
fn group_i_steps_raise_no_false_alarm_while_the_allocator_works() {
    let mut covered = 0;
    for seed in 0..40 {
        let instance = Instance::new(1 << 16);
        let regions = [
            Region::new(8192, 0, 0x5A),
            Region::new(4096, 8, 0x5A),
            Region::new(2048, 1, 0x5A),
        ];
        let tlsf = instance.tlsf;
        for region in &regions[..2] {
            // SAFETY: the regions outlive the instance's use.
            unsafe { tlsf.add_pool(region.start(), region.bytes()) }.unwrap();
        }
        let mut random = Random(seed);
        let (mut live, mut added) = (Vec::new(), false);
        let mut cursor = Cursor::START;
        for _ in 0..3_000 {
            for _ in 0..random.below(3) {
                work(tlsf, &mut random, &mut live, &regions[2], &mut added);
            }
            match step(tlsf, &mut cursor, 1 + random.below(12)) {
                Step::More => {}
                Step::Sound => covered += 1,
                Step::Broken(found) => panic!("seed {seed}: {found:?}"),
            }
        }
        assert_sound(tlsf);
    }
    // The heaps have up to 200 blocks, so that the steps reach the end many times.
    assert!(covered > 40 * 20, "{covered}");
}

/// Seven blocks, three of them freed in this order, so that the last one heads their list; then a
/// link is overwritten. The block or link that a step names, as the index of its block.
fn named(
    freed: [usize; 3],
    link_of: usize,
    word: usize,
    value: impl Fn(&[usize]) -> usize,
) -> usize {
    let instance = Instance::new(1 << 12);
    let region = Region::new(2048, 0, 0);
    let tlsf = instance.tlsf;
    // SAFETY: the region outlives the instance's use; each block is freed once.
    unsafe {
        tlsf.add_pool(region.start(), region.bytes()).unwrap();
        let blocks: Vec<_> = (0..7).map(|_| tlsf.malloc(100).unwrap()).collect();
        for index in freed {
            let _ = tlsf.free_by_turns(blocks[index]).unwrap();
        }
        let mut cursor = Cursor::START;
        assert_eq!(step(tlsf, &mut cursor, 100), Step::Sound);
        let places: Vec<_> = blocks.iter().map(|block| block.as_ptr().addr()).collect();
        let link = blocks[link_of].as_ptr().cast::<usize>().add(word);
        link.write(value(&places));
        let mut cursor = Cursor::START;
        let Step::Broken(found) = step(tlsf, &mut cursor, 100) else {
            panic!("not found");
        };
        assert_eq!(found.invariant, Invariant::List);
        let named = places
            .iter()
            .position(|&place| place == found.address.addr());
        named.expect("no block")
    }
}

#[test]
fn group_i_a_step_names_the_link_that_leads_astray_and_not_the_block_that_it_leads_to() {
    const NEXT: usize = 0;
    const PREV: usize = 1;
    // The list is 1, 3, 5. Block 1 leads to 5, as 3 does, and 5 leads back to 3.
    assert_eq!(named([5, 3, 1], 1, NEXT, |blocks| blocks[5]), 1);
    // 5 leads back to 1, which leads to 3.
    assert_eq!(named([5, 3, 1], 5, PREV, |blocks| blocks[1]), 5);
    // The list is 5, 3, 1, and 5 leads to 1: the walk reaches 3 first, whose link back is right.
    assert_eq!(named([1, 3, 5], 5, NEXT, |blocks| blocks[1]), 5);
}
