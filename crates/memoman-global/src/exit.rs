//! A thread's end, told by the destructor of a pthread key: its heap goes to the next new thread.

use core::ffi::c_void;
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::{adopt, tls};

/// The key; until it has been made, what no key is.
static KEY: AtomicU32 = AtomicU32::new(NONE);
const NONE: libc::pthread_key_t = u32::MAX;

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
    if known != NONE {
        return Some(known);
    }
    let mut key = NONE;
    // SAFETY: writes our variable; the function lives as long as the library.
    if unsafe { libc::pthread_key_create(&mut key, Some(ended)) } != 0 {
        return None;
    }
    match KEY.compare_exchange(NONE, key, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(key),
        Err(other) => {
            // SAFETY: made above, and known to nobody else.
            unsafe { libc::pthread_key_delete(key) };
            Some(other)
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
        let known = KEY.swap(NONE, Ordering::AcqRel);
        if known != NONE {
            // SAFETY: made by `key`, and no longer known.
            unsafe { libc::pthread_key_delete(known) };
        }
    }
    at_unload
};

/// The key's value as a number: where there is no other thread-local word.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(crate) fn key_value() -> usize {
    match KEY.load(Ordering::Acquire) {
        NONE => 0,
        // SAFETY: the key is made.
        known => unsafe { libc::pthread_getspecific(known) }.expose_provenance(),
    }
}

/// Sets it. A value that is not 0 has the destructor called at the thread's end.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(crate) fn set_key_value(value: usize) {
    watch(ptr::with_exposed_provenance_mut(value));
}
