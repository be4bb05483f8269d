//! The control structure's geometry and seals.

use crate::config::{MAX_BLOCK_LIMIT, QUANTUM, SIZE_LIMIT, WORD};
use crate::control::{BINS_MIN, Control};
use crate::life;
use crate::size_class::{bin_floor_size, block_size_for};

#[test]
fn group_e_every_block_of_the_last_bin_serves_every_request_and_no_bin_is_spared() {
    let limits = (3..usize::BITS).map(|shift| 1usize << (shift - 1));
    for max_block in limits.flat_map(|limit| [limit - 1, limit, limit + 1]) {
        if max_block > MAX_BLOCK_LIMIT {
            assert_eq!(Control::size_for(max_block), 0);
            continue;
        }
        let bins = Control::bins_for(max_block);
        assert!(bin_floor_size(bins - 1) >= block_size_for(max_block));
        assert!(bins == BINS_MIN || bin_floor_size(bins - 2) < block_size_for(max_block));
        let bytes = size_of::<Control>() + bins * WORD;
        assert!((bytes..bytes + QUANTUM).contains(&Control::size_for(max_block)));
        assert!(Control::size_for(max_block).is_multiple_of(QUANTUM));
    }
}

#[test]
fn group_i_a_seal_has_the_uppermost_bit_and_none_of_a_size() {
    for first in [0, 1 << 20, usize::MAX - 100] {
        let mut seals = std::collections::BTreeSet::new();
        for life in 0..1 << 15 {
            let seal = life::seal(first.wrapping_add(life));
            if WORD == 8 {
                assert_eq!(seal >> (usize::BITS - 1), 1);
                assert_eq!(seal & (SIZE_LIMIT | (QUANTUM - 1)), 0);
                assert!(seals.insert(seal), "two lives of 32,768 have one seal");
            } else {
                assert_eq!(seal, 0);
            }
        }
    }
}

#[test]
fn lives_that_begin_one_after_the_other_have_numbers_of_their_own() {
    let mut memory = [0usize; 300];
    let mem = memory.as_mut_ptr().cast::<u8>();
    let mut last = 0;
    for _ in 0..1000 {
        // SAFETY: the array holds a control structure for small requests, which is given up.
        let life = unsafe {
            let tlsf = crate::Tlsf::create(mem, 1).unwrap();
            assert!(tlsf.reset());
            let first = (*tlsf.control()).life;
            assert!(tlsf.reset());
            let life = (*tlsf.control()).life;
            assert_eq!(life, first.wrapping_add(1));
            life
        };
        if cfg!(target_arch = "x86_64") {
            assert!(life > last, "{life} after {last}");
        }
        last = life;
    }
    let seeded = |seed| {
        // SAFETY: as above.
        unsafe { (*crate::Tlsf::create_seeded(mem, 1, seed).unwrap().control()).life }
    };
    assert_eq!((seeded(7), seeded(usize::MAX)), (7, usize::MAX));
}
