//! Equal streams of requests through memoman and two other allocators, over pools of the same size
//! (group L).
//!
//! # Comparison
//! Both sides get the same requests and keep the same live set: a block that only one of them
//! serves is freed at once. So at every request both hold the same blocks, and differ only in their
//! overhead and placement.
//!
//! # Explanations of a refusal
//! Where the peer satisfies a request and memoman does not, one of these must hold, in this order,
//! by computation:
//!
//! * **Capacity.** memoman's live blocks and the request together exceed the pool, wherever they
//!   lie: Σ `cut_size(block_size_for(bytes))` > free bytes of the empty pool. The overhead explains
//!   it. To prove this sum right, whenever it does *not* exceed the pool, a new heap must take the
//!   same live set and the request.
//! * **Scattered.** The sum fits, but the walk finds no free block as large as the request's: the
//!   history of placements explains it, since the new heap could satisfy it.
//! * **Good fit.** A large enough block is free, but only in the request's own bin, which holds a
//!   smaller one too: TLSF reads a bin's head and does not search its list.
//!
//! Anything else fails. "Scattered" alone would excuse a bad policy, so it is compared with its
//! mirror image: over each kind of stream, memoman may lose to scatter and good fit at most a
//! quarter as many requests as the peer loses to memoman (measured: a fifth to a twentieth).
//!
//! Requests are aligned to the quantum: for larger alignments the peers' searches differ from
//! TLSF's by design.

mod support;

use memoman_core::Tlsf;
use memoman_core::config::QUANTUM;
use memoman_core::size_class::{block_size_for, cut_size, floor_bin};
use std::alloc::Layout;
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Instance, Random, Region, assert_sound};

/// Another allocator over one pool.
trait Peer {
    const NAME: &'static str;
    fn new(pool: &Region) -> Self;
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;
    fn free(&mut self, ptr: NonNull<u8>, layout: Layout);
}

type RlsfTlsf = rlsf::Tlsf<'static, u32, u32, 20, 32>;

struct Rlsf(Box<RlsfTlsf>);

impl Peer for Rlsf {
    const NAME: &'static str = "rlsf";

    fn new(pool: &Region) -> Rlsf {
        let mut tlsf = Box::new(RlsfTlsf::new());
        let block = NonNull::new(pool.start()).unwrap();
        let block = NonNull::slice_from_raw_parts(block, pool.bytes());
        // SAFETY: the pool outlives the peer.
        unsafe { tlsf.insert_free_block_ptr(block) }.unwrap();
        Rlsf(tlsf)
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate(layout)
    }

    fn free(&mut self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block of this peer.
        unsafe { self.0.deallocate(ptr, layout.align()) };
    }
}

struct Talc {
    talc: talc::base::Talc<talc::source::Manual, talc::DefaultBinning>,
    /// Its bin heads in a heap of their own, so that the pool holds only blocks, as the others'
    /// pools do.
    _heads: Region,
}

impl Peer for Talc {
    const NAME: &'static str = "talc";

    fn new(pool: &Region) -> Talc {
        let heads = Region::new(
            talc::min_first_heap_size::<talc::DefaultBinning>() + 64,
            0,
            0xFF,
        );
        let mut talc = talc::base::Talc::new(talc::source::Manual);
        // SAFETY: both regions outlive the peer. The rest of the heads' region is used up first.
        unsafe {
            talc.claim(heads.start(), heads.bytes()).unwrap();
            while talc.allocate(Layout::new::<u8>()).is_some() {}
            talc.claim(pool.start(), pool.bytes()).unwrap();
        }
        Talc {
            talc,
            _heads: heads,
        }
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        unsafe { self.talc.allocate(layout) }
    }

    fn free(&mut self, ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block of this peer.
        unsafe { self.talc.deallocate(ptr.as_ptr(), layout) };
    }
}

/// memoman over one pool.
struct Memoman {
    instance: Instance,
    _pool: Region,
}

impl Memoman {
    fn new(pool: Region) -> Memoman {
        let instance = Instance::new(pool.bytes());
        // SAFETY: the pool lives as long as the instance.
        unsafe { instance.tlsf.add_pool(pool.start(), pool.bytes()) }.unwrap();
        Memoman {
            instance,
            _pool: pool,
        }
    }

    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the instance is live.
        unsafe { self.instance.tlsf.memalign(layout.align(), layout.size()) }.ok()
    }

    fn free(&self, ptr: NonNull<u8>) {
        // SAFETY: a live block.
        unsafe { self.instance.tlsf.free_by_turns(ptr) }
            .map(drop)
            .unwrap();
    }

    fn free_blocks(&self) -> Vec<usize> {
        let mut sizes = Vec::new();
        // SAFETY: the instance and its pool are live.
        unsafe {
            let pool = self.instance.tlsf.first_pool().unwrap();
            pool.walk(&mut |_, bytes, used| {
                if !used {
                    sizes.push(bytes + Tlsf::ALLOC_OVERHEAD);
                }
            });
        }
        sizes
    }
}

/// Bytes of a request's block in memoman.
fn cost(bytes: usize) -> usize {
    cut_size(block_size_for(bytes))
}

#[derive(Debug, Default)]
struct Tally {
    requests: usize,
    both: usize,
    neither: usize,
    /// Requests satisfied by memoman only.
    won: usize,
    /// Requests satisfied by the peer only, by explanation.
    capacity: usize,
    scattered: usize,
    good_fit: usize,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.requests += other.requests;
        self.both += other.both;
        self.neither += other.neither;
        self.won += other.won;
        self.capacity += other.capacity;
        self.scattered += other.scattered;
        self.good_fit += other.good_fit;
    }
}

/// One block of the live set on both sides.
struct Live {
    layout: Layout,
    ours: NonNull<u8>,
    theirs: NonNull<u8>,
}

struct Match<P> {
    memoman: Memoman,
    /// A heap of the same size, to test what fits.
    fresh: Memoman,
    peer: P,
    live: Vec<Live>,
    capacity: usize,
    tally: Tally,
    // Last: the peer's blocks lie in it.
    _pool: Region,
}

impl<P: Peer> Match<P> {
    fn new(bytes: usize) -> Match<P> {
        let pool = Region::new(bytes, 0, 0xFF);
        let memoman = Memoman::new(Region::new(bytes, 0, 0xFF));
        let capacity = assert_sound(memoman.instance.tlsf).free;
        Match {
            memoman,
            fresh: Memoman::new(Region::new(bytes, 0, 0xFF)),
            peer: P::new(&pool),
            live: Vec::new(),
            capacity,
            tally: Tally::default(),
            _pool: pool,
        }
    }

    fn request(&mut self, layout: Layout) {
        self.tally.requests += 1;
        match (self.memoman.allocate(layout), self.peer.allocate(layout)) {
            (Some(ours), Some(theirs)) => {
                self.tally.both += 1;
                self.live.push(Live {
                    layout,
                    ours,
                    theirs,
                });
            }
            (Some(ours), None) => {
                self.tally.won += 1;
                self.memoman.free(ours);
            }
            (None, Some(theirs)) => {
                self.explain(layout);
                self.peer.free(theirs, layout);
            }
            (None, None) => self.tally.neither += 1,
        }
    }

    fn drop_one(&mut self, number: usize) {
        if !self.live.is_empty() {
            let live = self.live.swap_remove(number % self.live.len());
            self.memoman.free(live.ours);
            self.peer.free(live.theirs, live.layout);
        }
    }

    /// The explanation for a request that memoman refused and the peer satisfied.
    fn explain(&mut self, layout: Layout) {
        let costs = self.live.iter().map(|live| cost(live.layout.size()));
        let sum = costs.sum::<usize>() + cost(layout.size());
        if sum > self.capacity {
            self.tally.capacity += 1;
            return;
        }
        self.assert_fresh_heap_takes_all(layout);
        let need = block_size_for(layout.size());
        let free = self.memoman.free_blocks();
        if free.iter().all(|&size| size < need) {
            self.tally.scattered += 1;
            return;
        }
        let own = floor_bin(need);
        let smaller = free
            .iter()
            .any(|&size| size < need && floor_bin(size) == own);
        let above = free.iter().any(|&size| floor_bin(size) > own);
        assert!(
            smaller && !above,
            "{} serves {layout:?}, memoman refuses it with free blocks {free:?}",
            P::NAME
        );
        self.tally.good_fit += 1;
    }

    /// Asserts that the live set and the request fit a new heap of the same size: their computed
    /// costs are right.
    fn assert_fresh_heap_takes_all(&self, layout: Layout) {
        // SAFETY: the heap is live, and no earlier block of it is used.
        assert!(unsafe { self.fresh.instance.tlsf.reset() });
        let all = self.live.iter().map(|live| live.layout).chain([layout]);
        for layout in all {
            assert!(
                self.fresh.allocate(layout).is_some(),
                "a fresh heap has no room for what must fit it: {layout:?}"
            );
        }
    }
}

/// A kind of stream.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Requests only, until the pool is full and beyond.
    Fill,
    /// A full pool under permanent pressure: one free, one request.
    Pressure,
    /// Fill, free at random, request larger ones.
    Phases,
}

fn layout(random: &mut Random, least: usize, octaves: usize) -> Layout {
    let octave = random.below(octaves);
    let bytes = (least << octave) + random.below(least << octave);
    Layout::from_size_align(bytes, QUANTUM).unwrap()
}

fn play<P: Peer>(kind: Kind, seed: u64, bytes: usize, least: usize, octaves: usize) -> Tally {
    let mut random = Random(seed);
    let mut game = Match::<P>::new(bytes);
    // Twice the pool, at the mean size.
    let requests = 2 * bytes / cost((least << octaves) / octaves);
    match kind {
        Kind::Fill => {
            for _ in 0..requests {
                game.request(layout(&mut random, least, octaves));
            }
        }
        Kind::Pressure => {
            for _ in 0..4 * requests {
                game.request(layout(&mut random, least, octaves));
                if game.tally.requests > requests / 2 {
                    game.drop_one(random.below(usize::MAX));
                }
            }
        }
        Kind::Phases => {
            for phase in 0..4 {
                for _ in 0..requests / 2 {
                    game.request(layout(&mut random, least << phase, octaves));
                }
                for _ in 0..game.live.len() / 2 {
                    game.drop_one(random.below(usize::MAX));
                }
            }
        }
    }
    assert_sound(game.memoman.instance.tlsf);
    while !game.live.is_empty() {
        game.drop_one(0);
    }
    let stats = assert_sound(game.memoman.instance.tlsf);
    assert_eq!((stats.used, stats.free), (0, game.capacity));
    game.tally
}

fn compare<P: Peer>(kind: Kind) {
    let seed: u64 = std::env::var("MEMOMAN_SEED").map_or(1, |text| text.parse().unwrap());
    println!("{kind:?} against {}, MEMOMAN_SEED={seed}", P::NAME);
    let mut all = Tally::default();
    for round in 0..4 {
        for (bytes, least, octaves) in [
            (1 << 13, 1, 6),
            (1 << 16, 16, 4),
            (1 << 16, 1, 11),
            (1 << 18, 256, 6),
            (1 << 20, 1, 14),
        ] {
            all.add(&play::<P>(kind, seed + round, bytes, least, octaves));
        }
    }
    println!("  {all:?}");
    assert!(all.both > 2_000, "too few requests served to mean anything");
    assert!(
        all.neither + all.won + all.capacity > 100,
        "the pools were never full"
    );
    assert!(
        4 * (all.scattered + all.good_fit) <= all.won,
        "memoman loses too many requests to {}: {all:?}",
        P::NAME
    );
    if let Kind::Fill = kind {
        // Without a free there is no scatter: only capacity explains a refusal.
        assert_eq!((all.scattered, all.good_fit), (0, 0), "{all:?}");
    }
}

#[test]
fn group_l_serves_what_rlsf_serves_filling() {
    compare::<Rlsf>(Kind::Fill);
}

#[test]
fn group_l_serves_what_rlsf_serves_under_pressure() {
    compare::<Rlsf>(Kind::Pressure);
}

#[test]
fn group_l_serves_what_rlsf_serves_in_phases() {
    compare::<Rlsf>(Kind::Phases);
}

#[test]
fn group_l_serves_what_talc_serves_filling() {
    compare::<Talc>(Kind::Fill);
}

#[test]
fn group_l_serves_what_talc_serves_under_pressure() {
    compare::<Talc>(Kind::Pressure);
}

#[test]
fn group_l_serves_what_talc_serves_in_phases() {
    compare::<Talc>(Kind::Phases);
}
