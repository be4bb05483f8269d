//! The constants of the geometry. [`mod@crate::layout_asserts`] checks that they fit together.
//!
//! Everything follows from the word size: a quantum is two words, a header one word, the smallest
//! block two quanta (header + the three words that a free block keeps in its payload).

/// Bytes in a machine word; also the size of a block's header.
pub const WORD: usize = size_of::<usize>();

/// Binary logarithm of [`QUANTUM`].
pub const QUANTUM_LOG2: u32 = (2 * WORD).trailing_zeros();

/// Alignment of every payload and step of every block size: 16 bytes on 64-bit targets, 8 on 32-bit
/// ones.
pub const QUANTUM: usize = 1 << QUANTUM_LOG2;

/// Bytes of a block's header, before its payload: one word, the size and the flags.
pub const HEADER: usize = WORD;

/// Smallest block in bytes: header, next_free, prev_link, and prev_phys of the next block.
pub const BLOCK_MIN: usize = 2 * QUANTUM;

/// Binary logarithm of the second-level subdivisions of a power of two (the paper's SLI).
pub const SL_LOG2: u32 = 5;

/// Blocks below `2^LINEAR_LOG2` bytes have one bin for each size: a bin there is an exact fit.
pub const LINEAR_LOG2: u32 = QUANTUM_LOG2 + SL_LOG2 + 1;

/// Every block size, and every pool, is below `2^SIZE_BITS`. On 64-bit targets the sixteen bits
/// above hold a header's seal.
pub const SIZE_BITS: u32 = if WORD == 8 { 48 } else { 32 };

/// Largest block size, in bytes, that a header can hold.
pub const SIZE_LIMIT: usize = if WORD == 8 {
    ((1u64 << 48) - 1) as usize & !(QUANTUM - 1)
} else {
    usize::MAX & !(QUANTUM - 1)
};

/// Bins of an instance with blocks up to [`SIZE_LIMIT`].
pub const BINS_MAX: usize = ((SIZE_BITS - LINEAR_LOG2 + 2) << SL_LOG2) as usize;

/// Words of the second-level bitmap: one bit for each bin.
pub const SL_WORDS: usize = BINS_MAX.div_ceil(usize::BITS as usize);

/// Largest request of a default instance in bytes: 1 TiB on 64-bit targets, 1 GiB on 32-bit ones.
pub const DEFAULT_MAX_BLOCK: usize = if WORD == 8 {
    (1u64 << 40) as usize
} else {
    1 << 30
};

/// Largest request, in bytes, that any instance can be created for.
pub const MAX_BLOCK_LIMIT: usize = if WORD == 8 {
    (1u64 << 47) as usize
} else {
    1 << 31
};
