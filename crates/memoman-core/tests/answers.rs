//! The misuse reported for each wrong pointer and each overwritten header (group I); none changes
//! the heap.

mod support;

use memoman_core::{Misuse, Refusal, Tlsf};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
const SIZE: usize = 6 * QUANTUM;

/// One pool filled by eight blocks in use of one size; the test owns the memory after it.
struct Heap {
    instance: Instance,
    region: Region,
    blocks: Vec<NonNull<u8>>,
    seal: usize,
}

impl Heap {
    fn new() -> Heap {
        let instance = Instance::new(1 << 12);
        let bytes = Tlsf::POOL_OVERHEAD - WORD + 8 * SIZE;
        let region = Region::new(bytes + 4096, 0, 0);
        // SAFETY: the region outlives the instance's use.
        unsafe {
            let tlsf = instance.tlsf;
            tlsf.add_pool(region.start(), bytes).unwrap();
            let blocks: Vec<_> = (0..8).map(|_| tlsf.malloc(SIZE - WORD).unwrap()).collect();
            assert_eq!(assert_sound(tlsf).free, 0);
            let seal = blocks[0].as_ptr().cast::<usize>().sub(1).read() & !SIZE;
            Heap {
                instance,
                region,
                blocks,
                seal,
            }
        }
    }

    fn at(&self, index: usize) -> *mut u8 {
        self.blocks[index].as_ptr()
    }

    /// The misuse that free and realloc report for this pointer; they agree.
    fn answer(&self, ptr: *mut u8) -> Misuse {
        let tlsf = self.instance.tlsf;
        let block = NonNull::new(ptr).unwrap();
        // SAFETY: live instance, readable memory; the wrong pointer or header is reported.
        unsafe {
            let image = self.region.image();
            let misuse = tlsf.free_by_turns(block).err().expect("freed");
            let refusal = tlsf.realloc(block, 10).unwrap_err();
            assert!(matches!(refusal, Refusal::Misuse(same, _) if same == misuse));
            assert!(image == self.region.image());
            misuse
        }
    }

    /// [`Heap::answer`] to a wrong pointer, which `probe` and `usable_size` report too.
    fn answer_to_all(&self, ptr: *mut u8) -> Misuse {
        let (tlsf, block) = (self.instance.tlsf, NonNull::new(ptr).unwrap());
        let misuse = self.answer(ptr);
        // SAFETY: live instance; nothing is given up.
        unsafe {
            assert_eq!(tlsf.probe(block), Err(misuse));
            assert_eq!(tlsf.usable_size(block), Err(misuse));
            assert_eq!(tlsf.live_bytes(block), 0);
        }
        misuse
    }

    /// The misuse reported for block `freed` while the header of block `index` is overwritten.
    fn overwritten(&self, index: usize, header: usize, freed: usize) -> Misuse {
        // SAFETY: the header of a block; restored.
        unsafe {
            let place = self.at(index).cast::<usize>().sub(1);
            let old = place.replace(header);
            let misuse = self.answer(self.at(freed));
            place.write(old);
            assert_sound(self.instance.tlsf);
            misuse
        }
    }
}

#[test]
fn group_i_the_bounds_are_the_first_payload_and_the_end_of_the_pool() {
    let heap = Heap::new();
    let end = heap.region.start().wrapping_add(heap.region.bytes() - 4096);
    for (ptr, expected) in [
        (heap.at(0).wrapping_sub(QUANTUM), Misuse::Foreign),
        (heap.at(0).wrapping_sub(1), Misuse::Foreign),
        (heap.at(0).wrapping_add(1), Misuse::Misaligned),
        (heap.at(0).wrapping_add(WORD), Misuse::Misaligned),
        (heap.at(0).wrapping_add(QUANTUM), Misuse::NotABlock),
        (heap.at(3).wrapping_add(QUANTUM - 1), Misuse::Misaligned),
        (end.wrapping_sub(1), Misuse::Misaligned),
        (end, Misuse::Foreign),
        (end.wrapping_add(QUANTUM), Misuse::Foreign),
    ] {
        assert_eq!(
            heap.answer_to_all(ptr),
            expected,
            "{}",
            ptr.addr() - heap.at(0).addr()
        );
    }
}

#[test]
fn group_i_a_second_free_is_named_wherever_the_block_lies() {
    for index in 0..8 {
        let heap = Heap::new();
        // SAFETY: a live block.
        let _ = unsafe { heap.instance.tlsf.free_by_turns(heap.blocks[index]) }.unwrap();
        assert_eq!(
            heap.answer_to_all(heap.at(index)),
            Misuse::DoubleFree,
            "{index}"
        );
    }
}

// (The small build has no such short test.)
#[cfg(not(memoman_small))]
#[test]
fn realloc_knows_a_block_of_the_same_size_by_its_headers() {
    let heap = Heap::new();
    // SAFETY: live instance; nothing is given up.
    let same = |ptr, bytes| unsafe { heap.instance.tlsf.realloc_same(ptr, bytes) };
    for index in 0..8 {
        for bytes in 0..3 * SIZE {
            let expected = bytes > SIZE - WORD - QUANTUM && bytes <= SIZE - WORD;
            assert_eq!(same(heap.at(index), bytes), expected, "{index} {bytes}");
        }
    }
    let end = heap.at(7).wrapping_add(SIZE);
    let inside =
        [QUANTUM.wrapping_neg(), WORD, QUANTUM, SIZE + 1].map(|by| heap.at(0).wrapping_add(by));
    for ptr in inside.into_iter().chain([end, core::ptr::null_mut()]) {
        assert!(!same(ptr, SIZE - WORD), "{ptr:?}");
    }
    let more = SIZE + 10 * QUANTUM;
    for (index, header, after) in [
        (3, heap.seal | SIZE, heap.seal | SIZE | 2),
        (3, heap.seal | SIZE | 1, heap.seal | SIZE),
        // Without the seal (on targets that have one), or a sentinel's.
        (3, if WORD == 8 { SIZE } else { SIZE | 4 }, heap.seal | SIZE),
        // It would end past the pool, at a plausible header in the test's memory.
        (7, heap.seal | more, heap.seal | SIZE),
    ] {
        let size = if index == 7 { more } else { SIZE };
        // SAFETY: the headers of two blocks, or a word of the region after the pool.
        unsafe {
            let (place, next) = (
                heap.at(index).cast::<usize>().sub(1),
                heap.at(index).add(size).cast::<usize>().sub(1),
            );
            let (old, old_next) = (place.replace(header), next.replace(after));
            assert!(
                !same(heap.at(index), size - WORD),
                "{index} {header:#x} {after:#x}"
            );
            place.write(old);
            next.write(old_next);
        }
        assert_sound(heap.instance.tlsf);
    }
}

#[test]
fn a_live_block_is_answered_with_its_size() {
    let heap = Heap::new();
    for &block in &heap.blocks {
        // SAFETY: a live block; nothing is given up.
        unsafe {
            let tlsf = heap.instance.tlsf;
            assert_eq!(tlsf.probe(block), Ok(()));
            assert_eq!(tlsf.usable_size(block), Ok(SIZE - WORD));
            assert_eq!(tlsf.live_bytes(block), SIZE);
        }
    }
}

#[test]
fn group_i_a_header_that_is_none_is_told_from_one_of_a_free_block() {
    let heap = Heap::new();
    let seal = heap.seal;
    for index in [0, 3, 7] {
        // To the pool's end, like one block: the sentinel follows.
        let room = (8 - index) * SIZE;
        let free = [seal | 1, seal | SIZE | 1, seal | SIZE | 3, seal | room | 1];
        for header in free {
            let named = heap.overwritten(index, header, index);
            assert_eq!(named, Misuse::DoubleFree, "{header:#x}");
        }
        let mut none = vec![
            seal,
            seal | QUANTUM,
            seal | 2,
            seal | SIZE | 4,
            seal | SIZE | 5,
            seal | 4,
            seal | 5,
            seal | (room + QUANTUM),
            seal | (room + SIZE),
            seal | (1 << 20),
        ];
        if WORD == 8 {
            none.extend([0, 1, 2, 4, !seal, seal | SIZE | 8, seal | SIZE | 9]);
            none.extend([
                seal | (1u64 << 40) as usize,
                seal | (1u64 << 47) as usize,
                seal ^ (1u64 << 63) as usize | 1,
            ]);
        }
        for header in none {
            let named = heap.overwritten(index, header, index);
            assert_eq!(named, Misuse::NotABlock, "{header:#x}");
        }
        // The size of another block: no header follows.
        for size in [SIZE - QUANTUM, SIZE + QUANTUM, 2 * QUANTUM] {
            if index < 7 || size < SIZE {
                let named = heap.overwritten(index, seal | size, index);
                assert_eq!(named, Misuse::SmashedNext, "{size}");
            }
        }
    }
}

#[test]
fn group_i_the_next_header_is_believed_only_if_it_can_be_one() {
    let heap = Heap::new();
    let seal = heap.seal;
    for freed in [0, 3, 6] {
        let room = (7 - freed) * SIZE;
        let mut none = vec![
            seal | SIZE | 2,
            seal | SIZE | 3,
            seal | 1,
            seal | QUANTUM | 1,
            seal | (room + QUANTUM) | 1,
            seal | (1 << 20) | 1,
        ];
        if WORD == 8 {
            none.extend([0, 1, 2, !seal, seal | (1u64 << 47) as usize | 1]);
        }
        for header in none {
            let named = heap.overwritten(freed + 1, header, freed);
            assert_eq!(named, Misuse::SmashedNext, "{header:#x}");
        }
        // A possible size: then the links or the ghost are tested, which are user data.
        for header in [seal | SIZE | 1, seal | room | 1] {
            let named = heap.overwritten(freed + 1, header, freed);
            let expected = [Misuse::SmashedLink, Misuse::SmashedNext];
            assert!(expected.contains(&named), "{header:#x}: {named:?}");
        }
    }
}

#[test]
fn group_i_a_size_that_ends_outside_of_the_pools_is_not_followed() {
    let heap = Heap::new();
    let more = SIZE + 10 * QUANTUM;
    let (used, prev_free, free) = (0, 2, 1);
    // SAFETY: two words of the region, after the pool; a live block.
    unsafe {
        let header = heap.at(7).add(more).cast::<usize>().sub(1);
        // A plausible block in use, and a plausible ghost of a free one.
        header.sub(1).write(heap.at(7).expose_provenance());
        // The number of live blocks decides which of its two paths free takes.
        for one_is_free in [false, true] {
            if one_is_free {
                let _ = heap.instance.tlsf.free_by_turns(heap.blocks[0]).unwrap();
            }
            for flag in [used, prev_free] {
                header.write(heap.seal | SIZE | flag);
                for own in [used, prev_free] {
                    let misuse = heap.overwritten(7, heap.seal | more | own, 7);
                    assert_eq!(misuse, Misuse::NotABlock, "{own} {flag}");
                }
                let misuse = heap.overwritten(7, heap.seal | more | free, 6);
                assert_eq!(misuse, Misuse::SmashedNext, "{flag}");
            }
        }
    }
}
