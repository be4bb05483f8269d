//! What the debug library has beyond `memoman.h`: `memoman/debug.h`, which is written by hand.

use super::instance;
use super::types::mm_allocator_t;

/// Lists the allocator's blocks in use on stderr, and returns their number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_report_leaks(allocator: *mut mm_allocator_t) -> usize {
    // SAFETY: boundary rules.
    unsafe {
        let Some(tlsf) = instance(allocator) else {
            return 0;
        };
        #[cfg(any(target_os = "linux", windows))]
        memoman_global::debug::list_blocks_of(tlsf);
        tlsf.stats().live_blocks
    }
}
