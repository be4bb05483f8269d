//! At exit, the debug library validates the heap and lists the blocks still in use.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::process::{heap, misuse};
use crate::system::stderr::Line;
use crate::system::{env, program};

/// The number of call sites that the leak listing distinguishes, and of lines that it prints.
const SITES: usize = 256;
const LINES: usize = 40;

/// Registers the validation and the leak listing for the end of the process. Called without the
/// lock: `atexit` may allocate.
pub(crate) fn list_at_exit() {
    program::at_exit(end);
}

extern "C" fn end() {
    let found = heap::with_heap(|_, tlsf| {
        // SAFETY: the instance is live and under the lock.
        unsafe { (tlsf, tlsf.diagnose()) }
    });
    if let Some((tlsf, Some(violation))) = found {
        // SAFETY: the instance is live; the lock is released.
        unsafe { misuse::report(tlsf, violation.fault, violation.address) };
    }
    if env::value(c"MEMOMAN_LEAKS", env::switch, b"0 or 1") == Some(true) {
        list_leaks();
    }
}

/// The blocks of one call site that have not been freed.
#[derive(Clone, Copy)]
struct Leak {
    site: usize,
    blocks: usize,
    bytes: usize,
}

/// Prints the blocks still in use, by call site, most bytes first.
fn list_leaks() {
    static LISTED: AtomicBool = AtomicBool::new(false);
    if LISTED.swap(true, Ordering::Relaxed) {
        return;
    }
    const NONE: Leak = Leak {
        site: 0,
        blocks: 0,
        bytes: 0,
    };
    let mut leaks = [NONE; SITES];
    let (mut all, mut rest) = (NONE, NONE);
    // Collected under the lock, printed without it.
    heap::with_heap(|_, tlsf| {
        // SAFETY: the instance is live and under the lock.
        unsafe {
            tlsf.live_blocks(&mut |known| {
                let place = leaks
                    .iter_mut()
                    .find(|leak| leak.blocks == 0 || leak.site == known.allocated);
                let entry = place.unwrap_or(&mut rest);
                entry.site = known.allocated;
                for sum in [entry, &mut all] {
                    sum.blocks += 1;
                    sum.bytes += known.size;
                }
            });
        }
    });
    leaks.sort_unstable_by_key(|leak| core::cmp::Reverse((leak.bytes, leak.blocks)));
    for (line, leak) in leaks.iter().enumerate() {
        if leak.blocks == 0 {
            break;
        }
        if line < LINES {
            row(leak)
                .text(b" allocated at ")
                .site(leak.site)
                .text(b"\n")
                .print();
        } else {
            rest.blocks += leak.blocks;
            rest.bytes += leak.bytes;
        }
    }
    if rest.blocks > 0 {
        row(&rest).text(b" allocated elsewhere\n").print();
    }
    row(&all).text(b" in use at exit\n").print();
}

fn row(leak: &Leak) -> Line {
    let mut line = Line::new();
    line.text(b"memoman: ")
        .number(leak.bytes, 0)
        .text(b" bytes in ")
        .number(leak.blocks, 0)
        .text(b" blocks");
    line
}
