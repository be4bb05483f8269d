//! The calling thread's errno.

pub(crate) use libc::{EINVAL, ENOMEM};

/// The calling thread's errno.
pub(crate) fn errno() -> i32 {
    // SAFETY: the C library's pointer to the thread's own errno.
    unsafe { *libc::__errno_location() }
}

/// Sets the calling thread's errno.
pub fn set_errno(value: i32) {
    // SAFETY: the C library's pointer to the thread's own errno.
    unsafe { *libc::__errno_location() = value };
}
