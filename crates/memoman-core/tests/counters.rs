//! The counters and the largest possible request (group J).

mod support;

use memoman_core::{FreePlace, Refusal, Tlsf};
use support::one_pool::Heap;
use support::{Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
/// Smallest block, header included.
const BLOCK_MIN: usize = Tlsf::BLOCK_SIZE_MIN + WORD;

#[test]
fn group_j_counters_follow_every_call() {
    let heap = Heap::new(4096);
    let tlsf = heap.tlsf();
    let figures = || {
        let stats = assert_sound(tlsf);
        (stats.used, stats.live_blocks, stats.peak, stats.largest)
    };
    let size = 6 * QUANTUM;
    assert_eq!(figures(), (0, 0, 0, 4096 - WORD));
    let first = heap.take(size);
    assert_eq!(figures(), (size, 1, size, 4096 - size - WORD));
    let second = heap.take(size);
    assert_eq!(figures(), (2 * size, 2, 2 * size, 4096 - 2 * size - WORD));
    heap.free(first);
    assert_eq!(figures(), (size, 1, 2 * size, 4096 - 2 * size - WORD));
    // An exact hit.
    let first = heap.take(size);
    assert_eq!(figures(), (2 * size, 2, 2 * size, 4096 - 2 * size - WORD));
    heap.free(first);
    heap.free(second);
    assert_eq!(figures(), (0, 0, 2 * size, 4096 - WORD));
}

#[test]
fn group_j_free_blocks_are_counted_up_to_a_limit() {
    let heap = Heap::new(1 << 16);
    // SAFETY: live instance.
    let count = |limit| unsafe { heap.tlsf().free_blocks(limit) };
    assert_eq!((count(9), count(1), count(0)), (1, 1, 0));
    let blocks: Vec<_> = (0..21).map(|i| heap.take((4 + i % 3) * QUANTUM)).collect();
    // Every second one: none merges, and several share a bin. The pool's rest is free too.
    let (freed, rest): (Vec<_>, Vec<_>) = (0..21).partition(|i| i % 2 == 0);
    for (known, &i) in freed.iter().enumerate() {
        assert_eq!(count(100), known + 1);
        if i < 20 {
            heap.free(blocks[i]);
        }
    }
    assert_eq!(
        (count(100), count(11), count(10), count(3)),
        (11, 11, 10, 3)
    );
    for i in rest.into_iter().chain([20]) {
        heap.free(blocks[i]);
    }
    assert_eq!(count(100), 1);
    assert_sound(heap.tlsf());
}

#[test]
fn group_j_free_blocks_of_a_least_size_are_walked_bin_by_bin() {
    let heap = Heap::new(1 << 16);
    let least = 40 * QUANTUM;
    // Every second one stays free; the sizes lie on both sides of the least one, and two blocks
    // have the same.
    let quanta = |i| 30 + i / 4 * 4;
    let blocks: Vec<_> = (0..40).map(|i| heap.take(quanta(i) * QUANTUM)).collect();
    let freed = (0..40).filter(|i| i % 2 == 0);
    freed.clone().for_each(|i| heap.free(blocks[i]));
    let expected: Vec<_> = freed
        .filter(|&i| quanta(i) >= 40)
        .map(|i| (blocks[i].as_ptr().addr(), quanta(i) * QUANTUM - WORD))
        .collect();
    let walk = |place: &mut FreePlace, limit, found: &mut Vec<_>| {
        let mut note = |block: core::ptr::NonNull<u8>, bytes| {
            found.push((block.as_ptr().addr(), bytes));
        };
        // SAFETY: live instance, with no call between two walks; the block is not touched.
        unsafe { heap.tlsf().walk_free(place, least, limit, &mut note) }
    };
    let mut all = Vec::new();
    let mut place = FreePlace::FIRST;
    walk(&mut place, 100, &mut all);
    assert_eq!(place, FreePlace::FIRST);
    let walked = all.clone();
    // The pool's rest, which is the wilderness, comes first.
    let rest = all.remove(0);
    assert!(rest.0 > expected.last().unwrap().0);
    all.sort_unstable();
    assert_eq!(all, expected);

    // A few blocks at a time: all of them, also of a bin that has several.
    for limit in 1..5 {
        let mut parts = Vec::new();
        let mut last = 0;
        loop {
            walk(&mut place, limit, &mut parts);
            assert!(parts.len() <= last + limit);
            last = parts.len();
            if place == FreePlace::FIRST {
                break;
            }
        }
        assert_eq!(parts, walked);
    }

    // The rest of a bin is left out where a call may have changed it.
    let mut parts = Vec::new();
    loop {
        walk(&mut place, 1, &mut parts);
        let _ = place.leave_bin();
        if place == FreePlace::FIRST {
            break;
        }
    }
    assert!(parts.len() > expected.len() / 2 && parts.len() < walked.len());
    assert!(parts.iter().all(|block| walked.contains(block)));

    // A block whose header is overwritten ends its bin and is not found.
    let (broken, _) = expected[0];
    let header: *mut usize = core::ptr::with_exposed_provenance_mut(broken - WORD);
    // SAFETY: a word of the pool, restored below.
    unsafe {
        let sound = header.read();
        header.write(sound ^ (64 * QUANTUM));
        let mut others = Vec::new();
        walk(&mut place, 100, &mut others);
        assert!(others.iter().all(|&(block, _)| block != broken));
        header.write(sound);
    }
    assert_sound(heap.tlsf());
}

#[test]
fn group_j_free_blocks_end_at_a_control_structure_between_two_pools() {
    let control = Tlsf::control_size(1 << 12).next_multiple_of(QUANTUM);
    let region = Region::new(1024 + control + 1024, 0, 0xFF);
    // SAFETY: three parts of the region, each used once.
    unsafe {
        let tlsf = Tlsf::create(region.start().add(1024), 1 << 12).unwrap();
        for offset in [0, 1024 + control] {
            tlsf.add_pool(region.start().add(offset), 1024).unwrap();
        }
        assert_eq!(tlsf.free_blocks(100), 2);
        assert_sound(tlsf);
    }
}

#[test]
fn group_j_largest_is_capped_by_what_the_instance_serves() {
    let heap = Heap::with(1 << 16, 1 << 12);
    let greatest = ((1 << 12) + WORD).next_multiple_of(QUANTUM) - WORD;
    assert_eq!(assert_sound(heap.tlsf()).largest, greatest);
    // SAFETY: live instance.
    unsafe {
        let block = heap.tlsf().malloc(greatest).unwrap();
        assert!(heap.tlsf().malloc(greatest + 1).is_err());
        let usable = Tlsf::block_size(block.as_ptr());
        for align in [1, 4 * QUANTUM] {
            let resized = |bytes| heap.tlsf().realloc_aligned(block, align, bytes);
            assert_eq!(resized(usable + 1), Err(Refusal::Exhausted));
            if align == 1 {
                assert_eq!(resized(greatest), Ok(block));
            }
        }
    }
    assert_sound(heap.tlsf());
}

#[test]
fn group_j_largest_is_the_greatest_free_block_wherever_it_lies() {
    for size in (2..16).map(|log2| QUANTUM << log2) {
        for after in [0, QUANTUM << 2, size / 2, 2 * size] {
            let after = if after < BLOCK_MIN { 0 } else { after };
            let heap = Heap::with(size + BLOCK_MIN + after, 1 << 24);
            let block = heap.take(size);
            heap.take(BLOCK_MIN);
            heap.free(block);
            // One free block in a list, and the remainder at the pool's end.
            let largest = assert_sound(heap.tlsf()).largest;
            assert_eq!(largest, size.max(after) - WORD, "{size} {after}");
        }
    }
}

#[test]
fn group_j_a_full_heap_has_no_free_block_whatever_lies_before_the_control_structure() {
    let bytes = Tlsf::control_size(1 << 12);
    let region = Region::new(QUANTUM + bytes, 0, 0);
    let pool = Region::new(1024, 0, 0);
    let control = region.start().wrapping_add(QUANTUM);
    // SAFETY: the regions outlive the instance's use; the first one belongs to it from `control`
    // on.
    unsafe {
        // The header of a free block, where there is none.
        control.cast::<usize>().sub(1).write(512 | 1);
        let tlsf = Tlsf::create(control, 1 << 12).unwrap();
        tlsf.add_pool(pool.start(), pool.bytes()).unwrap();
        assert_ne!(tlsf.stats().largest, 0);
        while tlsf.malloc(1).is_ok() {}
        assert_eq!(tlsf.stats().free, 0);
        assert_eq!(tlsf.stats().largest, 0);
    }
}
