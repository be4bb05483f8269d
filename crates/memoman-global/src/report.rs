//! The table of `MEMOMAN_STATS=1` and `malloc_stats`.

use crate::heap;
use crate::line::Line;

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
    let allocations = heap::allocations();
    let stats = heap::stats();
    let row = |line: Line, name: &[u8], value: usize| {
        line.text(b"memoman: ")
            .text(name)
            .number(value, 16)
            .text(b"\n")
    };
    let mut line = Line::new();
    line = row(line, b"allocations    ", allocations);
    line = row(line, b"live blocks    ", stats.live_blocks);
    line = row(line, b"used bytes     ", stats.used);
    line = row(line, b"peak bytes     ", stats.peak);
    line = row(line, b"free bytes     ", stats.free);
    line = row(line, b"largest free   ", stats.largest);
    line = row(line, b"pool bytes     ", stats.pool_bytes);
    line = row(line, b"failed requests", stats.failed_requests);
    line.print();
}
