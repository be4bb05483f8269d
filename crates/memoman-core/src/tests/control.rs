//! The control structure's geometry and seals.

use crate::config::{MAX_BLOCK_LIMIT, QUANTUM, SIZE_LIMIT, WORD};
use crate::control::{BINS_MIN, Control, cookie_for};
use crate::observe::HOOKS;
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
        let bytes = size_of::<Control>() + bins * WORD + HOOKS;
        assert_eq!(Control::size_for(max_block), bytes);
    }
}

#[test]
fn group_i_a_seal_has_the_uppermost_bit_and_none_of_a_size() {
    let mut seals = std::collections::BTreeSet::new();
    for address in (0..1 << 16).step_by(64) {
        let seal = cookie_for(address, 0);
        // The next seal, drawn from this one, differs too.
        assert_ne!(cookie_for(address, seal), seal);
        if WORD == 8 {
            assert_eq!(seal >> (usize::BITS - 1), 1);
            assert_eq!(seal & (SIZE_LIMIT | (QUANTUM - 1)), 0);
        }
        seals.insert(seal);
    }
    assert!(seals.len() > 900);
}
