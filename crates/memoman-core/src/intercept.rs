//! Interception: each hot call on an instance is refused with [`Misuse::Intercepted`], so that the
//! layer above can act around it, for example mark memory for a checker.
//!
//! Interception costs the hot calls nothing: an intercepted instance has a largest request of 0 and
//! no quanta for a payload, so the ordinary tests send every call to a cold path, which tests for
//! it. Both words follow from others in the control structure, so that no pointer is followed to
//! restore them.

use core::ptr::NonNull;

use crate::config::HEADER;
use crate::control::Control;
#[cfg(not(memoman_small))]
use crate::hooks::Running;
use crate::instance::Tlsf;
use crate::misuse::Misuse;
use crate::pool::Pool;
use crate::returned::{live, prev_free_block};

/// A block in use and its free neighbours: the room to resize it in place.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Payload of the previous block if that is free, else of the block itself.
    pub start: *mut u8,
    /// Bytes from there to the end of the next block if that is free, else of the block itself.
    pub bytes: usize,
}

impl Control {
    /// The instance is intercepted. (A destroyed one has `max_size` 0.) No layer above the small
    /// build intercepts.
    #[inline(always)]
    pub(crate) fn is_intercepted(&self) -> bool {
        cfg!(not(memoman_small)) && self.limit == 0 && self.max_size != 0
    }
}

impl Tlsf {
    /// Intercepts `malloc`, `calloc`, `memalign`, `realloc`, `realloc_aligned` and `free`: they
    /// return [`Misuse::Intercepted`] and do nothing. O(1).
    ///
    /// # Safety
    /// The instance is live. No other method is called before [`Tlsf::end_interception`].
    #[cfg(not(memoman_small))]
    pub unsafe fn intercept(self) {
        // SAFETY: live (caller).
        let control = unsafe { &mut *self.control() };
        #[cfg(not(memoman_small))]
        if !control.hooks.cache.is_null() && control.hooks.running() <= Running::Exhausted as usize
        {
            // SAFETY: the words are those that were set, so this is the table of a live instance.
            unsafe {
                (*control.hooks.cache).inside = Control::quanta_between(control.low, control.high)
            };
        }
        control.limit = 0;
        control.quanta = 0;
    }

    /// Ends the interception. O(1).
    ///
    /// # Safety
    /// The instance is live.
    #[cold]
    #[cfg(not(memoman_small))]
    pub unsafe fn end_interception(self) {
        // SAFETY: live (caller).
        let control = unsafe { &mut *self.control() };
        // Wrapped around only when `max_size` has been overwritten.
        control.limit = control.max_size.wrapping_sub(HEADER);
        control.quanta = Control::quanta_between(control.low, control.high);
    }

    /// True between [`Tlsf::intercept`] and [`Tlsf::end_interception`]. O(1).
    ///
    /// # Safety
    /// The instance is live.
    #[cfg(not(memoman_small))]
    pub unsafe fn is_intercepted(self) -> bool {
        // SAFETY: live (caller).
        unsafe { (*self.control()).is_intercepted() }
    }

    /// The memory that [`Tlsf::realloc_in_place`] may write a block's contents to; O(1).
    /// Fails on the misuse that [`Tlsf::free`] reports.
    ///
    /// # Safety
    /// The instance is live, and the memory between its pools' outer bounds may be read.
    #[cold]
    #[inline(never)]
    pub unsafe fn reach(self, ptr: NonNull<u8>) -> Result<Reach, Misuse> {
        let control = self.control();
        // SAFETY: live instance (caller); the block and its neighbours are tested before their
        // sizes are used.
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
}

impl Pool {
    /// The pool's instance; None when the pool's header has been overwritten.
    ///
    /// # Safety
    /// The pool is live, and so is its instance.
    pub unsafe fn instance(self) -> Option<Tlsf> {
        // SAFETY: the pool is live (caller).
        unsafe {
            let control = self.control();
            if control.is_null() || !self.is_sound(control) {
                return None;
            }
            Tlsf::new(control)
        }
    }
}
