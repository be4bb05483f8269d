//! Misuse found in a thread heap goes to the process-wide instance's handler.

use memoman_debug::allocator::Misuse;

use crate::default::with_heap;
use crate::{default, fatal};

/// Calls the error handler, or prints a line and aborts. Outside every gate and lock: a handler may allocate.
#[cold]
#[inline(never)]
pub(crate) fn misuse(misuse: Misuse, address: *const u8) {
    if let Some(tlsf) = default::handle() {
        // SAFETY: live; the lock is released.
        unsafe { fatal::report(tlsf, misuse, address) };
    }
}

/// Tells what was noted under the lock.
pub(crate) fn noted() {
    if let Some(Some((found, address))) = with_heap(|state, _| state.take_noted()) {
        misuse(found, address);
    }
}
