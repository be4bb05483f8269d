//! The heap as a whole: figures, validation, trim, and the table of `MEMOMAN_STATS` and
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

pub(crate) use imp::{allocations, info, stats, trim, validate};

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::allocator::Stats;
use crate::system::errno::{errno, set_errno};
use crate::system::stderr::Line;
use crate::system::{env, program};

/// The figures, and what glibc's `mallinfo` wants beside them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Info {
    /// The heap's figures.
    pub stats: Stats,
    /// Free blocks, cached ones included; at most `COUNTED_MAX` of the others are counted.
    pub free_blocks: usize,
    /// Blocks in the threads' caches.
    pub cached_blocks: usize,
    /// Their bytes, headers included.
    pub cached_bytes: usize,
    /// Live blocks with a mapping of their own.
    pub large_blocks: usize,
    /// Their bytes.
    pub large_bytes: usize,
}

/// Bounds the time that [`info`] holds the lock.
#[cfg(not(memoman_debug))]
const COUNTED_MAX: usize = 2048;

/// Device and inode of stderr when the table was registered; 0 without one.
static STDERR: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// Registers the table for the end of the process. Called without the lock: `atexit` may allocate.
pub(crate) fn print_at_exit() {
    extern "C" fn at_exit() {
        print_at_end();
    }
    for (known, present) in STDERR.iter().zip(program::identity(2)) {
        known.store(present, Ordering::Relaxed);
    }
    program::at_exit(at_exit);
}

/// The table at the end of the process: appended to the file of `MEMOMAN_STATS`, or printed on
/// stderr, unless the program has put another file in its place, which may be its data.
fn print_at_end() {
    let path = env::table_path();
    if !path.is_empty() {
        append(path);
        return;
    }
    let first = STDERR.each_ref().map(|part| part.load(Ordering::Relaxed));
    if first == program::identity(2) {
        print_table();
    }
}

/// Appends the table to a file. `%p` in its path stands for the process's number.
#[inline(never)]
fn append(path: &[u8]) {
    let mut name = Line::new();
    let mut bytes = path.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' && bytes.as_slice().first() == Some(&b'p') {
            bytes.next();
            name.number(program::number(), 0);
        } else {
            name.text(core::slice::from_ref(byte));
        }
    }
    // The longest path, with a process number of seven digits (Linux: at most 4,194,304) for every
    // two bytes, leaves room for the 0 after it.
    name.text(b"\0");
    let saved = errno();
    // SAFETY: the text ends in 0.
    let opened = unsafe { program::open_to_append(name.as_bytes().as_ptr().cast()) };
    if let Some(file) = opened {
        table().write_to(file);
        program::close(file);
    } else {
        let mut line = Line::new();
        line.text(b"memoman: MEMOMAN_STATS: cannot write to ");
        line.text(path);
        line.text(b" (errno ");
        line.number(errno() as usize, 0);
        line.text(b")\n");
        line.print();
    }
    set_errno(saved);
}

/// Prints the process-wide heap's figures on stderr, in one `write`.
pub(crate) fn print_table() {
    table().print();
}

/// The figures in the form of glibc's `malloc_info`: its `fast` are the cached blocks, its `rest`
/// the other free ones, its `mmap` the blocks with a mapping of their own.
pub(crate) fn with_xml(use_text: impl FnOnce(&[u8])) {
    let Info {
        stats,
        free_blocks,
        cached_blocks,
        cached_bytes,
        large_blocks,
        large_bytes,
    } = info();
    let total = |line: &mut Line, kind: &[u8], count: Option<usize>, size: usize| {
        line.text(b" type=\"").text(kind).text(b"\"");
        if let Some(count) = count {
            line.text(b" count=\"").number(count, 0).text(b"\"");
        }
        line.text(b" size=\"").number(size, 0).text(b"\"/>\n");
    };
    let free = |line: &mut Line| {
        total(
            line.text(b"<total"),
            b"fast",
            Some(cached_blocks),
            cached_bytes,
        );
        total(
            line.text(b"<total"),
            b"rest",
            Some(free_blocks - cached_blocks),
            stats.free - cached_bytes,
        );
    };
    let system = |line: &mut Line| {
        let arena = stats.pool_bytes - large_bytes;
        total(line.text(b"<system"), b"current", None, arena);
        total(line.text(b"<aspace"), b"total", None, arena);
        total(line.text(b"<aspace"), b"mprotect", None, arena);
    };
    let line = &mut Line::new();
    line.text(b"<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n</sizes>\n");
    free(line);
    system(line);
    line.text(b"</heap>\n");
    free(line);
    total(
        line.text(b"<total"),
        b"mmap",
        Some(large_blocks),
        large_bytes,
    );
    system(line);
    use_text(line.text(b"</malloc>\n").as_bytes());
}

fn table() -> Line {
    let allocations = allocations();
    let stats = stats();
    const NAMES: &[u8; 8 * 15] = b"\
        allocations    \
        live blocks    \
        used bytes     \
        peak bytes     \
        free bytes     \
        largest free   \
        pool bytes     \
        failed requests";
    let values = [
        allocations,
        stats.live_blocks,
        stats.used,
        stats.peak,
        stats.free,
        stats.largest,
        stats.pool_bytes,
        stats.failed_requests,
    ];
    let mut line = Line::new();
    line.text(b"memoman: ");
    program::name(|name| {
        line.text(name.get(..64).unwrap_or(name));
    });
    line.text(b", process ");
    line.number(program::number(), 0);
    for (name, value) in NAMES.chunks_exact(15).zip(values) {
        line.text(b"\nmemoman: ");
        line.text(name);
        line.number(value, 16);
    }
    line.text(b"\n");
    line
}
