//! A small heap that can be restored to any of its states, and the definition of a state.

use crate::support::fronts::ByTurns;
use crate::support::{Instance, Region, assert_sound};
use memoman_core::{Refusal, Tlsf};
use std::ptr::NonNull;

/// Request sizes in words: the smallest block, the first beyond it, and on.
pub(crate) const SIZES: [usize; 4] = [
    2 * size_of::<usize>(),
    3 * size_of::<usize>(),
    4 * size_of::<usize>(),
    6 * size_of::<usize>(),
];
/// Twice the quantum: the smallest alignment that not every payload has.
pub(crate) const ALIGN: usize = 2 * Tlsf::ALIGN;

/// One operation. Blocks are numbered in address order, sizes by their index in [`SIZES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Malloc(usize),
    Memalign(usize),
    Free(usize),
    Realloc(usize, usize),
    ReallocAligned(usize, usize),
}

/// All operations in a state of `live` blocks, always in the same order.
pub(crate) fn operations(live: usize) -> impl Iterator<Item = Op> {
    let sizes = || 0..SIZES.len();
    sizes()
        .flat_map(|size| [Op::Malloc(size), Op::Memalign(size)])
        .chain((0..live).flat_map(move |block| {
            sizes()
                .flat_map(move |size| [Op::Realloc(block, size), Op::ReallocAligned(block, size)])
                .chain([Op::Free(block)])
        }))
}

#[derive(Clone, Copy)]
pub(crate) struct Live {
    pub(crate) ptr: NonNull<u8>,
    /// Usable bytes.
    pub(crate) bytes: usize,
    /// Offset of the contents in an image.
    at: usize,
}

pub(crate) struct Space {
    pub(crate) tlsf: Tlsf,
    instance: Instance,
    regions: Vec<Region>,
    control_bytes: usize,
    /// Offset of `failed_requests` in an image, found by a refusal, without knowledge of the
    /// layout.
    failed_at: usize,
}

impl Space {
    /// An instance over pools of these lengths in bytes, each at an offset from a multiple of 64.
    pub(crate) fn new(pools: &[(usize, usize)]) -> Space {
        let max_block = pools.iter().map(|pool| pool.0).max().unwrap_or(0);
        let instance = Instance::new(max_block);
        let regions: Vec<Region> = pools
            .iter()
            .map(|&(bytes, offset)| Region::new(bytes, offset, 0xFF))
            .collect();
        for region in &regions {
            // SAFETY: the region lives as long as the instance.
            unsafe { instance.tlsf.add_pool(region.start(), region.bytes()) }.unwrap();
        }
        let mut space = Space {
            tlsf: instance.tlsf,
            instance,
            regions,
            control_bytes: Tlsf::control_size(max_block),
            failed_at: usize::MAX,
        };
        let before = space.image();
        // SAFETY: the instance is live.
        assert!(unsafe { space.tlsf.malloc(usize::MAX) }.is_err());
        let after = space.image();
        let changed: Vec<usize> = (0..before.len())
            .filter(|&i| before[i] != after[i])
            .collect();
        assert_eq!(
            changed.len(),
            1,
            "a refusal changes one byte of one small counter"
        );
        space.failed_at = changed[0];
        space.load(&before);
        space
    }

    fn parts(&self) -> impl Iterator<Item = (*mut u8, usize)> {
        let control = (self.instance.tlsf.as_raw().cast::<u8>(), self.control_bytes);
        let pools = self
            .regions
            .iter()
            .map(|region| (region.start(), region.bytes()));
        [control].into_iter().chain(pools)
    }

    /// All bytes of the heap: control structure, then pools.
    pub(crate) fn image(&self) -> Vec<u8> {
        let mut image = Vec::new();
        for (start, bytes) in self.parts() {
            // SAFETY: the instance's memory is initialised.
            image.extend_from_slice(unsafe { std::slice::from_raw_parts(start, bytes) });
        }
        image
    }

    pub(crate) fn load(&self, image: &[u8]) {
        let mut at = 0;
        for (start, bytes) in self.parts() {
            // SAFETY: the image was taken of these parts.
            unsafe { start.copy_from_nonoverlapping(image[at..].as_ptr(), bytes) };
            at += bytes;
        }
    }

    /// Panics unless `failed_requests` has changed by `count` since `image`, and nothing else has.
    fn assert_unchanged_since(&self, image: &[u8], count: u8) {
        let mut at = 0;
        for (start, bytes) in self.parts() {
            // SAFETY: the instance's memory is initialised.
            let now = unsafe { std::slice::from_raw_parts(start, bytes) };
            let was = &image[at..at + bytes];
            if now != was {
                for (i, (&now, &was)) in now.iter().zip(was).enumerate() {
                    let expected = if at + i == self.failed_at {
                        was + count
                    } else {
                        was
                    };
                    assert_eq!(now, expected, "a failed call changed byte {i}");
                }
            }
            at += bytes;
        }
    }

    /// Clears `failed_requests` in an image, so that it never grows along a path.
    fn forget_refusals(&self, image: &mut [u8]) {
        image[self.failed_at] = 0;
    }

    /// The blocks in use, by a walk, in address order within each pool.
    pub(crate) fn live(&self) -> Vec<Live> {
        let mut live = Vec::new();
        let mut at = self.control_bytes;
        for region in &self.regions {
            // SAFETY: a live instance of this test.
            unsafe {
                self.tlsf
                    .pool_of(region.start().wrapping_add(Tlsf::ALIGN))
                    .unwrap()
                    .walk(&mut |ptr, bytes, used| {
                        if used {
                            let at = at + (ptr.as_ptr().addr() - region.start().addr());
                            live.push(Live { ptr, bytes, at });
                        }
                    });
            }
            at += region.bytes();
        }
        live
    }

    /// Fills every block in use with distinct contents, so that an image shows their changes.
    pub(crate) fn tag(&self, live: &[Live]) {
        for (number, block) in live.iter().enumerate() {
            for i in 0..block.bytes {
                // SAFETY: a live block, filled to its end.
                unsafe { block.ptr.as_ptr().add(i).write((number * 59 + i * 7) as u8) };
            }
        }
    }

    /// The state: size and use of each block in order, and the successor in its list of each free
    /// one. The heap's other bytes (contents, counters, stale links) have no effect on a sound
    /// call.
    pub(crate) fn key(&self) -> Box<[u8]> {
        let mut blocks: Vec<(NonNull<u8>, u8, bool)> = Vec::with_capacity(16);
        for region in &self.regions {
            // SAFETY: a live instance of this test.
            unsafe {
                self.tlsf
                    .pool_of(region.start().wrapping_add(Tlsf::ALIGN))
                    .unwrap()
                    .walk(&mut |ptr, bytes, used| {
                        let quanta = (bytes + Tlsf::ALLOC_OVERHEAD) / Tlsf::ALIGN;
                        blocks.push((ptr, u8::try_from(quanta).unwrap(), used));
                    });
            }
        }
        let mut key = Vec::with_capacity(2 * blocks.len());
        for &(ptr, quanta, used) in &blocks {
            assert!(quanta < 128);
            key.push(quanta << 1 | u8::from(used));
            if !used {
                // SAFETY: a free block's payload starts with the link to the next one.
                let next = unsafe { ptr.cast::<*mut u8>().read() };
                let place = blocks.iter().position(|block| block.0.as_ptr() == next);
                key.push(place.map_or(0, |place| place as u8 + 1));
            }
        }
        key.into_boxed_slice()
    }

    /// Does `op` in the state `image` (loaded, tagged, with these blocks in use) and checks all
    /// that must hold afterwards. False when it was refused.
    pub(crate) fn apply(&self, image: &[u8], live: &[Live], op: Op) -> bool {
        let largest = {
            // SAFETY: the instance is live.
            unsafe { self.tlsf.stats() }.largest
        };
        // SAFETY: the instance is live; freed and resized blocks are live.
        let (touched, result) = unsafe {
            match op {
                Op::Malloc(size) => (None, self.tlsf.malloc(SIZES[size]).map(Some)),
                Op::Memalign(size) => (None, self.tlsf.memalign(ALIGN, SIZES[size]).map(Some)),
                Op::Free(block) => {
                    self.tlsf.free_by_turns(live[block].ptr).unwrap();
                    (Some(block), Ok(None))
                }
                Op::Realloc(block, size) => (
                    Some(block),
                    self.tlsf.realloc(live[block].ptr, SIZES[size]).map(Some),
                ),
                Op::ReallocAligned(block, size) => (
                    Some(block),
                    self.tlsf
                        .realloc_aligned(live[block].ptr, ALIGN, SIZES[size])
                        .map(Some),
                ),
            }
        };
        assert_sound(self.tlsf);
        if let Op::Malloc(size) = op {
            assert_eq!(result.is_ok(), SIZES[size] <= largest, "{op:?}");
        }
        let payload = match result {
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Exhausted, "{op:?}");
                self.assert_unchanged_since(image, 1);
                return false;
            }
            Ok(payload) => payload,
        };
        for (number, block) in live.iter().enumerate() {
            if Some(number) != touched {
                // SAFETY: a live block.
                let now = unsafe { std::slice::from_raw_parts(block.ptr.as_ptr(), block.bytes) };
                assert!(
                    now == &image[block.at..][..block.bytes],
                    "{op:?} changed another block's contents"
                );
            }
        }
        if let Some(payload) = payload {
            let (size, align) = match op {
                Op::Malloc(size) | Op::Realloc(_, size) => (size, Tlsf::ALIGN),
                Op::Memalign(size) | Op::ReallocAligned(_, size) => (size, ALIGN),
                Op::Free(_) => unreachable!("free gives no block"),
            };
            assert_eq!(payload.as_ptr().addr() % align, 0, "{op:?}");
            // SAFETY: a live block.
            unsafe { assert!(Tlsf::block_size(payload.as_ptr()) >= SIZES[size], "{op:?}") };
            if let Some(block) = touched.map(|block| live[block]) {
                let kept = block.bytes.min(SIZES[size]);
                // SAFETY: a live block of at least `kept` bytes.
                let now = unsafe { std::slice::from_raw_parts(payload.as_ptr(), kept) };
                assert!(now == &image[block.at..][..kept], "{op:?} lost contents");
            }
        }
        true
    }

    /// The image of the state after `apply`.
    pub(crate) fn reached(&self) -> Vec<u8> {
        let mut image = self.image();
        self.forget_refusals(&mut image);
        image
    }

    /// Frees all blocks: each pool must be one block again.
    pub(crate) fn assert_ends_whole(&self, live: &[Live]) {
        // SAFETY: each is live and freed once.
        unsafe {
            for block in live {
                self.tlsf.free_by_turns(block.ptr).unwrap();
            }
            let mut pool = self.tlsf.first_pool();
            while let Some(this) = pool {
                assert!(this.is_empty());
                pool = self.tlsf.next_pool(this);
            }
        }
        let stats = assert_sound(self.tlsf);
        assert_eq!((stats.used, stats.live_blocks), (0, 0));
    }
}
