//! The checked unlink: a link is followed only inside the instance's bounds, even if it leads back
//! (group I).

mod support;

use memoman_core::{Misuse, Refusal, Tlsf};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
const PAD: usize = 64;

/// Control structure and pool in one region, with the test's memory on both sides: `used`, `free`,
/// a block in use.
struct Heap {
    region: Region,
    tlsf: Tlsf,
    used: NonNull<u8>,
    free: NonNull<u8>,
}

impl Heap {
    fn new() -> Heap {
        let control = Tlsf::control_size(1 << 12).next_multiple_of(QUANTUM);
        let region = Region::new(PAD + control + 1024 + PAD, 0, 0);
        // SAFETY: the region belongs to the test; each block is freed once.
        unsafe {
            let tlsf = Tlsf::create(region.start().add(PAD), 1 << 12).unwrap();
            tlsf.add_pool(region.start().add(PAD + control), 1024)
                .unwrap();
            let [used, free, _guard] = [(); 3].map(|()| tlsf.malloc(5 * QUANTUM).unwrap());
            let _ = tlsf.free_by_turns(free).unwrap();
            assert_sound(tlsf);
            Heap {
                region,
                tlsf,
                used,
                free,
            }
        }
    }

    /// The first word after the instance's memory, and the last one before it.
    fn outside(&self) -> [*mut usize; 2] {
        let end = self.region.bytes() - PAD;
        [
            self.region.start().wrapping_add(end).cast(),
            self.region.start().wrapping_add(PAD - WORD).cast(),
        ]
    }

    /// Overwrites words: the free block must be neither merged nor allocated. Restores them.
    fn refused(&self, words: &[(*mut usize, usize)], handed_out_too: bool) {
        // SAFETY: words of the region; live blocks.
        unsafe {
            let old: Vec<usize> = words
                .iter()
                .map(|&(place, value)| place.replace(value))
                .collect();
            let image = self.region.image();
            let what = words[words.len() - 1].1;
            let misuse = self.tlsf.free_by_turns(self.used).err();
            assert_eq!(misuse, Some(Misuse::SmashedLink), "{what:#x}");
            let grown = self.tlsf.realloc(self.used, 9 * QUANTUM);
            let at = self.free.as_ptr().cast_const();
            let refusal = Err(Refusal::Misuse(Misuse::SmashedLink, at));
            assert_eq!(grown, refusal, "{what:#x}");
            if handed_out_too {
                assert_eq!(self.tlsf.malloc(5 * QUANTUM), refusal, "{what:#x}");
            }
            assert!(image == self.region.image(), "{what:#x}");
            for (&(place, _), old) in words.iter().zip(old).rev() {
                place.write(old);
            }
        }
    }
}

#[test]
fn group_i_a_link_to_outside_is_not_followed_though_it_leads_back() {
    let heap = Heap::new();
    let links = heap.free.as_ptr().cast::<usize>();
    for outside in heap.outside() {
        // prev_link: the word outside points at the block.
        heap.refused(
            &[
                (outside, heap.free.as_ptr().addr()),
                (links.wrapping_add(1), outside.addr()),
            ],
            false,
        );
    }
    // next_free: at the end of the pool, and after it, lies a prev_link that leads back.
    let end = heap.outside()[0];
    for offset in [0, 2] {
        let next = end.wrapping_add(offset);
        heap.refused(
            &[(next.wrapping_add(1), links.addr()), (links, next.addr())],
            true,
        );
    }
    // With the links restored, the block merges: the forged links caused the refusals.
    // SAFETY: live blocks.
    unsafe {
        let _ = heap.tlsf.free_by_turns(heap.used).unwrap();
    }
    assert_sound(heap.tlsf);
}

#[test]
fn group_i_a_wild_link_is_not_followed() {
    let heap = Heap::new();
    let links = heap.free.as_ptr().cast::<usize>();
    let mut wild: Vec<usize> = (0..usize::BITS).map(|shift| 1 << shift).collect();
    wild.extend((0..usize::BITS).map(|shift| usize::MAX << shift));
    for value in wild {
        heap.refused(&[(links, value)], true);
        heap.refused(&[(links.wrapping_add(1), value)], false);
    }
}

#[test]
fn group_i_the_wilderness_is_merged_only_if_its_head_and_both_its_links_are_right() {
    let heap = Heap::new();
    let tlsf = heap.tlsf;
    // SAFETY: words of the region, restored; live blocks.
    unsafe {
        let [_, last] = [(); 2].map(|()| tlsf.malloc(5 * QUANTUM).unwrap());
        let mut wilderness = core::ptr::null_mut::<usize>();
        let pool = tlsf.first_pool().unwrap();
        pool.walk(&mut |block, _, used| {
            if !used {
                wilderness = block.as_ptr().cast();
            }
        });
        assert!(wilderness.addr() > last.as_ptr().addr());
        let head: *mut usize = core::ptr::with_exposed_provenance_mut(wilderness.add(1).read());
        assert_eq!(head.read(), wilderness.addr());
        for place in [wilderness, wilderness.add(1), head] {
            let old = place.replace(last.as_ptr().expose_provenance());
            let image = heap.region.image();
            for _turn in 0..2 {
                assert_eq!(tlsf.free_by_turns(last).err(), Some(Misuse::SmashedLink));
                assert!(image == heap.region.image());
            }
            place.write(old);
            assert_sound(tlsf);
        }
        let _ = tlsf.free_by_turns(last).unwrap();
        assert_sound(tlsf);
    }
}
