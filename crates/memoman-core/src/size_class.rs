//! Size classes: which bin a block size belongs to. Pure arithmetic, no unsafe code.
//!
//! The two levels of TLSF (Masmano, Ripoll, Crespo, Real: *TLSF: a new dynamic memory allocator for
//! real-time systems*, ECRTS 2004, section 3) are one number here: `bin = fl · 32 + sl`.
//!
//! ```text
//! size (64-bit)   0 ………… 512 ……… 1024 ……… 2048 ……… 4096      (quantum 16)
//! fl                   0    |    1    |    2    |    3    …   power of two
//! bin step            16    |   16    |   32    |   64    …   2^fl / 32
//! ```
//!
//! The first two rows are linear with the quantum as the step, so a bin below 1 KiB holds one size
//! only. The same formula serves both parts: the exponent is held at its smallest value.

use crate::config::{BLOCK_MIN, HEADER, LINEAR_LOG2, QUANTUM, QUANTUM_LOG2, SL_LOG2};

/// The exponent of `size`, at least that of the linear part.
#[inline(always)]
const fn exponent(size: usize) -> u32 {
    // `| 2^k` raises small sizes to the linear part without a branch.
    usize::BITS - 1 - (size | (1 << (LINEAR_LOG2 - 1))).leading_zeros()
}

/// Map for insert: the bin that holds blocks of `size` bytes (header included).
///
/// Monotone: a greater size never has a smaller bin.
#[inline(always)]
pub const fn floor_bin(size: usize) -> usize {
    let exponent = exponent(size);
    (((exponent - (LINEAR_LOG2 - 1)) as usize) << SL_LOG2) + (size >> (exponent - SL_LOG2))
}

/// Map for search: the first bin whose every block has at least `size` bytes.
#[inline(always)]
pub const fn ceil_bin(size: usize) -> usize {
    let step = 1 << (exponent(size) - SL_LOG2);
    floor_bin(size + (step - 1))
}

/// The smallest size that belongs to `bin`: the inverse of [`floor_bin`] at the bins' lower edges.
pub const fn bin_floor_size(bin: usize) -> usize {
    let fl = bin >> SL_LOG2;
    if fl < 2 {
        bin << QUANTUM_LOG2
    } else {
        ((1 << SL_LOG2) | (bin & ((1 << SL_LOG2) - 1))) << (fl - 1 + QUANTUM_LOG2 as usize)
    }
}

/// The block size, header included, that serves a request of `bytes`.
///
/// The caller has bounded `bytes` (at most [`crate::config::MAX_BLOCK_LIMIT`]), so nothing wraps.
#[inline(always)]
pub const fn block_size_for(bytes: usize) -> usize {
    let size = (bytes + HEADER + (QUANTUM - 1)) & !(QUANTUM - 1);
    if size < BLOCK_MIN { BLOCK_MIN } else { size }
}

/// Where a block that serves `size` bytes is cut: at the request, or from [`EXACT_BELOW`] on at the lower edge of the
/// first bin whose every block serves it, so that the freed block is found by the rounded-up search again.
/// At most 1/32 of the request is kept. `docs/adr/0002` has the measurement.
#[inline(always)]
pub const fn cut_size(size: usize) -> usize {
    if size < EXACT_BELOW {
        return size;
    }
    let step = 1 << (exponent(size) - SL_LOG2);
    (size + (step - 1)) & !(step - 1)
}

/// Blocks below this many bytes are cut exactly: the bins there are at most two quanta wide.
pub const EXACT_BELOW: usize = 1 << (LINEAR_LOG2 + 1);

#[cfg(test)]
mod tests;
