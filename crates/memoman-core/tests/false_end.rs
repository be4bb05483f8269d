//! A free block with an overwritten size and a false end that partly looks like a true one: the
//! ghost is there, the header after it is not (group I).

mod support;

use memoman_core::{Misuse, Refusal, Tlsf};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
const SIZE: usize = 6 * QUANTUM;

/// One pool of exactly eight blocks of one size.
fn heap(region: &Region, instance: &Instance) -> Vec<NonNull<u8>> {
    // SAFETY: the region outlives the instance's use.
    unsafe {
        instance
            .tlsf
            .add_pool(region.start(), region.bytes())
            .unwrap();
        let blocks: Vec<_> = (0..8)
            .map(|_| instance.tlsf.malloc(SIZE - WORD).unwrap())
            .collect();
        assert_eq!(assert_sound(instance.tlsf).free, 0);
        blocks
    }
}

fn instance() -> (Region, Instance) {
    let region = Region::new(Tlsf::POOL_OVERHEAD - WORD + 8 * SIZE, 0, 0);
    (region, Instance::new(1 << 12))
}

/// Runs `work` while the free block's header holds `size` instead of `true_size`.
fn with_size(block: NonNull<u8>, true_size: usize, size: usize, work: impl FnOnce()) {
    // SAFETY: the word before a block's payload is its header; the seal lies above the sizes.
    unsafe {
        let header = block.as_ptr().cast::<usize>().sub(1);
        let old = header.read();
        header.write(old ^ true_size ^ size);
        work();
        assert_eq!(header.read(), old ^ true_size ^ size, "a refusal wrote");
        header.write(old);
    }
}

#[test]
fn group_i_the_link_of_another_block_is_no_ghost() {
    let (region, instance) = instance();
    let blocks = heap(&region, &instance);
    let tlsf = instance.tlsf;
    // SAFETY: live instance; each block is freed once.
    unsafe {
        let _ = tlsf.free_by_turns(blocks[1]).unwrap();
        let _ = tlsf.free_by_turns(blocks[3]).unwrap();
        // The list is 3, 1: the first word of 3 is the address of 1, and may pass for the last word
        // of a false 1.
        let link = blocks[3].as_ptr();
        assert_eq!(link.cast::<*mut u8>().read(), blocks[1].as_ptr());
        let size = link.addr() + 2 * WORD - blocks[1].as_ptr().addr();
        assert!(size.is_multiple_of(QUANTUM));
        // After it lies the link back, a header's flags without the seal, or the seal with FREE.
        let after = link.cast::<usize>().add(1);
        let link_back = after.read();
        let freed = Tlsf::seal_of(blocks[0]) ^ (SIZE | 3);
        let unsealed = if WORD == 8 { SIZE | 2 } else { freed };
        for word in [link_back, freed, unsealed] {
            after.write(word);
            let image = region.image();
            with_size(blocks[1], SIZE, size, || {
                // Freeing the previous block, which would merge with it.
                assert_eq!(
                    tlsf.free_by_turns(blocks[0]).err(),
                    Some(Misuse::SmashedNext)
                );
                let refusal = tlsf.realloc(blocks[0], size).unwrap_err();
                assert!(matches!(refusal, Refusal::Misuse(Misuse::SmashedNext, _)));
            });
            assert!(image == region.image());
        }
        after.write(link_back);
        assert_sound(tlsf);
    }
}

#[test]
fn group_i_what_a_merge_has_left_is_no_end() {
    let (region, instance) = instance();
    let blocks = heap(&region, &instance);
    let tlsf = instance.tlsf;
    // SAFETY: live instance; each block is freed once.
    unsafe {
        // 1 and 2 merged; at the end of the former 1 its ghost remains, and the header of 2 with
        // FREE.
        let _ = tlsf.free_by_turns(blocks[1]).unwrap();
        let _ = tlsf.free_by_turns(blocks[2]).unwrap();
        let ghost = blocks[2].as_ptr().cast::<*mut u8>().sub(2).read();
        assert_eq!(ghost, blocks[1].as_ptr());
        let image = region.image();
        with_size(blocks[1], 2 * SIZE, SIZE, || {
            // A request that only this block satisfies: split by the false size, the rest would be
            // lost.
            for bytes in [WORD, SIZE - WORD] {
                let refusal = tlsf.malloc(bytes).unwrap_err();
                let expected = Refusal::Misuse(Misuse::NotABlock, blocks[1].as_ptr());
                assert_eq!(refusal, expected, "{bytes}");
            }
            let refusal = tlsf.memalign(4 * QUANTUM, WORD).unwrap_err();
            assert!(matches!(refusal, Refusal::Misuse(Misuse::NotABlock, _)));
            assert_eq!(
                tlsf.free_by_turns(blocks[0]).err(),
                Some(Misuse::SmashedNext)
            );
        });
        assert!(image == region.image());
        assert_sound(tlsf);
    }
}

#[test]
fn group_i_a_false_size_of_the_same_bin_is_no_exact_hit() {
    // 132 and 134 quanta share a bin: that of four quanta from 132 on.
    let (first, second) = (132 * QUANTUM, 2 * QUANTUM);
    let region = Region::new(Tlsf::POOL_OVERHEAD - WORD + first + second + SIZE, 0, 0);
    let instance = Instance::new(1 << 14);
    let tlsf = instance.tlsf;
    // SAFETY: the region outlives the instance's use; each block is freed once.
    unsafe {
        tlsf.add_pool(region.start(), region.bytes()).unwrap();
        let [a, b, _] = [first, second, SIZE].map(|size| tlsf.malloc(size - WORD).unwrap());
        assert_eq!(assert_sound(tlsf).free, 0);
        let _ = tlsf.free_by_turns(a).unwrap();
        let _ = tlsf.free_by_turns(b).unwrap();
        let image = region.image();
        with_size(a, first + second, first, || {
            let expected = Refusal::Misuse(Misuse::NotABlock, a.as_ptr());
            assert_eq!(tlsf.malloc(first - WORD), Err(expected));
        });
        assert!(image == region.image());
        assert_eq!(assert_sound(tlsf).failed_requests, 0);
    }
}

#[test]
fn group_i_a_size_that_is_too_small_for_its_bin_is_refused_though_its_end_confirms_it() {
    // The request's own bin, of four quanta from 132 on, has too small a block; the next one is in
    // a higher bin.
    let (small, request, large, says) = (132, 134, 200, 120);
    let quanta = [small, 6, large, 6].map(|quanta| quanta * QUANTUM);
    let all: usize = quanta.iter().sum();
    let region = Region::new(Tlsf::POOL_OVERHEAD - WORD + all, 0, 0);
    let instance = Instance::new(1 << 14);
    let tlsf = instance.tlsf;
    // SAFETY: the region outlives the instance's use; each block is freed once; the overwritten
    // words lie in a free block.
    unsafe {
        tlsf.add_pool(region.start(), region.bytes()).unwrap();
        let [a, _, b, _] = quanta.map(|size| tlsf.malloc(size - WORD).unwrap());
        assert_eq!(assert_sound(tlsf).free, 0);
        let seal = Tlsf::seal_of(b);
        let _ = tlsf.free_by_turns(a).unwrap();
        let _ = tlsf.free_by_turns(b).unwrap();
        let end = b.as_ptr().add(says * QUANTUM).cast::<usize>();
        end.sub(2).write(b.as_ptr().addr());
        end.sub(1).write(seal ^ (((large - says) * QUANTUM) | 2));
        let image = region.image();
        with_size(b, large * QUANTUM, says * QUANTUM, || {
            let expected = Refusal::Misuse(Misuse::NotABlock, b.as_ptr());
            assert_eq!(tlsf.malloc(request * QUANTUM - WORD), Err(expected));
        });
        assert!(image == region.image());
        assert_eq!(assert_sound(tlsf).live_blocks, 2);
    }
}

#[test]
fn group_i_a_next_header_that_looks_like_a_sentinel_is_none() {
    let (region, instance) = instance();
    let blocks = heap(&region, &instance);
    let tlsf = instance.tlsf;
    // SAFETY: live instance; the word before a block is its header, and is restored.
    unsafe {
        let next = blocks[4].as_ptr().cast::<usize>().sub(1);
        let old = next.read();
        // Any distance, as user data may have it; back to the pool's start too, whose end is
        // elsewhere.
        for quanta in 0..=2 * region.bytes() / QUANTUM {
            next.write((quanta * QUANTUM) | 4);
            let image = region.image();
            assert_eq!(
                tlsf.free_by_turns(blocks[3]).err(),
                Some(Misuse::SmashedNext),
                "{quanta}"
            );
            let refusal = tlsf.realloc(blocks[3], 1).unwrap_err();
            assert!(matches!(refusal, Refusal::Misuse(Misuse::SmashedNext, _)));
            assert!(image == region.image());
        }
        next.write(old);
        assert_sound(tlsf);
        for block in blocks {
            let _ = tlsf.free_by_turns(block).unwrap();
        }
        assert_sound(tlsf);
    }
}

#[test]
fn group_i_a_free_next_header_beyond_all_sizes_is_smashed() {
    let (region, instance) = instance();
    let blocks = heap(&region, &instance);
    let tlsf = instance.tlsf;
    // SAFETY: live instance; the word before a block is its header, and is restored.
    unsafe {
        let seal = Tlsf::seal_of(blocks[0]);
        // After a used block and after a free one: both add up the sizes to be merged.
        for freed in [None, Some(blocks[2])] {
            if let Some(freed) = freed {
                let _ = tlsf.free_by_turns(freed).unwrap();
            }
            let next = blocks[4].as_ptr().cast::<usize>().sub(1);
            let old = next.read();
            // The largest size, and FREE: any sum with it wraps.
            next.write((!(QUANTUM - 1) | 1) ^ seal);
            let image = region.image();
            assert_eq!(
                tlsf.free_by_turns(blocks[3]).err(),
                Some(Misuse::SmashedNext)
            );
            assert!(image == region.image());
            next.write(old);
            assert_sound(tlsf);
        }
    }
}

#[test]
#[cfg(target_pointer_width = "32")]
fn group_i_a_size_below_the_smallest_is_none_whatever_lies_behind_it() {
    let (region, instance) = instance();
    let blocks = heap(&region, &instance);
    let tlsf = instance.tlsf;
    // SAFETY: live instance; the words are the block's contents and header, which is restored.
    unsafe {
        let block = blocks[3];
        // At the end of a block of one quantum, user data looks like the header of a block up to
        // the next one, in use or free.
        let user_data = block.as_ptr().add(QUANTUM).cast::<usize>().sub(1);
        for flag in [0, 1] {
            user_data.write((SIZE - QUANTUM) | flag);
            let image = region.image();
            with_size(block, SIZE, QUANTUM, || {
                assert!(tlsf.free_by_turns(block).is_err(), "{flag}");
                for bytes in [1, SIZE - WORD, 2 * SIZE] {
                    let refusal = tlsf.realloc(block, bytes).unwrap_err();
                    assert!(matches!(refusal, Refusal::Misuse(..)), "{flag} {bytes}");
                }
                assert_eq!(tlsf.usable_size(block).ok(), None);
            });
            assert!(image == region.image());
            assert_sound(tlsf);
        }
    }
}
