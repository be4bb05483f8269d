//! Numbers as text.

/// A number of bytes: `812 B`, `4.27 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = 0;
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    while value >= 1024.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ if value < 10.0 => format!("{value:.2} {}", UNITS[unit]),
        _ if value < 100.0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_have_three_digits() {
        let text = [0, 1023, 1024, 10 << 10, 1_234_567, 5 << 40].map(super::bytes);
        assert_eq!(
            text,
            [
                "0 B", "1023 B", "1.00 KiB", "10.0 KiB", "1.18 MiB", "5.00 TiB"
            ]
        );
    }
}
