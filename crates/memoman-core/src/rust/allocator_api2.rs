//! [`Allocator`] of the `allocator-api2` crate for `&`[`Heap`], on stable Rust.

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};

use super::heap::Heap;
use crate::misuse::Refusal;

/// Panics when the heap is found overwritten: `AllocError` means that memory is short.
fn answer(result: Result<NonNull<u8>, Refusal>, bytes: usize) -> Result<NonNull<[u8]>, AllocError> {
    match result {
        Ok(block) => Ok(NonNull::slice_from_raw_parts(block, bytes)),
        Err(Refusal::Misuse(misuse, _)) => misuse.panic(),
        Err(Refusal::Exhausted | Refusal::Invalid) => Err(AllocError),
    }
}

// SAFETY: a block stays in place and valid until it is freed: while the reference lives, the heap
// can be neither moved nor reset nor dropped. Copies of the reference name the same heap.
unsafe impl Allocator for &Heap<'_> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        answer(Heap::allocate(self, layout), layout.size())
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a live block of this heap with this layout (caller).
        if let Err(misuse) = unsafe { Heap::deallocate(self, block, layout) } {
            misuse.panic()
        }
    }

    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: a live block of this heap with layout `old` (caller).
        answer(unsafe { self.reallocate(block, old, new) }, new.size())
    }

    unsafe fn grow_zeroed(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: a live block of this heap with layout `old` (caller); grown, it holds
        // `new.size()` bytes.
        unsafe {
            let grown = self.grow(block, old, new)?;
            grown
                .cast::<u8>()
                .add(old.size())
                .write_bytes(0, new.size() - old.size());
            Ok(grown)
        }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: a live block of this heap with layout `old` (caller).
        answer(unsafe { self.reallocate(block, old, new) }, new.size())
    }
}
