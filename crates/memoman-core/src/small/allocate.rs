//! Allocating in the small build: one search, one cut.

use core::ptr::{self, NonNull};

use super::free_list;
use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, QUANTUM};
use crate::control::{Control, WILDERNESS};
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::size_class::{block_size_for, cut_size};

/// What an allocating function of this build gives, in two registers: a payload, or null and nothing, or where there is
/// misuse and which.
pub(crate) type Outcome = (*mut u8, Option<Misuse>);

/// No block: the request is refused.
pub(crate) const REFUSED: Outcome = (ptr::null_mut(), None);

/// An outcome as the interface has it; a request of `bytes` bytes.
#[inline(always)]
pub(crate) fn result(outcome: Outcome, bytes: usize) -> Result<NonNull<u8>, Refusal> {
    match (outcome, NonNull::new(outcome.0)) {
        ((address, Some(misuse)), _) => Err(Refusal::Misuse(misuse, address)),
        (_, Some(payload)) => Ok(payload),
        _ if bytes == 0 => Err(Refusal::Invalid),
        _ => Err(Refusal::Exhausted),
    }
}

impl Tlsf {
    /// Allocates at least `bytes` bytes, aligned to the quantum; O(1).
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn malloc(self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the same duty.
        result(unsafe { malloc(self.control(), bytes) }, bytes)
    }

    /// Allocates at least `bytes` bytes aligned to `align`, a power of two; O(1).
    /// What is skipped in front becomes a free block.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn memalign(self, align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        // SAFETY: the same duty; the alignment is tested.
        result(unsafe { memalign(self.control(), align, bytes) }, bytes)
    }
}

/// # Safety
/// The instance is live.
#[inline(never)]
pub(crate) unsafe fn malloc(control: *mut Control, bytes: usize) -> Outcome {
    // SAFETY: live (caller).
    unsafe {
        // One compare for "zero" and "too large".
        if bytes.wrapping_sub(1) >= (*control).limit {
            return refuse(control, bytes);
        }
        let size = block_size_for(bytes);
        let found = find(control, size);
        if found.1.is_none() && !found.0.is_null() {
            take(control, Block::at(found.0), 0, size);
        }
        found
    }
}

/// # Safety
/// The instance is live; `align` is a power of two.
#[inline(never)]
pub(crate) unsafe fn memalign(control: *mut Control, align: usize, bytes: usize) -> Outcome {
    // SAFETY: live (caller); `find` gives an unlinked block that is large enough for the worst gap in front of an
    // aligned payload.
    unsafe {
        if align <= QUANTUM {
            return malloc(control, bytes);
        }
        if bytes.wrapping_sub(1) >= (*control).limit {
            return refuse(control, bytes);
        }
        let size = block_size_for(bytes);
        // The gap is zero or holds a block: at most align - QUANTUM, or one alignment more than
        // a single quantum that would be too small.
        let Some(padded) = size.checked_add(align).and_then(|n| n.checked_add(QUANTUM)) else {
            return refuse(control, usize::MAX);
        };
        let found = find(control, padded);
        if found.1.is_some() || found.0.is_null() {
            return found;
        }
        let block = Block::at(found.0);
        let mut gap = block.addr().wrapping_neg() & (align - 1);
        if gap == QUANTUM {
            gap += align;
        }
        take(control, block, gap, size);
        if gap != 0 {
            free_list::list(control, block, gap);
        }
        (block.offset(gap).payload(), None)
    }
}

/// Takes an unlinked free block into use, from `gap` bytes on, for `size` bytes.
///
/// # Safety
/// The instance is live, and the block has so many bytes.
#[inline(always)]
unsafe fn take(control: *mut Control, block: Block, gap: usize, size: usize) {
    // SAFETY: the caller's duties. The header is as it was in the list.
    unsafe {
        (*control).live_blocks = (*control).live_blocks.wrapping_add(1);
        let total = block.header((*control).cookie).size() - gap;
        settle(
            control,
            block.offset(gap),
            Header::used(0),
            total,
            cut_size(size),
        );
    }
}

/// Unlinks a free block of at least `size` bytes: the head of the own bin, if it is large enough, or of the first bin
/// above it, or the wilderness. At most three heads are looked at.
///
/// # Safety
/// The instance is live.
#[inline(never)]
unsafe fn find(control: *mut Control, size: usize) -> Outcome {
    // SAFETY: live (caller): a marked bin's head is a listed block (I1, I2). It is tested before it is believed.
    unsafe {
        let own = (*control).bin_of(size);
        let mut from = own;
        loop {
            let bin = (*control).serving_bin(from);
            let block = Control::head(control, bin).read();
            if block == Control::list_end(control) {
                return exhausted(control);
            }
            let found = free_list::free_size(control, block);
            // Its size must be one of the bin that it is listed in.
            if found == 0 || (*control).bin_of_block(block, found) != bin {
                return (block.payload(), Some(Misuse::NotABlock));
            }
            if found >= size {
                if !free_list::links_sound(control, block) {
                    return (block.payload(), Some(Misuse::SmashedLink));
                }
                free_list::unlink(control, block);
                return (block.payload(), None);
            }
            if bin == WILDERNESS {
                return exhausted(control);
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
#[inline(always)]
unsafe fn refuse(control: *mut Control, bytes: usize) -> Outcome {
    // SAFETY: live (caller).
    unsafe {
        if (*control).is_intercepted() {
            return (ptr::null_mut(), Some(Misuse::Intercepted));
        }
        if bytes == 0 {
            return REFUSED;
        }
        exhausted(control)
    }
}

/// Counts a request refused for want of memory.
#[inline(always)]
pub(crate) unsafe fn exhausted(control: *mut Control) -> Outcome {
    // SAFETY: live (caller).
    unsafe { (*control).failed_requests = (*control).failed_requests.wrapping_add(1) };
    REFUSED
}
