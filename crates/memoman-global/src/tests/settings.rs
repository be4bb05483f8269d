//! The debug library's settings.

use crate::debug::settings::{depth, shift};

#[test]
fn shifts() {
    for (text, value) in [("0", 0), ("9", 9), ("10", 10), ("31", 31)] {
        assert_eq!(shift(text.as_bytes()), Some(value));
    }
    for text in ["", "-1", "32", "007", "1 ", "99", "100", "x"] {
        assert_eq!(shift(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn depths() {
    for (text, value) in [("1", 1), ("9", 9), ("16", 16)] {
        assert_eq!(depth(text.as_bytes()), Some(value));
    }
    for text in ["", "0", "-1", "17", "08", "1 ", "100", "x"] {
        assert_eq!(depth(text.as_bytes()), None, "{text}");
    }
}
