//! The table of `MEMOMAN_STATS=1` and `malloc_stats`.

use crate::line::Line;
use crate::survey;

/// Registers the table for the end of the process. Called without the lock, since `atexit` may allocate.
pub(crate) fn at_exit() {
    // SAFETY: a function without parameters that lives as long as the library.
    unsafe { libc::atexit(print_at_exit) };
}

extern "C" fn print_at_exit() {
    print_table();
}

/// Prints the process-wide heap's figures on stderr, in one `write`.
pub fn print_table() {
    let allocations = survey::allocations();
    let stats = survey::stats();
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
