//! Random programs over the whole API beside a shadow of what is live: no overlap, alignment,
//! contents, counters, and one free block in each pool when all is freed (group L).

mod support;

use memoman_core::{Refusal, Tlsf};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use support::{Instance, Random, Region, assert_sound};

struct Block {
    bytes: usize,
    align: usize,
    tag: u8,
}

struct Model {
    tlsf: Tlsf,
    live: BTreeMap<usize, (NonNull<u8>, Block)>,
    random: Random,
}

impl Model {
    fn fill(ptr: NonNull<u8>, bytes: usize, tag: u8) {
        // SAFETY: a live block of at least `bytes` bytes.
        unsafe { ptr.as_ptr().write_bytes(tag, bytes) };
    }

    fn check(ptr: NonNull<u8>, bytes: usize, tag: u8) {
        // SAFETY: a live block of at least `bytes` bytes that `fill` has initialised.
        let contents = unsafe { std::slice::from_raw_parts(ptr.as_ptr(), bytes) };
        assert!(
            contents.iter().all(|&byte| byte == tag),
            "contents of {ptr:?} lost"
        );
    }

    fn enter(&mut self, ptr: NonNull<u8>, bytes: usize, align: usize) {
        // SAFETY: a live block.
        let usable = unsafe { Tlsf::block_size(ptr.as_ptr()) };
        assert!(usable >= bytes);
        let start = ptr.as_ptr().addr();
        assert_eq!(start % align.max(Tlsf::ALIGN), 0);
        if let Some((&below, (_, block))) = self.live.range(..=start).next_back() {
            assert!(below + block.bytes <= start, "overlaps the block below");
        }
        if let Some((&above, _)) = self.live.range(start..).next() {
            assert!(start + usable <= above, "overlaps the block above");
        }
        let tag = self.random.next() as u8;
        Model::fill(ptr, usable, tag);
        // SAFETY: the instance is live; the pointer is not read.
        assert!(unsafe { self.tlsf.pool_of(ptr.as_ptr()) }.is_some());
        self.live.insert(
            start,
            (
                ptr,
                Block {
                    bytes: usable,
                    align,
                    tag,
                },
            ),
        );
    }

    fn any(&mut self) -> Option<usize> {
        let count = self.live.len();
        (count > 0).then(|| *self.live.keys().nth(self.random.below(count)).unwrap())
    }

    fn size(&mut self) -> usize {
        let octave = self.random.below(14);
        1 + self.random.below(1 << (octave + 1))
    }

    fn step(&mut self) {
        let before = assert_sound(self.tlsf);
        let bytes = self.size();
        let align = 1 << self.random.below(13);
        // SAFETY: the instance is live and every pointer given back is a live block of it.
        unsafe {
            match self.random.below(10) {
                0..=2 => {
                    let result = self.tlsf.malloc(bytes);
                    self.allocated(result, bytes, 1, before.largest);
                }
                3 => {
                    let result = self.tlsf.calloc(bytes.div_ceil(8), 8);
                    if let Ok(ptr) = result {
                        Model::check(ptr, bytes, 0);
                    }
                    self.allocated(result, bytes.next_multiple_of(8), 1, before.largest);
                }
                4 => {
                    let result = self.tlsf.memalign(align, bytes);
                    self.allocated(result, bytes, align, usize::MAX);
                }
                5..=6 => self.resize(bytes, align),
                _ => {
                    if let Some(start) = self.any() {
                        let (ptr, block) = self.live.remove(&start).unwrap();
                        Model::check(ptr, block.bytes, block.tag);
                        self.tlsf.free(ptr).unwrap();
                    }
                }
            }
        }
    }

    fn allocated(
        &mut self,
        result: Result<NonNull<u8>, Refusal>,
        bytes: usize,
        align: usize,
        largest: usize,
    ) {
        match result {
            Ok(ptr) => {
                assert!(
                    align > Tlsf::ALIGN || bytes <= largest,
                    "served more than `largest` promised"
                );
                self.enter(ptr, bytes, align);
            }
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Exhausted);
                assert!(
                    largest == usize::MAX || bytes > largest,
                    "refused {bytes} of largest {largest}"
                );
            }
        }
    }

    unsafe fn resize(&mut self, bytes: usize, align: usize) {
        let Some(start) = self.any() else { return };
        let (ptr, block) = self.live.remove(&start).unwrap();
        let keep = self.random.below(2) == 0;
        let align = if keep { align } else { 1 };
        // SAFETY: a live block (caller).
        let result = unsafe {
            if keep {
                self.tlsf.realloc_aligned(ptr, align, bytes)
            } else {
                self.tlsf.realloc(ptr, bytes)
            }
        };
        match result {
            Ok(moved) => {
                Model::check(moved, block.bytes.min(bytes), block.tag);
                self.enter(moved, bytes, align);
            }
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Exhausted);
                Model::check(ptr, block.bytes, block.tag);
                self.live.insert(start, (ptr, block));
            }
        }
    }

    fn free_all(&mut self) {
        while let Some(start) = self.any() {
            let (ptr, block) = self.live.remove(&start).unwrap();
            assert_eq!(start % block.align, 0);
            Model::check(ptr, block.bytes, block.tag);
            // SAFETY: a live block.
            unsafe { self.tlsf.free(ptr).unwrap() };
        }
        let stats = assert_sound(self.tlsf);
        assert_eq!((stats.used, stats.live_blocks), (0, 0));
    }
}

fn run(seed: u64, max_block: usize, steps: usize) {
    println!("seed {seed} max_block {max_block}");
    let instance = Instance::new(max_block);
    let mut random = Random(seed);
    let regions: Vec<Region> = (0..3)
        .map(|_| Region::new(2_000 + random.below(60_000), random.below(32), 0xFF))
        .collect();
    let mut model = Model {
        tlsf: instance.tlsf,
        live: BTreeMap::new(),
        random,
    };
    for region in &regions {
        // SAFETY: the region outlives the instance's use.
        assert!(unsafe { instance.tlsf.add_pool(region.start(), region.bytes()) }.is_some());
    }
    for _ in 0..3 {
        for _ in 0..steps {
            model.step();
        }
        model.free_all();
    }
    // SAFETY: all blocks are free.
    unsafe {
        let mut pool = instance.tlsf.first_pool();
        while let Some(this) = pool {
            assert!(this.is_empty());
            pool = instance.tlsf.next_pool(this);
        }
        for region in &regions {
            assert!(instance.tlsf.remove_pool(region.start()));
        }
        assert_eq!(instance.tlsf.stats().pool_bytes, 0);
    }
}

#[test]
fn group_l_random_programs_match_the_shadow() {
    for seed in 0..40 {
        run(seed, Tlsf::DEFAULT_MAX_BLOCK, 400);
    }
}

#[test]
fn group_l_random_programs_match_the_shadow_with_small_control_structures() {
    for seed in 0..40 {
        run(1_000 + seed, 1 << 14, 400);
    }
}
