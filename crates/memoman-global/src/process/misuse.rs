//! Misuse: the instance's error handler, or one line on stderr and abort.

use crate::allocator::{Misuse, Tlsf};
use crate::system::program;
#[cfg(not(memoman_debug))]
pub(crate) use global::{report_deferred, report_global};

/// Calls the instance's error handler; without one, prints one line on stderr and aborts.
///
/// # Safety
/// The instance is live. The calling thread holds no lock and is in no heap: a handler may
/// allocate.
#[cold]
#[inline(never)]
pub unsafe fn report(tlsf: Tlsf, misuse: Misuse, address: *const u8) {
    #[cfg(memoman_debug)]
    let address = misuse.address_or(address);
    #[cfg(memoman_debug)]
    crate::debug::report::print(&misuse);
    // SAFETY: the instance is live (caller); the handler is the user's C function.
    unsafe {
        if let Some((handler, user)) = tlsf.misuse_handler() {
            handler(misuse.message().as_ptr(), address.cast(), user);
            return;
        }
    }
    #[cfg(not(memoman_debug))]
    {
        print(misuse, address);
        crate::system::sanitizer::print_stack();
    }
    stop();
}

/// A function of its own, so that the text takes room in no frame of the backtrace.
#[cfg(not(memoman_debug))]
#[inline(never)]
fn print(misuse: Misuse, address: *const u8) {
    crate::system::stderr::Line::headline(misuse.message().to_bytes(), address).print();
}

/// Ends the process. `abort` is called through a type that returns, so that the call compiles to a
/// jump and the caller's caller is the next frame of a backtrace.
fn stop() {
    // SAFETY: the type differs from abort's in the return only; abort has no precondition.
    unsafe {
        let abort: unsafe extern "C" fn() =
            core::mem::transmute::<unsafe extern "C" fn() -> !, _>(program::ABORT);
        abort();
    }
}

/// Release build only: misuse found by a thread heap goes to the process-wide instance's handler.
#[cfg(not(memoman_debug))]
mod global {
    use crate::allocator::Misuse;
    use crate::process::heap;

    /// Reports to the process-wide instance. The calling thread holds no lock and is in no heap: a
    /// handler may allocate.
    #[cold]
    #[inline(never)]
    pub(crate) fn report_global(misuse: Misuse, address: *const u8) {
        if let Some(tlsf) = heap::instance() {
            // SAFETY: the process-wide instance is live; the lock is released.
            unsafe { super::report(tlsf, misuse, address) };
        }
    }

    /// Reports what was deferred under the lock.
    pub(crate) fn report_deferred() {
        if !heap::is_deferred() {
            return;
        }
        // While another thread forks it stays deferred.
        if let Ok(Some(Some((misuse, address)))) =
            heap::try_with_heap(|state, _| state.take_deferred())
        {
            report_global(misuse, address);
        }
    }
}
