//! The environment: four variables, read once. A malformed value is reported in one line on stderr
//! and ignored.

use core::ffi::{CStr, c_char};

use crate::system::stderr::Line;

unsafe extern "C" {
    /// glibc's and musl's getenv that finds nothing in a set-user-id program. The `libc` crate
    /// lacks it.
    fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// The settings that the environment gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `MEMOMAN_RESERVE`: bytes of the first pool, prefaulted and never given back.
    pub(crate) reserve: Option<usize>,
    /// `MEMOMAN_GROW=0`: no pool beyond the first one.
    pub(crate) fixed: bool,
    /// `MEMOMAN_LOCK=1`: every pool is locked in memory.
    pub(crate) lock: bool,
    /// `MEMOMAN_STATS=1`: the table is printed at exit.
    pub(crate) stats: bool,
}

impl Settings {
    /// Reads the process's environment, with `secure_getenv`: the caller of a set-user-id program
    /// has no influence on it.
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

/// A variable's value; None when it is unset, or malformed, which is reported.
pub(crate) fn value<T>(name: &CStr, parse: fn(&[u8]) -> Option<T>, expected: &[u8]) -> Option<T> {
    // SAFETY: the name is a C string, and so is a result that is not null. No thread changes the
    // environment meanwhile, as getenv requires of every program.
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
pub(crate) fn size(text: &[u8]) -> Option<usize> {
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
