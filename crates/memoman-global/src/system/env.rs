//! The environment: four variables, read once. A malformed value is named in one line on stderr and ignored.

use core::ffi::{CStr, c_char};

use crate::line::Line;

unsafe extern "C" {
    /// glibc and musl: getenv that finds nothing in a set-user-id program. Not in the `libc` crate.
    fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// What the environment asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Bytes of the first pool, prefaulted and never given back.
    pub(crate) reserve: Option<usize>,
    /// Never ask the system for more than the first pool.
    pub(crate) fixed: bool,
    /// Keep every pool in memory.
    pub(crate) lock: bool,
    /// Print the table at exit.
    pub(crate) stats: bool,
}

impl Settings {
    /// From the process's environment. `secure_getenv`: a set-user-id program is not steered by its caller.
    pub(crate) fn read() -> Settings {
        let switch = |name| value(name, switch, b"0 or 1");
        Settings {
            reserve: value(
                c"MEMOMAN_RESERVE",
                size,
                b"bytes, or a number with K, M or G",
            ),
            fixed: switch(c"MEMOMAN_GROW") == Some(false),
            lock: switch(c"MEMOMAN_LOCK") == Some(true),
            stats: switch(c"MEMOMAN_STATS") == Some(true),
        }
    }
}

/// A variable's value; None when it is not set, or malformed, which is said.
pub(crate) fn value<T>(name: &CStr, parse: fn(&[u8]) -> Option<T>, expected: &[u8]) -> Option<T> {
    // SAFETY: the name is a C string; the result is one too, and nobody changes it while we read.
    let text = unsafe {
        let text = secure_getenv(name.as_ptr());
        if text.is_null() {
            return None;
        }
        CStr::from_ptr(text).to_bytes()
    };
    let parsed = parse(text);
    if parsed.is_none() {
        Line::new()
            .text(b"memoman: ")
            .text(name.to_bytes())
            .text(b"=")
            .text(text.get(..64).unwrap_or(text))
            .text(b" ignored: expected ")
            .text(expected)
            .text(b"\n")
            .print();
    }
    parsed
}

/// `<digits>[K|M|G]`, more than zero, within the address space.
fn size(text: &[u8]) -> Option<usize> {
    let (digits, shift) = match text {
        [digits @ .., b'K' | b'k'] => (digits, 10),
        [digits @ .., b'M' | b'm'] => (digits, 20),
        [digits @ .., b'G' | b'g'] => (digits, 30),
        digits => (digits, 0),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0usize;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number
            .checked_mul(10)?
            .checked_add(usize::from(digit - b'0'))?;
    }
    let bytes = number.checked_mul(1 << shift)?;
    (bytes > 0 && bytes <= isize::MAX as usize).then_some(bytes)
}

/// `0` or `1`.
pub(crate) fn switch(text: &[u8]) -> Option<bool> {
    match text {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{size, switch};

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
}
