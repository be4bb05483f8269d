//! malloc, calloc, memalign and free, block by block (groups A, B, E, F and I).

mod support;

use memoman_core::{Misuse, Refusal, Tlsf};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::one_pool::Heap;
use support::{Instance, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
/// Smallest block, header included.
const BLOCK_MIN: usize = Tlsf::BLOCK_SIZE_MIN + WORD;
const USED: bool = true;
const FREE: bool = false;

#[test]
fn group_f_a_remainder_is_split_off_when_it_can_be_a_block() {
    for size in (BLOCK_MIN..600).step_by(QUANTUM) {
        for rest in (0..4 * QUANTUM).step_by(QUANTUM) {
            let heap = Heap::new(size + rest);
            // SAFETY: live instance.
            let block = unsafe { heap.tlsf().malloc(size - WORD) }.unwrap();
            if rest < BLOCK_MIN {
                assert_eq!(heap.blocks(), [(size + rest, USED)]);
            } else {
                assert_eq!(heap.blocks(), [(size, USED), (rest, FREE)]);
            }
            heap.free(block);
            assert_eq!(heap.blocks(), [(size + rest, FREE)]);
        }
    }
}

#[test]
fn group_e_from_two_kilobytes_on_a_block_is_cut_at_a_bin_edge_if_there_is_room() {
    // From 64 quanta on, a bin's step is a 32nd of the power of two below.
    for (size, cut) in [
        (63 * 2 * QUANTUM, 63 * 2 * QUANTUM),
        (127 * QUANTUM, 127 * QUANTUM),
        (128 * QUANTUM, 128 * QUANTUM),
        (129 * QUANTUM, 132 * QUANTUM),
        (132 * QUANTUM, 132 * QUANTUM),
        (255 * QUANTUM, 256 * QUANTUM),
        (257 * QUANTUM, 264 * QUANTUM),
        (1025 * QUANTUM, 1056 * QUANTUM),
    ] {
        let heap = Heap::new(cut + BLOCK_MIN);
        // SAFETY: live instance.
        unsafe { heap.tlsf().malloc(size - WORD) }.unwrap();
        assert_eq!(heap.blocks(), [(cut, USED), (BLOCK_MIN, FREE)]);
        // Without room up to the edge: the whole block, or a split at no edge.
        for have in (size..cut + BLOCK_MIN).step_by(QUANTUM) {
            let heap = Heap::new(have);
            // SAFETY: live instance.
            unsafe { heap.tlsf().malloc(size - WORD) }.unwrap();
            assert_eq!(heap.blocks(), [(have, USED)], "{size} of {have}");
        }
    }
}

#[test]
fn group_e_the_head_of_the_own_bin_serves_when_it_is_large_enough() {
    // Bins here are four quanta wide: all these sizes map to one bin.
    let sizes = [129, 130, 131].map(|quanta| quanta * QUANTUM);
    for have in sizes {
        for want in sizes {
            let heap = Heap::new(have);
            // SAFETY: live instance.
            let result = unsafe { heap.tlsf().malloc(want - WORD) };
            assert_eq!(result.is_ok(), want <= have, "{want} of {have}");
            let stats = assert_sound(heap.tlsf());
            assert_eq!(stats.failed_requests, usize::from(want > have));
        }
    }
}

#[test]
fn group_e_a_too_small_head_of_the_own_bin_is_passed_over_for_the_next_bin() {
    let (small, want, large) = (129 * QUANTUM, 131 * QUANTUM, 200 * QUANTUM);
    let heap = Heap::new(small + BLOCK_MIN + large + BLOCK_MIN);
    // SAFETY: live instance.
    unsafe {
        let tlsf = heap.tlsf();
        // Laid by hand, since a split would round them to bin edges.
        let first = heap.take(small - small % (4 * QUANTUM));
        let gap = heap.take(BLOCK_MIN);
        let second = heap.take(large);
        let guard = tlsf.malloc(tlsf.stats().largest).unwrap();
        assert_eq!(tlsf.stats().free, 0);
        heap.free(first);
        heap.free(second);
        let block = tlsf.malloc(want - WORD).unwrap();
        assert_eq!(block, second);
        assert_sound(tlsf);
        heap.free(block);
        heap.free(gap);
        heap.free(guard);
        assert_eq!(heap.blocks().len(), 1);
    }
}

#[test]
fn group_e_a_list_serves_the_block_freed_last_first() {
    for size in [48, 3 * 1024] {
        let size = size / QUANTUM * QUANTUM;
        let heap = Heap::new(40 * size);
        let blocks: Vec<_> = (0..12).map(|_| heap.take(size)).collect();
        for index in [1, 7, 3, 9, 5] {
            heap.free(blocks[index]);
        }
        assert_sound(heap.tlsf());
        for index in [5, 9, 3, 7, 1] {
            assert_eq!(heap.take(size), blocks[index]);
            assert_sound(heap.tlsf());
        }
    }
}

#[test]
fn group_f_a_block_leaves_its_list_from_the_head_the_middle_and_the_end() {
    let size = 4 * QUANTUM;
    for leaving in [1, 4, 7] {
        let heap = Heap::new(12 * size);
        let blocks: Vec<_> = (0..10).map(|_| heap.take(size)).collect();
        for index in [1, 4, 7] {
            heap.free(blocks[index]);
        }
        // Freeing its neighbour unlinks it from the list of three.
        heap.free(blocks[leaving - 1]);
        assert_sound(heap.tlsf());
        for index in [7, 4, 1].into_iter().filter(|&i| i != leaving) {
            assert_eq!(heap.take(size), blocks[index], "{leaving}");
        }
        assert_sound(heap.tlsf());
    }
}

#[test]
fn group_f_free_merges_left_right_both_or_none() {
    let size = 4 * QUANTUM;
    let whole = 5 * size;
    for (before, after) in [(false, false), (true, false), (false, true), (true, true)] {
        let heap = Heap::new(whole);
        let [a, b, c, _d, _e] = [(); 5].map(|()| heap.take(size));
        if before {
            heap.free(a);
        }
        if after {
            heap.free(c);
        }
        heap.free(b);
        let expected = match (before, after) {
            (false, false) => vec![(size, USED), (size, FREE), (size, USED)],
            (true, false) => vec![(2 * size, FREE), (size, USED)],
            (false, true) => vec![(size, USED), (2 * size, FREE)],
            (true, true) => vec![(3 * size, FREE)],
        };
        assert_eq!(
            heap.blocks(),
            [expected, vec![(size, USED), (size, USED)]].concat()
        );
    }
}

#[test]
fn group_a_zero_is_invalid_and_too_much_is_a_counted_refusal() {
    let max = 4096;
    let heap = Heap::with(16 * 1024, max);
    let tlsf = heap.tlsf();
    // SAFETY: live instance.
    unsafe {
        for align in [1, 64] {
            assert_eq!(tlsf.memalign(align, 0), Err(Refusal::Invalid));
        }
        assert_eq!(tlsf.malloc(0), Err(Refusal::Invalid));
        assert_eq!(tlsf.calloc(0, 9), Err(Refusal::Invalid));
        assert_eq!(tlsf.calloc(9, 0), Err(Refusal::Invalid));
        assert_eq!(tlsf.stats().failed_requests, 0);
        // The largest request is `max_block`, rounded up.
        let greatest = (max + WORD).next_multiple_of(QUANTUM) - WORD;
        let mut failed = 0;
        for bytes in [
            greatest + 1,
            greatest + 2,
            8192,
            usize::MAX,
            usize::MAX - 1,
            usize::MAX - 64,
        ] {
            assert_eq!(tlsf.malloc(bytes), Err(Refusal::Exhausted), "{bytes:#x}");
            assert_eq!(tlsf.memalign(256, bytes), Err(Refusal::Exhausted));
            assert_eq!(tlsf.calloc(bytes, 1), Err(Refusal::Exhausted));
            assert_eq!(tlsf.calloc(1, bytes), Err(Refusal::Exhausted));
            failed += 4;
            assert_eq!(tlsf.stats().failed_requests, failed);
        }
        assert_eq!(
            tlsf.calloc(1 << (usize::BITS / 2), 1 << (usize::BITS / 2)),
            Err(Refusal::Exhausted)
        );
        tlsf.withdraw_refusal();
        assert_eq!(tlsf.stats().failed_requests, failed);
        tlsf.withdraw_refusal();
        assert_eq!(tlsf.stats().failed_requests, failed - 1);
        for bytes in [greatest, greatest - 1, max] {
            let block = tlsf.malloc(bytes).unwrap();
            heap.free(block);
            let block = tlsf.memalign(256, bytes).unwrap();
            heap.free(block);
        }
        assert_eq!(heap.blocks().len(), 1);
        assert_eq!(tlsf.stats().failed_requests, failed - 1);
    }
}

#[test]
fn group_a_an_empty_instance_refuses_everything() {
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    // SAFETY: live instance.
    unsafe {
        assert_eq!(tlsf.malloc(1), Err(Refusal::Exhausted));
        assert_eq!(tlsf.memalign(64, 1), Err(Refusal::Exhausted));
        let stats = assert_sound(tlsf);
        assert_eq!((stats.failed_requests, stats.largest), (2, 0));
        assert_eq!(tlsf.first_pool(), None);
        let wild = NonNull::<usize>::dangling().cast();
        assert_eq!(tlsf.free_by_turns(wild).err(), Some(Misuse::Foreign));
    }
}

#[test]
fn group_b_a_calloc_block_is_zero_to_its_last_byte_and_no_further() {
    for bytes in 1..200 {
        let heap = Heap::new(512);
        // SAFETY: live instance; the block may be read.
        unsafe {
            let block = heap.tlsf().calloc(1, bytes).unwrap();
            let contents = std::slice::from_raw_parts(block.as_ptr(), bytes);
            assert!(contents.iter().all(|&byte| byte == 0));
        }
        assert_sound(heap.tlsf());
    }
}

/// The gap in front of an aligned payload, `skip` bytes past an aligned address: zero or at least
/// a block.
fn gap(skip: usize, align: usize) -> usize {
    let gap = skip.wrapping_neg() & (align - 1);
    if gap == QUANTUM { gap + align } else { gap }
}

#[test]
fn group_b_the_gap_before_an_aligned_block_is_none_or_a_free_block() {
    let size = 10 * QUANTUM;
    for align in [2, 4, 8, 16].map(|quanta| quanta * QUANTUM) {
        for lead in 0..32 {
            // Preceding blocks in use of each length move the start through all residues.
            let heap = Heap::new(100 * QUANTUM);
            let lead = (lead * QUANTUM).max(BLOCK_MIN);
            heap.take(lead);
            let start = heap.region.start().addr() + Tlsf::POOL_OVERHEAD - WORD + lead;
            let gap = gap(start, align);
            // SAFETY: live instance.
            let block = unsafe { heap.tlsf().memalign(align, size - WORD) }.unwrap();
            assert_eq!(block.as_ptr().addr() % align, 0);
            assert_eq!(block.as_ptr().addr(), start + gap);
            let rest = 100 * QUANTUM - lead - gap - size;
            let mut expected = vec![(lead, USED), (gap, FREE), (size, USED), (rest, FREE)];
            expected.retain(|&(size, _)| size > 0);
            assert_eq!(heap.blocks(), expected);
            assert_eq!(assert_sound(heap.tlsf()).used, lead + size);
            heap.free(block);
            assert_eq!(heap.blocks(), [(lead, USED), (gap + size + rest, FREE)]);
        }
    }
}

#[test]
fn group_b_a_freed_block_that_is_aligned_is_taken_again_and_another_is_not() {
    let size = 10 * QUANTUM;
    for align in [2, 4, 8, 16].map(|quanta| quanta * QUANTUM) {
        let mut again = 0;
        for lead in 0..16 {
            let heap = Heap::new(200 * QUANTUM);
            heap.take((lead * QUANTUM).max(BLOCK_MIN));
            let freed = heap.take(size);
            heap.take(BLOCK_MIN);
            heap.free(freed);
            // SAFETY: live instance.
            let block = unsafe { heap.tlsf().memalign(align, size - WORD) }.unwrap();
            assert!(block.as_ptr().addr().is_multiple_of(align));
            let aligned = freed.as_ptr().addr().is_multiple_of(align);
            // (The small build rounds every aligned request up.)
            if !cfg!(memoman_small) {
                assert_eq!(block == freed, aligned, "{align} {freed:?}");
            }
            again += usize::from(aligned);
            assert_sound(heap.tlsf());
        }
        assert!(again > 0 && again < 16, "{align}: {again}");
    }
}

#[test]
fn group_b_an_aligned_block_needs_room_for_the_worst_gap() {
    for align in [2, 4, 16].map(|quanta| quanta * QUANTUM) {
        // (With more room, the last one would be split at a bin edge.)
        for size in [BLOCK_MIN, 5 * QUANTUM, 9 * QUANTUM, 313 * QUANTUM] {
            let padded = size + align + QUANTUM;
            for (have, served) in [(padded, true), (padded - QUANTUM, false)] {
                let heap = Heap::new(have);
                // SAFETY: live instance.
                let result = unsafe { heap.tlsf().memalign(align, size - WORD) };
                assert_eq!(result.is_ok(), served, "{align} {size} {have}");
                assert_sound(heap.tlsf());
            }
        }
    }
}

#[test]
fn group_b_an_alignment_that_is_no_power_of_two_is_invalid_and_a_huge_one_a_refusal() {
    let heap = Heap::new(4096);
    let tlsf = heap.tlsf();
    // SAFETY: live instance.
    unsafe {
        for align in [0, 3, 6, 24, 48, usize::MAX, usize::MAX / 2 + 2] {
            assert_eq!(tlsf.memalign(align, 24), Err(Refusal::Invalid), "{align}");
        }
        assert_eq!(tlsf.stats().failed_requests, 0);
        for shift in 13..usize::BITS {
            let align = 1 << shift;
            assert_eq!(tlsf.memalign(align, 24), Err(Refusal::Exhausted), "{align}");
        }
        let top = 1 << (usize::BITS - 1);
        assert_eq!(tlsf.memalign(top, 1 << 19), Err(Refusal::Exhausted));
        // On a 32-bit target their sum is beyond the address space.
        let greatest = if WORD == 8 { 1u64 << 47 } else { 1 << 31 } as usize;
        let other = Heap::with(1 << 16, greatest);
        assert_eq!(
            other.tlsf().memalign(top, greatest),
            Err(Refusal::Exhausted)
        );
        for align in [1, 2, 4, 8, 16] {
            let block = tlsf.memalign(align, 24).unwrap();
            assert_eq!(block.as_ptr().addr() % align.max(QUANTUM), 0);
        }
    }
    assert_sound(tlsf);
}

#[test]
fn group_i_an_overwritten_free_block_is_not_handed_out() {
    let size = 6 * QUANTUM;
    // The request: an exact hit, a smaller one that would split the block, an aligned one.
    for (bytes, align) in [
        (size - WORD, 1),
        (size - WORD - BLOCK_MIN, 1),
        (1, 2 * QUANTUM),
    ] {
        let heap = Heap::new(4 * size);
        let tlsf = heap.tlsf();
        let [a, _b, c, _d] = [(); 4].map(|()| heap.take(size));
        heap.free(a);
        heap.free(c);
        // SAFETY: live instance; the damage is in a free block's header and links, and is undone.
        unsafe {
            let block = c.as_ptr().cast::<usize>();
            let smashed = |word: *mut usize, value: usize, misuse: Misuse| {
                let before = tlsf.stats();
                let old = word.replace(value);
                let expected = Err(Refusal::Misuse(misuse, c.as_ptr().cast_const()));
                assert_eq!(tlsf.memalign(align, bytes), expected, "{value:#x}");
                if align == 1 {
                    assert_eq!(tlsf.malloc(bytes), expected, "{value:#x}");
                }
                word.write(old);
                assert_eq!(assert_sound(tlsf), before);
            };
            let header = block.sub(1).read();
            let seal = header & !(size | 1);
            // A size that a header can hold, far beyond the pool.
            let far = if WORD == 8 { 1u64 << 40 } else { 1 << 23 } as usize;
            for value in [
                header & !1,
                header | 2,
                header | 4,
                !header,
                seal | (size * 8) | 1,
                seal | far | 1,
            ] {
                smashed(block.sub(1), value, Misuse::NotABlock);
            }
            for next in [
                1,
                QUANTUM,
                c.as_ptr().addr(),
                usize::MAX,
                heap.region.start().addr(),
            ] {
                smashed(block, next, Misuse::SmashedLink);
            }
        }
        assert_eq!(heap.take(size), c);
    }
}
