//! The `Allocator` trait for `&`[`Heap`]: of the versions of the `allocator-api2` crate, on stable
//! Rust, and of `core`, on nightly. Their traits are equal but different: each is implemented.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::heap::Heap;
use crate::misuse::Refusal;

/// Panics when the heap is found overwritten: None, an `AllocError`, means that memory is short.
fn answer(result: Result<NonNull<u8>, Refusal>, bytes: usize) -> Option<NonNull<[u8]>> {
    match result {
        Ok(block) => Some(NonNull::slice_from_raw_parts(block, bytes)),
        Err(Refusal::Misuse(misuse, _)) => misuse.panic(),
        Err(Refusal::Exhausted | Refusal::Invalid) => None,
    }
}

/// Implements the trait of one crate.
macro_rules! implement {
    ($feature:literal, $allocator:path, $error:path) => {
        #[cfg(feature = $feature)]
        const _: () = {
            use $allocator as Allocator;
            use $error as AllocError;

            // SAFETY: a block stays in place and valid until it is freed: while the reference
            // lives, the heap can be neither moved nor reset nor dropped. Copies of the reference
            // name the same heap.
            unsafe impl Allocator for &Heap<'_> {
                fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                    answer(Heap::allocate(self, layout), layout.size()).ok_or(AllocError)
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
                        .ok_or(AllocError)
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
                        .ok_or(AllocError)
                }
            }
        };
    };
}

implement!(
    "allocator-api2",
    allocator_api2::alloc::Allocator,
    allocator_api2::alloc::AllocError
);
implement!(
    "allocator-api2-03",
    allocator_api2_03::alloc::Allocator,
    allocator_api2_03::alloc::AllocError
);
implement!(
    "allocator-api2-02",
    allocator_api2_02::alloc::Allocator,
    allocator_api2_02::alloc::AllocError
);
implement!("nightly", core::alloc::Allocator, core::alloc::AllocError);
