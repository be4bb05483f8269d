//! Ticks: the processor's time stamp counter in steps of 16, a few nanoseconds. It counts evenly on
//! every processor of the last decade, and is read in a fraction of a system clock's time.

use core::arch::x86_64::_rdtsc;

/// The counter's counts in a tick, as a shift.
const SHIFT: u32 = 4;

/// The present tick.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { _rdtsc() >> SHIFT }
}

fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to `time`.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Nanoseconds of the monotonic clock.
pub(crate) fn monotonic() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds since 1970.
pub(crate) fn wall() -> u64 {
    nanoseconds(libc::CLOCK_REALTIME)
}

/// Both clocks at one moment: the closest of a few readings, since a thread may lose its processor
/// between two of them.
pub(crate) fn both() -> (u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..4 {
        let (before, ns, after) = (ticks(), monotonic(), ticks());
        let apart = after.saturating_sub(before);
        if apart < best.0 {
            best = (apart, before + apart / 2, ns);
        }
    }
    (best.1, best.2)
}

/// Ticks a second, measured in a tenth of a millisecond: right to about a thousandth. The reader
/// has better readings of a longer run.
pub(crate) fn rate() -> u64 {
    const LONG: u64 = 100_000;
    let (ticks_before, before) = both();
    while monotonic().saturating_sub(before) < LONG {}
    let (ticks, now) = both();
    let passed = u128::from(now.saturating_sub(before).max(1));
    (u128::from(ticks.saturating_sub(ticks_before)) * 1_000_000_000 / passed) as u64
}
