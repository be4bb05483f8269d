//! A heap without a thread: what goes to the cache, what to the core, and what comes back from the one to the other.

use super::*;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::vec::Vec;

const POOL: usize = 256 << 10;

struct Bed {
    heap: *mut ThreadHeap,
    pool: *mut u8,
}

impl Bed {
    const HEAP: Layout = Layout::new::<ThreadHeap>();
    const MEMORY: Layout = match Layout::from_size_align(POOL, 64) {
        Ok(layout) => layout,
        Err(_) => panic!(),
    };

    fn new() -> Bed {
        // SAFETY: layouts of some bytes; the heap's memory is zeroed and the bed's.
        unsafe {
            let (heap, pool) = (alloc_zeroed(Bed::HEAP).cast(), alloc_zeroed(Bed::MEMORY));
            ThreadHeap::open(heap);
            assert!(ThreadHeap::tlsf(heap).add_pool(pool, POOL).is_some());
            let _ = pool.expose_provenance();
            Bed { heap, pool }
        }
    }

    fn malloc(&self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the bed's.
        unsafe { ThreadHeap::ask(self.heap, ALIGN, bytes) }
    }

    /// Allocates until nothing is left. (The last block may have got a rest too small for one, and is not among these.)
    fn all(&self, bytes: usize) -> Vec<NonNull<u8>> {
        let mut blocks: Vec<_> = core::iter::from_fn(|| self.malloc(bytes).ok()).collect();
        blocks.pop();
        blocks
    }

    /// One whose core has nothing left, and so many of the blocks in its cache.
    fn full(cached: usize) -> (Bed, Vec<NonNull<u8>>) {
        let bed = Bed::new();
        let blocks = bed.all(100);
        bed.make_room(100, 300);
        assert!(blocks.iter().take(cached).all(|&block| bed.keep(block)));
        (bed, blocks)
    }

    fn keep(&self, block: NonNull<u8>) -> bool {
        // SAFETY: a block of the bed's.
        unsafe { ThreadHeap::keep(self.heap, block) }
    }

    fn turn_away(&self, block: NonNull<u8>) -> Result<(), (Misuse, *const u8)> {
        // SAFETY: a block of the bed's.
        unsafe { ThreadHeap::turn_away(self.heap, block) }
    }

    /// Gives the class of requests of so many bytes this much room, or more.
    fn make_room(&self, bytes: usize, room: usize) {
        let class = (bytes + HEADER).div_ceil(ALIGN);
        // SAFETY: the bed's.
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

    fn cached(&self) -> usize {
        // SAFETY: the bed's.
        unsafe { Cache::contents(ThreadHeap::cache(self.heap)).1 }
    }

    fn live(&self) -> usize {
        // SAFETY: the bed's.
        unsafe { ThreadHeap::tlsf(self.heap).stats() }.live_blocks
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`, and not used any more.
        unsafe {
            dealloc(self.heap.cast(), Bed::HEAP);
            dealloc(self.pool, Bed::MEMORY);
        }
    }
}

#[test]
fn the_seal_is_learnt_from_the_first_block() {
    let bed = Bed::new();
    // SAFETY: the bed's.
    let seal = || unsafe { (*bed.heap).cache.seal };
    assert_eq!(seal(), 0);
    let block = bed.malloc(100).unwrap();
    // SAFETY: a live block.
    assert_eq!(seal(), unsafe { Tlsf::seal_of(block) });
    assert!(usize::BITS == 32 || seal() >> (usize::BITS - 1) == 1);
}

#[test]
fn a_block_is_kept_once_and_only_where_there_is_room() {
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
fn what_is_drained_can_be_allocated_again_64_blocks_at_a_time() {
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
    // SAFETY: the bed's.
    let drain = || unsafe { ThreadHeap::drain(bed.heap) };
    assert_eq!(drain(), Ok(64));
    assert_eq!((bed.cached(), bed.live()), (kept - 64, before - 64));
    assert!(bed.malloc(100).is_ok());
    // Half at a time: in the end nothing is left, and no room.
    while drain() == Ok(64) {}
    // Less than 64: then fifteen times none.
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

#[test]
fn a_pool_that_is_to_go_says_nothing_about_the_cache() {
    let (bed, _) = Bed::full(200);
    // SAFETY: the bed's.
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
fn after_a_misuse_a_call_looks_no_further() {
    let (bed, blocks) = Bed::full(200);
    let ask = |met: &mut _| {
        // SAFETY: the bed's.
        unsafe { crate::own::ask_again(bed.heap, ALIGN, 100, met) }
    };
    let misuse = Err((Misuse::DoubleFree, blocks[0].as_ptr().cast_const()));
    let mut met = misuse;
    // What lies in the inbox has no mark, which would be another misuse.
    let put_in = blocks.last().unwrap().as_ptr().expose_provenance();
    // SAFETY: a live block, and the bed's.
    unsafe { (*bed.heap).inbox.put(put_in, (*bed.heap).shared.key) };
    assert_eq!(ask(&mut met), Err(Refusal::Exhausted));
    assert_eq!((met, bed.cached()), (misuse, 200));
    let mut met = Ok(0);
    assert_eq!(ask(&mut met), Err(Refusal::Exhausted));
    assert!(met.is_err() && met != misuse);
    let mut met = Ok(0);
    assert!(ask(&mut met).is_ok());
    assert_eq!((met, bed.cached()), (Ok(64), 136));
}

#[test]
fn a_cache_that_nobody_asks_gives_its_blocks_up_as_more_are_freed() {
    let bed = Bed::new();
    let mut blocks = bed.all(100);
    bed.make_room(100, 1000);
    // An eighth of the pool: more than the least.
    let most = POOL / 8 / 112;
    let least = (8 << 10) / 112;
    for _ in 0..most {
        assert!(bed.keep(blocks.pop().unwrap()));
    }
    assert!(!bed.keep(*blocks.last().unwrap()));
    while let Some(block) = blocks.pop() {
        assert_eq!(bed.turn_away(block), Ok(()));
    }
    assert_eq!(bed.cached(), least);
    // And the last block, which was left out.
    assert_eq!(bed.live(), least + 1);
}

#[test]
fn what_the_core_refuses_is_told_with_its_address() {
    let bed = Bed::new();
    let blocks: Vec<_> = (0..4).map(|_| bed.malloc(100).unwrap()).collect();
    bed.make_room(100, 10);
    // A second free of what the core has.
    assert_eq!(bed.turn_away(blocks[0]), Ok(()));
    assert_eq!(
        bed.turn_away(blocks[0]),
        Err((Misuse::DoubleFree, blocks[0].as_ptr().cast_const()))
    );
    // SAFETY: an address inside a live block.
    let inside = unsafe { blocks[1].add(8) };
    assert!(bed.turn_away(inside).is_err());
    // A header that is smashed while its block is cached is met when the cache is drained.
    assert!(bed.keep(blocks[2]));
    let word: *mut usize = blocks[2].as_ptr().wrapping_sub(HEADER).cast();
    // SAFETY: the header of a block of the bed's.
    unsafe {
        let sound = word.read();
        word.write(sound ^ 0x40);
        assert!(ThreadHeap::drain(bed.heap).is_err_and(|(_, at)| at == blocks[2].as_ptr()));
        word.write(sound);
    }
}

#[test]
fn a_heap_is_heavy_beyond_256_kib() {
    let bed = Bed::new();
    let more = std::boxed::Box::leak(std::boxed::Box::new([0u64; 512]));
    // SAFETY: the bed's; the other pool's memory stays.
    unsafe {
        assert!(!ThreadHeap::is_heavy(bed.heap));
        assert!(
            ThreadHeap::tlsf(bed.heap)
                .add_pool(more.as_mut_ptr().cast(), 4096)
                .is_some()
        );
        assert!(ThreadHeap::is_heavy(bed.heap));
    }
}
