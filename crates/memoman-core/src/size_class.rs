//! Size classes: which bin a block size belongs to. Pure arithmetic, no unsafe code.
//!
//! The two levels of TLSF (section 3 of the paper that the crate's documentation names) are one
//! number here: `bin = fl · 32 + sl`.
//!
//! ```text
//! size (64-bit)   0 ………… 512 ……… 1024 ……… 2048 ……… 4096      (quantum 16)
//! fl                   0    |    1    |    2    |    3    …   power of two
//! bin step            16    |   16    |   32    |   64    …   2^fl / 32
//! ```
//!
//! The first two rows are linear with the quantum as the step, so a bin below 1 KiB holds one size
//! only, and its index is that size in quanta: one well predicted branch spares most requests the
//! logarithm.

use crate::config::{BLOCK_MIN, HEADER, LINEAR_LOG2, QUANTUM, QUANTUM_LOG2, SL_LOG2};

/// Blocks below this many bytes have one bin for each size; its index is the size in quanta.
pub const LINEAR_BELOW: usize = 1 << LINEAR_LOG2;

/// Map for insert: the bin that holds blocks of `size` bytes (header included).
///
/// Monotone: a larger size never maps to a lower bin.
#[cfg_attr(not(memoman_small), inline(always))]
pub const fn floor_bin(size: usize) -> usize {
    if size < LINEAR_BELOW {
        return size >> QUANTUM_LOG2;
    }
    large_floor_bin(size, size.ilog2())
}

/// [`floor_bin`] of a size that is at least [`LINEAR_BELOW`] and has this exponent.
#[inline(always)]
const fn large_floor_bin(size: usize, exponent: u32) -> usize {
    // Rotated by the exponent, the five bits below the leading one are the uppermost.
    let step = size.rotate_right(exponent) >> (usize::BITS - SL_LOG2);
    ((exponent as usize) << SL_LOG2) + step - (((LINEAR_LOG2 - 2) as usize) << SL_LOG2)
}

/// [`floor_bin`] of a size that is at least [`LINEAR_BELOW`], for the hot paths.
#[inline(always)]
pub(crate) fn large_bin(size: usize) -> usize {
    large_floor_bin(size, exponent(size))
}

/// Binary logarithm, rounded down, of a size that is at least [`LINEAR_BELOW`].
#[inline(always)]
fn exponent(size: usize) -> u32 {
    // SAFETY: the size is at least LINEAR_BELOW (caller).
    unsafe { core::hint::assert_unchecked(size != 0) };
    #[allow(unused_mut)]
    let mut exponent = size.leading_zeros() ^ (usize::BITS - 1);
    // x86's "bit scan" gives the exponent itself. A compiler that knows its origin keeps the
    // leading zeros instead and converts them at each use; the empty assembly hides the origin.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the text is an assembler comment: no instruction.
    unsafe {
        core::arch::asm!(
            "/* {0:e} */",
            inout(reg) exponent,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    exponent
}

/// Map for search: the first bin whose every block has at least `size` bytes.
#[inline(always)]
pub const fn ceil_bin(size: usize) -> usize {
    let step = if size < LINEAR_BELOW {
        QUANTUM
    } else {
        (1 << size.ilog2()) >> SL_LOG2
    };
    floor_bin(size + (step - 1))
}

/// The smallest size, in bytes, that maps to `bin`: the inverse of [`floor_bin`] at lower edges.
pub const fn bin_floor_size(bin: usize) -> usize {
    let fl = bin >> SL_LOG2;
    if fl < 2 {
        bin << QUANTUM_LOG2
    } else {
        ((1 << SL_LOG2) | (bin & ((1 << SL_LOG2) - 1))) << (fl - 1 + QUANTUM_LOG2 as usize)
    }
}

/// The block size in bytes, header included, for a request of `bytes` bytes.
///
/// `bytes` is at most [`crate::config::MAX_BLOCK_LIMIT`] (caller), so nothing wraps.
#[inline(always)]
pub const fn block_size_for(bytes: usize) -> usize {
    let size = (bytes + HEADER + (QUANTUM - 1)) & !(QUANTUM - 1);
    if size < BLOCK_MIN { BLOCK_MIN } else { size }
}

/// [`block_size_for`] in quanta, for any `bytes`. Near `usize::MAX` it wraps to 0 or 1, which no
/// block has.
#[inline(always)]
pub const fn quanta_for(bytes: usize) -> usize {
    let quanta = bytes.wrapping_add(HEADER + (QUANTUM - 1)) >> QUANTUM_LOG2;
    // One quantum is too small for a block. An addition with carry, not a comparison and a move.
    quanta + (bytes <= QUANTUM - HEADER) as usize
}

/// Where a block for `size` bytes is split: at `size`, or from [`EXACT_BELOW`] on at the lower edge
/// of bin [`ceil_bin`]`(size)`, so that the rounded-up search finds the freed block again. At most
/// 1/32 of the request is added. `docs/adr/0002` has the measurement.
#[cfg_attr(not(memoman_small), inline(always))]
#[cfg_attr(memoman_small, inline(never))]
pub fn cut_size(size: usize) -> usize {
    if size < EXACT_BELOW {
        size
    } else {
        cut_large(size).0
    }
}

/// [`cut_size`] of a size that is at least [`LINEAR_BELOW`], and the bin of the block so split.
#[inline(always)]
pub(crate) fn cut_and_bin(size: usize) -> (usize, usize) {
    if size < EXACT_BELOW {
        (size, large_bin(size))
    } else {
        cut_large(size)
    }
}

/// [`floor_bin`] without a branch, which is faster where sizes on both sides of [`LINEAR_BELOW`]
/// alternate at random.
#[inline(always)]
pub(crate) fn any_bin(size: usize) -> usize {
    let exponent = exponent(size | (LINEAR_BELOW / 2));
    let row = (exponent as usize) << SL_LOG2;
    (size >> (exponent - SL_LOG2)) + row - (((LINEAR_LOG2 - 1) as usize) << SL_LOG2)
}

/// The lower edge of bin [`ceil_bin`]`(size)`, and that bin, without a branch; `size` is not 0.
#[inline(always)]
pub(crate) fn rounded_up(size: usize) -> (usize, usize) {
    round_up(size, exponent(size | (LINEAR_BELOW / 2)))
}

#[inline(always)]
fn cut_large(size: usize) -> (usize, usize) {
    round_up(size, exponent(size))
}

/// [`rounded_up`] of a size with this exponent, which is at least that of half [`LINEAR_BELOW`].
#[inline(always)]
fn round_up(size: usize, exponent: u32) -> (usize, usize) {
    let shift = exponent - SL_LOG2;
    // 32 to 64: step 64 is the first of the next row, and so is its bin.
    let steps = ((size - 1) >> shift) + 1;
    let row = (exponent as usize) << SL_LOG2;
    (
        steps << shift,
        row + steps - (((LINEAR_LOG2 - 1) as usize) << SL_LOG2),
    )
}

/// Blocks below this many bytes are split exactly: the bins there are at most two quanta wide.
pub const EXACT_BELOW: usize = 1 << (LINEAR_LOG2 + 1);
