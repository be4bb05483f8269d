//! The values of environment variables.

use crate::system::env::{size, switch, unknown_name};

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

#[test]
fn names_of_unknown_variables() {
    assert_eq!(unknown_name(b"MEMOMAN_STAT=1"), Some(&b"MEMOMAN_STAT"[..]));
    assert_eq!(
        unknown_name(b"MEMOMAN_STATSX=1"),
        Some(&b"MEMOMAN_STATSX"[..])
    );
    assert_eq!(unknown_name(b"MEMOMAN_"), Some(&b"MEMOMAN_"[..]));
    for known in [
        &b"MEMOMAN_STATS=1"[..],
        b"MEMOMAN_LOCK",
        b"MEMOMAN_RESERVE=a=b",
        b"PATH=/",
        b"XMEMOMAN_=",
        b"",
    ] {
        assert_eq!(unknown_name(known), None);
    }
}
