//! realloc, on a block and its neighbours: shrink, grow forward, grow backward, move (group G).

mod support;

use memoman_core::{Misuse, Refusal, Stats, Tlsf};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
const BLOCK_MIN: usize = Tlsf::BLOCK_SIZE_MIN + WORD;
const USED: bool = true;
const FREE: bool = false;

/// A pool filled by blocks of the given sizes (in quanta) in order; negative ones are free.
struct Heap {
    instance: Instance,
    region: Region,
    blocks: Vec<NonNull<u8>>,
}

impl Heap {
    fn new(quanta: &[isize]) -> Heap {
        let sizes: Vec<usize> = quanta.iter().map(|n| n.unsigned_abs() * QUANTUM).collect();
        let instance = Instance::new(1 << 16);
        let total: usize = sizes.iter().sum();
        let region = Region::new(Tlsf::POOL_OVERHEAD - WORD + total, 0, 0xFF);
        let tlsf = instance.tlsf;
        // SAFETY: the region outlives the instance's use; blocks are filled to their end.
        let blocks = unsafe {
            tlsf.add_pool(region.start(), region.bytes()).unwrap();
            let blocks: Vec<_> = sizes
                .iter()
                .map(|size| tlsf.malloc(size - WORD).unwrap())
                .collect();
            for (index, block) in blocks.iter().enumerate() {
                for at in 0..Tlsf::block_size(block.as_ptr()) {
                    block.as_ptr().add(at).write(tag(index, at));
                }
            }
            for (block, quanta) in blocks.iter().zip(quanta) {
                if *quanta < 0 {
                    let _ = tlsf.free_by_turns(*block).unwrap();
                }
            }
            blocks
        };
        let heap = Heap {
            instance,
            region,
            blocks,
        };
        let laid: Vec<_> = sizes
            .iter()
            .zip(quanta)
            .map(|(&size, &quanta)| (size, quanta > 0))
            .collect();
        assert_eq!(heap.layout(), laid);
        heap
    }

    fn tlsf(&self) -> Tlsf {
        self.instance.tlsf
    }

    /// Size, header included, and "in use" of each block; the heap is sound.
    fn layout(&self) -> Vec<(usize, bool)> {
        assert_sound(self.tlsf());
        let mut found = Vec::new();
        // SAFETY: live instance.
        unsafe {
            let pool = self.tlsf().first_pool().unwrap();
            pool.walk(&mut |_, size, used| found.push((size + WORD, used)));
        }
        found
    }

    /// The layout in quanta, free blocks negative.
    fn quanta(&self) -> Vec<isize> {
        let signed = |(size, used): (usize, bool)| {
            let quanta = (size / QUANTUM) as isize;
            if used { quanta } else { -quanta }
        };
        self.layout().into_iter().map(signed).collect()
    }

    /// Resizes block `index` to a block of `quanta` and checks its contents up to the smaller size.
    fn resize(&self, index: usize, quanta: usize) -> NonNull<u8> {
        let ptr = self.blocks[index];
        // SAFETY: live instance and block.
        unsafe {
            let before = Tlsf::block_size(ptr.as_ptr());
            let bytes = quanta * QUANTUM - WORD;
            let moved = self.tlsf().realloc(ptr, bytes).unwrap();
            self.holds(moved, index, before.min(bytes));
            moved
        }
    }

    fn holds(&self, block: NonNull<u8>, index: usize, bytes: usize) {
        // SAFETY: a live block of at least `bytes` bytes.
        let contents = unsafe { std::slice::from_raw_parts(block.as_ptr(), bytes) };
        for (at, &byte) in contents.iter().enumerate() {
            assert_eq!(byte, tag(index, at), "byte {at}");
        }
    }

    /// Every live block but `index` still has its contents.
    fn others_hold(&self, quanta: &[isize], index: usize) {
        for (other, &size) in quanta.iter().enumerate() {
            if other != index && size > 0 {
                self.holds(
                    self.blocks[other],
                    other,
                    size.unsigned_abs() * QUANTUM - WORD,
                );
            }
        }
    }
}

fn tag(index: usize, at: usize) -> u8 {
    (index * 31 + at * 7 + at / 256) as u8
}

/// Resizes block `index` of a heap and compares the layout; returns the distance that the block
/// moved, in quanta.
fn case(before: &[isize], index: usize, quanta: usize, after: &[isize]) -> isize {
    let heap = Heap::new(before);
    let peak = assert_sound(heap.tlsf()).peak;
    let old = heap.blocks[index];
    let moved = heap.resize(index, quanta);
    assert_eq!(heap.quanta(), after, "{before:?} {index} to {quanta}");
    heap.others_hold(before, index);
    let stats = assert_sound(heap.tlsf());
    assert!(stats.peak >= peak);
    // After all frees, the pool is one free block.
    // SAFETY: live instance; each block is freed once.
    unsafe {
        let _ = heap.tlsf().free_by_turns(moved).unwrap();
        for (other, block) in heap.blocks.iter().enumerate() {
            if other != index && before[other] > 0 {
                let _ = heap.tlsf().free_by_turns(*block).unwrap();
            }
        }
    }
    assert_eq!(heap.layout().len(), 1);
    assert_eq!(assert_sound(heap.tlsf()).live_blocks, 0);
    (moved.as_ptr().addr() as isize - old.as_ptr().addr() as isize) / QUANTUM as isize
}

#[test]
fn group_g_shrinking_frees_a_tail_that_can_be_a_block() {
    assert_eq!(case(&[4, 8, 4], 1, 8, &[4, 8, 4]), 0);
    assert_eq!(case(&[4, 8, 4], 1, 7, &[4, 8, 4]), 0);
    assert_eq!(case(&[4, 8, 4], 1, 6, &[4, 6, -2, 4]), 0);
    assert_eq!(case(&[4, 8, 4], 1, 2, &[4, 2, -6, 4]), 0);
    assert_eq!(case(&[4, 8], 1, 5, &[4, 5, -3]), 0);
    assert_eq!(case(&[-4, 8, 4], 1, 5, &[-4, 5, -3, 4]), 0);
}

#[test]
fn group_g_shrinking_before_a_free_block_gives_it_every_quantum() {
    assert_eq!(case(&[4, 8, -4], 1, 8, &[4, 8, -4]), 0);
    assert_eq!(case(&[4, 8, -4], 1, 7, &[4, 7, -5]), 0);
    assert_eq!(case(&[4, 8, -4, 2], 1, 6, &[4, 6, -6, 2]), 0);
    assert_eq!(case(&[-4, 8, -4, 2], 1, 2, &[-4, 2, -10, 2]), 0);
}

#[test]
fn group_g_growing_forward_takes_what_it_needs_of_the_free_block_behind() {
    assert_eq!(case(&[2, 4, -6, 2], 1, 5, &[2, 5, -5, 2]), 0);
    assert_eq!(case(&[2, 4, -6, 2], 1, 8, &[2, 8, -2, 2]), 0);
    // A rest of one quantum holds no block.
    assert_eq!(case(&[2, 4, -6, 2], 1, 9, &[2, 10, 2]), 0);
    assert_eq!(case(&[2, 4, -6, 2], 1, 10, &[2, 10, 2]), 0);
    assert_eq!(case(&[2, 4, -6], 1, 10, &[2, 10]), 0);
    // Forward before backward.
    assert_eq!(case(&[-9, 4, -6, 2], 1, 8, &[-9, 8, -2, 2]), 0);
}

#[test]
fn group_g_growing_backward_moves_the_contents_down() {
    // A long way, and so short that old and new place overlap.
    assert_eq!(case(&[-9, 4, 2], 1, 5, &[5, -8, 2]), -9);
    assert_eq!(case(&[-9, 4, 2], 1, 11, &[11, -2, 2]), -9);
    assert_eq!(case(&[-9, 4, 2], 1, 12, &[13, 2]), -9);
    assert_eq!(case(&[-9, 4, 2], 1, 13, &[13, 2]), -9);
    assert_eq!(case(&[-2, 40, 2], 1, 41, &[42, 2]), -2);
    assert_eq!(case(&[-2, 40, 2], 1, 42, &[42, 2]), -2);
    assert_eq!(case(&[-3, 40, 2], 1, 41, &[41, -2, 2]), -3);
    assert_eq!(case(&[2, -9, 4], 2, 11, &[2, 11, -2]), -9);
    // With both free neighbours, when neither alone suffices.
    assert_eq!(case(&[-3, 4, -3, 2], 1, 8, &[8, -2, 2]), -3);
    assert_eq!(case(&[-3, 4, -3, 2], 1, 9, &[10, 2]), -3);
    assert_eq!(case(&[-3, 4, -3, 2], 1, 10, &[10, 2]), -3);
    assert_eq!(case(&[-3, 4, -3], 1, 10, &[10]), -3);
}

#[test]
fn group_g_without_room_on_either_side_it_moves() {
    assert_eq!(case(&[2, 4, 2, -20], 1, 6, &[2, -4, 2, 6, -14]), 6);
    assert_eq!(case(&[-2, 4, 2, -20], 1, 7, &[-6, 2, 7, -13]), 6);
    assert_eq!(case(&[2, 4, -2, 2, -20], 1, 7, &[2, -6, 2, 7, -13]), 8);
    assert_eq!(case(&[-2, 4, -2, 2, -20], 1, 9, &[-8, 2, 9, -11]), 8);
    assert_eq!(case(&[2, -20, 4, 2], 2, 21, &[2, 21, -3, 2]), -20);
}

#[test]
fn group_g_a_move_copies_the_old_block_and_nothing_behind_it() {
    let heap = Heap::new(&[2, 4, 2, -20]);
    // SAFETY: live instance; the free block's payload after its links, not written since.
    unsafe {
        let free = heap.blocks[3].as_ptr();
        free.add(2 * WORD).write_bytes(0xEE, 10 * QUANTUM);
        let moved = heap.resize(1, 12);
        assert_eq!(moved.as_ptr(), free);
        let kept = 4 * QUANTUM - WORD;
        let after = std::slice::from_raw_parts(free.add(kept), 10 * QUANTUM + 2 * WORD - kept);
        assert!(after.iter().all(|&byte| byte == 0xEE), "{after:x?}");
    }
    // Backward: after the contents lie the bytes of the former free block.
    let heap = Heap::new(&[-9, 4, 2]);
    // SAFETY: live instance; a live block.
    unsafe {
        let free = heap.blocks[0].as_ptr();
        free.add(2 * WORD).write_bytes(0xEE, 6 * QUANTUM);
        let moved = heap.resize(1, 11);
        assert_eq!(moved.as_ptr(), free);
        let kept = 4 * QUANTUM - WORD;
        let after = std::slice::from_raw_parts(free.add(kept), 2 * QUANTUM);
        assert!(after.iter().all(|&byte| byte == 0xEE), "{after:x?}");
    }
}

#[test]
fn group_g_a_grown_block_of_more_than_two_kilobytes_ends_at_a_bin_edge() {
    // From 128 quanta on a bin is 4 quanta wide, from 256 on 8.
    assert_eq!(case(&[2, 100, -100, 2], 1, 129, &[2, 132, -68, 2]), 0);
    assert_eq!(case(&[2, 100, -100, 2], 1, 128, &[2, 128, -72, 2]), 0);
    assert_eq!(case(&[2, 100, -31, 2], 1, 129, &[2, 131, 2]), 0);
    assert_eq!(case(&[2, 192, 2], 1, 129, &[2, 132, -60, 2]), 0);
    assert_eq!(case(&[2, 132, 2], 1, 129, &[2, 132, 2]), 0);
    assert_eq!(case(&[-100, 100, 2], 1, 129, &[132, -68, 2]), -100);
    assert_eq!(case(&[-31, 100, 2], 1, 129, &[131, 2]), -31);
}

#[test]
fn group_g_a_failing_realloc_changes_the_failure_counter_only() {
    let heap = Heap::new(&[-3, 4, -3, 2]);
    let tlsf = heap.tlsf();
    let ptr = heap.blocks[1];
    // SAFETY: live instance and block.
    unsafe {
        let before = assert_sound(tlsf);
        let image = heap.region.image();
        let mut failed = before.failed_requests;
        for bytes in [
            11 * QUANTUM - WORD,
            10 * QUANTUM - WORD + 1,
            1 << 16,
            1 << 17,
            usize::MAX >> 20,
            usize::MAX / 2,
            usize::MAX - 64,
            usize::MAX,
        ] {
            for align in [1, 16 * QUANTUM] {
                assert_eq!(
                    tlsf.realloc_aligned(ptr, align, bytes),
                    Err(Refusal::Exhausted)
                );
                failed += 1;
                let expected = Stats {
                    failed_requests: failed,
                    ..before
                };
                assert_eq!(assert_sound(tlsf), expected, "{bytes:#x}");
                assert!(image == heap.region.image());
            }
        }
        for align in [0, 3, 24, usize::MAX] {
            assert_eq!(tlsf.realloc_aligned(ptr, align, 10), Err(Refusal::Invalid));
        }
        assert_eq!(tlsf.realloc(ptr, 0), Err(Refusal::Invalid));
        assert_eq!(assert_sound(tlsf).failed_requests, failed);
        assert!(image == heap.region.image());
    }
}

#[test]
fn group_g_the_greatest_request_is_the_instances() {
    let instance = Instance::new(4096);
    let region = Region::new(1 << 15, 0, 0);
    let greatest = (4096 + WORD).next_multiple_of(QUANTUM) - WORD;
    let tlsf = instance.tlsf;
    // SAFETY: the region outlives the instance's use; live blocks.
    unsafe {
        tlsf.add_pool(region.start(), region.bytes()).unwrap();
        let block = tlsf.malloc(64).unwrap();
        let block = tlsf.realloc(block, greatest).unwrap();
        // (It has a little more: its size is rounded up to a bin's edge.)
        let usable = Tlsf::block_size(block.as_ptr());
        assert_eq!(tlsf.realloc(block, usable + 1), Err(Refusal::Exhausted));
        assert_sound(tlsf);
    }
}

/// Found by the fuzzer: a block taken whole, larger than the largest request, was refused its own
/// size.
#[test]
fn group_g_what_a_block_has_is_never_refused() {
    for most in [24, 4096] {
        let instance = Instance::new(most);
        let greatest = (most + WORD).next_multiple_of(QUANTUM) - WORD;
        let region = Region::new(Tlsf::POOL_OVERHEAD + greatest + QUANTUM, 0, 0);
        let tlsf = instance.tlsf;
        // SAFETY: the region outlives the instance's use; live blocks.
        unsafe {
            tlsf.add_pool(region.start(), region.bytes()).unwrap();
            let block = tlsf.malloc(greatest).unwrap();
            let usable = Tlsf::block_size(block.as_ptr());
            assert!(usable > greatest, "too small to be split");
            for bytes in [greatest + 1, usable] {
                assert_eq!(tlsf.realloc(block, bytes), Ok(block));
                assert_eq!(tlsf.realloc_aligned(block, QUANTUM, bytes), Ok(block));
                assert_eq!(Tlsf::block_size(block.as_ptr()), usable);
            }
            assert_eq!(tlsf.stats().failed_requests, 0);
            assert_eq!(tlsf.realloc(block, usable + 1), Err(Refusal::Exhausted));
            assert_eq!(tlsf.stats().failed_requests, 1);
            assert_sound(tlsf);
        }
    }
}

#[test]
fn group_g_an_alignment_is_kept_or_made() {
    let align = 8 * QUANTUM;
    for lead in 2..12 {
        let heap = Heap::new(&[lead, 4, 2, -90]);
        let (tlsf, ptr) = (heap.tlsf(), heap.blocks[1]);
        // SAFETY: live instance and block.
        unsafe {
            let aligned = ptr.as_ptr().addr().is_multiple_of(align);
            let moved = tlsf
                .realloc_aligned(ptr, align, 4 * QUANTUM - WORD)
                .unwrap();
            assert_eq!(moved.as_ptr().addr() % align, 0);
            // An aligned block of the right size stays.
            assert_eq!(moved == ptr, aligned);
            heap.holds(moved, 1, 4 * QUANTUM - WORD);
            let grown = tlsf.realloc_aligned(moved, align, 20 * QUANTUM).unwrap();
            assert_eq!(grown.as_ptr().addr() % align, 0);
            heap.holds(grown, 1, 4 * QUANTUM - WORD);
            heap.others_hold(&[lead, 0, 2, 0], 1);
        }
        assert_sound(tlsf);
    }
    // Backward only to an aligned place.
    for lead in 2..20 {
        let heap = Heap::new(&[lead, -9, 4, 2, -60]);
        let (tlsf, ptr) = (heap.tlsf(), heap.blocks[2]);
        let before = heap.blocks[1].as_ptr().addr();
        let fits = before.is_multiple_of(align);
        let stays = ptr.as_ptr().addr().is_multiple_of(align);
        // SAFETY: live instance and block.
        let moved = unsafe { tlsf.realloc_aligned(ptr, align, 11 * QUANTUM - WORD) }.unwrap();
        assert_eq!(moved.as_ptr().addr() % align, 0);
        assert!(!fits || moved.as_ptr().addr() == before, "{lead} {stays}");
        heap.holds(moved, 2, 4 * QUANTUM - WORD);
        assert_sound(tlsf);
    }
}

#[test]
fn group_i_the_old_place_of_a_moved_block_is_no_block() {
    // After the contents, under them, and where nothing was moved.
    for (before, quanta) in [
        (&[-9isize, 4, 2][..], 5),
        (&[-9, 4, 2], 11),
        (&[-9, 4, 2], 13),
        (&[-2, 4, -4, 2], 10),
        (&[-3, 4, -3, 2], 10),
        (&[-4, 3, 2], 7),
        (&[-20, 3, 2], 21),
        (&[2, 4, 2, -20], 6),
    ] {
        let heap = Heap::new(before);
        let old = heap.blocks[1];
        let moved = heap.resize(1, quanta);
        assert_ne!(moved, old);
        // SAFETY: live instance, readable memory; the wrong pointer is reported.
        let misuse = unsafe { heap.tlsf().free_by_turns(old) }.err();
        assert!(
            matches!(misuse, Some(Misuse::DoubleFree | Misuse::NotABlock)),
            "{before:?} to {quanta}: {misuse:?}"
        );
        heap.layout();
    }
}

#[test]
fn group_i_an_overwritten_neighbour_stops_a_resize_and_nothing_changes() {
    // Layout, new size in quanta, the overwritten free block, and the reported address.
    let forward = (&[2isize, 4, -6, 2][..], 8, 2, Misuse::SmashedLink, 2);
    let shrink = (&[2isize, 4, -6, 2][..], 2, 2, Misuse::SmashedLink, 2);
    let backward = (&[-9isize, 4, 2, 2][..], 8, 0, Misuse::SmashedPrev, 1);
    let both = (&[-3isize, 4, -4, 2][..], 10, 2, Misuse::SmashedLink, 2);
    let moving = (&[-2isize, 4, 2, -20][..], 12, 0, Misuse::SmashedPrev, 1);
    for (quanta, size, free, misuse, at) in [forward, shrink, backward, both, moving] {
        let heap = Heap::new(quanta);
        let tlsf = heap.tlsf();
        let link = heap.blocks[free].as_ptr().cast::<usize>();
        for word in 0..2 {
            // SAFETY: live instance; the damage is a link of a free block, undone.
            unsafe {
                let place = link.add(word);
                let before = assert_sound(tlsf);
                let old = place.replace(place.read() ^ (QUANTUM << 1) | 1);
                let image = heap.region.image();
                assert_eq!(
                    tlsf.realloc(heap.blocks[1], size * QUANTUM - WORD),
                    Err(Refusal::Misuse(misuse, heap.blocks[at].as_ptr()))
                );
                assert!(image == heap.region.image(), "{quanta:?} word {word}");
                place.write(old);
                assert_eq!(assert_sound(tlsf), before);
            }
        }
    }
}

#[test]
fn group_i_a_move_is_taken_back_when_the_old_block_cannot_be_freed() {
    // The next block is too small to grow into, and its link is overwritten: found only when the
    // old one is freed.
    let heap = Heap::new(&[2, 4, -2, 2, -20]);
    let tlsf = heap.tlsf();
    // SAFETY: live instance; the damage is a link of a free block, undone.
    unsafe {
        let before = assert_sound(tlsf);
        let link = heap.blocks[2].as_ptr().cast::<usize>().add(1);
        let old = link.replace(1);
        assert_eq!(
            tlsf.realloc(heap.blocks[1], 12 * QUANTUM),
            Err(Refusal::Misuse(
                Misuse::SmashedLink,
                heap.blocks[1].as_ptr()
            ))
        );
        link.write(old);
        assert_eq!(assert_sound(tlsf), before);
        heap.holds(heap.blocks[1], 1, 4 * QUANTUM - WORD);
        assert_eq!(heap.quanta(), [2, 4, -2, 2, -20]);
    }
}

#[test]
fn group_g_growing_to_what_is_there_touches_nothing() {
    for bytes in 1..4 * QUANTUM - WORD {
        let heap = Heap::new(&[2, 4, 2]);
        let ptr = heap.blocks[1];
        // SAFETY: live instance and block.
        let same = unsafe { heap.tlsf().realloc(ptr, bytes) }.unwrap();
        assert_eq!(same, ptr);
        heap.holds(ptr, 1, bytes);
        let size = (bytes + WORD).next_multiple_of(QUANTUM).max(BLOCK_MIN);
        let left = 4 * QUANTUM - size;
        if left < BLOCK_MIN {
            assert_eq!(heap.quanta(), [2, 4, 2]);
        } else {
            assert_eq!(heap.layout()[1..3], [(size, USED), (left, FREE)], "{bytes}");
        }
    }
}
