//! Allocating in the small build: one search, one cut.

use core::ptr::{self, NonNull};

use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, QUANTUM};
use crate::control::{Control, WILDERNESS};
use crate::free_list;
use crate::misuse::{Misuse, Refusal};
use crate::size_class::{block_size_for, cut_size};
use crate::tlsf::Tlsf;

impl Tlsf {
    /// Allocates at least `bytes` bytes, aligned to the quantum; O(1).
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn malloc(self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        let control = self.control();
        // SAFETY: live (caller).
        unsafe {
            // One compare for "zero" and "too large".
            if bytes.wrapping_sub(1) >= (*control).limit {
                return Err(refuse(control, bytes));
            }
            let size = block_size_for(bytes);
            let (block, found) = find(control, size)?;
            (*control).live_blocks = (*control).live_blocks.wrapping_add(1);
            settle(control, block, Header::used(0), found, cut_size(size));
            Ok(NonNull::new_unchecked(block.payload()))
        }
    }

    /// Allocates `count · size` bytes, all zero; O(1) and the clearing.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn calloc(self, count: usize, size: usize) -> Result<NonNull<u8>, Refusal> {
        let bytes = count.saturating_mul(size);
        // SAFETY: live (caller); a block of `bytes` bytes may be written.
        unsafe {
            let payload = self.malloc(bytes)?;
            payload.as_ptr().write_bytes(0, bytes);
            Ok(payload)
        }
    }

    /// Allocates at least `bytes` bytes aligned to `align`, a power of two; O(1).
    /// What is skipped in front becomes a free block.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn memalign(self, align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        let control = self.control();
        // SAFETY: live (caller); `find` gives an unlinked block that is large enough for the worst gap in front of an
        // aligned payload.
        unsafe {
            if align <= QUANTUM {
                return self.malloc(bytes);
            }
            if bytes.wrapping_sub(1) >= (*control).limit {
                return Err(refuse(control, bytes));
            }
            let size = block_size_for(bytes);
            // The gap is zero or holds a block: at most align - QUANTUM, or one alignment more than
            // a single quantum that would be too small.
            let Some(padded) = size.checked_add(align).and_then(|n| n.checked_add(QUANTUM)) else {
                return Err(refuse(control, usize::MAX));
            };
            let (block, found) = find(control, padded)?;
            let mut gap = block.addr().wrapping_neg() & (align - 1);
            if gap == QUANTUM {
                gap += align;
            }
            let aligned = block.offset(gap);
            (*control).live_blocks = (*control).live_blocks.wrapping_add(1);
            settle(
                control,
                aligned,
                Header::used(0),
                found - gap,
                cut_size(size),
            );
            if gap != 0 {
                free_list::list(control, block, gap);
            }
            Ok(NonNull::new_unchecked(aligned.payload()))
        }
    }

    /// Takes the last [`Refusal::Exhausted`] back from `failed_requests`: a layer above has added a pool and asks again. O(1).
    ///
    /// # Safety
    /// The instance is live, and its last call was refused so.
    pub unsafe fn withdraw_refusal(self) {
        let control = self.control();
        // SAFETY: live (caller).
        unsafe { (*control).failed_requests = (*control).failed_requests.wrapping_sub(1) };
    }
}

/// Unlinks a free block of at least `size` bytes and gives its size: the head of the own bin, if it is large enough, or
/// of the first bin above it, or the wilderness. At most three heads are looked at.
///
/// # Safety
/// The instance is live.
#[inline(never)]
unsafe fn find(control: *mut Control, size: usize) -> Result<(Block, usize), Refusal> {
    // SAFETY: live (caller): a marked bin's head is a listed block (I1, I2). It is tested before it is believed.
    unsafe {
        let own = (*control).bin_of(size);
        let mut from = own;
        loop {
            let bin = (*control).first_nonempty(from).unwrap_or(WILDERNESS);
            let block = Control::head(control, bin).read();
            if block == Control::list_end(control) {
                return Err(exhausted(control));
            }
            let found = free_list::free_size(control, block);
            // Its size must be one of the bin that it is listed in.
            if found == 0 || (*control).bin_of_block(block, found) != bin {
                return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
            }
            if found >= size {
                if !free_list::links_sound(control, block) {
                    return Err(Refusal::Misuse(Misuse::SmashedLink, block.payload()));
                }
                free_list::unlink(control, block);
                return Ok((block, found));
            }
            if bin == WILDERNESS {
                return Err(exhausted(control));
            }
            from = own + 1;
        }
    }
}

/// Makes `total` bytes at `block` one block in use of `size` bytes and a listed remainder, if that is large enough to
/// be a block. `before` carries the PREV_FREE to keep and how many of the bytes were in use.
///
/// # Safety
/// The bytes are one block's or unlinked neighbours'; a block or sentinel lies behind them.
#[inline(never)]
pub(crate) unsafe fn settle(
    control: *mut Control,
    block: Block,
    before: Header,
    total: usize,
    size: usize,
) {
    let mut taken = total;
    // SAFETY: the caller's duties.
    unsafe {
        if total >= size + BLOCK_MIN {
            taken = size;
            free_list::list(control, block.offset(size), total - size);
        } else {
            block.offset(total).clear_prev_free();
        }
        block.set_header((*control).cookie, before.resized(taken));
        (*control).count_grown(taken.wrapping_sub(before.size()));
    }
}

/// The refusal of a request that was not looked for: zero, or beyond this instance.
#[cold]
#[inline(never)]
unsafe fn refuse(control: *mut Control, bytes: usize) -> Refusal {
    // SAFETY: live (caller).
    unsafe {
        if (*control).is_intercepted() {
            return Refusal::Misuse(Misuse::Intercepted, ptr::null());
        }
        if bytes == 0 {
            return Refusal::Invalid;
        }
        exhausted(control)
    }
}

/// Counts a request refused for want of memory.
pub(crate) unsafe fn exhausted(control: *mut Control) -> Refusal {
    // SAFETY: live (caller).
    unsafe { (*control).failed_requests = (*control).failed_requests.wrapping_add(1) };
    Refusal::Exhausted
}
