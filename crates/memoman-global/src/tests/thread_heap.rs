//! A heap without a thread: which blocks go to the cache, which to the core, and which move between
//! them.

use crate::allocator::{ALIGN, HEADER, Misuse, Pool, Refusal, Tlsf};
use crate::process::lock::LOCK;
use crate::process::map::{self, UNIT};
use crate::tests::support::quietly;
use crate::thread::cache::{CLASSES, Cache, Taken, bytes_of, class_of_size};
use crate::thread::calls;
use crate::thread::heap::{REQUEST_MAX, ThreadHeap, WARM_MOST};
use core::ptr::{self, NonNull};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::vec::Vec;

const POOL: usize = 256 << 10;

pub(super) struct Bed {
    pub(super) heap: *mut ThreadHeap,
    pool: *mut u8,
}

impl Bed {
    const HEAP: Layout = Layout::new::<ThreadHeap>();
    const MEMORY: Layout = match Layout::from_size_align(POOL, UNIT) {
        Ok(layout) => layout,
        Err(_) => panic!(),
    };

    pub(super) fn new() -> Bed {
        // SAFETY: layouts of more than zero bytes; the memory is zeroed, and only the bed uses it.
        unsafe {
            let (heap, pool) = (alloc_zeroed(Bed::HEAP).cast(), alloc_zeroed(Bed::MEMORY));
            ThreadHeap::open(heap);
            assert!(ThreadHeap::tlsf(heap).add_pool(pool, POOL).is_some());
            // The map has the pool as a segment of the heap.
            LOCK.with(|| {
                assert!(map::prepare(pool.expose_provenance(), POOL));
                map::assign(pool.addr(), POOL, heap.cast());
            });
            Bed { heap, pool }
        }
    }

    pub(super) fn malloc(&self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { ThreadHeap::allocate(self.heap, ALIGN, bytes) }
    }

    /// Allocates until the core is exhausted. (Without the last block, which may be larger: it
    /// takes a rest too small for another.)
    pub(super) fn all(&self, bytes: usize) -> Vec<NonNull<u8>> {
        let mut blocks: Vec<_> = core::iter::from_fn(|| self.malloc(bytes).ok()).collect();
        blocks.pop();
        blocks
    }

    /// A bed whose core is exhausted, with `cached` of the blocks in its cache.
    fn full(cached: usize) -> (Bed, Vec<NonNull<u8>>) {
        let bed = Bed::new();
        let blocks = bed.all(100);
        bed.make_room(100, 300);
        assert!(blocks.iter().take(cached).all(|&block| bed.keep(block)));
        (bed, blocks)
    }

    fn keep(&self, block: NonNull<u8>) -> bool {
        // SAFETY: the bed's heap, and a block of it.
        unsafe { ThreadHeap::keep(self.heap, block) }
    }

    /// Puts a block into the inbox, as another thread's free does.
    pub(super) fn put_in(&self, block: NonNull<u8>) {
        // SAFETY: the bed's heap, and a block of it.
        unsafe { ThreadHeap::put(self.heap, block) };
    }

    pub(super) fn collect(
        &self,
        most: usize,
        to_cache: bool,
    ) -> Result<usize, (Misuse, *const u8)> {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { ThreadHeap::collect(self.heap, most, to_cache.then_some(CLASSES)) }
    }

    /// Adds a pool, which outlives the bed.
    pub(super) fn more(&self) -> Pool {
        let more = std::boxed::Box::leak(std::boxed::Box::new([0u64; 512]));
        // SAFETY: leaked memory, which only the pool uses.
        unsafe { ThreadHeap::tlsf(self.heap).add_pool(more.as_mut_ptr().cast(), 4096) }.unwrap()
    }

    fn turn_away(&self, block: NonNull<u8>) -> Result<(), (Misuse, *const u8)> {
        // SAFETY: the bed's heap, and a block of it.
        unsafe { ThreadHeap::turn_away(self.heap, block) }
    }

    /// Gives the class of requests of `bytes` this much room, or more.
    pub(super) fn make_room(&self, bytes: usize, room: usize) {
        let class = calls::class_of(bytes);
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe {
            let cache = ThreadHeap::cache(self.heap);
            for _ in 0..room {
                Cache::turned_away(cache, class);
            }
            for _ in 0..200 {
                Cache::missed(cache, class, || POOL);
            }
        }
    }

    pub(super) fn cached(&self) -> usize {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { Cache::contents(ThreadHeap::cache(self.heap)).1 }
    }

    pub(super) fn live(&self) -> usize {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { ThreadHeap::tlsf(self.heap).stats() }.live_blocks
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        LOCK.with(|| map::assign(self.pool.addr(), POOL, ptr::null_mut()));
        // SAFETY: allocated by `new` with these layouts, and not used any more.
        unsafe {
            dealloc(self.heap.cast(), Bed::HEAP);
            dealloc(self.pool, Bed::MEMORY);
        }
    }
}

#[test]
fn the_seal_comes_from_the_first_block() {
    let bed = Bed::new();
    // SAFETY: the bed's heap, which only the bed uses.
    let seal = || unsafe { (*bed.heap).cache.seal };
    assert_eq!(seal(), 0);
    let block = bed.malloc(100).unwrap();
    // SAFETY: a live block.
    assert_eq!(seal(), unsafe { Tlsf::seal_of(block) });
    assert!(usize::BITS == 32 || seal() >> (usize::BITS - 1) == 1);
}

#[test]
fn a_block_is_cached_once_and_only_where_there_is_room() {
    let bed = Bed::new();
    let (block, other) = (bed.malloc(100).unwrap(), bed.malloc(100).unwrap());
    assert!(!bed.keep(block), "no room yet");
    bed.make_room(100, 1);
    assert!(bed.keep(block));
    assert!(!bed.keep(other), "room for one");
    // SAFETY: an address inside a live block.
    let inside = unsafe { other.add(ALIGN) };
    bed.make_room(100, 10);
    assert!(!bed.keep(inside));
    assert!(!bed.keep(block), "it has its mark");
    assert!(bed.keep(other));
    assert_eq!((bed.cached(), bed.live()), (2, 2));
}

#[test]
fn drained_blocks_can_be_allocated_again_64_at_a_time() {
    let bed = Bed::new();
    let mut blocks = bed.all(100);
    bed.make_room(100, 300);
    bed.make_room(40, 300);
    let before = bed.live();
    let mut kept = 0;
    while let Some(block) = blocks.pop() {
        if !bed.keep(block) {
            break;
        }
        kept += 1;
    }
    assert!(kept > 200, "{kept}");
    assert_eq!(bed.live(), before, "cached blocks are in use for the core");
    assert_eq!(bed.malloc(100), Err(Refusal::Exhausted));
    // SAFETY: the bed's heap, which only the bed uses.
    let drain = || unsafe { ThreadHeap::drain(bed.heap) };
    assert_eq!(drain(), Ok(64));
    assert_eq!((bed.cached(), bed.live()), (kept - 64, before - 64));
    assert!(bed.malloc(100).is_ok());
    // Half at a time: in the end no block is cached, and no room is left.
    while drain() == Ok(64) {}
    // After fewer than 64, fifteen drains are skipped.
    let left = bed.cached();
    assert!(left > 0);
    for _ in 0..15 {
        assert_eq!(drain(), Ok(0));
    }
    assert_eq!(drain(), Ok(left.div_ceil(2)));
    (0..16 * 16).for_each(|_| assert!(drain().is_ok()));
    assert_eq!(bed.cached(), 0);
    assert!(!bed.keep(blocks.pop().unwrap()));
}

/// The header after a block is tested as the block is freed.
#[test]
fn a_block_before_an_overwritten_header_is_not_kept() {
    let bed = Bed::new();
    bed.make_room(100, 10);
    let block = bed.malloc(100).unwrap();
    let _next = bed.malloc(100).unwrap();
    // SAFETY: the header of a block of the bed's heap, restored below; only the bed uses the heap.
    unsafe {
        let header = block.as_ptr().add(Tlsf::block_size(block.as_ptr()));
        let header = header.cast::<usize>();
        let sound = header.read();
        header.write(sound ^ 1 << 60);
        assert!(!bed.keep(block));
        header.write(sound);
        assert!(bed.keep(block));
    }
}

#[test]
fn a_surplus_pool_ends_a_drain_without_a_pause() {
    let (bed, _) = Bed::full(200);
    // SAFETY: the bed's heap, which only the bed uses.
    unsafe {
        let heap = bed.heap;
        (*heap).surplus = ThreadHeap::tlsf(heap).first_pool();
        assert_eq!(ThreadHeap::drain(heap), Ok(0));
        assert_eq!((*heap).cache.pause, 0);
        (*heap).surplus = None;
        assert_eq!(ThreadHeap::drain(heap), Ok(64));
    }
}

#[test]
fn after_a_misuse_a_call_goes_no_further() {
    let (bed, blocks) = Bed::full(200);
    let retry = |met: &mut _| {
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe { calls::retry(bed.heap, ALIGN, 100, met) }
    };
    let misuse = Err((Misuse::DoubleFree, blocks[0].as_ptr().cast_const()));
    let mut met = misuse;
    bed.put_in(blocks[blocks.len() - 1]);
    assert_eq!(retry(&mut met), Err(Refusal::Exhausted));
    assert_eq!((met, bed.cached()), (misuse, 200));
    assert!(retry(&mut Ok(0)).is_ok(), "the inbox had one");
    let mut met = Ok(0);
    assert!(retry(&mut met).is_ok());
    assert_eq!((met, bed.cached()), (Ok(64), 136));
}

#[test]
fn a_class_that_malloc_does_not_use_shrinks_as_blocks_are_freed() {
    let bed = Bed::new();
    let mut blocks = bed.all(100);
    // Beyond the least room.
    let most = 100;
    let least = (8 << 10) / 112;
    bed.make_room(100, most);
    for _ in 0..most {
        assert!(bed.keep(blocks.pop().unwrap()));
    }
    assert!(!bed.keep(*blocks.last().unwrap()));
    while let Some(block) = blocks.pop() {
        assert_eq!(bed.turn_away(block), Ok(()));
    }
    assert_eq!(bed.cached(), least);
    // With the last block, which `all` leaves out.
    assert_eq!(bed.live(), least + 1);
}

#[test]
fn a_block_returns_to_the_class_of_its_request() {
    for bytes in (1..=calls::CACHED_MAX)
        .step_by(7)
        .chain([calls::SMALL_MAX, calls::CACHED_MAX])
    {
        let bed = Bed::new();
        let block = bed.malloc(bytes).unwrap();
        // SAFETY: the bed's heap, which only the bed uses.
        let size = unsafe { ThreadHeap::tlsf(bed.heap).live_bytes(block) };
        assert_eq!(class_of_size(size), calls::class_of(bytes), "{bytes} bytes");
        assert!(bytes_of(calls::class_of(bytes)) >= bytes + HEADER);
    }
}

#[test]
fn a_block_that_is_not_small_is_cached_where_there_is_room() {
    for bytes in [calls::SMALL_MAX + 1, 4096, calls::CACHED_MAX] {
        let bed = Bed::new();
        let blocks = [(); 3].map(|()| bed.malloc(bytes).unwrap());
        bed.make_room(bytes, 2);
        assert!(!bed.keep(blocks[0]));
        let live = bed.live();
        for block in blocks {
            assert_eq!(bed.turn_away(block), Ok(()));
        }
        assert_eq!((bed.cached(), bed.live()), (2, live - 1));
        // SAFETY: the bed's heap, which only the bed uses.
        unsafe {
            assert!(ThreadHeap::is_cache_sound(bed.heap));
            let class = calls::class_of(bytes);
            let taken = Cache::take(ThreadHeap::cache(bed.heap), class);
            assert!(matches!(taken, Taken::Block(block) if block == blocks[1]));
        }
    }
    let bed = Bed::new();
    let block = bed.malloc(calls::CACHED_MAX + 1).unwrap();
    bed.make_room(calls::CACHED_MAX, 2);
    assert_eq!(bed.turn_away(block), Ok(()));
    assert_eq!(bed.cached(), 0);
}

#[test]
fn what_a_class_has_too_much_of_ages_into_the_core() {
    let (bed, _) = Bed::full(130);
    let live = bed.live();
    // SAFETY: the bed's heap, which only the bed uses.
    let age = || unsafe { ThreadHeap::age(bed.heap) };
    let turn = || (0..24).map(|_| age().unwrap()).collect::<Vec<_>>();
    // `make_room` has missed it.
    assert_eq!(turn().iter().sum::<usize>(), 0);
    // Half, and at most 64 blocks at a time.
    assert_eq!(turn().iter().sum::<usize>(), 64);
    assert_eq!((bed.cached(), bed.live()), (66, live - 64));
    while bed.cached() > 32 {
        turn();
    }
    let cached = bed.cached();
    assert_eq!(turn().iter().sum::<usize>(), cached.div_ceil(2));
}

#[test]
fn misuse_that_the_core_finds_is_returned_with_its_address() {
    let bed = Bed::new();
    let blocks: Vec<_> = (0..4).map(|_| bed.malloc(100).unwrap()).collect();
    bed.make_room(100, 10);
    // A second free of a block that the core has.
    assert_eq!(bed.turn_away(blocks[0]), Ok(()));
    assert_eq!(
        bed.turn_away(blocks[0]),
        Err((Misuse::DoubleFree, blocks[0].as_ptr().cast_const()))
    );
    // SAFETY: an address inside a live block.
    let inside = unsafe { blocks[1].add(8) };
    assert!(bed.turn_away(inside).is_err());
    // A header overwritten while its block is cached is found when the cache is drained.
    assert!(bed.keep(blocks[2]));
    let word: *mut usize = blocks[2].as_ptr().wrapping_sub(HEADER).cast();
    // SAFETY: the header of a block of the bed's heap, restored below.
    unsafe {
        let sound = word.read();
        word.write(sound ^ 0x40);
        assert!(ThreadHeap::drain(bed.heap).is_err_and(|(_, at)| at == blocks[2].as_ptr()));
        word.write(sound);
    }
}

#[test]
fn a_drain_takes_64_blocks_over_all_sizes() {
    let bed = Bed::new();
    bed.make_room(100, 300);
    bed.make_room(200, 300);
    for bytes in [100, 200] {
        let blocks: Vec<_> = (0..100).map(|_| bed.malloc(bytes).unwrap()).collect();
        assert!(blocks.into_iter().all(|block| bed.keep(block)));
    }
    // Half of the one class, and of the other the rest of 64.
    // SAFETY: the bed's heap, which only the bed uses.
    assert_eq!(unsafe { ThreadHeap::drain(bed.heap) }, Ok(64));
    assert_eq!(bed.cached(), 136);
}

#[test]
fn a_cache_is_sound_if_its_blocks_are_the_heaps_and_of_their_class() {
    let bed = Bed::new();
    bed.make_room(100, 10);
    bed.make_room(200, 10);
    let (block, other) = (bed.malloc(100).unwrap(), bed.malloc(200).unwrap());
    // SAFETY: the bed's cache; the blocks, and the memory that passes for one, may be written.
    unsafe {
        let is_sound = || ThreadHeap::is_cache_sound(bed.heap);
        let cache = ThreadHeap::cache(bed.heap);
        let put =
            |class, block| assert!(Cache::put(cache, class, block, Cache::mark(cache, block)));
        assert!(bed.keep(block) && is_sound());
        // A block of 112 bytes in the class of 208 bytes.
        let class = 208 / ALIGN;
        put(class, bed.malloc(100).unwrap());
        assert!(!is_sound());
        assert!(matches!(Cache::take(cache, class), Taken::Block(_)) && is_sound());
        assert!(bed.keep(other) && is_sound());
        // A block with a valid header, in memory outside the heap.
        let mut memory = std::boxed::Box::new([0usize; 8]);
        let payload = memory
            .as_mut_ptr()
            .add(1)
            .map_addr(|at| at.next_multiple_of(ALIGN));
        payload.sub(1).write(other.cast::<usize>().sub(1).read());
        put(class, NonNull::new(payload.cast()).unwrap());
        assert!(!is_sound());
    }
}

#[test]
fn of_two_empty_pools_one_becomes_the_spare() {
    let bed = Bed::new();
    // SAFETY: the bed's heap, which only the bed uses.
    unsafe {
        let heap = bed.heap;
        let first = ThreadHeap::tlsf(heap).first_pool().unwrap();
        let kept = || ((*heap).spare, (*heap).surplus);
        ThreadHeap::keep_if_empty(heap, first);
        assert_eq!(kept(), (Some(first), None));
        // The same pool again.
        ThreadHeap::keep_if_empty(heap, first);
        assert_eq!(kept(), (Some(first), None));
        let second = bed.more();
        ThreadHeap::keep_if_empty(heap, second);
        assert_eq!(kept(), (Some(first), Some(second)));
        // A pool that goes is no longer kept.
        ThreadHeap::forget(heap, second);
        assert_eq!(kept(), (Some(first), None));
        ThreadHeap::forget(heap, first);
        assert_eq!(kept(), (None, None));
        // A spare with a live block is replaced; a pool with a live block does not become a spare.
        ThreadHeap::keep_if_empty(heap, first);
        let block = bed.malloc(8000).unwrap();
        ThreadHeap::keep_if_empty(heap, first);
        ThreadHeap::keep_if_empty(heap, second);
        assert_eq!(kept(), (Some(second), None));
        assert!(ThreadHeap::release(heap, block).is_ok());
        assert_eq!(kept(), (Some(second), Some(first)));
    }
}

#[test]
fn a_heap_serves_requests_up_to_its_greatest_one() {
    let (most, half) = (REQUEST_MAX, REQUEST_MAX / 2);
    for (align, bytes) in [
        (1, most),
        (ALIGN, most),
        (2 * ALIGN, half),
        (half, 1),
        (half, half),
    ] {
        assert!(ThreadHeap::serves(align, bytes), "{align} {bytes}");
    }
    for (align, bytes) in [
        (1, most + 1),
        (ALIGN, most + 1),
        (2 * ALIGN, half + 1),
        (most, 1),
    ] {
        assert!(!ThreadHeap::serves(align, bytes), "{align} {bytes}");
    }
}

#[test]
fn keys_are_neither_addresses_nor_aligned() {
    // (Many beds, since a key is computed from the heap's address.)
    for bed in (0..20).map(|_| Bed::new()).collect::<Vec<_>>() {
        let cache = ThreadHeap::cache(bed.heap);
        // SAFETY: the bed's heap; a mark is computed from the address alone.
        let (key, mark) = unsafe {
            (
                (*bed.heap).shared.key,
                Cache::mark(cache, NonNull::dangling()),
            )
        };
        assert_eq!((key >> (usize::BITS - 1), key & 5), (1, 5));
        assert_eq!(mark, key ^ 1, "the cache has the same key");
    }
}

#[test]
fn heaps_stay_warm_up_to_2_mib_together() {
    // Alone: threads of other tests end, too.
    quietly("heaps_stay_warm_up_to_2_mib_together", &[], || {
        let beds: Vec<_> = (0..WARM_MOST / POOL + 1).map(|_| Bed::new()).collect();
        // SAFETY: the beds' heaps, which only the beds use.
        let keep_warm = |bed: &Bed| unsafe { ThreadHeap::keep_warm(bed.heap) };
        // SAFETY: as above.
        let cool = |bed: &Bed| unsafe { ThreadHeap::cool(bed.heap) };
        let (last, others) = beds.split_last().unwrap();
        assert!(others.iter().all(keep_warm));
        assert!(!keep_warm(last), "the others have all room");
        assert!(others.iter().all(keep_warm), "each counts once");
        cool(&beds[0]);
        assert!(keep_warm(last));
        cool(last);
        // Live blocks do not count.
        let (most, some) = (last.all(1000), beds[0].malloc(4000));
        assert!(!most.is_empty() && some.is_ok());
        assert!(keep_warm(last) && keep_warm(&beds[0]));
    });
}
