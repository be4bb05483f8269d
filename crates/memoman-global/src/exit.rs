//! A thread's end, told by the destructor of a pthread key: its heap goes to the next new thread.

use core::ffi::c_void;
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::{adopt, tls};

/// One more than the key; 0 until it has been made.
static KEY: AtomicUsize = AtomicUsize::new(0);

extern "C" fn ended(value: *mut c_void) {
    // Destructors of other keys may still allocate and free: such a thread is served under the lock, without a heap.
    tls::end();
    if value.addr() > tls::ENDED {
        // SAFETY: the value of the key is the ending thread's heap.
        unsafe { adopt::give_up(value.cast()) };
    }
}

/// The key, made at the first use. None when the process has no key left.
fn key() -> Option<libc::pthread_key_t> {
    let known = KEY.load(Ordering::Acquire);
    if known != 0 {
        return Some((known - 1) as libc::pthread_key_t);
    }
    let mut key = 0;
    // SAFETY: writes our variable; the function lives as long as the library.
    if unsafe { libc::pthread_key_create(&mut key, Some(ended)) } != 0 {
        return None;
    }
    match KEY.compare_exchange(0, key as usize + 1, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(key),
        Err(other) => {
            // SAFETY: made above, and known to nobody else.
            unsafe { libc::pthread_key_delete(key) };
            Some((other - 1) as libc::pthread_key_t)
        }
    }
}

/// Makes the key: early, so that its number is small and setting it allocates nothing.
pub(crate) fn prepare() {
    let _ = key();
}

/// Has the calling thread's end told. May allocate.
pub(crate) fn watch(value: *mut c_void) {
    if let Some(key) = key() {
        // SAFETY: the key is made.
        unsafe { libc::pthread_setspecific(key, value) };
    }
}

/// The library is unloaded: a thread that ends later must not call into it.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".fini_array.00101")]
static AT_UNLOAD: extern "C" fn() = {
    extern "C" fn at_unload() {
        let known = KEY.swap(0, Ordering::AcqRel);
        if known != 0 {
            // SAFETY: made by `key`, and no longer known.
            unsafe { libc::pthread_key_delete((known - 1) as libc::pthread_key_t) };
        }
    }
    at_unload
};

/// The key's value as a number: where there is no other thread-local word.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(crate) fn key_value() -> usize {
    match KEY.load(Ordering::Acquire) {
        0 => 0,
        // SAFETY: the key is made.
        known => unsafe { libc::pthread_getspecific((known - 1) as libc::pthread_key_t) }
            .expose_provenance(),
    }
}

/// Sets it. A value that is not 0 has the destructor called at the thread's end.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(crate) fn set_key_value(value: usize) {
    watch(ptr::with_exposed_provenance_mut(value));
}
