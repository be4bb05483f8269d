//! System calls by number: the C library's functions for them are cancellation points, which malloc
//! and free are not.

use core::ffi::c_char;

/// open(2) of a file that exists.
///
/// # Safety
/// The path is a C string.
pub(crate) unsafe fn open(path: *const c_char, flags: i32) -> i32 {
    // SAFETY: a C string (caller).
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags) as i32 }
}

/// close(2).
///
/// # Safety
/// Nothing uses the descriptor any more.
pub(crate) unsafe fn close(fd: i32) {
    // SAFETY: the duty of the caller.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// read(2).
pub(crate) fn read(fd: i32, buffer: &mut [u8]) -> isize {
    // SAFETY: writes to a slice of the stated length.
    unsafe { libc::syscall(libc::SYS_read, fd, buffer.as_mut_ptr(), buffer.len()) as isize }
}

/// pwrite(2).
pub(crate) fn write(fd: i32, bytes: &[u8], offset: u64) -> isize {
    // SAFETY: reads from a slice of the stated length.
    unsafe { libc::syscall(libc::SYS_pwrite64, fd, bytes.as_ptr(), bytes.len(), offset) as isize }
}

/// fallocate(2); true if the space is there.
pub(crate) fn allocate(fd: i32, offset: u64, bytes: usize) -> bool {
    // SAFETY: no memory is accessed.
    unsafe { libc::syscall(libc::SYS_fallocate, fd, 0, offset, bytes) == 0 }
}
