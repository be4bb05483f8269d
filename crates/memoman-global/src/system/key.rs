//! A word of each thread, and notice of the thread's end.

use core::ffi::c_void;

/// In how many rounds of destructors a thread keeps its heap, and gives it up in the last. The
/// system calls `ended` of [`create`] in each of four rounds if it sets its word again; but the
/// first call of a thread may come from a destructor, whose round then is unknown.
#[cfg(not(memoman_debug))]
pub(crate) const ROUNDS: u8 = 2;

/// Creates a key, whose word is null in each thread. `ended` is called at the end of a thread that
/// has set its word to another value, with that value. None if the process has no key left.
///
/// # Safety
/// `ended` lives as long as the key.
pub(crate) unsafe fn create(ended: unsafe extern "C" fn(*mut c_void)) -> Option<usize> {
    let mut key = 0;
    // SAFETY: writes to `key`; the destructor lives as long as the key (caller).
    let result = unsafe { libc::pthread_key_create(&mut key, Some(ended)) };
    (result == 0).then_some(key as usize)
}

/// # Safety
/// The key exists, and nothing uses it any more.
pub(crate) unsafe fn delete(key: usize) {
    // SAFETY: an existing key (caller).
    unsafe { libc::pthread_key_delete(key as libc::pthread_key_t) };
}

/// Sets the calling thread's word. May allocate.
///
/// # Safety
/// The key exists.
pub(crate) unsafe fn set(key: usize, value: *mut c_void) {
    // SAFETY: an existing key (caller).
    unsafe { libc::pthread_setspecific(key as libc::pthread_key_t, value) };
}

/// The calling thread's word.
///
/// # Safety
/// The key exists.
#[cfg_attr(
    all(target_arch = "x86_64", target_os = "linux"),
    allow(dead_code, reason = "the word lies in the static TLS block there")
)]
pub(crate) unsafe fn get(key: usize) -> *mut c_void {
    // SAFETY: an existing key (caller).
    unsafe { libc::pthread_getspecific(key as libc::pthread_key_t) }
}
