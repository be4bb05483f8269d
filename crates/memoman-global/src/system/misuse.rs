//! What happens on misuse.

use memoman_debug::allocator::{Misuse, Tlsf};

use crate::line::Line;

/// Calls the instance's error handler; without one, prints one line on stderr and aborts.
///
/// # Safety
/// The instance is live. No lock of this package is held: a handler may allocate.
#[cold]
#[inline(never)]
pub unsafe fn report(tlsf: Tlsf, misuse: Misuse, address: *const u8) {
    #[cfg(memoman_debug)]
    let address = misuse.address_or(address);
    #[cfg(memoman_debug)]
    crate::debug::print(&misuse);
    // SAFETY: live (caller); the handler is the user's C function.
    unsafe {
        if let Some((handler, user)) = tlsf.misuse_handler() {
            handler(misuse.message().as_ptr(), address.cast(), user);
            return;
        }
    }
    #[cfg(not(memoman_debug))]
    print(misuse, address);
    stop();
}

/// In a function of its own, so that the text lies in no frame that a debugger has to find its way through.
#[cfg(not(memoman_debug))]
#[inline(never)]
fn print(misuse: Misuse, address: *const u8) {
    headline(misuse.message().to_bytes(), address).print();
}

/// Ends the process. Called as if it returned, so that it is a jump and the caller's caller is next in a backtrace.
fn stop() {
    // SAFETY: only what the type says of the return changes; abort has no precondition.
    unsafe {
        let abort: unsafe extern "C" fn() =
            core::mem::transmute::<unsafe extern "C" fn() -> !, _>(libc::abort);
        abort();
    }
}

/// The line that says what and where.
pub(crate) fn headline(message: &[u8], address: *const u8) -> Line {
    Line::new()
        .text(b"memoman: ")
        .text(message)
        .text(b": ")
        .address(address.addr())
        .text(b"\n")
}
