//! What needs the C library: signals of the terminal, the user.

use std::io;

/// Runs `start` and ignores the terminal's signals from then on: the program that was started
/// handles them, and the tool waits for its end.
#[allow(
    unsafe_code,
    reason = "the standard library has no call for the disposition of a signal"
)]
pub(crate) fn ignored<T>(start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    // Before the start, the program would inherit that they are ignored.
    let started = start();
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: the disposition of a signal, which no handler of this program has.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    started
}

/// Whether the effective user is root.
#[allow(unsafe_code, reason = "the standard library has no call for it")]
pub(crate) fn is_root() -> bool {
    // SAFETY: no precondition.
    unsafe { libc::geteuid() == 0 }
}
