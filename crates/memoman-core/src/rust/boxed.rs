//! [`Boxed`]: a value in a block of a heap.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::heap::Heap;

/// A value in a block of its own in a [`Heap`]. Dropping it frees the block, and panics when the
/// heap is found overwritten.
///
/// ```
/// use memoman_core::{Boxed, Heap};
/// use std::mem::MaybeUninit;
///
/// let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let heap = Heap::new(&mut memory).unwrap();
/// let mut samples: Boxed<[f32; 256]> = heap.boxed([0.0; 256]).unwrap();
/// samples[7] = 1.0;
/// assert_eq!(samples.iter().sum::<f32>(), 1.0);
/// ```
///
/// The heap cannot be reset, moved or dropped while the value lives:
///
/// ```compile_fail,E0502
/// # use memoman_core::Heap;
/// # use std::mem::MaybeUninit;
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let mut heap = Heap::new(&mut memory).unwrap();
/// let value = heap.boxed(1).unwrap();
/// heap.reset();
/// assert_eq!(*value, 1);
/// ```
pub struct Boxed<'heap, T> {
    heap: &'heap Heap<'heap>,
    value: NonNull<T>,
    owned: PhantomData<T>,
}

impl Heap<'_> {
    /// Moves a value into a block of its own; O(1), apart from the move. The error is the value,
    /// when no free block is large enough.
    ///
    /// # Panics
    /// When the heap is found overwritten.
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let heap = Heap::new(&mut memory).unwrap();
    /// let name = heap.boxed(String::from("in the heap")).unwrap();
    /// assert_eq!(name.len(), 11);
    /// assert_eq!(heap.boxed([1u8; 20_000]).unwrap_err(), [1u8; 20_000]);
    /// ```
    pub fn boxed<T>(&self, value: T) -> Result<Boxed<'_, T>, T> {
        match self.allocate(Layout::new::<T>()) {
            Ok(block) => {
                let place = block.cast::<T>();
                // SAFETY: a new block of the value's size and alignment.
                unsafe { place.write(value) };
                Ok(Boxed {
                    heap: self,
                    value: place,
                    owned: PhantomData,
                })
            }
            Err(crate::Refusal::Misuse(misuse, _)) => misuse.panic(),
            Err(_) => Err(value),
        }
    }
}

impl<T> Deref for Boxed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block holds a value until `self` is dropped.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Boxed<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the block holds a value until `self` is dropped; `self` is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Boxed<'_, T> {
    fn drop(&mut self) {
        // SAFETY: dropping `self` drops the value once and frees once its block, which came from
        // this heap with this layout.
        let freed = unsafe {
            self.value.drop_in_place();
            self.heap.deallocate(self.value.cast(), Layout::new::<T>())
        };
        if let Err(misuse) = freed {
            misuse.panic()
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Boxed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
