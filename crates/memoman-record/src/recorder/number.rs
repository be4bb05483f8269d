//! Numbers of variable length, as they are written into a chunk.

use memoman_trace_format::number;

/// Writes a number: where the next one goes. Lengths of addresses and sizes follow no pattern, so
/// that a loop over the bytes would be mispredicted at nearly every number.
///
/// # Safety
/// `at` is valid for writes of ten bytes.
#[inline(always)]
pub(crate) unsafe fn put_number(at: *mut u8, value: u64) -> *mut u8 {
    if value >> 28 != 0 {
        // SAFETY: a number has at most ten bytes (the caller's duty).
        return unsafe { put_long_number(at, value) };
    }
    // Halves of 14 bits, then seven bits a byte.
    let value = value as u32;
    let mut spread = value & 0x3fff | (value & 0x0fff_c000) << 2;
    spread = spread & 0x007f_007f | (spread & 0x3f80_3f80) << 1;
    let last = (31 - (spread | 1).leading_zeros()) & !7;
    let more = 0x0080_8080 & !(u32::MAX << last);
    // SAFETY: four bytes (the caller's duty); those behind the number are zeros.
    unsafe {
        at.cast::<u32>().write_unaligned((spread | more).to_le());
        at.add(last as usize / 8 + 1)
    }
}

/// # Safety
/// As of [`put_number`].
#[cold]
#[inline(never)]
unsafe fn put_long_number(at: *mut u8, value: u64) -> *mut u8 {
    let mut bytes = [0; number::NUMBER_MAX];
    let length = number::write(&mut bytes, value);
    // SAFETY: the caller's duty.
    unsafe {
        at.copy_from_nonoverlapping(bytes.as_ptr(), length);
        at.add(length)
    }
}
