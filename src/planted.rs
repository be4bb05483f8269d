//! Intentional bugs that show that the sanitizers check the Rust side too: compiled only with
//! `--cfg memoman_planted_bug`, called only by c_tests/planted and fuzz.

use core::hint::black_box;

/// Writes one byte past the end of a buffer.
///
/// # Safety
/// Never: that is the point.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn mm_planted_overflow(buffer: *mut u8, size: usize) {
    // SAFETY: none. AddressSanitizer must stop here.
    unsafe { *black_box(buffer).wrapping_add(size) = 1 }
}

/// Reads a byte that the caller has freed.
///
/// # Safety
/// Never: that is the point.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn mm_planted_read(place: *const u8) -> u8 {
    // SAFETY: none. AddressSanitizer must stop here.
    unsafe { *black_box(place) }
}

/// Counts without an atomic.
///
/// # Safety
/// Never on two threads: that is the point.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn mm_planted_race(counter: *mut usize, times: usize) {
    for _ in 0..times {
        let counter = black_box(counter);
        // SAFETY: none. ThreadSanitizer must stop here.
        unsafe { *counter = (*counter).wrapping_add(1) }
    }
}

/// Writes one byte past a buffer when its first four bytes spell a word: four branches that random
/// input passes once in 2^32 tries, and a fuzzer that sees the branches passes in seconds.
///
/// # Safety
/// `data` has `size` bytes.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn mm_planted_word(data: *mut u8, size: usize) {
    for (index, expected) in b"tlsf".iter().enumerate() {
        // SAFETY: `index < size`, and `data` has `size` bytes (caller).
        if index >= size || unsafe { black_box(data).add(index).read() } != *expected {
            return;
        }
    }
    // SAFETY: none. AddressSanitizer must stop here.
    unsafe { mm_planted_overflow(data, size) }
}
