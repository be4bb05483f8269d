//! A heap with a cache.

use memoman_core::{Heap, Memory, Misuse};
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// The largest request with a class, and the table's bytes for it.
pub(crate) const MOST: usize = 16 << 10;
pub(crate) const TABLE: usize = 1632;
pub(crate) const WORD: usize = size_of::<usize>();

pub(crate) fn memory(bytes: usize) -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); bytes]
}

pub(crate) fn table() -> Vec<MaybeUninit<u8>> {
    memory(TABLE + 15)
}

pub(crate) fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

pub(crate) fn cached<'pool>(
    memory: &'pool mut Memory,
    table: &'pool mut Memory,
    blocks: usize,
) -> Heap<'pool> {
    let mut heap = Heap::new(memory).unwrap();
    assert!(heap.set_cache(table, blocks));
    heap
}

pub(crate) fn free(heap: &Heap, block: NonNull<u8>, bytes: usize) -> Result<(), Misuse> {
    // SAFETY: a block of this heap, or a test of misuse, which the header shows.
    unsafe { heap.deallocate(block, layout(bytes)) }
}

/// A word of a block, from its header at -1 on.
pub(crate) fn word(block: NonNull<u8>, index: isize) -> *mut usize {
    block.as_ptr().cast::<usize>().wrapping_offset(index)
}
