//! Blocks of one heap that the thread of another one frees: what waits in the outbox, and what the
//! owner makes of a chain.

use super::thread_heap::Bed;
use crate::allocator::{ALIGN, Misuse, Tlsf};
use crate::process::lock::LOCK;
use crate::process::map::{self, UNIT};
use crate::thread::cache::{Cache, Taken};
use crate::thread::calls;
use crate::thread::heap::ThreadHeap;
use core::ptr::{self, NonNull};
use std::alloc::{Layout, alloc};
use std::vec::Vec;

impl Bed {
    /// Takes a block for requests of `bytes` out of the cache.
    pub(super) fn take(&self, bytes: usize) -> Taken {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { Cache::take(ThreadHeap::cache(self.heap), calls::class_of(bytes)) }
    }

    /// Frees a block of `owner` as the thread of this heap.
    fn send(&self, owner: &Bed, block: NonNull<u8>) {
        // SAFETY: a live block of the other bed; both heaps are used by one thread.
        unsafe {
            let size = Tlsf::block_size(block.as_ptr()) + crate::allocator::HEADER;
            let key = (*owner.heap).shared.key;
            if !ThreadHeap::add_to_chain(self.heap, owner.heap, key, block, size) {
                ThreadHeap::send(self.heap, owner.heap, block, size);
            }
        }
    }

    fn send_all(&self) {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { ThreadHeap::send_all(self.heap) };
    }

    fn waits(&self) -> bool {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { !(*self.heap).outbox.is_empty() }
    }

    /// Bytes that this thread has sent.
    fn sent(&self) -> usize {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { (*self.heap).sent.bytes }
    }

    fn room_left(&self, bytes: usize) -> usize {
        let cache = ThreadHeap::cache(self.heap);
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { (*Cache::class(cache, calls::class_of(bytes))).left }
    }
}

/// Two heaps, and a chain of eight blocks of the first one, in the order in which they are linked.
fn eight(room: usize) -> (Bed, Bed, Vec<NonNull<u8>>) {
    let (owner, other) = (Bed::new(), Bed::new());
    let blocks = eight_of(&owner, &other, room);
    (owner, other, blocks)
}

fn eight_of(owner: &Bed, other: &Bed, room: usize) -> Vec<NonNull<u8>> {
    let mut blocks: Vec<_> = (0..8).map(|_| owner.malloc(100).unwrap()).collect();
    owner.make_room(100, room);
    blocks.iter().for_each(|&block| other.send(owner, block));
    assert!(other.waits());
    other.send_all();
    assert!(!other.waits());
    blocks.reverse();
    blocks
}

fn word(block: NonNull<u8>, index: usize) -> *mut usize {
    block.cast::<usize>().as_ptr().wrapping_add(index)
}

#[test]
fn a_chain_becomes_a_part_of_the_cache() {
    let (owner, _other, blocks) = eight(20);
    let (before, left) = (owner.live(), owner.room_left(100));
    let earlier = owner.malloc(100).unwrap();
    // SAFETY: a block of the bed's heap.
    assert!(unsafe { ThreadHeap::keep(owner.heap, earlier) });
    // In parts, as the caller wants.
    for (most, cached) in [(3, 4), (2, 6), (9, 9)] {
        assert_eq!(owner.collect(most, true), Ok(most.min(3)));
        assert_eq!(owner.cached(), cached);
    }
    assert_eq!(owner.room_left(100), left - 9);
    // SAFETY: the bed's heap, which only the bed uses.
    assert!(unsafe { ThreadHeap::is_cache_sound(owner.heap) });
    let expected = [&blocks[5..], &blocks[3..5], &blocks[..3], &[earlier]].concat();
    for block in expected {
        assert!(matches!(owner.take(100), Taken::Block(taken) if taken == block));
    }
    assert!(matches!(owner.take(100), Taken::Nothing));
    assert_eq!((owner.live(), owner.room_left(100)), (before + 1, left));
}

#[test]
fn blocks_of_a_chain_without_room_go_to_the_core() {
    let (owner, _other, _) = eight(0);
    let before = owner.live();
    assert_eq!(owner.collect(5, true), Ok(5));
    assert_eq!((owner.cached(), owner.live()), (0, before - 5));
    assert_eq!(owner.collect(5, false), Ok(3));
    assert_eq!(owner.live(), before - 8);

    let (owner, _other, _) = eight(3);
    let before = owner.live();
    assert_eq!(owner.collect(8, true), Ok(8));
    assert_eq!((owner.cached(), owner.live()), (3, before - 5));
}

/// What is written to a block that waits is found as the chain is taken apart, and is not followed.
#[test]
fn a_chain_with_an_overwritten_word_ends_there() {
    let foreign = [0usize; 8];
    let aligned = foreign.as_ptr().expose_provenance().next_multiple_of(ALIGN);
    let smashed = |block: NonNull<u8>| Err((Misuse::SmashedLink, block.as_ptr().cast_const()));
    for to_cache in [true, false] {
        // The mark of a block inside, and its link: nowhere, outside the heap, inside a block.
        for (index, value) in [(1, 5), (0, 5), (0, aligned), (0, 1)] {
            let (owner, _other, blocks) = eight(20);
            // SAFETY: the words of a block of the bed's heap; its key is read.
            unsafe {
                let value = match value {
                    1 => word(blocks[0], 1).addr() ^ (*owner.heap).shared.key,
                    5 => 5,
                    address => address ^ (*owner.heap).shared.key,
                };
                word(blocks[4], index).write(value);
            }
            assert_eq!(owner.collect(4, to_cache), Ok(4));
            assert_eq!(
                owner.collect(4, to_cache),
                smashed(blocks[4]),
                "{index} {value}"
            );
            assert_eq!(owner.collect(4, to_cache), Ok(0));
        }
        // The last block has the chain's way to the first one, and to the chain below.
        for (index, others) in [(0, 1), (1, 1), (2, 0)] {
            let (owner, other) = (Bed::new(), Bed::new());
            owner.put_in(owner.malloc(100).unwrap());
            let blocks = eight_of(&owner, &other, 20);
            // SAFETY: a word of a block of the bed's heap.
            unsafe { word(blocks[7], index).write(5) };
            assert_eq!(owner.collect(9, to_cache), smashed(blocks[7]), "{index}");
            assert_eq!(owner.collect(9, to_cache), Ok(others), "{index}");
        }
    }
}

#[test]
fn a_block_of_a_chain_whose_header_is_overwritten_is_reported() {
    let (owner, _other, blocks) = eight(20);
    let header = word(blocks[4], 0).wrapping_sub(1);
    // SAFETY: the header of a block of the bed's heap, restored below.
    unsafe {
        let sound = header.read();
        header.write(sound ^ 0x40);
        let found = owner.collect(8, true);
        assert!(
            found.is_err_and(|(_, at)| at == blocks[4].as_ptr()),
            "{found:?}"
        );
        header.write(sound);
    }
    assert_eq!(owner.cached(), 4);
    // The blocks after it are sound.
    assert_eq!(owner.collect(8, true), Ok(3));
}

/// At most one pool of each call is surplus: the rest of the chain waits until that is taken.
#[test]
fn a_chain_that_empties_pools_pauses_at_each() {
    let (owner, other) = (Bed::new(), Bed::new());
    let more = Layout::from_size_align(UNIT, UNIT).unwrap();
    // SAFETY: not zero bytes.
    let more = [0, 1].map(|_| unsafe { alloc(more) });
    let mut lists = Vec::new();
    for turn in 0..3 {
        if let Some(&pool) = more.get(turn) {
            LOCK.with(|| {
                assert!(map::prepare(pool.expose_provenance(), UNIT));
                map::assign(pool.addr(), UNIT, owner.heap.cast());
            });
        }
        lists.push(core::iter::from_fn(|| owner.malloc(100).ok()).collect::<Vec<_>>());
        if let Some(&pool) = more.get(turn) {
            // SAFETY: memory that only the pool uses; it is never freed.
            assert!(unsafe { ThreadHeap::tlsf(owner.heap).add_pool(pool, UNIT) }.is_some());
        }
    }
    for blocks in lists {
        other.send(&owner, blocks[0]);
        for &block in &blocks[1..] {
            // SAFETY: a live block of the bed's heap.
            assert!(unsafe { ThreadHeap::release(owner.heap, block) }.is_ok());
        }
    }
    other.send_all();
    // The first one is the spare.
    // SAFETY: the bed's heap, which only the bed uses.
    let surplus = || unsafe { ThreadHeap::take_surplus(owner.heap) };
    assert_eq!(owner.collect(9, false), Ok(2));
    assert_eq!(owner.collect(9, false), Ok(0));
    assert!(surplus().is_some());
    assert_eq!(owner.collect(9, false), Ok(1));
    assert!(surplus().is_some());
    assert_eq!((owner.collect(9, false), owner.live()), (Ok(0), 0));
    for pool in more {
        LOCK.with(|| map::assign(pool.addr(), UNIT, ptr::null_mut()));
    }
}

/// However many heaps and sizes a thread frees blocks of, no more than 32 KiB wait; those of more
/// than 512 bytes do not.
#[test]
fn an_outbox_holds_32_kib_at_most() {
    let other = Bed::new();
    let owners: Vec<_> = (0..3).map(|_| Bed::new()).collect();
    let large = owners[0].malloc(505).unwrap();
    let mut freed = 0;
    for bytes in [500, 100, 24, 1000, 200, 40].into_iter().cycle().take(60) {
        for owner in &owners {
            for _ in 0..17 {
                let Ok(block) = owner.malloc(bytes + freed % 5 * 16) else {
                    continue;
                };
                // SAFETY: a live block of the bed's heap.
                freed += unsafe { Tlsf::block_size(block.as_ptr()) } + crate::allocator::HEADER;
                other.send(owner, block);
                assert!(freed - other.sent() <= 32 << 10);
            }
        }
    }
    assert!(freed > 512 << 10);
    other.send_all();
    other.send(&owners[0], large);
    assert!(!other.waits());
    for owner in owners {
        let live = owner.live();
        let taken = owner.collect(usize::MAX, false).unwrap();
        assert_eq!(owner.live(), live - taken);
        assert_eq!(owner.live(), 0);
    }
}

/// A request takes whole chains, so that blocks stay in the order in which they were freed: one
/// long chain of its size is enough, and of other sizes no more are taken than bring 16 blocks.
#[test]
fn a_request_takes_chains_as_a_whole() {
    let (owner, other, newest) = eight(40);
    let class = calls::class_of(100);
    let older = eight_of(&owner, &other, 40);
    let collect = |wanted| {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { ThreadHeap::collect(owner.heap, 32, Some(wanted)) }
    };
    assert_eq!(collect(class), Ok(8));
    for &block in &older {
        assert!(matches!(owner.take(100), Taken::Block(taken) if taken == block));
    }
    assert_eq!(collect(class + 1), Ok(8));
    assert_eq!(collect(class), Ok(0));
    for &block in &newest {
        assert!(matches!(owner.take(100), Taken::Block(taken) if taken == block));
    }
    for _ in 0..3 {
        eight_of(&owner, &other, 40);
    }
    assert_eq!(collect(class + 1), Ok(16));
}

#[test]
fn collect_takes_out_as_many_blocks_as_requested() {
    let bed = Bed::new();
    let blocks: Vec<_> = (0..10).map(|_| bed.malloc(100).unwrap()).collect();
    bed.make_room(100, 10);
    let before = bed.live();
    blocks.iter().for_each(|&block| bed.put_in(block));
    assert_eq!(bed.collect(3, true), Ok(3));
    assert_eq!((bed.cached(), bed.live()), (3, before));
    assert_eq!(bed.collect(2, false), Ok(2));
    assert_eq!((bed.cached(), bed.live()), (3, before - 2));
    // The next block, whose mark is overwritten, goes neither to the cache nor to the core.
    // SAFETY: the second word of a block of the bed's heap.
    unsafe { blocks[4].cast::<usize>().add(1).write(1) };
    let smashed = |at: usize| Err((Misuse::SmashedLink, blocks[at].as_ptr().cast_const()));
    assert_eq!(bed.collect(9, true), smashed(4));
    assert_eq!(bed.collect(1, false), Ok(1));
    // A link to an aligned address outside the heap, or to one inside a block, is not followed. The
    // first word leads to the block itself, the third one to what was put in before.
    let foreign = [0usize; 8];
    let aligned = foreign.as_ptr().expose_provenance().next_multiple_of(ALIGN);
    let inside = blocks[0].as_ptr().addr() + 8;
    assert_eq!(bed.collect(3, true), Ok(3));
    while let Taken::Block(_) = bed.take(100) {}
    for (word, lost) in [(0, 0), (2, 1)] {
        for leads_to in [aligned, inside] {
            bed.put_in(blocks[8]);
            bed.put_in(blocks[7]);
            // SAFETY: the first three words of a block of the bed's heap; its key is only read.
            unsafe {
                let key = (*bed.heap).shared.key;
                blocks[7].cast::<usize>().add(word).write(leads_to ^ key);
            }
            assert_eq!(bed.collect(1, true), smashed(7), "{word}");
            assert_eq!(bed.collect(2, true), Ok(1 - lost), "{word}");
            while let Taken::Block(_) = bed.take(100) {}
        }
    }
}
