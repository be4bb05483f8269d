//! At exit, the debug library validates the heap and lists the blocks still in use; those of an
//! instance when it is destroyed.

use core::sync::atomic::{AtomicBool, Ordering};

use memoman_debug::Known;

use crate::allocator::Tlsf;
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
    static LISTED: AtomicBool = AtomicBool::new(false);
    if are_wanted() && !LISTED.swap(true, Ordering::Relaxed) {
        // Collected under the lock, printed without it.
        // SAFETY: the instance is live and under the lock.
        if let Some(leaks) = heap::with_heap(|_, tlsf| unsafe { Leaks::of(tlsf) }) {
            leaks.print(b" in use at exit\n");
        }
    }
}

fn are_wanted() -> bool {
    env::value(c"MEMOMAN_LEAKS", env::switch, b"0 or 1") == Some(true)
}

/// Lists the blocks of an instance that is about to be destroyed, if it has any and
/// `MEMOMAN_LEAKS=1`.
///
/// # Safety
/// The instance is live.
pub unsafe fn list_leaks_of(tlsf: Tlsf) {
    if are_wanted() {
        // SAFETY: the instance is live (caller).
        let leaks = unsafe { Leaks::of(tlsf) };
        if leaks.all.blocks > 0 {
            leaks.print(b" in use at mm_destroy\n");
        }
    }
}

/// Lists the blocks that an instance has in use.
///
/// # Safety
/// The instance is live.
pub unsafe fn list_blocks_of(tlsf: Tlsf) {
    // SAFETY: the instance is live (caller).
    unsafe { Leaks::of(tlsf) }.print(b" in use\n");
}

const NONE: Leak = Leak {
    site: 0,
    blocks: 0,
    bytes: 0,
};

/// The blocks of one call site that have not been freed.
#[derive(Clone, Copy)]
struct Leak {
    site: usize,
    blocks: usize,
    bytes: usize,
}

/// The blocks still in use, by call site.
struct Leaks {
    sites: [Leak; SITES],
    all: Leak,
    /// The blocks of further sites.
    rest: Leak,
}

impl Leaks {
    const NEW: Leaks = Leaks {
        sites: [NONE; SITES],
        all: NONE,
        rest: NONE,
    };

    /// The blocks that an instance has in use.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn of(tlsf: Tlsf) -> Leaks {
        let mut leaks = Leaks::NEW;
        // SAFETY: the instance is live (caller); `add` makes no call on it.
        unsafe { tlsf.live_blocks(&mut |known| leaks.add(known)) };
        leaks
    }

    fn add(&mut self, known: Known) {
        let place = self
            .sites
            .iter_mut()
            .find(|leak| leak.blocks == 0 || leak.site == known.allocated);
        let entry = place.unwrap_or(&mut self.rest);
        entry.site = known.allocated;
        for sum in [entry, &mut self.all] {
            sum.blocks += 1;
            sum.bytes += known.size;
        }
    }

    /// Prints the sites, most bytes first, and the sum with these words.
    fn print(mut self, ending: &[u8]) {
        self.sites
            .sort_unstable_by_key(|leak| core::cmp::Reverse((leak.bytes, leak.blocks)));
        for (line, leak) in self.sites.iter().enumerate() {
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
                self.rest.blocks += leak.blocks;
                self.rest.bytes += leak.bytes;
            }
        }
        if self.rest.blocks > 0 {
            row(&self.rest).text(b" allocated elsewhere\n").print();
        }
        row(&self.all).text(ending).print();
    }
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
