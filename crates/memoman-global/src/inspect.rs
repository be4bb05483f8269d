//! The process-wide heap as a whole: its instance, figures, validation, giving back.
//!
//! A program may call these before it allocates, so each completes the start-up ([`start`]).

use crate::allocator::{Stats, Tlsf};
use crate::process::figures::Info;
use crate::process::{figures, heap, start};

/// The process-wide instance, created at the first use. None when it cannot be created.
pub fn handle() -> Option<Tlsf> {
    settled(heap::instance())
}

/// The figures of all heaps together. `peak` is the sum of the heaps' own peaks, so never too low;
/// `largest` is the largest request of the calling thread that would succeed.
pub fn stats() -> Stats {
    settled(figures::stats())
}

/// The figures, and what glibc's `mallinfo` wants beside them. Under the lock: O(heaps), and a
/// bounded number of free blocks is counted.
pub fn info() -> Info {
    settled(figures::info())
}

/// Calls `use_text` with the figures in the form of glibc's `malloc_info`.
pub fn with_xml(use_text: impl FnOnce(&[u8])) {
    figures::with_xml(use_text);
    start::settle();
}

/// Every heap is sound. O(blocks), under the lock.
pub fn validate() -> bool {
    settled(figures::validate())
}

/// Gives memory back to the system: empty regions, and whole pages inside free blocks. True if any
/// was returned. O(blocks). `_pad`, the bytes that `malloc_trim` keeps at the top, has no meaning
/// here.
pub fn trim(_pad: usize) -> bool {
    settled(figures::trim())
}

/// Prints the process-wide heap's figures on stderr, in one `write`.
pub fn print_table() {
    figures::print_table();
    start::settle();
}

fn settled<R>(result: R) -> R {
    start::settle();
    result
}
