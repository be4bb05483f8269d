//! Doors for the fuzzers: compiled only with `--cfg memoman_fuzz`, which `scripts/fuzz.sh` sets.

use crate::env::Settings;
use crate::survey;

/// Reads the environment again, as the heap does once: bytes of the reserve (0: none), and bits for fixed (1), lock (2)
/// and stats (4).
///
/// # Safety
/// `reserve` and `switches` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memoman_fuzz_environment(reserve: *mut usize, switches: *mut u32) {
    let settings = Settings::read();
    // SAFETY: the caller's duty.
    unsafe {
        reserve.write(settings.reserve.unwrap_or(0));
        switches.write(
            u32::from(settings.fixed)
                | u32::from(settings.lock) << 1
                | u32::from(settings.stats) << 2,
        );
    }
}

/// The process-wide heap is sound: the shim has no name for this.
#[unsafe(no_mangle)]
pub extern "C" fn memoman_fuzz_validate() -> i32 {
    i32::from(survey::validate())
}
