//! Signals of the calling thread.

use core::ptr;

use crate::system::errno::{errno, set_errno};

/// A set of signals as the kernel has it: a bit for each.
type Set = u64;

/// The signals but those that an instruction or a system call of the thread itself raises, which
/// would end the process if they were blocked, and the two that the C library keeps for itself.
const OTHERS: Set = {
    const fn bit(signal: libc::c_int) -> Set {
        1 << (signal - 1)
    }
    !(bit(libc::SIGSEGV)
        | bit(libc::SIGBUS)
        | bit(libc::SIGFPE)
        | bit(libc::SIGILL)
        | bit(libc::SIGTRAP)
        | bit(libc::SIGSYS)
        | bit(32)
        | bit(33))
};

/// Runs `work` with this thread's signals blocked, but for those that it raises itself.
pub(crate) fn blocked<R>(work: impl FnOnce() -> R) -> R {
    let mut before: Set = 0;
    let changed = change(libc::SIG_BLOCK, &OTHERS, &mut before);
    let result = work();
    if changed {
        change(libc::SIG_SETMASK, &before, ptr::null_mut());
    }
    result
}

/// False if the system refuses. Keeps errno. (By number: a name to look up takes more of the
/// library's file.)
#[inline(never)]
fn change(how: libc::c_int, set: &Set, before: *mut Set) -> bool {
    let saved = errno();
    // SAFETY: a set to read, and null or one to write, of the size that is passed.
    let result =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, set, before, size_of::<Set>()) };
    set_errno(saved);
    result == 0
}
