//! Time, in steps of a few milliseconds.

/// Milliseconds of a clock that does not go back. No system call where the kernel maps the clock
/// into the process.
pub(crate) fn milliseconds() -> usize {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to its argument only.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    (time.tv_sec as usize)
        .wrapping_mul(1000)
        .wrapping_add(time.tv_nsec as usize / 1_000_000)
}
