//! The cache alone: order, marks, and the room that a class gets and loses.

use crate::allocator::ALIGN;
use crate::process::map;
use crate::thread::cache::{
    CACHED_BELOW, CLASS_LEAST, CLASSES, COLD, Cache, SMALL, Taken, bytes_of, class_of_size, mark,
};
use core::ptr::NonNull;
use std::boxed::Box;
use std::vec::Vec;

const KEY: usize = 0xA5A5_0000_0000_0005_u64 as usize | 1 << (usize::BITS - 1);
/// 64 bytes, header included.
const CLASS: usize = 4;
/// Bytes of a heap that are no more than the least room of a class.
const SMALL_HEAP: usize = CLASS_LEAST;

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

    /// Gives a class of a large heap room for this many blocks, or for as many as it may have.
    fn open(&mut self, class: usize, blocks: usize) -> usize {
        // SAFETY: the bed's cache, which only the bed uses.
        unsafe {
            let cache = &mut *self.cache;
            (0..COLD).for_each(|_| Cache::missed(cache, class, || 64 << 20));
            (0..blocks).for_each(|_| _ = Cache::turned_away(cache, class));
            (0..100).for_each(|_| Cache::missed(cache, class, || 64 << 20));
            *Cache::room(cache, class) as usize
        }
    }

    fn turn_away(&mut self, times: usize) -> bool {
        // SAFETY: the bed's cache, which only the bed uses.
        (0..times).fold(false, |_, _| unsafe {
            Cache::turned_away(&mut *self.cache, CLASS)
        })
    }

    fn room(&mut self) -> usize {
        // SAFETY: the bed's cache, which only the bed uses.
        unsafe { *Cache::room(&mut *self.cache, CLASS) as usize }
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

/// The room that all caches have together is shared: a bed gives its room back.
impl Drop for Bed {
    fn drop(&mut self) {
        for class in 0..CLASSES {
            // SAFETY: the bed's cache, which only the bed uses.
            unsafe { Cache::give_up(&mut *self.cache, class) };
        }
        // SAFETY: the bed's cache, which only the bed uses.
        unsafe { Cache::close(&mut *self.cache) };
    }
}

#[test]
fn a_class_gets_room_after_four_misses_for_the_blocks_turned_away() {
    let mut bed = Bed::new(1);
    assert!(!bed.put(0));
    for _ in 0..4 {
        bed.turn_away(1);
        bed.miss(SMALL_HEAP);
        assert_eq!(bed.room(), 0);
    }
    // With more blocks turned away, the room grows by half and one at a time.
    bed.turn_away(12);
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
fn a_class_has_no_more_than_the_heap_within_bounds() {
    for (heap, most) in [
        (0, CLASS_LEAST / 64),
        (8 << 10, (8 << 10) / 64),
        (80 << 10, (80 << 10) / 64),
        (1 << 20, (1 << 20) / 64),
        (64 << 20, (8 << 20) / 64),
    ] {
        let mut bed = Bed::new(1);
        (0..COLD).for_each(|_| bed.miss(heap));
        for _ in 0..3 {
            bed.turn_away(70_000);
            (0..100).for_each(|_| bed.miss(heap));
        }
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
fn a_class_beyond_the_least_shrinks_when_much_more_is_turned_away_than_it_holds() {
    let least = (8 << 10) / 64;
    let mut bed = Bed::with_room(1, least);
    assert!(!bed.turn_away(5000), "the least is kept");
    bed.miss(80 << 10);
    let room = bed.room();
    assert_eq!(room, least + least / 2 + 1);
    // `shrink` is due when one block more than eight times the room is turned away.
    // SAFETY: the bed's cache, which only the bed uses.
    unsafe { *Cache::turned(&mut *bed.cache, CLASS) = 0 };
    assert!(!bed.turn_away(8 * room));
    assert!(bed.turn_away(1));
    assert!(bed.put(0) && bed.takes(0));
    // SAFETY: the bed's cache; the last take has left room for one.
    unsafe { Cache::shrink(&mut *bed.cache, CLASS) };
    assert_eq!((bed.room(), bed.count()), (room - 1, 0));
    // The count of blocks turned away saturates.
    assert!(bed.turn_away(70_000));
}

#[test]
fn every_class_with_room_has_its_turn_with_half_of_its_blocks() {
    let mut bed = Bed::with_room(3, 3);
    assert!(bed.put(0) && bed.put(1) && bed.put(2));
    let open = [CLASS, 2, 63, 64, 65, 127, 128, 190, CLASSES - 1];
    open.iter().skip(1).for_each(|&class| {
        assert_eq!(bed.open(class, 2), 2);
    });
    let mut turns = open;
    turns.sort_unstable();
    // SAFETY: the bed's cache, which only the bed uses.
    assert_eq!(unsafe { Cache::open_classes(&mut *bed.cache) }, 9);
    for round in 0..2 {
        for expected in turns {
            // SAFETY: the bed's cache, which only the bed uses.
            let (class, half) = unsafe { Cache::next_to_shrink(&mut *bed.cache, 0) };
            assert_eq!(class, expected, "round {round}");
            assert_eq!(half, if class == CLASS { 2 } else { 0 });
        }
    }
    // One class alone, whose only block is taken, has no turn any more.
    let mut bed = Bed::with_room(1, 1);
    for _ in 0..2 {
        // SAFETY: the bed's cache, which only the bed uses.
        let turn = unsafe { Cache::next_to_shrink(&mut *bed.cache, 0) };
        assert_eq!(turn, (CLASS, 0));
    }
    assert!(bed.put(0) && bed.takes(0));
    // SAFETY: the bed's cache; the last take has left room for one.
    unsafe { Cache::shrink(&mut *bed.cache, CLASS) };
    // SAFETY: the bed's cache, which only the bed uses.
    assert_eq!(unsafe { Cache::open_classes(&mut *bed.cache) }, 0);
}

#[test]
fn a_class_that_has_not_run_empty_since_its_turn_gives_half() {
    let mut bed = Bed::with_room(3, 3);
    assert!(bed.put(0) && bed.put(1) && bed.put(2));
    let turn = |bed: &mut Bed| {
        let turns = (0..CLASSES).map(|_| {
            // SAFETY: the bed's cache, which only the bed uses.
            unsafe { Cache::next_to_age(&mut *bed.cache) }
        });
        let mut given: Vec<_> = turns.filter(|&(_, half)| half > 0).collect();
        assert!(given.len() <= 1);
        given.pop()
    };
    // `with_room` has missed it.
    assert_eq!(turn(&mut bed), None);
    assert_eq!(turn(&mut bed), Some((CLASS, 2)));
    bed.miss(SMALL_HEAP);
    assert_eq!(turn(&mut bed), None);
    assert_eq!((bed.room(), bed.count()), (3, 3));
    // Room without blocks is halved, too.
    let mut bed = Bed::with_room(1, 100);
    assert_eq!(turn(&mut bed), None);
    let rooms = [50, 25, 13, 7, 4, 2, 1, 1];
    assert_eq!(
        rooms.map(|_| (turn(&mut bed), bed.room())),
        rooms.map(|room| (None, room))
    );
}

#[test]
fn classes_age_each_time_that_the_core_has_handed_out_64_kib() {
    let mut bed = Bed::new(1);
    let mut is_time = |class: usize| {
        // SAFETY: the bed's cache, which only the bed uses.
        unsafe { Cache::is_time_to_age(&mut *bed.cache, class) }
    };
    for _ in 0..2 {
        assert!(!(1..(64 << 10) / bytes_of(CLASS)).any(|_| is_time(CLASS)));
        assert!(is_time(CLASS));
    }
}

#[test]
fn each_size_has_a_class_and_each_class_sizes() {
    assert_eq!(
        (bytes_of(SMALL - 1), bytes_of(SMALL)),
        (128 * ALIGN, 132 * ALIGN)
    );
    for quanta in 0..CACHED_BELOW / ALIGN {
        let size = quanta * ALIGN;
        let class = class_of_size(size);
        assert!(class < CLASSES && bytes_of(class) <= size && size < bytes_of(class + 1));
    }
    assert_eq!(bytes_of(CLASSES), CACHED_BELOW);
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
