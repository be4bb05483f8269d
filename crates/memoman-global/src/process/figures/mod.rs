//! The heap as a whole: figures, validation, trim, and the table of `MEMOMAN_STATS=1` and
//! `malloc_stats`.
//!
//! | file | what |
//! |---|---|
//! | `all_heaps.rs` | over the process-wide instance and every thread heap |
//! | `one_heap.rs` | the debug library's: over the process-wide instance |

#[cfg(not(memoman_debug))]
mod all_heaps;
#[cfg(memoman_debug)]
mod one_heap;

#[cfg(not(memoman_debug))]
use all_heaps as imp;
#[cfg(memoman_debug)]
use one_heap as imp;

pub(crate) use imp::{allocations, stats, trim, validate};

use crate::system::stderr::Line;

/// Registers the table for the end of the process. Called without the lock: `atexit` may allocate.
pub(crate) fn print_at_exit() {
    extern "C" fn at_exit() {
        print_table();
    }
    // SAFETY: a function without parameters that lives as long as the library.
    unsafe { libc::atexit(at_exit) };
}

/// Prints the process-wide heap's figures on stderr, in one `write`.
pub(crate) fn print_table() {
    let allocations = allocations();
    let stats = stats();
    let rows: [(&[u8], usize); 8] = [
        (b"allocations    ", allocations),
        (b"live blocks    ", stats.live_blocks),
        (b"used bytes     ", stats.used),
        (b"peak bytes     ", stats.peak),
        (b"free bytes     ", stats.free),
        (b"largest free   ", stats.largest),
        (b"pool bytes     ", stats.pool_bytes),
        (b"failed requests", stats.failed_requests),
    ];
    let mut line = Line::new();
    for (name, value) in rows {
        line = line
            .text(b"memoman: ")
            .text(name)
            .number(value, 16)
            .text(b"\n");
    }
    line.print();
}
