//! Aligned allocation: `memalign`. [`crate::front`] says how its paths are divided.
//!
//! ```text
//!  [ free                        ]  →  [ gap, free ][ aligned block ][ remainder, free ]
//! ```

use core::hint::assert_unchecked;
use core::ptr::NonNull;

use crate::allocate::{
    Found, exhausted, find_from, find_wilderness, finish, pop_exact, refuse, search_large, serve,
    size_of, unserved,
};
use crate::block::Block;
use crate::config::{BINS_MAX, QUANTUM, WORD};
use crate::control::Control;
use crate::front::Front;
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::size_class::{block_size_for, cut_size, rounded_up};

impl Tlsf {
    /// Allocates at least `bytes` bytes aligned to `align`, a power of two; O(1). The gap in front
    /// of the aligned block becomes a free block. Compiled once, for callers that are not hot.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(never)]
    pub unsafe fn memalign(self, align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        if align <= QUANTUM {
            // SAFETY: live instance (caller).
            return unsafe { self.malloc_outlined(bytes) };
        }
        let control = self.control();
        // SAFETY: live instance (caller). The bin is at most `top_bin`, so its head may be read;
        // `pop_exact` tests it. `padded` bytes have room for the largest gap and the request.
        unsafe {
            if bytes.wrapping_sub(1) >= (*control).limit {
                return Err(refuse(control, bytes));
            }
            let size = block_size_for(bytes);
            let wanted = cut_size(size);
            let bin = (*control).bin_of(wanted);
            if Control::head(control, bin).read().addr() & (align - 1) == 0
                && let Some(payload) = pop_exact(control, wanted, bin, false)
            {
                return Ok(payload);
            }
            let padded = padded(control, size, align)?;
            search_any(self, padded, wanted, (*control).bin_of(padded), align)
        }
    }

    /// [`Tlsf::memalign`] for a front.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn memalign_for<F: Front>(self, align: usize, bytes: usize) -> F::Allocated {
        let control = self.control();
        // SAFETY: live instance (caller). The bin is at most `top_bin`, so its head may be read;
        // each path tests the block that it takes.
        unsafe {
            // Zero passes the first test, and is found below.
            if align & align.wrapping_sub(1) != 0 || bytes.wrapping_sub(1) >= (*control).limit {
                return not_aligned::<F>(self, align, bytes);
            }
            let size = block_size_for(bytes);
            let wanted = cut_size(size);
            let bin = (*control).bin_of(wanted);
            if align <= QUANTUM {
                if align == 0 {
                    return not_aligned::<F>(self, align, bytes);
                }
                return search_large::<F>(self, size, wanted, bin);
            }
            let head = Control::head(control, bin).read();
            if head.addr() & (align - 1) == 0 {
                return take_aligned::<F>(self, align, size, wanted, bin);
            }
            search_aligned::<F>(self, align, size, wanted)
        }
    }
}

/// Takes the head of `bin`, an aligned address, if it is a block of exactly `wanted` bytes: one
/// freed after an equal request is. Else continues with a search.
///
/// # Safety
/// The instance is live. `align` is a power of two above the quantum; `size` is that of a request
/// within the instance's limit, `wanted` its [`cut_size`], and `bin` the bin of that.
#[inline(never)]
unsafe fn take_aligned<F: Front>(
    tlsf: Tlsf,
    align: usize,
    size: usize,
    wanted: usize,
    bin: usize,
) -> F::Allocated {
    // SAFETY: the caller's duties.
    unsafe {
        match pop_exact(tlsf.control(), wanted, bin, false) {
            Some(payload) => F::allocated(tlsf, Ok(payload)),
            None => search_aligned::<F>(tlsf, align, size, wanted),
        }
    }
}

/// Searches a block with room for an aligned one.
///
/// # Safety
/// The instance is live. `align` is a power of two above the quantum; `size` is that of a request
/// within the instance's limit, and `wanted` its [`cut_size`].
#[inline(always)]
unsafe fn search_aligned<F: Front>(
    tlsf: Tlsf,
    align: usize,
    size: usize,
    wanted: usize,
) -> F::Allocated {
    let control = tlsf.control();
    // SAFETY: live instance (caller); `find_padded` returns a listed free block with room for the
    // largest possible gap before an aligned payload.
    unsafe {
        let found = match padded(control, size, align) {
            Ok(padded) => find_padded(control, padded),
            Err(refusal) => Err(refusal),
        };
        match found {
            Ok(found) => carve::<F>(tlsf, found.bin, found.size, found.block, wanted, align),
            Err(refusal) => unserved::<F>(tlsf, refusal),
        }
    }
}

/// The bytes that hold `size` bytes at any aligned payload, whatever the gap before it.
///
/// # Safety
/// The instance is live.
#[inline(always)]
unsafe fn padded(control: *mut Control, size: usize, align: usize) -> Result<usize, Refusal> {
    // The gap is zero or holds a block: at most align - QUANTUM, or align + QUANTUM in place of a
    // single quantum, which is too small for a block.
    let (padded, wraps) = size.overflowing_add(align + QUANTUM);
    // Only 32-bit sums can wrap around.
    if WORD == 4 && wraps {
        // SAFETY: live instance (caller).
        return Err(unsafe { exhausted(control) });
    }
    Ok(padded)
}

/// The bytes before the first aligned payload of a free block that leaves no gap or one that holds
/// a block.
#[inline(always)]
fn gap_before(block: Block, align: usize) -> usize {
    let gap = block.addr().wrapping_neg() & (align - 1);
    if gap == QUANTUM { gap + align } else { gap }
}

/// Takes a block of `wanted` bytes, or fewer where there is less room, out of a found one, at the
/// first aligned payload that leaves no gap or one that holds a block. Apart from the search, both
/// need fewer registers.
///
/// # Safety
/// The instance is live; `block`, of `size` bytes in `bin`, comes from a search of it and has room
/// for the largest gap and the request.
#[inline(never)]
unsafe fn carve<F: Front>(
    tlsf: Tlsf,
    bin: usize,
    size: usize,
    block: Block,
    wanted: usize,
    align: usize,
) -> F::Allocated {
    let gap = gap_before(block, align);
    let wanted = wanted.min(size - gap);
    let found = Found { block, size, bin };
    // SAFETY: live instance, a block with room for gap and request (caller).
    unsafe {
        finish::<F>(
            tlsf,
            serve::<true, true>(tlsf.control(), found, gap, wanted),
        )
    }
}

/// Allocates a block of `wanted` bytes, or fewer where there is less room, out of one of at least
/// `room` bytes, whose bin is `own`: the search of callers that are not hot, for every alignment.
///
/// # Safety
/// The instance is live. `align` is a power of two, at least the quantum; `room` bytes hold any gap
/// that [`gap_before`] leaves and a block for a request within the instance's limit, which `wanted`
/// is the [`cut_size`] of.
#[inline(never)]
pub(crate) unsafe fn search_any(
    tlsf: Tlsf,
    room: usize,
    wanted: usize,
    own: usize,
    align: usize,
) -> Result<NonNull<u8>, Refusal> {
    let control = tlsf.control();
    // SAFETY: live instance (caller); the block that `find_from` returns is free and has at least
    // `room` bytes. A bin is at most `top_bin`, and the one above still has a bit in the bitmap
    // (`layout_asserts`).
    unsafe {
        assert_unchecked(own < BINS_MAX);
        let found = find_from(control, room, own)?;
        let mut gap = 0;
        if align > QUANTUM {
            gap = gap_before(found.block, align);
        }
        let wanted = wanted.min(found.size - gap);
        serve::<true, true>(control, found, gap, wanted)
    }
}

/// Ends `memalign` without a search.
///
/// # Safety
/// The instance is live.
#[cold]
#[inline(never)]
unsafe fn not_aligned<F: Front>(tlsf: Tlsf, align: usize, bytes: usize) -> F::Allocated {
    // SAFETY: live instance (caller).
    unsafe {
        let refusal = if align.is_power_of_two() {
            refuse(tlsf.control(), bytes)
        } else {
            Refusal::Invalid
        };
        F::not_aligned(tlsf, align, bytes, refusal)
    }
}

/// A head of at least `size` bytes. Padded sizes recur rarely, so bins of which every block is
/// large enough come first: most searches read one head.
///
/// # Safety
/// The instance is live.
#[inline(always)]
unsafe fn find_padded(control: *mut Control, size: usize) -> Result<Found, Refusal> {
    let (rounded, bin) = rounded_up(size);
    // SAFETY: live instance (caller): a marked bin's head is a listed block (I1, I2). Its header is
    // tested before it is trusted.
    unsafe {
        if let Some(bin) = (*control).first_nonempty(bin) {
            let block = Control::head(control, bin).read();
            let found = size_of(control, block)?;
            if found < size {
                return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
            }
            return Ok(Found {
                block,
                size: found,
                bin,
            });
        }
        // The bin of `size` itself, unless all its blocks are large enough: then it is empty.
        let own = (bin - usize::from(size < rounded)).min((*control).top_bin);
        let block = Control::head(control, own).read();
        if block != Control::list_end(control) {
            let found = size_of(control, block)?;
            if found >= size {
                return Ok(Found {
                    block,
                    size: found,
                    bin: own,
                });
            }
        }
        find_wilderness(control, size)
    }
}
