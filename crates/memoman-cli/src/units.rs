//! Numbers for people.

use crate::text;

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes, and in a larger unit where that is shorter: `18,770,944 bytes (17.9 MiB)`.
pub(crate) fn bytes(number: u64) -> String {
    let exact = format!("{} bytes", grouped(number));
    if number < 10 << 10 {
        exact
    } else {
        format!("{exact} ({})", text::bytes(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(100), "100 bytes");
        assert_eq!(bytes(18_770_944), "18,770,944 bytes (17.9 MiB)");
    }
}
