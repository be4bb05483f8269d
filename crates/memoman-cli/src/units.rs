//! Numbers for people.

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
        format!("{exact} ({})", short(number))
    }
}

/// Bytes to three figures: `17.9 MiB`.
pub(crate) fn short(number: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let figures = if unit == 0 || value >= 100.0 { 0 } else { 1 };
    format!("{value:.figures$} {}", units[unit])
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
        assert_eq!(short(u64::MAX), "16.0 EiB");
    }
}
