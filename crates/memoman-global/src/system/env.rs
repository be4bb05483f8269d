//! The environment: four variables, read once. A malformed value is reported in one line on stderr
//! and ignored, and so are variables with the prefix that do not exist.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};

use crate::system::stderr::Line;

unsafe extern "C" {
    /// glibc's and musl's getenv that finds nothing in a set-user-id program. The `libc` crate
    /// lacks it.
    fn secure_getenv(name: *const c_char) -> *const c_char;
    /// The environment: pointers to C strings, and a null pointer after them; or null.
    static environ: *const *const c_char;
}

const PREFIX: &[u8] = b"MEMOMAN_";

/// The variables that have the prefix.
#[cfg(not(memoman_debug))]
const NAMES: &[u8] = b"MEMOMAN_RESERVE, MEMOMAN_GROW, MEMOMAN_LOCK, MEMOMAN_STATS";
#[cfg(memoman_debug)]
const NAMES: &[u8] = b"MEMOMAN_RESERVE, MEMOMAN_GROW, MEMOMAN_LOCK, MEMOMAN_STATS, MEMOMAN_LEAKS";
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
    /// Reads the process's environment, with `secure_getenv`: the caller of a set-user-id program
    /// has no influence on it.
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
            stats: value(
                c"MEMOMAN_STATS",
                table,
                b"0, 1, or a file's path with a slash in it",
            ) == Some(true),
        }
    }
}

/// Names the variables that have the prefix and do not exist, and those that do, in one line.
fn report_unknown() {
    // SAFETY: getauxval has no precondition.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return;
    }
    let mut line = Line::new();
    let mut unknown = 0;
    // SAFETY: the C library's variable. No thread changes the environment meanwhile, as getenv
    // requires of every program.
    let mut next = unsafe { environ };
    while !next.is_null() {
        // SAFETY: within the array, whose last entry is null.
        let entry = unsafe { *next };
        if entry.is_null() {
            break;
        }
        next = next.wrapping_add(1);
        // SAFETY: entries are C strings.
        let Some(name) = unknown_name(unsafe { CStr::from_ptr(entry) }.to_bytes()) else {
            continue;
        };
        if unknown < UNKNOWN_MAX {
            line.text(if unknown == 0 { b"memoman: " } else { b", " });
            line.text(name.get(..64).unwrap_or(name));
        }
        unknown += 1;
    }
    if unknown > 0 {
        line.text(b" ignored: the variables are ");
        line.text(NAMES);
        line.text(b"\n");
        line.print();
    }
}

/// The name of an entry of the environment that has the prefix and is no variable of this library.
pub(crate) fn unknown_name(entry: &[u8]) -> Option<&[u8]> {
    if !entry.starts_with(PREFIX) {
        return None;
    }
    let name = entry.split(|byte| *byte == b'=').next()?;
    let known = NAMES
        .split(|byte| *byte == b',')
        .any(|known| known.trim_ascii() == name);
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
    // SAFETY: the name is a C string, and so is a result that is not null. No thread changes the
    // environment meanwhile, as getenv requires of every program.
    let text = unsafe {
        let text = secure_getenv(name.as_ptr());
        if text.is_null() {
            return;
        }
        CStr::from_ptr(text).to_bytes()
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
