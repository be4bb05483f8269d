//! The values of environment variables.

use crate::system::env::{size, switch};

#[test]
fn sizes() {
    assert_eq!(size(b"1"), Some(1));
    assert_eq!(size(b"65536"), Some(65536));
    assert_eq!(size(b"64K"), Some(64 << 10));
    assert_eq!(size(b"3m"), Some(3 << 20));
    assert_eq!(size(b"2G"), Some(2 << 30));
}

#[test]
fn malformed_sizes() {
    for text in [
        &b""[..],
        b"0",
        b"0K",
        b"K",
        b"-1",
        b"+1",
        b" 1",
        b"1 ",
        b"1KB",
        b"1T",
        b"0x10",
        b"1.5M",
        b"18446744073709551616",
        b"18446744073709551615",
        b"99999999999G",
        b"M1",
    ] {
        assert_eq!(
            size(text),
            None,
            "{}",
            std::string::String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn switches() {
    assert_eq!((switch(b"0"), switch(b"1")), (Some(false), Some(true)));
    for text in [&b""[..], b"2", b"yes", b"01", b"1 "] {
        assert_eq!(switch(text), None);
    }
}
