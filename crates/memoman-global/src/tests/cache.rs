//! The cache alone: order, marks, and the room that a class gets and loses.

use crate::allocator::ALIGN;
use crate::process::map;
use crate::thread::cache::{CLASSES, COLD, Cache, Taken, mark};
use core::ptr::NonNull;
use std::boxed::Box;
use std::vec::Vec;

const KEY: usize = 0xA5A5_0000_0000_0005_u64 as usize | 1 << (usize::BITS - 1);
/// 64 bytes, header included.
const CLASS: usize = 4;
/// Bytes of a heap of which an eighth is no more than the least room of a class.
const SMALL_HEAP: usize = 64 << 10;

#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Payload([usize; 2 * ALIGN / size_of::<usize>()]);

struct Bed {
    cache: Box<Cache>,
    blocks: Vec<Payload>,
}

impl Bed {
    fn new(blocks: usize) -> Bed {
        // SAFETY: all-zero is an empty cache.
        let mut cache: Box<Cache> = unsafe { Box::new(core::mem::zeroed()) };
        // SAFETY: the cache is known to this function only.
        unsafe { Cache::open(&mut *cache, KEY) };
        Bed {
            cache,
            blocks: std::vec![Payload([0; 2 * ALIGN / size_of::<usize>()]); blocks],
        }
    }

    fn block(&mut self, at: usize) -> NonNull<u8> {
        let block: NonNull<u8> = NonNull::from(&mut self.blocks[at]).cast();
        let _ = block.as_ptr().expose_provenance();
        block
    }

    fn put(&mut self, at: usize) -> bool {
        let block = self.block(at);
        // SAFETY: the bed's cache, and a block of the bed.
        unsafe {
            let mark = Cache::mark(&*self.cache, block);
            Cache::put(&mut *self.cache, CLASS, block, mark)
        }
    }

    fn take(&mut self) -> Taken {
        // SAFETY: the bed's cache, whose blocks are the bed's.
        unsafe { Cache::take(&mut *self.cache, CLASS) }
    }

    fn takes(&mut self, at: usize) -> bool {
        let block = self.block(at);
        matches!(self.take(), Taken::Block(taken) if taken == block)
    }

    fn miss(&mut self, heap: usize) {
        // SAFETY: the bed's cache, which only the bed uses.
        unsafe { Cache::missed(&mut *self.cache, CLASS, || heap) };
    }

    fn turn_away(&mut self, times: usize) -> bool {
        // SAFETY: the bed's cache, which only the bed uses.
        (0..times).fold(false, |_, _| unsafe {
            Cache::turned_away(&mut *self.cache, CLASS)
        })
    }

    fn room(&mut self) -> usize {
        // SAFETY: the bed's cache, which only the bed uses.
        usize::from(unsafe { *Cache::room(&mut *self.cache, CLASS) })
    }

    fn count(&mut self) -> usize {
        // SAFETY: the bed's cache, which only the bed uses.
        unsafe { Cache::count(&mut *self.cache, CLASS) }
    }

    /// A bed whose class has this much room.
    fn with_room(blocks: usize, room: usize) -> Bed {
        let mut bed = Bed::new(blocks);
        (0..COLD).for_each(|_| bed.miss(SMALL_HEAP));
        while bed.room() < room {
            bed.turn_away(1);
            bed.miss(SMALL_HEAP);
        }
        assert_eq!(bed.room(), room);
        bed
    }

    fn is_sound(&mut self) -> bool {
        // SAFETY: the bed's cache, which only the bed uses.
        unsafe { Cache::is_sound(&mut *self.cache, |_, class| class == CLASS) }
    }
}

#[test]
fn a_class_gets_room_after_sixteen_misses_for_the_blocks_turned_away() {
    let mut bed = Bed::new(1);
    assert!(!bed.put(0));
    for _ in 0..16 {
        bed.turn_away(1);
        bed.miss(SMALL_HEAP);
        assert_eq!(bed.room(), 0);
    }
    // Sixteen blocks were turned away: the room grows by half and one at a time.
    let rooms: Vec<_> = (0..7)
        .map(|_| {
            bed.miss(SMALL_HEAP);
            bed.room()
        })
        .collect();
    assert_eq!(rooms, [1, 2, 4, 7, 11, 16, 16]);
    bed.turn_away(1);
    bed.miss(SMALL_HEAP);
    bed.miss(SMALL_HEAP);
    assert_eq!(bed.room(), 17);
}

#[test]
fn a_class_has_an_eighth_of_the_heap_within_bounds() {
    for (heap, most) in [
        (0, (8 << 10) / 64),
        (64 << 10, (8 << 10) / 64),
        (80 << 10, (10 << 10) / 64),
        (4 << 20, (512 << 10) / 64),
        (64 << 20, (512 << 10) / 64),
    ] {
        let mut bed = Bed::new(1);
        (0..COLD).for_each(|_| bed.miss(heap));
        bed.turn_away(20_000);
        (0..100).for_each(|_| bed.miss(heap));
        assert_eq!(bed.room(), most, "heap of {heap}");
    }
}

#[test]
fn last_in_first_out_and_no_more_than_the_room() {
    let mut bed = Bed::with_room(4, 3);
    assert!(bed.put(0) && bed.put(1) && bed.put(2) && !bed.put(3));
    assert_eq!(bed.count(), 3);
    // SAFETY: the bed's cache, which only the bed uses.
    assert_eq!(unsafe { Cache::contents(&mut *bed.cache) }, (3 * 64, 3));
    assert!(bed.is_sound());
    assert!(bed.takes(2) && bed.takes(1));
    assert!(bed.put(3));
    assert!(bed.takes(3) && bed.takes(0));
    assert!(matches!(bed.take(), Taken::Nothing));
    assert_eq!(bed.count(), 0);
    // A block that was taken out has no mark.
    assert_eq!(bed.blocks[0].0[1], 0);
}

#[test]
fn an_overwritten_word_is_found_when_the_block_is_taken_out() {
    for word in 0..2 {
        for bit in 0..usize::BITS {
            let mut bed = Bed::with_room(2, 2);
            assert!(bed.put(0) && bed.put(1));
            bed.blocks[1].0[word] ^= 1 << bit;
            let block = bed.block(1);
            // The link may become that of another aligned address: whether that belongs to the heap
            // is tested elsewhere.
            let seen = matches!(bed.take(), Taken::Smashed(smashed) if smashed == block);
            let address = if usize::BITS == 64 { 4..57 } else { 3..32 };
            let hidden = word == 0 && address.contains(&bit);
            assert_eq!(seen, !hidden, "word {word}, bit {bit}");
            if seen {
                assert!(!bed.is_sound());
                // The block stays until the class is emptied, which then has all its room.
                assert!(matches!(bed.take(), Taken::Smashed(_)));
                // SAFETY: the bed's cache, which only the bed uses.
                unsafe { Cache::give_up(&mut *bed.cache, CLASS) };
                assert_eq!((bed.count(), bed.room()), (0, 2));
                assert!(bed.put(0) && bed.takes(0));
            }
        }
    }
}

#[test]
fn a_class_that_holds_more_or_less_than_it_counts_is_unsound() {
    for wrong in [0, 2, 4] {
        let mut bed = Bed::with_room(2, 3);
        assert!(bed.put(0) && bed.put(1));
        assert!(bed.is_sound());
        // SAFETY: the bed's cache, which only the bed uses.
        unsafe { (*Cache::class(&mut *bed.cache, CLASS)).left = wrong };
        assert!(!bed.is_sound(), "{wrong} left");
    }
    let mut bed = Bed::with_room(1, 3);
    assert!(bed.put(0));
    // SAFETY: the bed's cache, which only the bed uses.
    assert!(!unsafe { Cache::is_sound(&mut *bed.cache, |_, _| false) });
}

#[test]
fn a_class_beyond_the_least_shrinks_when_more_is_turned_away_than_it_holds() {
    let least = (8 << 10) / 64;
    let mut bed = Bed::with_room(1, least);
    assert!(!bed.turn_away(1000), "the least is kept");
    bed.miss(80 << 10);
    let room = bed.room();
    assert_eq!(room, (10 << 10) / 64);
    // `shrink` is due when one block more than the room is turned away.
    // SAFETY: the bed's cache, which only the bed uses.
    unsafe { *Cache::turned(&mut *bed.cache, CLASS) = 0 };
    assert!(!bed.turn_away(room));
    assert!(bed.turn_away(1));
    assert!(bed.put(0) && bed.takes(0));
    // SAFETY: the bed's cache; the last take has left room for one.
    unsafe { Cache::shrink(&mut *bed.cache, CLASS) };
    assert_eq!((bed.room(), bed.count()), (room - 1, 0));
    // The count of blocks turned away saturates.
    assert!(bed.turn_away(70_000));
}

#[test]
fn every_class_has_its_turn_with_half_of_its_blocks() {
    let mut bed = Bed::with_room(3, 3);
    assert!(bed.put(0) && bed.put(1) && bed.put(2));
    for round in 0..2 {
        let mut seen = [0; CLASSES];
        for _ in 0..CLASSES {
            // SAFETY: the bed's cache, which only the bed uses.
            let (class, half) = unsafe { Cache::next_to_shrink(&mut *bed.cache) };
            seen[class] += 1;
            assert_eq!(half, if class == CLASS { 2 } else { 0 });
        }
        assert_eq!(seen, [1; CLASSES], "round {round}");
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn each_blocks_mark_is_unique_and_no_address() {
    let mark_at = |address: usize| {
        let block = NonNull::new(core::ptr::without_provenance_mut(address)).unwrap();
        mark(KEY, block)
    };
    let address = 0x7000_0000_1230;
    for bit in 4..57 {
        assert_ne!(mark_at(address), mark_at(address ^ 1 << bit), "{bit}");
    }
    assert!(mark_at(address) > map::ADDRESS_MAX && !mark_at(address).is_multiple_of(ALIGN));
}
