//! A heap of memoman's own core, over memory of this process: what `plan` plays with and `advise`
//! and `replay` repeat a trace in.

use std::io;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::slice;

use memmap2::{MmapMut, MmapOptions};
use memoman_core::{Refusal, Tlsf};

/// The start of a pool is a multiple of this many bytes, plus the offset that the caller chooses.
const PAGE: usize = 4096;

/// Bytes of a pool before the payload of its first block.
pub(crate) const FIRST_PAYLOAD: usize = Tlsf::POOL_OVERHEAD - Tlsf::ALLOC_OVERHEAD;

/// Memory for pools, reserved and not committed: pages that are never written cost nothing.
pub(crate) struct Memory {
    map: MmapMut,
}

impl Memory {
    pub(crate) fn reserve(bytes: usize) -> io::Result<Memory> {
        let bytes = bytes
            .checked_next_multiple_of(PAGE)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let map = MmapOptions::new()
            .len(bytes.max(PAGE))
            .no_reserve_swap()
            .map_anon()?;
        Ok(Memory { map })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.map.len()
    }

    /// The first byte.
    pub(crate) fn start(&mut self) -> *mut u8 {
        self.map.as_mut_ptr()
    }
}

/// An instance with one pool.
pub(crate) struct PoolHeap<'m> {
    tlsf: Tlsf,
    control: Vec<usize>,
    pool: *mut u8,
    bytes: usize,
    memory: PhantomData<&'m mut Memory>,
}

impl<'m> PoolHeap<'m> {
    /// A heap for requests of up to `max_block` bytes whose pool is `bytes` bytes of `memory`,
    /// `offset` bytes behind its start. None when that is no pool, or more than the memory.
    pub(crate) fn new(
        memory: &'m mut Memory,
        max_block: usize,
        offset: usize,
        bytes: usize,
    ) -> Option<PoolHeap<'m>> {
        let control_bytes = Tlsf::control_size(max_block);
        if control_bytes == 0 || offset.checked_add(bytes)? > memory.bytes() {
            return None;
        }
        let mut control = vec![0usize; control_bytes.div_ceil(size_of::<usize>())];
        let pool = memory.map.as_mut_ptr().wrapping_add(offset);
        // SAFETY: `control` has the bytes of the control structure and is aligned for a word; the
        // pool lies in the mapping (tested). Both are this value's until it is dropped: `control`
        // is its own and never resized, `memory` is borrowed exclusively.
        let tlsf = unsafe {
            let tlsf = Tlsf::create(control.as_mut_ptr().cast(), max_block)?;
            tlsf.add_pool(pool, bytes)?;
            tlsf
        };
        Some(PoolHeap {
            tlsf,
            control,
            pool,
            bytes,
            memory: PhantomData,
        })
    }

    /// A block of at least `bytes` bytes; None when the request is refused.
    #[inline]
    pub(crate) fn malloc(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        // SAFETY: the instance lives as long as this value, which no other thread uses meanwhile.
        settle(unsafe { self.tlsf.malloc(bytes) })
    }

    #[inline]
    pub(crate) fn memalign(&mut self, align: usize, bytes: usize) -> Option<NonNull<u8>> {
        // SAFETY: as in `malloc`: the instance lives, and no other thread uses it meanwhile.
        settle(unsafe { self.tlsf.memalign(align, bytes) })
    }

    /// # Safety
    /// `block` is a live block of this heap; on success it is given up.
    #[inline]
    pub(crate) unsafe fn realloc(
        &mut self,
        block: NonNull<u8>,
        bytes: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the instance lives as long as this value; the block is live and given up on
        // success (caller).
        settle(unsafe { self.tlsf.realloc(block, bytes) })
    }

    /// # Safety
    /// `block` is a live block of this heap; on success it is given up.
    pub(crate) unsafe fn realloc_aligned(
        &mut self,
        block: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the instance lives as long as this value; the block is live and given up on
        // success (caller).
        settle(unsafe { self.tlsf.realloc_aligned(block, align, bytes) })
    }

    /// # Safety
    /// `block` is a live block of this heap, and is given up.
    #[inline]
    pub(crate) unsafe fn free(&mut self, block: NonNull<u8>) {
        // SAFETY: the instance lives as long as this value; the block is live and given up
        // (caller).
        if let Err(misuse) = unsafe { self.tlsf.free(block) } {
            panic!(
                "memoman: the replayed heap is damaged: {:?}",
                misuse.message()
            );
        }
    }

    /// Bytes from the start of the pool to the end of a live block.
    ///
    /// # Safety
    /// `block` is a live block of this heap.
    #[inline]
    pub(crate) unsafe fn end_of(&self, block: NonNull<u8>) -> usize {
        // SAFETY: a live block (caller).
        let usable = unsafe { Tlsf::block_size(block.as_ptr()) };
        self.offset_of(block) + usable
    }

    /// Bytes from the start of the pool to the payload of a block.
    #[inline]
    pub(crate) fn offset_of(&self, block: NonNull<u8>) -> usize {
        block.as_ptr().addr() - self.pool.addr()
    }

    /// The payload at this offset from the start of the pool.
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.bytes);
        NonNull::new(self.pool.wrapping_add(offset)).expect("the pool is mapped")
    }

    pub(crate) fn stats(&self) -> memoman_core::Stats {
        // SAFETY: the instance lives as long as this value.
        unsafe { self.tlsf.stats() }
    }

    /// Every invariant of the heap holds; O(blocks).
    pub(crate) fn is_sound(&self) -> bool {
        // SAFETY: the instance lives as long as this value.
        unsafe { self.tlsf.diagnose().is_none() }
    }

    /// Calls `f` with the payload offset, the block's bytes and its use, in address order.
    pub(crate) fn walk(&self, f: &mut dyn FnMut(usize, usize, bool)) {
        let start = self.pool.addr();
        // SAFETY: the instance lives as long as this value; `f` has no access to it.
        unsafe {
            if let Some(pool) = self.tlsf.first_pool() {
                pool.walk(&mut |payload, usable, used| {
                    let bytes = usable + Tlsf::ALLOC_OVERHEAD;
                    f(payload.as_ptr().addr() - start, bytes, used);
                });
            }
        }
    }

    /// The first word of a free block's payload: the address of its successor in its free list.
    pub(crate) fn link_at(&self, offset: usize) -> usize {
        let link = self.at(offset).cast::<usize>();
        // SAFETY: the word lies in the pool (`at`, and a payload is never its last word), which is
        // mapped; a payload is aligned for a word.
        unsafe { link.read() }
    }

    fn pool_words(&self) -> usize {
        self.bytes / size_of::<usize>()
    }

    /// The whole state: the words of the control structure, then those of the pool.
    pub(crate) fn image(&self) -> Vec<usize> {
        let control = self.tlsf.as_raw().cast::<usize>();
        let mut image = Vec::with_capacity(self.control.len() + self.pool_words());
        // SAFETY: the control structure and the pool are this value's, initialised (zeroed when
        // made), and no reference to them exists; the pool's start is aligned for a word, since
        // the offset is a multiple of the quantum wherever images are taken.
        unsafe {
            image.extend_from_slice(slice::from_raw_parts(control, self.control.len()));
            image.extend_from_slice(slice::from_raw_parts(self.pool.cast(), self.pool_words()));
        }
        image
    }

    /// Restores a state that [`PoolHeap::image`] returned for this same heap.
    pub(crate) fn restore(&mut self, image: &[usize]) {
        let (control, pool) = image.split_at(self.control.len());
        assert_eq!(pool.len(), self.pool_words());
        // SAFETY: the words are this value's own, of this length (tested), and the image is no part
        // of them.
        unsafe {
            let to = self.tlsf.as_raw().cast::<usize>();
            to.copy_from_nonoverlapping(control.as_ptr(), control.len());
            let to = self.pool.cast::<usize>();
            to.copy_from_nonoverlapping(pool.as_ptr(), pool.len());
        }
    }
}

#[inline]
fn settle(result: Result<NonNull<u8>, Refusal>) -> Option<NonNull<u8>> {
    match result {
        Ok(block) => Some(block),
        Err(Refusal::Misuse(misuse, _)) => {
            panic!(
                "memoman: the replayed heap is damaged: {:?}",
                misuse.message()
            )
        }
        Err(_) => None,
    }
}
