//! Reports the running test when validation touches a guard page, writes to the read-only heap, or
//! fails.

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr;
use std::eprintln;
use std::sync::Once;

std::thread_local! {
    static CURRENT: Cell<(*const u8, usize)> = const { Cell::new((ptr::null(), 0)) };
}

/// The test that this thread runs.
pub(super) struct Testing<'a>(&'a str);

impl Drop for Testing<'_> {
    fn drop(&mut self) {
        CURRENT.set((ptr::null(), 0));
        if std::thread::panicking() {
            eprintln!("while testing: {}", self.0);
        }
    }
}

/// Until the result is dropped, a fault or a panic on this thread prints `what`.
pub(super) fn while_testing(what: &str) -> Testing<'_> {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void) = report;
            // SAFETY: a zeroed sigaction is valid; the handler is async-signal-safe.
            unsafe {
                let mut action: libc::sigaction = core::mem::zeroed();
                action.sa_sigaction = handler as usize;
                // Once: the repeated access ends the process by the default action.
                action.sa_flags = libc::SA_SIGINFO | libc::SA_RESETHAND;
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
        }
    });
    CURRENT.set((what.as_ptr(), what.len()));
    Testing(what)
}

extern "C" fn report(_signal: i32, _info: *mut libc::siginfo_t, _context: *mut c_void) {
    let (text, length) = CURRENT.get();
    for (from, bytes) in [
        (
            c"\nvalidation read outside the heap, or wrote: "
                .as_ptr()
                .cast(),
            45,
        ),
        (text, length),
        (c"\n".as_ptr().cast(), 1),
    ] {
        // SAFETY: write(2) is async-signal-safe; a bad address is an error, not a fault.
        unsafe { libc::write(2, from.cast(), bytes) };
    }
}
