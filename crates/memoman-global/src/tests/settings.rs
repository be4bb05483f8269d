//! The debug library's setting.

use crate::debug::settings::shift;

#[test]
fn shifts() {
    for (text, value) in [("0", 0), ("9", 9), ("10", 10), ("31", 31)] {
        assert_eq!(shift(text.as_bytes()), Some(value));
    }
    for text in ["", "-1", "32", "007", "1 ", "99", "100", "x"] {
        assert_eq!(shift(text.as_bytes()), None, "{text}");
    }
}
