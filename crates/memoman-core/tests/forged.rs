//! Validation of heaps with several overwritten words that confirm each other (group I).

mod support;

use memoman_core::{Cursor, Invariant, Step, Tlsf, Violation, control::Control};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
const SIZE: usize = 6 * QUANTUM;
const BIN: usize = SIZE / QUANTUM;
/// Words of the control structure before its heads, and the indices of those that are forged.
const HEADS: usize = size_of::<Control>() / WORD;
const USED: usize = 0;
const PEAK: usize = 11;
const LIVE_BLOCKS: usize = 12;
const FL_BITMAP: usize = 13;
const SL_BITMAP: usize = 14;
/// Words of the observers, absent in the small build.
const HOOKS: usize = if cfg!(memoman_small) { 0 } else { 6 };
/// Words of the second-level bitmap: those that no other field takes.
const SL_WORDS: usize = HEADS - HOOKS - 9 - SL_BITMAP;

/// One pool of twelve blocks of one size, some of them free, and a larger block at the end.
struct Heap {
    instance: Instance,
    region: Region,
    blocks: Vec<NonNull<u8>>,
}

impl Heap {
    fn new(free: &[usize]) -> Heap {
        Heap::for_requests(1 << 16, free)
    }

    fn for_requests(max_block: usize, free: &[usize]) -> Heap {
        let instance = Instance::new(max_block);
        let region = Region::new(Tlsf::POOL_OVERHEAD - WORD + 12 * SIZE + 200 * QUANTUM, 0, 0);
        // SAFETY: the region outlives the instance's use; each block is freed once.
        let blocks = unsafe {
            instance
                .tlsf
                .add_pool(region.start(), region.bytes())
                .unwrap();
            let blocks: Vec<_> = (0..12)
                .map(|_| instance.tlsf.malloc(SIZE - WORD).unwrap())
                .collect();
            for &index in free {
                let _ = instance.tlsf.free_by_turns(blocks[index]).unwrap();
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

    fn control(&self, word: usize) -> *mut usize {
        self.instance
            .tlsf
            .as_raw()
            .cast::<usize>()
            .wrapping_add(word)
    }

    /// The value for "no block".
    fn list_end(&self) -> usize {
        self.control(0).addr()
    }

    fn payload(&self, index: usize) -> *mut usize {
        self.blocks[index].as_ptr().cast()
    }

    fn header(&self, index: usize) -> *mut usize {
        self.payload(index).wrapping_sub(1)
    }

    /// The finding of validation while these words are overwritten; they are restored.
    fn forged(&self, words: &[(*mut usize, usize)]) -> Option<Violation> {
        // SAFETY: words of the heap or its control structure.
        unsafe {
            let old: Vec<usize> = words
                .iter()
                .map(|&(place, value)| place.replace(value))
                .collect();
            let (tlsf, image) = (self.instance.tlsf, self.region.image());
            let found = tlsf.diagnose();
            assert!(image == self.region.image(), "validation wrote");
            let mut cursor = Cursor::START;
            let ends = (0..100).any(|_| tlsf.validate_step(&mut cursor, 1) != Step::More);
            assert!(ends, "the steps do not end");
            for (&(place, _), old) in words.iter().zip(old).rev() {
                place.write(old);
            }
            assert_sound(tlsf);
            found
        }
    }

    fn invariant(&self, words: &[(*mut usize, usize)]) -> Option<Invariant> {
        self.forged(words).map(|found| found.invariant)
    }

    fn word(&self, place: *mut usize) -> usize {
        // SAFETY: a word of the heap or its control structure.
        unsafe { place.read() }
    }
}

#[test]
fn group_i_a_ring_that_no_head_leads_to_is_found() {
    let heap = Heap::new(&[1, 3]);
    let (a, b) = (heap.payload(1), heap.payload(3));
    let ring = [
        (a, b.addr()),
        (a.wrapping_add(1), b.addr()),
        (b, a.addr()),
        (b.wrapping_add(1), a.addr()),
        (heap.control(HEADS + BIN), heap.list_end()),
        (
            heap.control(SL_BITMAP),
            heap.word(heap.control(SL_BITMAP)) & !(1 << BIN),
        ),
    ];
    let found = heap.forged(&ring).unwrap();
    assert_eq!(found.invariant, Invariant::Listed);
    assert_eq!(found.address.addr(), a.addr());
    // A ring of one block.
    let heap = Heap::new(&[1, 3]);
    let (a, b) = (heap.payload(1), heap.payload(3));
    let own = [
        (a, a.addr()),
        (a.wrapping_add(1), a.addr()),
        (b, heap.list_end()),
        (b.wrapping_add(1), heap.control(HEADS + BIN).addr()),
    ];
    let found = heap.forged(&own).unwrap();
    assert_eq!(found.invariant, Invariant::Listed);
    assert_eq!(found.address.addr(), a.addr());
}

#[test]
fn group_i_a_marked_bin_whose_head_is_another_bins_block_is_found() {
    let heap = Heap::new(&[1, 3]);
    let free = heap.payload(3).addr();
    for bin in [BIN + 1, BIN - 1, 2] {
        let head = heap.control(HEADS + bin);
        let marked = heap.word(heap.control(SL_BITMAP)) | 1 << bin;
        let inside = heap.region.start().addr();
        for value in [
            free,
            heap.payload(2).addr(),
            inside,
            16,
            1,
            usize::MAX,
            head.addr(),
        ] {
            let found = heap
                .forged(&[(head, value), (heap.control(SL_BITMAP), marked)])
                .unwrap();
            assert_eq!(found.invariant, Invariant::List, "{value:#x}");
            assert_eq!(found.address.addr(), head.addr());
            assert_eq!(found.pool, None);
        }
    }
}

#[test]
fn group_i_a_head_that_skips_a_block_is_found() {
    let heap = Heap::new(&[1, 3, 5]);
    let head = heap.control(HEADS + BIN);
    assert_eq!(heap.word(head), heap.payload(5).addr());
    let found = heap.forged(&[(head, heap.payload(3).addr())]).unwrap();
    assert_eq!(found.invariant, Invariant::List);
    // The skipped block's link agrees, but the list still does not hold it.
    let found = heap
        .forged(&[
            (head, heap.payload(3).addr()),
            (heap.payload(3).wrapping_add(1), head.addr()),
        ])
        .unwrap();
    assert_eq!(found.invariant, Invariant::Listed);
    assert_eq!(found.address.addr(), heap.payload(5).addr());
}

#[test]
fn group_i_bits_above_the_words_of_the_bitmap_are_found() {
    let heap = Heap::new(&[1]);
    let bitmap = heap.control(FL_BITMAP);
    let words = SL_WORDS as u32;
    for bit in words..usize::BITS {
        let found = heap
            .forged(&[(bitmap, heap.word(bitmap) | 1 << bit)])
            .unwrap();
        assert_eq!(found.invariant, Invariant::Bitmap);
        assert_eq!(found.address.addr(), bitmap.addr(), "{bit}");
    }
    // The first-level bits of existing words.
    for bit in 0..words {
        let found = heap
            .forged(&[(bitmap, heap.word(bitmap) ^ 1 << bit)])
            .unwrap();
        assert_eq!(found.invariant, Invariant::Bitmap);
        assert_eq!(found.address.addr(), bitmap.addr());
    }
    for word in 0..words as usize {
        let place = heap.control(SL_BITMAP + word);
        for bit in 0..usize::BITS {
            let found = heap
                .forged(&[(place, heap.word(place) ^ 1 << bit)])
                .unwrap();
            assert_eq!(found.invariant, Invariant::Bitmap);
            assert_eq!(found.address.addr(), place.addr());
        }
    }
}

#[test]
fn group_i_the_last_word_of_the_bitmap_is_one_of_the_bitmap() {
    let greatest = if WORD == 8 { 1u64 << 47 } else { 1 << 31 } as usize;
    let heap = Heap::for_requests(greatest, &[1]);
    let words = SL_WORDS;
    let bin = (words - 1) * usize::BITS as usize;
    // A head that leads to a block of another bin, with right bits in both levels: the list is
    // wrong.
    let found = heap.invariant(&[
        (heap.control(HEADS + bin), heap.payload(1).addr()),
        (heap.control(SL_BITMAP + words - 1), 1),
        (
            heap.control(FL_BITMAP),
            heap.word(heap.control(FL_BITMAP)) | 1 << (words - 1),
        ),
    ]);
    assert_eq!(found, Some(Invariant::List));
}

#[test]
fn group_i_counters_are_compared_with_the_walk() {
    let heap = Heap::new(&[1]);
    let word = |index: usize| heap.word(heap.control(index));
    for (words, what) in [
        (vec![(USED, word(USED) + QUANTUM)], "used"),
        (vec![(USED, word(USED) - QUANTUM)], "used"),
        (vec![(USED, 0)], "used"),
        (vec![(LIVE_BLOCKS, word(LIVE_BLOCKS) + 1)], "live"),
        (vec![(LIVE_BLOCKS, 0)], "live"),
        (vec![(PEAK, word(USED) - 1)], "peak"),
        (vec![(PEAK, 0)], "peak"),
    ] {
        let place = heap.control(words[0].0);
        let words: Vec<_> = words
            .into_iter()
            .map(|(index, value)| (heap.control(index), value))
            .collect();
        let found = heap.forged(&words).unwrap();
        assert_eq!(found.invariant, Invariant::Counters, "{what}");
        assert_eq!(found.address.addr(), place.addr(), "{what}");
        assert_eq!(found.pool, None);
    }
    // The peak may be any number of quanta from `used` on.
    assert_eq!(heap.forged(&[(heap.control(PEAK), word(USED))]), None);
    let most = usize::MAX & !(QUANTUM - 1);
    assert_eq!(heap.forged(&[(heap.control(PEAK), most)]), None);
}

#[test]
fn group_i_a_used_block_made_free_or_the_reverse_is_found() {
    let heap = Heap::new(&[1, 6]);
    let header = |index: usize| heap.word(heap.header(index));
    let at = |index: usize, flip: usize| {
        let found = heap
            .forged(&[(heap.header(index), header(index) ^ flip)])
            .unwrap();
        let place = (0..12).find(|&i| heap.payload(i).addr() == found.address.addr());
        (found.invariant, place)
    };
    use Invariant::*;
    // FREE: the next block has no PREV_FREE. Between two free ones: neighbours.
    assert_eq!(at(4, 1), (PrevPhys, Some(5)));
    assert_eq!(at(2, 1), (Coalesced, Some(2)));
    assert_eq!(at(0, 1), (Coalesced, Some(1)));
    assert_eq!(at(1, 1), (PrevPhys, Some(2)));
    // PREV_FREE, without and with a free previous block.
    assert_eq!(at(4, 2), (PrevPhys, Some(4)));
    assert_eq!(at(0, 2), (PrevPhys, Some(0)));
    assert_eq!(at(7, 2), (PrevPhys, Some(7)));
    // SENTINEL, and the bit that no header has.
    assert_eq!(at(4, 4), (Tiling, Some(4)));
    if QUANTUM == 16 {
        assert_eq!(at(4, 8), (Tiling, Some(4)));
        assert_eq!(at(4, (1u64 << 48) as usize), (Tiling, Some(4)));
        assert_eq!(at(4, (1u64 << 63) as usize), (Tiling, Some(4)));
    }
    // Sizes: zero, less than a block, beyond the pool.
    assert_eq!(at(4, SIZE), (Tiling, Some(4)));
    assert_eq!(at(4, SIZE ^ QUANTUM), (Tiling, Some(4)));
    assert_eq!(at(4, 1 << 15), (Tiling, Some(4)));
}

#[test]
fn group_i_a_used_block_that_ends_with_its_pool_hides_the_sentinel() {
    // Sizes that just reach, and just pass, the end.
    let heap = Heap::new(&[]);
    let end = heap.region.start().addr() + heap.region.bytes();
    let room = end - heap.payload(11).addr();
    let seal = heap.word(heap.header(11)) & !(SIZE | (QUANTUM - 1));
    let found = |size: usize| {
        heap.forged(&[(heap.header(11), seal | size)])
            .map(|found| (found.invariant, found.address.addr()))
            .unwrap()
    };
    // Up to the sentinel, whose PREV_FREE then is wrong.
    assert_eq!(found(room), (Invariant::PrevPhys, end));
    let here = heap.payload(11).addr();
    assert_eq!(found(room + QUANTUM), (Invariant::Tiling, here));
}

#[test]
fn group_i_the_sentinel_leads_back_to_its_pool() {
    let heap = Heap::new(&[1]);
    let end = heap.region.start().wrapping_add(heap.region.bytes());
    let sentinel = end.cast::<usize>().wrapping_sub(1);
    let old = heap.word(sentinel);
    for value in [
        old + QUANTUM,
        old - QUANTUM,
        old ^ 1,
        old ^ 4,
        old ^ 5,
        old & (QUANTUM - 1),
        0,
    ] {
        let found = heap.forged(&[(sentinel, value)]).unwrap();
        assert_eq!(found.invariant, Invariant::Tiling, "{value:#x}");
        assert_eq!(found.address.addr(), end.addr());
        assert_eq!(
            found.pool.map(|pool| pool.as_raw().addr()),
            Some(heap.region.start().addr())
        );
    }
    let found = heap.forged(&[(sentinel, old ^ 2)]).unwrap();
    assert_eq!(found.invariant, Invariant::PrevPhys);
}

/// A forged block inside a used one, at `at`, with links that agree with block 1's. Validation
/// never names it, but block 1, the first of the list and of the walk.
fn blamed(heap: &Heap, at: *mut usize, header: usize) -> (Invariant, usize) {
    let first = heap.payload(1);
    let found = heap
        .forged(&[
            (at.wrapping_sub(1), header),
            (at.wrapping_add(1), first.addr()),
            (first, at.addr()),
        ])
        .unwrap();
    let blamed = (0..12).find(|&index| heap.payload(index).addr() == found.address.addr());
    (found.invariant, blamed.unwrap())
}

#[test]
fn group_i_a_link_into_the_middle_of_a_block_is_followed_only_to_what_could_be_listed() {
    // Freed in descending order, so that the list is in address order.
    let heap = Heap::new(&[8, 5, 3, 1]);
    let seal = heap.word(heap.header(6)) & !(SIZE | (QUANTUM - 1));
    let inside = heap.payload(6).wrapping_add(4);
    let whole = seal | SIZE | 1;
    assert_eq!(blamed(&heap, inside, whole), (Invariant::List, 1));
    for header in [
        whole ^ 1,
        whole ^ 2,
        whole ^ 4,
        seal | 1,
        seal | QUANTUM | 1,
        seal | (SIZE + QUANTUM) | 1,
        seal | (SIZE - QUANTUM) | 1,
        seal | (1 << 15) | 1,
        0,
        usize::MAX,
    ] {
        let expected = (Invariant::List, 1);
        assert_eq!(blamed(&heap, inside, header), expected, "{header:#x}");
    }
    // Half a quantum beside an aligned place.
    let odd = blamed(&heap, inside.wrapping_add(1), whole);
    assert_eq!(odd, (Invariant::List, 1));
    // Where the pool ends before the block would.
    let end = heap.region.start().wrapping_add(heap.region.bytes());
    let near = end.wrapping_sub(SIZE - QUANTUM).cast();
    assert_eq!(blamed(&heap, near, whole), (Invariant::List, 1));
    let just = end.wrapping_sub(SIZE).cast();
    assert_eq!(blamed(&heap, just, whole), (Invariant::List, 1));
    // The other direction: a prev_link to such a place, whose word does not lead back.
    let found = heap
        .forged(&[
            (inside.wrapping_sub(1), whole),
            (heap.payload(5).wrapping_add(1), inside.addr()),
        ])
        .unwrap();
    assert_eq!(found.invariant, Invariant::List);
    let found = heap
        .forged(&[
            (inside.wrapping_sub(1), whole),
            (heap.payload(1).wrapping_add(1), inside.addr()),
        ])
        .unwrap();
    assert_eq!(found.address.addr(), heap.payload(1).addr());
}

#[test]
fn group_i_a_ghost_that_leads_to_a_forged_block_is_found() {
    // One free block of three old ones, with a header inside that agrees with the ghost.
    let heap = Heap::new(&[1, 2, 3]);
    let (inside, after) = (heap.payload(2), heap.payload(4));
    let seal = heap.word(heap.header(0)) & !(SIZE | (QUANTUM - 1));
    let found = heap
        .forged(&[
            (inside.wrapping_sub(1), seal | (2 * SIZE) | 1),
            (after.wrapping_sub(2), inside.addr()),
        ])
        .unwrap();
    assert_eq!(found.invariant, Invariant::PrevPhys);
    assert_eq!(found.address.addr(), after.addr());
}
