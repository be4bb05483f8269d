//! Resizing in the small build: one way for shrinking and growing, forward or backward.

use core::ptr::{self, NonNull};

use crate::allocate::{exhausted, settle};
use crate::block::{Block, Header};
use crate::config::{HEADER, QUANTUM};
use crate::free::headers;
use crate::free_list;
use crate::live::explain;
use crate::misuse::{Misuse, Refusal};
use crate::pools::prev_free_block;
use crate::size_class::{block_size_for, cut_size};
use crate::tlsf::Tlsf;

impl Tlsf {
    /// Resizes a block to at least `bytes` bytes and keeps its contents up to the smaller size: in place
    /// forward, then backward, then by moving; O(1) and the copying. On failure the block is as it was.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; only on success is the old pointer given up.
    pub unsafe fn realloc(self, ptr: NonNull<u8>, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the same duties.
        unsafe {
            match self.resize_outlined(ptr, QUANTUM, bytes)? {
                Resized::InPlace(resized) => Ok(resized),
                Resized::Not(size) => {
                    let peak = (*self.control()).peak;
                    let new = self.malloc(bytes)?;
                    self.relocate(ptr, size, new, bytes, peak)
                }
            }
        }
    }

    /// [`Tlsf::realloc`] whose result is aligned to `align`, a power of two, whether the block moves or not.
    ///
    /// # Safety
    /// As for [`Tlsf::realloc`].
    pub unsafe fn realloc_aligned(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        // SAFETY: the same duties.
        unsafe {
            match self.resize_outlined(ptr, align.max(QUANTUM), bytes)? {
                Resized::InPlace(resized) => Ok(resized),
                Resized::Not(size) => {
                    let peak = (*self.control()).peak;
                    let new = self.memalign(align, bytes)?;
                    self.relocate(ptr, size, new, bytes, peak)
                }
            }
        }
    }

    /// The resized block, or the tested one that would have to move.
    ///
    /// # Safety
    /// As for [`Tlsf::realloc`].
    #[inline(never)]
    pub(crate) unsafe fn resize_outlined(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<Resized, Refusal> {
        let control = self.control();
        let block = Block::at(ptr.as_ptr());
        // SAFETY: live instance (caller); the block and its neighbours are tested before they are believed.
        unsafe {
            let (header, next_header) = headers(control, block);
            let have = header.size();
            if have == 0 {
                return Err(Refusal::Misuse(explain(control, block), ptr.as_ptr()));
            }
            if bytes == 0 {
                return Err(Refusal::Invalid);
            }
            if bytes > (*control).limit {
                return Err(exhausted(control));
            }
            let size = block_size_for(bytes);
            let wanted = cut_size(size);
            let next = block.offset(have);
            let mut total = have;
            if next_header.is_free() {
                total += next_header.size();
            }
            let misplaced = block.addr() & (align - 1) != 0;
            if !misplaced && size <= have && wanted >= have {
                return Ok(Resized::InPlace(ptr));
            }
            let mut start = block;
            let mut before = header;
            if misplaced || size > total {
                if !header.is_prev_free() {
                    return Ok(Resized::Not(have));
                }
                let Some((prev, prev_size)) = prev_free_block(control, block) else {
                    return Err(Refusal::Misuse(Misuse::SmashedPrev, ptr.as_ptr()));
                };
                total += prev_size;
                if total < size || prev.addr() & (align - 1) != 0 {
                    return Ok(Resized::Not(have));
                }
                start = prev;
                before = Header::used(have);
            }
            if next_header.is_free() {
                if let Some(misuse) = free_list::next_sound_to_merge(control, next) {
                    let at = if misuse == Misuse::SmashedLink {
                        next
                    } else {
                        block
                    };
                    return Err(Refusal::Misuse(misuse, at.payload()));
                }
                free_list::unlink(control, next);
            }
            if start != block {
                free_list::unlink(control, start);
                // The two may overlap. What stays of the old header would look like a live block: bury it first.
                block.set_header((*control).cookie, Header::tombstone());
                ptr::copy(block.payload(), start.payload(), (have - HEADER).min(bytes));
            }
            settle(control, start, before, total, wanted);
            Ok(Resized::InPlace(NonNull::new_unchecked(start.payload())))
        }
    }

    /// Copies a block's contents into a new one and frees it.
    ///
    /// # Safety
    /// `ptr` is a tested block in use of `size` bytes, header included; `new` another one of at least `bytes` bytes.
    #[inline(never)]
    unsafe fn relocate(
        self,
        ptr: NonNull<u8>,
        size: usize,
        new: NonNull<u8>,
        bytes: usize,
        peak: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: tested (caller); the new block is another one, and holds what is copied.
        unsafe {
            ptr::copy_nonoverlapping(ptr.as_ptr(), new.as_ptr(), (size - HEADER).min(bytes));
            if let Err(misuse) = self.free(ptr) {
                // A neighbour of the old block is overwritten: as if nothing had been asked.
                let _ = self.free(new);
                (*self.control()).peak = peak;
                return Err(Refusal::Misuse(misuse, ptr.as_ptr()));
            }
            Ok(new)
        }
    }
}

/// What became of a block that was to be resized where it is.
pub(crate) enum Resized {
    InPlace(NonNull<u8>),
    /// There is no room: it is as it was, of so many bytes, header included.
    Not(usize),
}
