//! Interception: a layer above may ask that each hot call on an instance is refused with
//! [`Misuse::Intercepted`], in order to do something around it: to tell a memory checker what is in use, for example.
//!
//! It costs the hot calls nothing. An intercepted instance has a greatest request of 0 and no room between
//! its outer bounds, so the tests that are made anyway send every call to a cold path, which looks here.

use core::ptr::NonNull;

use crate::config::HEADER;
use crate::control::Control;
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::pool::Pool;
use crate::realloc::Resized;
use crate::returned::{live, prev_free_block};

/// Memory around a block in use that the block could grow into without being moved elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Payload of the free block before, or of the block itself.
    pub start: *mut u8,
    /// Bytes from there to the end of the free block behind, or of the block itself.
    pub bytes: usize,
}

impl Control {
    /// The state that [`Tlsf::intercept`] makes. (A destroyed instance has no greatest block either.)
    #[inline(always)]
    pub(crate) fn is_intercepted(&self) -> bool {
        self.limit == 0 && self.max_size != 0
    }
}

impl Tlsf {
    /// From here on `malloc`, `calloc`, `memalign`, `realloc`, `realloc_aligned` and `free` give
    /// [`Misuse::Intercepted`] and do nothing. No other method may be called before [`Tlsf::end_interception`]. O(1).
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn intercept(self) {
        // SAFETY: live (caller).
        let control = unsafe { &mut *self.control() };
        control.limit = 0;
        control.low = usize::MAX;
        control.quanta = 0;
        control.high = 0;
    }

    /// Ends the interception. O(1).
    ///
    /// # Safety
    /// The instance is live.
    #[cold]
    pub unsafe fn end_interception(self) {
        // SAFETY: live (caller), so its list of pools is sound.
        unsafe {
            let control = &mut *self.control();
            control.limit = control.max_size - HEADER;
            let (low, high) = control.outer_bounds();
            control.set_bounds(low, high);
        }
    }

    /// The calls are intercepted now. O(1).
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn is_intercepted(self) -> bool {
        // SAFETY: live (caller).
        unsafe { (*self.control()).is_intercepted() }
    }

    /// What [`Tlsf::realloc_in_place`] may write the contents of a block to; O(1).
    ///
    /// # Safety
    /// As for [`Tlsf::free`].
    #[cold]
    #[inline(never)]
    pub unsafe fn reach(self, ptr: NonNull<u8>) -> Result<Reach, Misuse> {
        let control = self.control();
        // SAFETY: live instance (caller); the block and its neighbours are tested before they are believed.
        unsafe {
            let block = live(control, ptr)?;
            let mut start = block.block;
            let mut bytes = block.header.size() - HEADER;
            if block.header.is_prev_free() {
                let (prev, prev_size, _) =
                    prev_free_block(control, block.block).ok_or(Misuse::SmashedPrev)?;
                start = prev;
                bytes += prev_size;
            }
            if block.next_header.is_free() {
                bytes += block.next_header.size();
            }
            Ok(Reach {
                start: start.payload(),
                bytes,
            })
        }
    }

    /// [`Tlsf::realloc_aligned`] that does not move the block elsewhere: None, and nothing changed, when neither it nor
    /// its neighbours have the room. `align` is a power of two, at least the quantum. O(1) and the copying.
    ///
    /// # Safety
    /// As for [`Tlsf::realloc_aligned`].
    #[cold]
    #[inline(never)]
    pub unsafe fn realloc_in_place(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<Option<NonNull<u8>>, Refusal> {
        // SAFETY: the same duties.
        unsafe {
            Ok(match self.resize_in_place(ptr, align, bytes)? {
                Resized::InPlace(resized) => Some(resized),
                Resized::Not(_) => None,
            })
        }
    }
}

impl Pool {
    /// The instance that this pool belongs to; None when the pool's header has been overwritten.
    ///
    /// # Safety
    /// The pool is live, and so is its instance.
    pub unsafe fn instance(self) -> Option<Tlsf> {
        // SAFETY: live (caller).
        unsafe {
            let control = self.control();
            if control.is_null() || !self.is_sound(control) {
                return None;
            }
            Tlsf::new(control)
        }
    }
}
