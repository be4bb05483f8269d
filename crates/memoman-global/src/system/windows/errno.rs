//! The calling thread's errno, for Windows.

use core::ffi::c_int;

pub(crate) use libc::{EINVAL, ENOMEM};

unsafe extern "C" {
    /// The C library's pointer to the thread's own errno. The `libc` crate lacks it.
    fn _errno() -> *mut c_int;
}

/// The calling thread's errno.
pub(crate) fn errno() -> i32 {
    // SAFETY: a pointer to the thread's own errno.
    unsafe { *_errno() }
}

/// Sets the calling thread's errno.
pub fn set_errno(value: i32) {
    // SAFETY: a pointer to the thread's own errno.
    unsafe { *_errno() = value };
}
