//! Repeats calls in an allocator.

use std::ptr::{self, NonNull};

use super::{ALIGN, Call, What};
use crate::heap::PoolHeap;

/// An allocator in which calls are repeated. Null is a refusal, after which the block of `realloc`
/// lives on.
///
/// # Safety
/// A block that a method returns is memory of at least the requested bytes until it is freed or
/// resized, and overlaps no other.
pub(crate) unsafe trait Allocator {
    fn malloc(&mut self, size: usize) -> *mut u8;
    fn memalign(&mut self, align: usize, size: usize) -> *mut u8;
    /// # Safety
    /// `block` is a live block of this allocator, obtained or last resized for `old` bytes with
    /// this alignment; on success it is given up.
    unsafe fn realloc(&mut self, block: *mut u8, align: usize, old: usize, new: usize) -> *mut u8;
    /// # Safety
    /// `block` is a live block of this allocator, obtained or last resized for `size` bytes with
    /// this alignment, and is given up.
    unsafe fn free(&mut self, block: *mut u8, align: usize, size: usize);
}

/// A live block: address, requested bytes, alignment.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    block: *mut u8,
    size: usize,
    align: usize,
}

impl Slot {
    /// The block; null when none is live.
    pub(crate) fn block(&self) -> *mut u8 {
        self.block
    }
}

impl Default for Slot {
    fn default() -> Slot {
        Slot {
            block: ptr::null_mut(),
            size: 0,
            align: 0,
        }
    }
}

/// Repeats calls in an allocator that has no live block: the index of the first refused call, or
/// None. `slots` has an entry for each block and is overwritten; blocks that are live at the end
/// stay so.
pub(crate) fn run<A: Allocator>(
    calls: &[Call],
    allocator: &mut A,
    slots: &mut [Slot],
) -> Option<usize> {
    slots.fill(Slot::default());
    for (index, call) in calls.iter().enumerate() {
        let slot = &mut slots[call.block as usize];
        let size = call.size as usize;
        match call.what {
            What::Malloc | What::Memalign => {
                let align = if call.what == What::Malloc {
                    ALIGN
                } else {
                    1 << call.align
                };
                let block = if call.what == What::Malloc {
                    allocator.malloc(size)
                } else {
                    allocator.memalign(align, size)
                };
                if block.is_null() {
                    return Some(index);
                }
                *slot = Slot { block, size, align };
            }
            What::Realloc if slot.block.is_null() => {}
            What::Realloc => {
                // SAFETY: a block of this run that is live: its slot is not null, and is updated.
                let block = unsafe { allocator.realloc(slot.block, slot.align, slot.size, size) };
                if block.is_null() {
                    return Some(index);
                }
                *slot = Slot {
                    block,
                    size,
                    ..*slot
                };
            }
            What::Free if slot.block.is_null() => {}
            What::Free => {
                // SAFETY: a block of this run that is live: its slot is not null, and is cleared.
                unsafe { allocator.free(slot.block, slot.align, slot.size) };
                *slot = Slot::default();
            }
        }
    }
    None
}

/// memoman's core with one pool; it notes how far the blocks reach.
pub(crate) struct Core<'m> {
    pub(crate) heap: PoolHeap<'m>,
    /// Bytes of the smallest pool that has every block where it was.
    pub(crate) reach: usize,
}

impl<'m> Core<'m> {
    pub(crate) fn new(heap: PoolHeap<'m>) -> Core<'m> {
        Core { heap, reach: 0 }
    }

    #[inline]
    fn note(&mut self, block: Option<NonNull<u8>>) -> *mut u8 {
        let Some(block) = block else {
            return ptr::null_mut();
        };
        // SAFETY: the block has just been allocated or resized.
        let end = unsafe { self.heap.end_of(block) };
        // Behind it lies the header of the next block, or of the pool's end.
        self.reach = self.reach.max(end + size_of::<usize>());
        block.as_ptr()
    }
}

// SAFETY: memoman's core returns such blocks.
unsafe impl Allocator for Core<'_> {
    #[inline]
    fn malloc(&mut self, size: usize) -> *mut u8 {
        let block = self.heap.malloc(size);
        self.note(block)
    }

    #[inline]
    fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        let block = self.heap.memalign(align, size);
        self.note(block)
    }

    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, align: usize, _: usize, new: usize) -> *mut u8 {
        let Some(block) = NonNull::new(block) else {
            return ptr::null_mut();
        };
        // SAFETY: a live block, given up on success (caller).
        let block = unsafe {
            if align <= ALIGN {
                self.heap.realloc(block, new)
            } else {
                self.heap.realloc_aligned(block, align, new)
            }
        };
        self.note(block)
    }

    #[inline]
    unsafe fn free(&mut self, block: *mut u8, _: usize, _: usize) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: a live block, given up (caller).
            unsafe { self.heap.free(block) }
        }
    }
}
