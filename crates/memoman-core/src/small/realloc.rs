//! Resizing in the small build: one function to shrink and to grow, forward or backward.

use core::ptr::{self, NonNull};

use super::allocate::{Outcome, REFUSED, exhausted, malloc, memalign, result, settle};
use super::free::{headers, size_before};
use super::free_list;
use crate::block::{Block, Header};
use crate::config::{HEADER, QUANTUM};
use crate::control::Control;
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::returned::explain;
use crate::size_class::{block_size_for, cut_size};

impl Tlsf {
    /// Resizes a block to at least `bytes` bytes and keeps its contents up to the smaller size: in
    /// place forward, else backward, else by a move; O(1) and the copying. On failure the block is
    /// unchanged.
    ///
    /// # Safety
    /// The instance is live, and memory between its pools' outer bounds may be read. On success,
    /// only the returned pointer is used.
    #[inline(always)]
    pub unsafe fn realloc(self, ptr: NonNull<u8>, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        let (control, old) = (self.control(), ptr.as_ptr());
        // SAFETY: live instance, readable memory, the old pointer given up (caller).
        unsafe {
            let mut outcome = resize(control, old, QUANTUM, bytes);
            if outcome == MUST_MOVE {
                let peak = (*control).peak;
                outcome = self.relocate(old, malloc(control, bytes), bytes, peak);
            }
            result(outcome, bytes)
        }
    }

    /// [`Tlsf::realloc`] whose result is aligned to `align`, a power of two, whether the block
    /// moves or not.
    ///
    /// # Safety
    /// The duties of [`Tlsf::realloc`].
    pub unsafe fn realloc_aligned(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        let (control, old) = (self.control(), ptr.as_ptr());
        // SAFETY: live instance, readable memory, the old pointer given up (caller).
        unsafe {
            let mut outcome = resize(control, old, align.max(QUANTUM), bytes);
            if outcome == MUST_MOVE {
                let peak = (*control).peak;
                outcome = self.relocate(old, memalign(control, align, bytes), bytes, peak);
            }
            result(outcome, bytes)
        }
    }

    /// [`Tlsf::realloc_aligned`] within the block and its free neighbours: None, and nothing
    /// changed, when these have no room. `align` is a power of two, at least the quantum. O(1) and
    /// the copying.
    ///
    /// # Safety
    /// The duties of [`Tlsf::realloc`].
    #[inline(never)]
    pub unsafe fn realloc_in_place(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<Option<NonNull<u8>>, Refusal> {
        // SAFETY: live instance, readable memory, the old pointer given up (caller).
        let outcome = unsafe { resize(self.control(), ptr.as_ptr(), align, bytes) };
        if outcome == MUST_MOVE {
            Ok(None)
        } else {
            result(outcome, bytes).map(Some)
        }
    }

    /// Copies a block's contents into `new`, if that is a block, and frees the old one.
    ///
    /// # Safety
    /// The instance is live; `ptr` is a tested block in use; `new` is another of at least `bytes`
    /// bytes, or a failure.
    #[inline(never)]
    unsafe fn relocate(self, ptr: *mut u8, new: Outcome, bytes: usize, peak: usize) -> Outcome {
        // SAFETY: two blocks in use (caller); both hold the bytes that are copied.
        unsafe {
            if new.1.is_some() || new.0.is_null() {
                return new;
            }
            let old = Block::returned(ptr);
            let size = old.header((*self.control()).cookie).size();
            ptr::copy_nonoverlapping(old.payload(), new.0, (size - HEADER).min(bytes));
            if let Err(misuse) = self.free(NonNull::new_unchecked(ptr)) {
                // A neighbour of the old block is overwritten: undo the allocation.
                let _ = self.free(NonNull::new_unchecked(new.0));
                (*self.control()).peak = peak;
                return (ptr, Some(misuse));
            }
            new
        }
    }
}

/// The block cannot be resized in place. No other outcome of [`resize`] has this value.
const MUST_MOVE: Outcome = (ptr::null_mut(), Some(Misuse::Foreign));

/// Resizes a block in place, else [`MUST_MOVE`].
///
/// # Safety
/// The duties of [`Tlsf::realloc`].
#[inline(never)]
unsafe fn resize(control: *mut Control, ptr: *mut u8, align: usize, bytes: usize) -> Outcome {
    let block = Block::returned(ptr);
    // SAFETY: live instance (caller); the block and its neighbours are tested before the first
    // write.
    unsafe {
        let (header, next_header) = headers(control, block);
        let have = header.size();
        if have == 0 {
            return (ptr, Some(explain(control, block)));
        }
        if bytes == 0 {
            return REFUSED;
        }
        // A block taken whole may exceed the largest request: a size that it already has is not
        // refused.
        if bytes > (*control).limit && bytes > have - HEADER {
            return exhausted(control);
        }
        let size = block_size_for(bytes);
        let wanted = cut_size(size);
        let mut total = have;
        if next_header.is_free() {
            total += next_header.size();
        }
        let mut start = block;
        let mut before = header;
        if block.addr() & (align - 1) != 0 || size > total {
            if !header.is_prev_free() {
                return MUST_MOVE;
            }
            let prev_size = size_before(control, block);
            if prev_size == 0 {
                return (ptr, Some(Misuse::SmashedPrev));
            }
            total += prev_size;
            start = block.offset(prev_size.wrapping_neg());
            if total < size || start.addr() & (align - 1) != 0 {
                return MUST_MOVE;
            }
            before = Header::used(have);
        } else if size <= have && wanted >= have {
            return (block.payload(), None);
        }
        if next_header.is_free() {
            let next = block.offset(have);
            match free_list::next_sound_to_merge(control, next) {
                None => free_list::unlink(control, next),
                Some(Misuse::SmashedLink) => return (next.payload(), Some(Misuse::SmashedLink)),
                misuse => return (ptr, misuse),
            }
        }
        if start != block {
            free_list::unlink(control, start);
            // The two may overlap. The old header would pass for a live block: a tombstone replaces
            // it first.
            block.set_header((*control).cookie, Header::tombstone());
            ptr::copy(block.payload(), start.payload(), (have - HEADER).min(bytes));
        }
        settle(control, start, before, total, wanted);
        (start.payload(), None)
    }
}
