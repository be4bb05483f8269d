//! Entry points for the fuzzers: compiled only with `--cfg memoman_fuzz`, which `scripts/fuzz.sh`
//! sets.

use crate::inspect;
use crate::system::env::Settings;

/// Reads the environment again, as the heap does once: bytes of the reserve (0: none), and bits for
/// fixed (1), lock (2) and stats (4).
///
/// # Safety
/// `reserve` and `switches` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memoman_fuzz_environment(reserve: *mut usize, switches: *mut u32) {
    let settings = Settings::read();
    // SAFETY: both may be written (caller).
    unsafe {
        reserve.write(settings.reserve.unwrap_or(0));
        switches.write(
            u32::from(settings.fixed)
                | u32::from(settings.lock) << 1
                | u32::from(settings.stats) << 2,
        );
    }
}

/// The process-wide heap is sound. The shim exports no other name for this.
#[unsafe(no_mangle)]
pub extern "C" fn memoman_fuzz_validate() -> i32 {
    i32::from(inspect::validate())
}
