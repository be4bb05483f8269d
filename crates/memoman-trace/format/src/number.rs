//! Numbers of variable length: seven bits a byte, low bits first, the top bit set in all but the
//! last byte; at most ten bytes. Differences have their sign in the lowest bit.

/// The number of bytes that a number takes at most.
pub const NUMBER_MAX: usize = 10;

/// Reads a number at the start of `bytes`: the number and its length. `None` when it does not end
/// within `bytes` or within 64 bits.
#[inline]
pub fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    let mut value = u64::from(first & 0x7f);
    for (index, &byte) in bytes.iter().enumerate().take(NUMBER_MAX).skip(1) {
        let bits = u64::from(byte & 0x7f);
        if index == NUMBER_MAX - 1 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Writes a number at the start of `bytes`, which has room for [`NUMBER_MAX`] bytes: its length.
#[inline]
pub fn write(bytes: &mut [u8; NUMBER_MAX], mut value: u64) -> usize {
    let mut length = 0;
    while value >= 0x80 && length < NUMBER_MAX - 1 {
        bytes[length] = value as u8 | 0x80;
        value >>= 7;
        length += 1;
    }
    bytes[length] = value as u8;
    length + 1
}

/// A difference as a number: small in either direction is short.
#[inline]
pub const fn fold(difference: i64) -> u64 {
    (difference.wrapping_shl(1) ^ (difference >> 63)) as u64
}

/// The difference that [`fold`] has folded.
#[inline]
pub const fn unfold(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// The difference from `base` to `address` as a number: in units of 8 unless `exact`.
#[inline]
pub const fn difference(base: u64, address: u64, exact: bool) -> u64 {
    let bytes = address.wrapping_sub(base) as i64;
    fold(if exact { bytes } else { bytes >> 3 })
}

/// The address that lies `number` from `base`.
#[inline]
pub const fn address(base: u64, number: u64, exact: bool) -> u64 {
    let steps = unfold(number);
    base.wrapping_add(if exact { steps } else { steps.wrapping_shl(3) } as u64)
}

/// Whether the difference of two addresses must be exact.
#[inline]
pub const fn needs_exact(base: u64, address: u64) -> bool {
    base.wrapping_sub(address) & 7 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for shift in 0..64 {
            for near in [0, 1, u64::MAX] {
                let value = (1u64 << shift).wrapping_add(near);
                let mut bytes = [0; NUMBER_MAX];
                let length = write(&mut bytes, value);
                assert_eq!(read(&bytes), Some((value, length)));
                assert_eq!(read(&bytes[..length - 1]), None);
                assert_eq!(unfold(fold(value as i64)), value as i64);
            }
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_refused() {
        assert_eq!(read(&[0xff; 12]), None);
        assert_eq!(
            read(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]),
            None
        );
    }

    #[test]
    fn addresses_come_back() {
        for base in [0, 8, 4096, u64::MAX - 7, 1 << 63] {
            for to in [0, 8, 1 << 47, u64::MAX - 15, 0x1234_5678_9abc_def0] {
                for exact in [false, true] {
                    assert!(exact || !needs_exact(base, to));
                    assert_eq!(address(base, difference(base, to, exact), exact), to);
                }
            }
            let to = base.wrapping_add(3);
            assert!(needs_exact(base, to));
            assert_eq!(address(base, difference(base, to, true), true), to);
        }
    }
}
