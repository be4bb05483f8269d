//! A heap of one pool with known blocks.

use super::fronts::ByTurns;
use super::{Instance, Region, assert_sound};
use memoman_core::Tlsf;
use std::ptr::NonNull;

const WORD: usize = size_of::<usize>();

/// An instance whose one pool is one free block of `size` bytes, header included.
pub(crate) struct Heap {
    pub(crate) instance: Instance,
    pub(crate) region: Region,
}

impl Heap {
    pub(crate) fn new(size: usize) -> Heap {
        Heap::with(size, 1 << 20)
    }

    pub(crate) fn with(size: usize, max_block: usize) -> Heap {
        let instance = Instance::new(max_block);
        let region = Region::new(Tlsf::POOL_OVERHEAD - WORD + size, 0, 0xFF);
        // SAFETY: the region outlives the instance's use.
        unsafe { instance.tlsf.add_pool(region.start(), region.bytes()) }.unwrap();
        Heap { instance, region }
    }

    pub(crate) fn tlsf(&self) -> Tlsf {
        self.instance.tlsf
    }

    /// Size, header included, and "in use" of each block; the heap is sound.
    pub(crate) fn blocks(&self) -> Vec<(usize, bool)> {
        assert_sound(self.tlsf());
        let mut found = Vec::new();
        // SAFETY: live instance.
        unsafe {
            let pool = self.tlsf().first_pool().unwrap();
            pool.walk(&mut |_, size, used| found.push((size + WORD, used)));
        }
        found
    }

    /// Allocates a block of exactly `size` bytes, header included.
    pub(crate) fn take(&self, size: usize) -> NonNull<u8> {
        // SAFETY: live instance.
        let block = unsafe { self.tlsf().malloc(size - WORD) }.unwrap();
        // SAFETY: a live block.
        assert_eq!(unsafe { Tlsf::block_size(block.as_ptr()) }, size - WORD);
        block
    }

    pub(crate) fn free(&self, block: NonNull<u8>) {
        // SAFETY: a live block, freed once.
        unsafe { self.tlsf().free_by_turns(block) }
            .map(drop)
            .unwrap();
    }
}
