//! Misuse and overwritten heaps in the hot calls: reported when a header or link check detects it,
//! and nothing changed (group I). Validation is tested in `src/tests/corruption/`.

mod support;

use memoman_core::{Misuse, Refusal, Tlsf};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();

/// Two pools with used and free blocks in turn, several free ones in one bin.
struct Heap {
    instance: Instance,
    pools: [Region; 2],
    live: Vec<NonNull<u8>>,
    freed: Vec<NonNull<u8>>,
}

impl Heap {
    fn new() -> Heap {
        let instance = Instance::new(1 << 16);
        let pools = [Region::new(4096, 0, 0x5A), Region::new(4096, 8, 0x5A)];
        let mut blocks = Vec::new();
        // SAFETY: the regions live as long as the instance; each block is freed once.
        unsafe {
            for pool in &pools {
                instance.tlsf.add_pool(pool.start(), pool.bytes()).unwrap();
            }
            for round in 0..24 {
                let ptr = instance.tlsf.malloc([40, 40, 72, 200][round % 4]).unwrap();
                ptr.as_ptr()
                    .write_bytes(0x77, Tlsf::block_size(ptr.as_ptr()));
                blocks.push(ptr);
            }
            let (mut live, mut freed) = (Vec::new(), Vec::new());
            for (index, ptr) in blocks.into_iter().enumerate() {
                if index % 2 == 0 {
                    instance.tlsf.free_by_turns(ptr).unwrap();
                    freed.push(ptr);
                } else {
                    live.push(ptr);
                }
            }
            assert_sound(instance.tlsf);
            Heap {
                instance,
                pools,
                live,
                freed,
            }
        }
    }

    fn tlsf(&self) -> Tlsf {
        self.instance.tlsf
    }
}

#[test]
fn group_i_misuse_is_found_and_changes_nothing() {
    let heap = Heap::new();
    let tlsf = heap.tlsf();
    let mut local = [0usize; 8];
    static STATIC: [usize; 8] = [0; 8];
    let at = |ptr: *mut u8| NonNull::new(ptr).unwrap();
    let live = heap.live[5].as_ptr();
    let cases = [
        ("free block", heap.freed[5].as_ptr(), Misuse::DoubleFree),
        ("misaligned", live.wrapping_add(1), Misuse::Misaligned),
        (
            "interior, half a quantum",
            live.wrapping_add(WORD),
            Misuse::Misaligned,
        ),
        ("interior", live.wrapping_add(2 * WORD), Misuse::NotABlock),
        ("stack", local.as_mut_ptr().cast(), Misuse::Foreign),
        ("static", STATIC.as_ptr().cast_mut().cast(), Misuse::Foreign),
        ("one", std::ptr::without_provenance_mut(1), Misuse::Foreign),
        (
            "null page",
            std::ptr::without_provenance_mut(4096),
            Misuse::Foreign,
        ),
    ];
    for (name, ptr, expected) in cases {
        let before = (
            heap.pools[0].image(),
            heap.pools[1].image(),
            assert_sound(tlsf),
        );
        // SAFETY: live instance; all memory between the pools may be read; the wrong pointer is
        // reported.
        unsafe {
            assert_eq!(tlsf.free_by_turns(at(ptr)).err(), Some(expected), "{name}");
            let refused = tlsf.realloc(at(ptr), 100);
            assert_eq!(refused, Err(Refusal::Misuse(expected, ptr)), "{name}");
        }
        assert!(
            before
                == (
                    heap.pools[0].image(),
                    heap.pools[1].image(),
                    assert_sound(tlsf)
                ),
            "{name}"
        );
    }
}

#[test]
fn group_i_a_second_free_is_found_after_merging_either_way() {
    let instance = Instance::new(1 << 16);
    let region = Region::new(4096, 0, 0);
    // SAFETY: the region outlives the instance's use; each wrong call is reported.
    unsafe {
        let tlsf = instance.tlsf;
        tlsf.add_pool(region.start(), region.bytes()).unwrap();
        let [a, b, c, _guard] = [(); 4].map(|()| tlsf.malloc(40).unwrap());
        tlsf.free_by_turns(a).unwrap();
        tlsf.free_by_turns(b).unwrap();
        assert_eq!(
            tlsf.free_by_turns(b).err(),
            Some(Misuse::DoubleFree),
            "merged into the block before"
        );
        tlsf.free_by_turns(c).unwrap();
        for ptr in [a, b, c] {
            assert_eq!(tlsf.free_by_turns(ptr).err(), Some(Misuse::DoubleFree));
        }
        assert_sound(tlsf);
    }
}

#[test]
fn group_i_overflows_and_writes_after_free_are_found_at_the_next_call() {
    let heap = Heap::new();
    let tlsf = heap.tlsf();
    // SAFETY: the deliberate damage stays inside the heap and is undone.
    unsafe {
        // An overflow by one word: the next header.
        let ptr = heap.live[2];
        let next = ptr
            .as_ptr()
            .add(Tlsf::block_size(ptr.as_ptr()))
            .cast::<usize>();
        for value in [
            0,
            usize::MAX,
            0x4141_4141_4141_4141_u64 as usize,
            next.read() ^ 2,
        ] {
            let old = next.replace(value);
            assert_eq!(
                tlsf.free_by_turns(ptr).err(),
                Some(Misuse::SmashedNext),
                "{value:#x}"
            );
            next.write(old);
        }
        // The ghost and the previous, free block.
        let ghost = ptr.as_ptr().cast::<usize>().sub(2);
        for value in [
            0,
            1,
            usize::MAX,
            ptr.as_ptr().addr(),
            heap.freed[6].as_ptr().addr(),
        ] {
            let old = ghost.replace(value);
            assert_eq!(
                tlsf.free_by_turns(ptr).err(),
                Some(Misuse::SmashedPrev),
                "{value:#x}"
            );
            ghost.write(old);
        }
        // A link of the next, free block.
        let after = ptr
            .as_ptr()
            .add(Tlsf::block_size(ptr.as_ptr()) + WORD)
            .cast::<usize>();
        for word in [after, after.add(1)] {
            for value in [1, 16, usize::MAX & !15, ptr.as_ptr().addr()] {
                let old = word.replace(value);
                assert_eq!(
                    tlsf.free_by_turns(ptr).err(),
                    Some(Misuse::SmashedLink),
                    "{value:#x}"
                );
                word.write(old);
            }
        }
        tlsf.free_by_turns(ptr).unwrap();
        assert_sound(tlsf);
    }
}
