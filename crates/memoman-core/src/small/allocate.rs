//! Allocation in the small build: one search, one split.

use core::ptr::{self, NonNull};

use super::free_list;
use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, QUANTUM};
use crate::control::{Control, WILDERNESS};
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::size_class::{block_size_for, cut_size};

/// The result of an allocating function of this build, in two registers: a payload and None; null
/// and None when it is refused; the address of the misuse and the misuse.
pub(crate) type Outcome = (*mut u8, Option<Misuse>);

/// The request is refused.
pub(crate) const REFUSED: Outcome = (ptr::null_mut(), None);

/// The public result of a request of `bytes` bytes.
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
        // SAFETY: live (caller).
        result(unsafe { malloc(self.control(), bytes) }, bytes)
    }

    /// [`Tlsf::malloc`], which is compiled once in this build.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn malloc_outlined(self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live (caller).
        unsafe { self.malloc(bytes) }
    }

    /// Allocates at least `bytes` bytes aligned to `align`, a power of two; O(1).
    /// The alignment gap becomes a free block.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn memalign(self, align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        // SAFETY: live (caller); the alignment is tested.
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
    // SAFETY: live (caller); `find` unlinks a block that holds the largest gap and `size` bytes.
    unsafe {
        if align <= QUANTUM {
            return malloc(control, bytes);
        }
        if bytes.wrapping_sub(1) >= (*control).limit {
            return refuse(control, bytes);
        }
        let size = block_size_for(bytes);
        // The gap is zero or holds a block: at most align - QUANTUM bytes, or align + QUANTUM in
        // place of a single quantum, which holds none.
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

/// Takes `size` bytes of an unlinked free block, from `gap` bytes on, into use.
///
/// # Safety
/// The instance is live; the block has at least `gap + size` bytes.
#[inline(always)]
unsafe fn take(control: *mut Control, block: Block, gap: usize, size: usize) {
    // SAFETY: an unlinked block of a live instance (caller), its header still that of the free
    // block.
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

/// Unlinks a free block of at least `size` bytes. The search reads at most three heads: the size's
/// own bin, the next non-empty bin, the wilderness.
///
/// # Safety
/// The instance is live.
#[inline(never)]
unsafe fn find(control: *mut Control, size: usize) -> Outcome {
    // SAFETY: live (caller): a marked bin's head is a listed block (I1, I2), tested before it is
    // used.
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
            // Its size must map to the bin that lists it.
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

/// Makes `total` bytes at `block` one block in use of `size` bytes and, if the rest holds a block,
/// a listed remainder. `before` has the PREV_FREE to keep and, as its size, the bytes that were in
/// use.
///
/// # Safety
/// The instance is live; the bytes are one block or unlinked neighbours, followed by a block or
/// sentinel.
#[inline(never)]
pub(crate) unsafe fn settle(
    control: *mut Control,
    block: Block,
    before: Header,
    total: usize,
    size: usize,
) {
    let mut taken = total;
    // SAFETY: unlinked bytes of a live instance, followed by a header (caller).
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

/// Refuses a request without a search: of zero bytes, or beyond this instance.
///
/// # Safety
/// `control` is live.
#[inline(always)]
unsafe fn refuse(control: *mut Control, bytes: usize) -> Outcome {
    // SAFETY: live (caller).
    unsafe {
        if bytes == 0 {
            return REFUSED;
        }
        exhausted(control)
    }
}

/// Counts a request refused for lack of memory.
///
/// # Safety
/// `control` is live.
#[inline(always)]
pub(crate) unsafe fn exhausted(control: *mut Control) -> Outcome {
    // SAFETY: live (caller).
    unsafe { (*control).failed_requests = (*control).failed_requests.wrapping_add(1) };
    REFUSED
}
