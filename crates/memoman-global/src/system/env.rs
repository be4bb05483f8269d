//! The environment: four variables, read once. A malformed value is reported in one line on stderr
//! and ignored, and so are variables with the prefix that do not exist.

use core::cell::UnsafeCell;
use core::ffi::CStr;

use crate::system::program;
use crate::system::stderr::Line;

const PREFIX: &[u8] = b"MEMOMAN_";

/// The variables that have the prefix.
#[cfg(all(not(memoman_debug), feature = "late-checks"))]
const NAMES: &[u8] = b"MEMOMAN_RESERVE, MEMOMAN_GROW, MEMOMAN_LOCK, MEMOMAN_STATS, MEMOMAN_TRACE";
#[cfg(not(any(memoman_debug, feature = "late-checks")))]
const NAMES: &[u8] = b"MEMOMAN_RESERVE, MEMOMAN_GROW, MEMOMAN_LOCK, MEMOMAN_STATS";
#[cfg(memoman_debug)]
const NAMES: &[u8] = b"MEMOMAN_RESERVE, MEMOMAN_GROW, MEMOMAN_LOCK, MEMOMAN_STATS, MEMOMAN_TRACE, \
    MEMOMAN_LEAKS, MM_DEBUG_VALIDATE_SHIFT, MM_DEBUG_STACK, MM_DEBUG_FAMILIES";
/// The debug library's second prefix.
#[cfg(memoman_debug)]
const DEBUG_PREFIX: &[u8] = b"MM_DEBUG_";
/// The largest number of unknown variables that are named.
const UNKNOWN_MAX: usize = 4;

/// The settings that the environment gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `MEMOMAN_RESERVE`: bytes of the first pool, prefaulted and never returned.
    pub(crate) reserve: Option<usize>,
    /// `MEMOMAN_GROW=0`: no pool beyond the first one.
    pub(crate) fixed: bool,
    /// `MEMOMAN_LOCK=1`: every pool is locked in memory.
    pub(crate) lock: bool,
    /// `MEMOMAN_STATS=1` or a path: the table is printed at exit, or appended to the file
    /// ([`table_path`]).
    pub(crate) stats: bool,
}

/// Bytes of the longest path that `MEMOMAN_STATS` may give.
const PATH_MAX: usize = 255;

/// The value of `MEMOMAN_STATS` if it is a path, else empty. A copy: the program may change its
/// environment before it ends.
static PATH: Path = Path(UnsafeCell::new([0; PATH_MAX + 1]));

struct Path(UnsafeCell<[u8; PATH_MAX + 1]>);

// SAFETY: written by `Settings::read` only, under the lock that readers have taken since.
unsafe impl Sync for Path {}

/// The file for the table: empty for stderr. Called after [`Settings::read`].
pub(crate) fn table_path() -> &'static [u8] {
    // SAFETY: the bytes end in 0 and do not change any more.
    unsafe { CStr::from_ptr(PATH.0.get().cast()) }.to_bytes()
}

/// `MEMOMAN_STATS`: a switch, or a path, which has a slash in it.
fn table(text: &[u8]) -> Option<bool> {
    if !text.contains(&b'/') {
        return switch(text);
    }
    if text.len() > PATH_MAX {
        return None;
    }
    let path: *mut u8 = PATH.0.get().cast();
    // SAFETY: the text and a 0 fit, as tested. The settings are read once, under the lock, before
    // the first `table_path`.
    unsafe {
        path.copy_from_nonoverlapping(text.as_ptr(), text.len());
        path.add(text.len()).write(0);
    }
    Some(true)
}

impl Settings {
    /// Reads the process's environment.
    pub(crate) fn read() -> Settings {
        let switch = |name| value(name, switch, b"0 or 1");
        report_unknown();
        Settings {
            reserve: value(
                c"MEMOMAN_RESERVE",
                size,
                b"bytes, or a number with K, M or G",
            ),
            fixed: switch(c"MEMOMAN_GROW") == Some(false),
            lock: switch(c"MEMOMAN_LOCK") == Some(true),
            stats: value(c"MEMOMAN_STATS", table, b"0, 1, or a path with a slash") == Some(true),
        }
    }
}

/// Names the variables that have the prefix and do not exist, and those that do, in one line.
fn report_unknown() {
    let mut line = Line::new();
    let mut unknown = 0;
    program::each_variable(|entry| {
        let Some(name) = unknown_name(entry) else {
            return;
        };
        if unknown < UNKNOWN_MAX {
            line.text(if unknown == 0 { b"memoman: " } else { b", " });
            line.text(name.get(..64).unwrap_or(name));
        }
        unknown += 1;
    });
    if unknown > 0 {
        line.text(b" ignored: the variables are ");
        line.text(NAMES);
        line.text(b"\n");
        line.print();
    }
}

/// The name of an entry of the environment that has the prefix and is no variable of this library.
pub(crate) fn unknown_name(entry: &[u8]) -> Option<&[u8]> {
    let prefixed = entry.starts_with(PREFIX);
    #[cfg(memoman_debug)]
    let prefixed = prefixed || entry.starts_with(DEBUG_PREFIX);
    if !prefixed {
        return None;
    }
    let name = entry.split(|byte| *byte == b'=').next()?;
    // A name in the list begins with the prefix, and a comma or the list's end follows it.
    let known = (0..NAMES.len()).any(|at| {
        NAMES
            .get(at..)
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b','))
    });
    (!known).then_some(name)
}

/// A variable's value; None when it is unset, or malformed, which is reported.
pub(crate) fn value<T>(name: &CStr, parse: fn(&[u8]) -> Option<T>, expected: &[u8]) -> Option<T> {
    let mut found = None;
    let mut accept = |text: &[u8]| {
        found = parse(text);
        found.is_some()
    };
    read_value(name, &mut accept, expected);
    found
}

/// Passes a variable's value, if it is set, to `accept`; one that it refuses is reported.
#[inline(never)]
fn read_value(name: &CStr, accept: &mut dyn FnMut(&[u8]) -> bool, expected: &[u8]) {
    let mut room = program::Room::new();
    let Some(text) = program::variable(name, &mut room) else {
        return;
    };
    if !accept(text) {
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
