//! Resizing. A block moves if there is room, so that uses of the old pointer are found; it is
//! resized in place only if there is none.

use core::ptr::{self, NonNull};

use memoman_core::Tlsf;
use memoman_core::config::{HEADER, QUANTUM, WORD};

use crate::block::{Block, By, FILL_MAX, FREED, FRESH, GUARD};
use crate::fault::Refusal;
use crate::heap::{DebugTlsf, refusal};

impl DebugTlsf {
    /// `Tlsf::realloc`.
    ///
    /// # Safety
    /// The duties of `Tlsf::realloc`.
    pub unsafe fn realloc(self, ptr: NonNull<u8>, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live; the old pointer is given up on success (caller).
        unsafe { self.resize(ptr, QUANTUM, bytes, By::default()) }
    }

    /// [`DebugTlsf::realloc`] by a function that is named.
    ///
    /// # Safety
    /// The duties of `Tlsf::realloc`.
    pub unsafe fn realloc_as(
        self,
        ptr: NonNull<u8>,
        bytes: usize,
        by: By,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live; the old pointer is given up on success (caller).
        unsafe { self.resize(ptr, QUANTUM, bytes, by) }
    }

    /// `Tlsf::realloc_aligned`.
    ///
    /// # Safety
    /// The duties of `Tlsf::realloc_aligned`.
    pub unsafe fn realloc_aligned(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        // SAFETY: live; the old pointer is given up on success (caller).
        unsafe { self.resize(ptr, align.max(QUANTUM), bytes, By::default()) }
    }

    unsafe fn resize(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
        by: By,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live (caller); the block is tested before its record is used.
        unsafe {
            self.tick()?;
            let block = self.live_for(ptr.as_ptr(), by)?;
            if bytes == 0 {
                return Err(Refusal::Invalid);
            }
            let is_enough = bytes <= block.size() && ptr.as_ptr().addr().is_multiple_of(align);
            // In place, where a copy would show nothing: the same size, or a block that quarantine
            // does not take.
            if is_enough && (bytes == block.size() || !self.quarantines(block)) {
                return self.shrink(block, bytes).map(|()| ptr);
            }
            match self.allocate(align, bytes) {
                Ok(new) => self.relocate(block, new, bytes),
                Err(Refusal::Exhausted) if is_enough => {
                    // The block itself serves the request.
                    self.inner().withdraw_refusal();
                    self.shrink(block, bytes).map(|()| ptr)
                }
                Err(Refusal::Exhausted) => self.resize_in_place(block, align, bytes),
                Err(other) => Err(other),
            }
        }
    }

    /// Copies the contents to a new block and retires the old one.
    unsafe fn relocate(
        self,
        old: Block,
        new: NonNull<u8>,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: two tested blocks (caller).
        unsafe {
            ptr::copy_nonoverlapping(old.payload(), new.as_ptr(), old.size().min(bytes));
            if let Err(fault) = self.retire(old) {
                // Undo the allocation.
                let _ = self.retire(Block::at(new.as_ptr()));
                return Err(fault.into());
            }
        }
        Ok(new)
    }

    /// Cuts the tail off, and fills it.
    unsafe fn shrink(self, block: Block, bytes: usize) -> Result<(), Refusal> {
        // SAFETY: a tested block (caller). The core shrinks an aligned block in place. The tail is
        // then slack of this block, which is guard, or the header and two links of a free
        // remainder, which reaches to the old end or beyond.
        unsafe {
            let old_end = block.payload().wrapping_add(block.size());
            let total = block.lead() + bytes + GUARD + self.tail();
            let base = NonNull::new_unchecked(block.base());
            let before = Self::taken(block);
            self.inner().realloc(base, total).map_err(refusal)?;
            self.count(0, Self::taken(block).wrapping_sub(before));
            block.resize(bytes, &self.calls());
            block.guard_slack();
            let end = block.base().wrapping_add(Tlsf::block_size(block.base()));
            fill(end.wrapping_add(HEADER + 2 * WORD), old_end, FREED);
        }
        Ok(())
    }

    /// Resizes with the core's realloc, when there is no room for a second block.
    unsafe fn resize_in_place(
        self,
        block: Block,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: a tested block (caller); the core moves it with its record and contents.
        unsafe {
            let (lead, size, number) = (block.lead(), block.size(), block.number());
            let total = lead
                .saturating_add(bytes)
                .saturating_add(GUARD + self.tail());
            if !lead.is_multiple_of(align) {
                return Err(Refusal::Exhausted);
            }
            // The refused allocation of the same request has been counted.
            self.inner().withdraw_refusal();
            let base = NonNull::new_unchecked(block.base());
            let before = Self::taken(block);
            block.unseal();
            match self.inner().realloc_aligned(base, align, total) {
                Ok(base) => {
                    let new = Block::lay(base.as_ptr(), lead, bytes, number, &self.calls());
                    new.guard_slack();
                    self.count(0, Self::taken(new).wrapping_sub(before));
                    if bytes > size {
                        let start = new.payload().wrapping_add(size);
                        fill(start, new.payload().wrapping_add(bytes), FRESH);
                    }
                    Ok(NonNull::new_unchecked(new.payload()))
                }
                Err(why) => {
                    block.unseal();
                    Err(refusal(why))
                }
            }
        }
    }
}

/// Fills from `start` to `end`, at most [`FILL_MAX`] bytes; nothing if `end` is before `start`.
unsafe fn fill(start: *mut u8, end: *mut u8, byte: u8) {
    let bytes = end.addr().saturating_sub(start.addr()).min(FILL_MAX);
    // SAFETY: the bytes may be written (caller).
    unsafe { start.write_bytes(byte, bytes) }
}
