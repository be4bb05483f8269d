//! Interception: every hot call is refused and changes nothing; resizing in place.

// Nothing intercepts the small build.
#![cfg_attr(memoman_small, allow(dead_code, unused_imports))]

mod support;

use memoman_core::{Misuse, Reach, Refusal, Tlsf};
use std::ptr::{self, NonNull};
use support::fronts::ByTurns;
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;

/// A pool filled by blocks of the given sizes (in quanta) in order; negative ones are free.
struct Heap {
    instance: Instance,
    region: Region,
    blocks: Vec<NonNull<u8>>,
}

impl Heap {
    fn new(quanta: &[isize]) -> Heap {
        let instance = Instance::new(1 << 12);
        let total: usize = quanta.iter().map(|n| n.unsigned_abs() * QUANTUM).sum();
        let region = Region::new(Tlsf::POOL_OVERHEAD - WORD + total, 0, 0xFF);
        // SAFETY: the region outlives the instance's use; each block is freed once.
        let blocks = unsafe {
            let tlsf = instance.tlsf;
            tlsf.add_pool(region.start(), region.bytes()).unwrap();
            let size = |n: &isize| n.unsigned_abs() * QUANTUM - WORD;
            let blocks: Vec<_> = quanta
                .iter()
                .map(|n| tlsf.malloc(size(n)).unwrap())
                .collect();
            for (block, quanta) in blocks.iter().zip(quanta) {
                block.as_ptr().write_bytes(0x3C, size(quanta));
                if *quanta < 0 {
                    let _ = tlsf.free_by_turns(*block).unwrap();
                }
            }
            blocks
        };
        assert_sound(instance.tlsf);
        Heap {
            instance,
            region,
            blocks,
        }
    }
}

#[cfg(not(memoman_small))]
#[test]
fn an_intercepted_instance_refuses_every_hot_call_and_changes_nothing() {
    let heap = Heap::new(&[4, -4, 4]);
    let tlsf = heap.instance.tlsf;
    let before = assert_sound(tlsf);
    let image = heap.region.image();
    let refused = Err(Refusal::Misuse(Misuse::Intercepted, ptr::null()));
    // SAFETY: live instance and blocks.
    unsafe {
        assert!(!tlsf.is_intercepted());
        for _ in 0..2 {
            tlsf.intercept();
            assert!(tlsf.is_intercepted());
            for bytes in [0, 1, 24, 1 << 12, usize::MAX] {
                assert_eq!(tlsf.malloc(bytes), refused);
                assert_eq!(tlsf.memalign(64, bytes), refused);
                assert_eq!(tlsf.calloc(1, bytes), refused);
            }
            for &block in &heap.blocks {
                let at = Err(Refusal::Misuse(Misuse::Intercepted, block.as_ptr()));
                assert_eq!(tlsf.free_by_turns(block).err(), Some(Misuse::Intercepted));
                assert_eq!(tlsf.realloc(block, 100), at);
                assert_eq!(tlsf.realloc_aligned(block, 64, 100), at);
            }
            assert!(image == heap.region.image());
            tlsf.end_interception();
            assert!(!tlsf.is_intercepted());
            assert_eq!(assert_sound(tlsf), before);
        }
        let _ = tlsf.free_by_turns(heap.blocks[0]).unwrap();
        assert!(tlsf.malloc(7 * QUANTUM).is_ok());
        assert_sound(tlsf);
        // Without pools, too.
        let empty = Instance::new(1 << 12);
        empty.tlsf.intercept();
        assert_eq!(empty.tlsf.malloc(1), refused);
        empty.tlsf.end_interception();
        assert_eq!(empty.tlsf.malloc(1), Err(Refusal::Exhausted));
        assert_sound(empty.tlsf);
        // A destroyed instance is not intercepted.
        empty.tlsf.destroy();
        assert!(!empty.tlsf.is_intercepted());
    }
    let message = Misuse::Intercepted.message();
    assert_eq!(message, c"call on an intercepted allocator");
}

#[test]
fn the_reach_of_a_block_is_itself_and_its_free_neighbours() {
    for (quanta, first, length) in [
        (&[3isize, 4, 5][..], 1, 4),
        (&[-3, 4, 5], 0, 7),
        (&[3, 4, -5], 1, 9),
        (&[-3, 4, -5], 0, 12),
        (&[3, 4], 1, 4),
    ] {
        let heap = Heap::new(quanta);
        let tlsf = heap.instance.tlsf;
        // SAFETY: live instance and block.
        unsafe {
            let Reach { start, bytes } = tlsf.reach(heap.blocks[1]).unwrap();
            assert_eq!(start, heap.blocks[first].as_ptr(), "{quanta:?}");
            assert_eq!(bytes, length * QUANTUM - WORD, "{quanta:?}");
        }
    }
    let heap = Heap::new(&[-3, 4, -5]);
    // SAFETY: live instance; the damage is the ghost, undone.
    unsafe {
        let tlsf = heap.instance.tlsf;
        let free = tlsf.reach(heap.blocks[2]);
        assert_eq!(free.err(), Some(Misuse::DoubleFree));
        let ghost = heap.blocks[1].as_ptr().cast::<usize>().sub(2);
        let old = ghost.replace(0);
        let reach = tlsf.reach(heap.blocks[1]);
        assert_eq!(reach.err(), Some(Misuse::SmashedPrev));
        ghost.write(old);
        assert_sound(tlsf);
    }
}

#[test]
fn group_g_a_resize_in_place_takes_what_is_near_or_nothing() {
    let bytes = |quanta: usize| quanta * QUANTUM - WORD;
    let near = [
        (&[3isize, 6, 5][..], 4, 1),
        (&[3, 4, -5], 9, 1),
        (&[-3, 4, 5], 7, 0),
        (&[-3, 4, -5], 12, 0),
    ];
    for (quanta, size, at) in near {
        let heap = Heap::new(quanta);
        let tlsf = heap.instance.tlsf;
        // SAFETY: live instance and block.
        unsafe {
            let before = tlsf.stats();
            let block = heap.blocks[1];
            for too_much in [bytes(13), 1 << 11] {
                let refused = tlsf.realloc_in_place(block, QUANTUM, too_much);
                assert_eq!(refused, Ok(None));
            }
            assert_eq!(assert_sound(tlsf), before, "not counted");
            let resized = tlsf.realloc_in_place(block, QUANTUM, bytes(size));
            let resized = resized.unwrap().unwrap();
            assert_eq!(resized, heap.blocks[at], "{quanta:?}");
            let kept = bytes(4.min(size));
            let contents = std::slice::from_raw_parts(resized.as_ptr(), kept);
            assert!(contents.iter().all(|&byte| byte == 0x3C));
            assert_sound(tlsf);
            let invalid = tlsf.realloc_in_place(resized, QUANTUM, 0);
            assert_eq!(invalid, Err(Refusal::Invalid));
        }
    }
}

#[test]
fn a_pool_leads_to_its_instance_unless_its_header_is_overwritten() {
    let heap = Heap::new(&[4, 4]);
    let tlsf = heap.instance.tlsf;
    // SAFETY: live instance and pool; the damage is undone.
    unsafe {
        let pool = tlsf.first_pool().unwrap();
        assert_eq!(pool.instance(), Some(tlsf));
        for word in 0..5 {
            let place = pool.as_raw().cast::<usize>().add(word);
            let old = place.replace(place.read() ^ QUANTUM);
            assert_eq!(pool.instance(), None, "word {word}");
            place.write(0);
            assert_eq!(pool.instance().is_none(), old != 0, "word {word}");
            place.write(old);
        }
        assert_eq!(pool.instance(), Some(tlsf));
    }
}
