//! Compile-time assertions that the constants and structures fit together: a wrong constant does
//! not compile.

use core::mem::offset_of;

use crate::block::FLAGS;
use crate::config::{
    BINS_MAX, BLOCK_MIN, DEFAULT_MAX_BLOCK, HEADER, MAX_BLOCK_LIMIT, QUANTUM, SIZE_LIMIT, SL_WORDS,
    WORD,
};
use crate::control::{Control, HASHED_FIRST, HASHED_LAST};
use crate::pool::{HASHED, PoolHeader};
use crate::size_class::floor_bin;

const _: () = {
    assert!(
        WORD == 4 || WORD == 8,
        "memoman knows 32-bit and 64-bit targets"
    );
    assert!(QUANTUM == 2 * WORD && QUANTUM.is_power_of_two());
    // The three flags fit below the quantum; on 64-bit targets one bit there stays clear.
    assert!(FLAGS < QUANTUM);
    // A free block's payload holds two links and the next block's `prev_phys`.
    assert!(BLOCK_MIN == HEADER + 3 * WORD && BLOCK_MIN.is_multiple_of(QUANTUM));
    // One first-level word has a bit for each second-level word.
    assert!(SL_WORDS <= usize::BITS as usize);
    assert!(floor_bin(SIZE_LIMIT) < BINS_MAX);
    assert!(floor_bin(BLOCK_MIN) == 2);
    assert!(DEFAULT_MAX_BLOCK <= MAX_BLOCK_LIMIT);
    assert!(MAX_BLOCK_LIMIT < SIZE_LIMIT - 2 * QUANTUM);
    // The control structure is small enough for a small heap.
    assert!(WORD == 4 || Control::size_for(DEFAULT_MAX_BLOCK) <= 8_704);
    assert!(WORD == 4 || Control::size_for(1 << 16) <= 2_560);
    // A pool's first payload is aligned when the pool is.
    assert!((size_of::<PoolHeader>() + HEADER).is_multiple_of(QUANTUM));
    assert!(align_of::<Control>() == WORD);
    assert!(size_of::<Control>().is_multiple_of(WORD));
    // The second link of a block at the control structure's address.
    assert!(offset_of!(Control, absorber) == WORD);
    // The words that the hashes cover lie side by side.
    let first = offset_of!(Control, low);
    assert!(offset_of!(Control, limit) == first + (HASHED_FIRST - 1) * WORD);
    let last = offset_of!(Control, first_pool);
    assert!(offset_of!(Control, life) == last + (HASHED_LAST - 1) * WORD);
    assert!(offset_of!(Control, check) == last + HASHED_LAST * WORD);
    assert!(offset_of!(PoolHeader, check) == HASHED * WORD);
    // The bin above an instance's last one still has a bit in the bitmap.
    assert!(Control::bins_for(MAX_BLOCK_LIMIT) < BINS_MAX);
};
