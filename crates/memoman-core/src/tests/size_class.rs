//! The mapping at every size up to 2^24, and above that within ±64 of every power of two and bin
//! edge. Requests byte by byte, block sizes quantum by quantum: all values that reach the
//! functions.

use crate::config::*;
use crate::control::Control;
use crate::size_class::*;

const EXHAUSTIVE: usize = 1 << 24;
const AROUND: usize = 64;

/// The mappings of one block size.
#[derive(Clone, Copy)]
struct Mapped {
    floor: usize,
    ceil: usize,
    cut: usize,
}

/// Asserts every property of the mapping at one block size.
fn mapped(size: usize) -> Mapped {
    let floor = floor_bin(size);
    let ceil = ceil_bin(size);
    let cut = cut_size(size);
    assert!(
        floor < BINS_MAX && bin_floor_size(floor) <= size,
        "floor {size}"
    );
    assert!(
        floor + 1 >= BINS_MAX || bin_floor_size(floor + 1) > size,
        "above {size}"
    );
    // A bin's smallest block is its edge: every block of the ceil bin fits.
    assert!(bin_floor_size(ceil) >= size, "ceil {size}");
    // In no lower bin does every block fit.
    assert!(bin_floor_size(ceil - 1) < size, "first {size}");
    assert!(ceil == floor || ceil == floor + 1, "distance {size}");
    // The ceil bin's edge is at most 1/32 above the size.
    assert!(bin_floor_size(ceil) - size <= size >> SL_LOG2 || size < 1 << LINEAR_LOG2);

    assert!(
        cut >= size && cut - size <= size >> SL_LOG2 && cut.is_multiple_of(QUANTUM),
        "cut {size}"
    );
    if size >= LINEAR_BELOW {
        assert_eq!(large_bin(size), floor, "bin {size}");
        assert_eq!(cut_and_bin(size), (cut, floor_bin(cut)), "bin of {cut}");
    }
    if size < EXACT_BELOW {
        assert_eq!(cut, size);
    } else {
        assert_eq!(cut, bin_floor_size(ceil), "cut {size}");
        // The rounded-up search for this size begins at the freed block's bin.
        assert_eq!(floor_bin(cut), ceil, "found again {size}");
    }
    Mapped { floor, ceil, cut }
}

/// Every block size from `first` to `last`: its properties hold, and the mappings never fall.
fn run(first: usize, last: usize) {
    let mut size = (first & !(QUANTUM - 1)).max(BLOCK_MIN);
    let mut before = mapped(size);
    while size < last {
        size += QUANTUM;
        let now = mapped(size);
        assert!(
            now.floor == before.floor || now.floor == before.floor + 1,
            "floor jumps at {size}"
        );
        assert!(
            now.ceil == before.ceil || now.ceil == before.ceil + 1,
            "ceil jumps at {size}"
        );
        assert!(now.cut >= before.cut, "cut falls at {size}");
        before = now;
    }
}

/// Every request from `first` to `last` bytes, one by one: the smallest whole block that holds it.
fn run_requests(first: usize, last: usize) {
    let mut before = 0;
    for bytes in first..=last {
        let size = block_size_for(bytes);
        assert!(
            size.is_multiple_of(QUANTUM) && size >= BLOCK_MIN,
            "no block size for {bytes}"
        );
        assert!(size - HEADER >= bytes, "{bytes} bytes do not fit");
        assert!(
            size == BLOCK_MIN || size - HEADER < bytes + QUANTUM,
            "a smaller block holds {bytes}"
        );
        assert!(size >= before, "falls at {bytes}");
        before = size;
    }
}

fn around(size: usize, limit: usize) -> (usize, usize) {
    (
        size.saturating_sub(AROUND).min(limit),
        size.saturating_add(AROUND).min(limit),
    )
}

/// The largest size whose ceil bin exists.
const GREATEST: usize = SIZE_LIMIT - (SIZE_LIMIT >> SL_LOG2);

#[test]
fn group_e_every_block_size_up_to_2_24_maps_exactly() {
    run(BLOCK_MIN, EXHAUSTIVE + AROUND);
}

#[test]
fn group_e_every_request_up_to_2_24_gets_the_smallest_block() {
    run_requests(0, EXHAUSTIVE + AROUND);
}

#[test]
fn group_e_mapping_holds_around_every_power_of_two() {
    for k in 0..SIZE_BITS {
        let (first, last) = around(1 << k, GREATEST);
        run(first, last);
        let (first, last) = around(1 << k, MAX_BLOCK_LIMIT);
        run_requests(first, last);
    }
}

#[test]
fn group_e_mapping_holds_around_every_bin_edge() {
    for bin in 2..BINS_MAX - 1 {
        let edge = bin_floor_size(bin);
        assert_eq!(floor_bin(edge), bin);
        assert_eq!(ceil_bin(edge), bin);
        // A byte below the edge maps to the previous bin and is allocated from this one.
        assert_eq!(floor_bin(edge - 1), bin - 1);
        assert_eq!(ceil_bin(edge - 1), bin);
        assert!(bin_floor_size(bin + 1) > edge);
        let (first, last) = around(edge, GREATEST);
        run(first, last);
        let (first, last) = around(edge, MAX_BLOCK_LIMIT);
        run_requests(first, last);
    }
}

#[test]
fn group_e_the_top_bin_serves_every_request_of_its_instance() {
    let check = |max_block: usize| {
        let top = Control::bins_for(max_block) - 1;
        let size = block_size_for(max_block);
        let least = LINEAR_BELOW >> QUANTUM_LOG2;
        assert!(
            top < BINS_MAX && ceil_bin(size).max(least) == top,
            "{max_block}"
        );
        assert!(bin_floor_size(top) >= size, "{max_block}");
    };
    for max_block in 0..1 << 16 {
        check(max_block);
    }
    for k in 0..SIZE_BITS {
        let (first, last) = around(1 << k, MAX_BLOCK_LIMIT);
        (first..=last).for_each(check);
    }
}
