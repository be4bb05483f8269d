//! The hash of the words that only control-plane calls change: pool headers and part of the control
//! structure. A changed bit changes about half of the result's bits. It detects accidents, not
//! attacks.

const SEED: usize = 0x9E37_79B9_7F4A_7C15_u64 as usize;
const FACTOR: usize = 0xD6E8_FEB8_6659_FD93_u64 as usize;

/// The hash of some words.
pub(crate) fn mix(words: &[usize]) -> usize {
    match words {
        // The small build has one loop.
        // SAFETY: the words of a slice may be read.
        [first, rest @ ..] if cfg!(memoman_small) => unsafe {
            mix_at(*first, rest.as_ptr(), rest.len())
        },
        words => words.iter().fold(SEED, |hash, &word| step(hash, word)),
    }
}

/// The hash of an address and of `words` words at `from`.
///
/// # Safety
/// `words` words at `from` may be read.
#[inline(never)]
pub(crate) unsafe fn mix_at(address: usize, from: *const usize, words: usize) -> usize {
    // SAFETY: the words may be read (caller).
    unsafe { extend(step(SEED, address), from, words) }
}

/// Continues `hash` over `words` words at `from`.
///
/// # Safety
/// `words` words at `from` may be read.
#[inline(never)]
pub(crate) unsafe fn extend(mut hash: usize, from: *const usize, words: usize) -> usize {
    for index in 0..words {
        // SAFETY: `index` is below `words`, and so many words may be read (caller).
        hash = step(hash, unsafe { from.add(index).read() });
    }
    hash
}

/// Multiply and fold: the upper half of the product reaches the lower half of the result.
#[inline(always)]
fn step(hash: usize, word: usize) -> usize {
    let hash = (hash ^ word).wrapping_mul(FACTOR);
    hash ^ (hash >> (usize::BITS / 2))
}
