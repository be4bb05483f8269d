//! Lives: an instance's time between two creations or resets on the same memory. Each life has a
//! number, and the seal of its headers follows from it, so that headers, pools and cursors that an
//! earlier life left in memory are not those of the present one. `docs/adr/0013-lives.md` argues
//! where the numbers come from.

use crate::config::{SIZE_BITS, WORD};

/// Odd, so that the seals of successive lives differ in many bits.
const SPREAD: usize = 0x5A25;

/// The seal of a life, at its place above the size: the uppermost bit is set, so that no pointer,
/// small integer or ASCII text looks like a header. The seals of 32,768 successive lives all
/// differ, since the factor is odd. 0 on 32-bit targets, whose headers have no seal.
pub(crate) const fn seal(life: usize) -> usize {
    if WORD == 8 {
        (life.wrapping_mul(SPREAD) | 0x8000) << (SIZE_BITS % usize::BITS)
    } else {
        0
    }
}

/// The number of a life that begins now in the instance at `address`.
///
/// It counts steps of the processor's time counter, each shorter than a creation or a reset: two
/// lives on the same memory do not begin in one step, and resets, which add 1, do not overtake the
/// counter. Where a program may have no such counter, the number is a hash of the address.
#[allow(unused_variables, reason = "the address stands in for a counter")]
pub(crate) fn begin(address: usize) -> usize {
    #[cfg(all(
        any(target_arch = "x86", target_arch = "x86_64"),
        not(target_env = "sgx")
    ))]
    {
        #[cfg(target_arch = "x86")]
        use core::arch::x86::_rdtsc;
        #[cfg(target_arch = "x86_64")]
        use core::arch::x86_64::_rdtsc;
        // SAFETY: every processor that these targets are compiled for has the instruction.
        (unsafe { _rdtsc() } >> 6) as usize
    }
    #[cfg(target_arch = "aarch64")]
    {
        let (ticks, rate): (u64, u64);
        // SAFETY: both registers may be read at every exception level where an operating system or
        // firmware runs programs; reading them has no other effect.
        unsafe {
            core::arch::asm!(
                "mrs {0}, cntvct_el0",
                "mrs {1}, cntfrq_el0",
                out(reg) ticks,
                out(reg) rate,
                options(nomem, nostack, preserves_flags)
            );
        }
        // Steps of 30 to 60 ns where the counter is faster than that; 1 GHz is its usual maximum.
        (ticks >> (rate >> 24).checked_ilog2().unwrap_or(0)) as usize
    }
    #[cfg(all(target_arch = "riscv64", not(target_os = "none")))]
    {
        let ticks: usize;
        // SAFETY: operating systems let programs read the time; reading it has no other effect.
        unsafe {
            core::arch::asm!(
                "rdtime {0}",
                out(reg) ticks,
                options(nomem, nostack, preserves_flags)
            );
        }
        ticks
    }
    #[cfg(not(any(
        all(
            any(target_arch = "x86", target_arch = "x86_64"),
            not(target_env = "sgx")
        ),
        target_arch = "aarch64",
        all(target_arch = "riscv64", not(target_os = "none"))
    )))]
    {
        // SAFETY: no word is read.
        unsafe { crate::hash::mix_at(address, core::ptr::null(), 0) }
    }
}
