//! The process: its environment, its files, its end, for Windows, which has no fork.

use core::ffi::{CStr, c_char};
use core::ptr;

use crate::system::errno::set_errno;
use crate::system::windows::{
    CloseHandle, CreateFileA, FILE_APPEND_DATA, FILE_SHARE_READ_WRITE, FreeEnvironmentStringsA,
    GetCurrentProcessId, GetEnvironmentStringsA, GetEnvironmentVariableA, GetLastError,
    GetModuleFileNameA, GetStdHandle, INVALID_HANDLE, OPEN_ALWAYS, STD_ERROR, WriteFile,
    keeping_error,
};

/// Bytes of the longest value of a variable, and of the longest path of a program.
const TEXT_MAX: usize = 300;

/// Room for a variable's value.
pub(crate) struct Room([u8; TEXT_MAX]);

impl Room {
    pub(crate) fn new() -> Room {
        Room([0; TEXT_MAX])
    }
}

/// A variable's value, if it is set. One that has no room is malformed, as a value that long is.
pub(crate) fn variable<'a>(name: &CStr, room: &'a mut Room) -> Option<&'a [u8]> {
    // SAFETY: the name is a C string; at most the buffer's bytes are written.
    let bytes = keeping_error(|| unsafe {
        GetEnvironmentVariableA(name.as_ptr(), room.0.as_mut_ptr(), TEXT_MAX as u32)
    }) as usize;
    // A value that has no room gives the room that it wants.
    (bytes != 0).then(|| room.0.get(..bytes).unwrap_or(b"(too long)"))
}

/// Passes each entry of the environment to `use_entry`.
pub(crate) fn each_variable(mut use_entry: impl FnMut(&[u8])) {
    // SAFETY: the system's copy of the environment, made for this caller: C strings, and an empty
    // one after them.
    unsafe {
        let strings = GetEnvironmentStringsA();
        let mut next: *const c_char = strings;
        while !next.is_null() && *next != 0 {
            let entry = CStr::from_ptr(next).to_bytes();
            use_entry(entry);
            next = next.add(entry.len() + 1);
        }
        if !strings.is_null() {
            FreeEnvironmentStringsA(strings);
        }
    }
}

/// The program's name, without its folder.
pub(crate) fn name(use_name: impl FnOnce(&[u8])) {
    let mut path = [0u8; TEXT_MAX];
    // SAFETY: at most the buffer's bytes are written.
    let bytes = keeping_error(|| unsafe {
        GetModuleFileNameA(ptr::null_mut(), path.as_mut_ptr(), TEXT_MAX as u32)
    }) as usize;
    let path = path.get(..bytes).unwrap_or(b"?");
    use_name(path.rsplit(|&byte| byte == b'\\').next().unwrap_or(path));
}

/// The process's number.
pub(crate) fn number() -> usize {
    // SAFETY: no precondition.
    unsafe { GetCurrentProcessId() as usize }
}

/// What tells the program's stderr from another file: its handle.
pub(crate) fn identity(_: i32) -> [usize; 2] {
    // SAFETY: no precondition.
    [unsafe { GetStdHandle(STD_ERROR) } as usize, 1]
}

/// Opens a file to append to it, and makes it if there is none. The reason for None is in errno:
/// the system's own number.
///
/// # Safety
/// The path is a C string.
pub(crate) unsafe fn open_to_append(path: *const c_char) -> Option<i32> {
    // SAFETY: a C string (caller).
    let file = unsafe {
        CreateFileA(
            path,
            FILE_APPEND_DATA,
            FILE_SHARE_READ_WRITE,
            ptr::null_mut(),
            OPEN_ALWAYS,
            0,
            0,
        )
    };
    if file == INVALID_HANDLE {
        // SAFETY: no precondition.
        set_errno(unsafe { GetLastError() } as i32);
        return None;
    }
    // Handles have 32 significant bits.
    Some(file as i32)
}

/// Closes a file from [`open_to_append`].
pub(crate) fn close(file: i32) {
    // SAFETY: an open file, which nothing uses any more.
    unsafe { CloseHandle(file as isize) };
}

/// Writes to a file from [`open_to_append`], or to stderr, which is 2. The number of bytes, or -1.
pub(crate) fn write(file: i32, bytes: &[u8]) -> isize {
    keeping_error(|| {
        let mut written = 0;
        // SAFETY: the bytes are readable; the call writes their number.
        let done = unsafe {
            let file = if file == 2 {
                GetStdHandle(STD_ERROR)
            } else {
                file as isize
            };
            let count = bytes.len() as u32;
            WriteFile(file, bytes.as_ptr(), count, &mut written, ptr::null_mut())
        };
        if done == 0 { -1 } else { written as isize }
    })
}

/// Addresses stand without their library's name.
#[cfg(memoman_debug)]
pub(crate) fn image(_: usize, _: impl FnOnce(&[u8], usize, Option<&[u8]>)) {}

/// Registers a function for the end of the process. May allocate.
pub(crate) fn at_exit(work: extern "C" fn()) {
    // SAFETY: a function without parameters that lives as long as the library.
    unsafe { libc::atexit(work) };
}

/// Windows has no fork.
pub(crate) fn at_fork(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) -> bool {
    true
}

/// Ends the process as failed: the C library's function itself, for a jump to it.
pub(crate) const ABORT: unsafe extern "C" fn() -> ! = libc::abort;
