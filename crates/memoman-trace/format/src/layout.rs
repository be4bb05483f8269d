//! Where things lie: the header, a chunk, a record's first byte. All numbers are little-endian.

/// First bytes of every trace.
pub const MAGIC: [u8; 8] = *b"memomanT";
/// The version of the format that this crate describes.
pub const VERSION: u32 = 1;
/// Bytes of the header; chunks follow it, each a multiple of [`UNIT`] long.
pub const HEADER: usize = 4096;
/// Chunks start at multiples of this many bytes.
pub const UNIT: usize = 4096;

/// Byte offsets of the header's fields.
pub mod header {
    /// `u32`: [`VERSION`](super::VERSION).
    pub const VERSION: usize = 8;
    /// `u32`: bytes of the header.
    pub const BYTES: usize = 12;
    /// `u32`: process.
    pub const PID: usize = 16;
    /// `u32`: parent process, 0 when unknown.
    pub const PARENT: usize = 20;
    /// `u32`: how the process came to be: [`origin`](super::origin).
    pub const ORIGIN: usize = 24;
    /// `u32`: how the recording ended: [`state`](super::state).
    pub const STATE: usize = 28;
    /// `u32`: why it was cut: [`cut`](super::cut).
    pub const CUT: usize = 32;
    /// `u32`: the error number that came with the cut, 0 when there is none.
    pub const ERRNO: usize = 36;
    /// `u64`: events that could not be recorded, each counted.
    pub const LOST: usize = 40;
    /// `u64`: ticks a second, as measured at the start.
    pub const RATE: usize = 48;
    /// `u64`: ticks at the start.
    pub const START_TICKS: usize = 56;
    /// `u64`: nanoseconds of the monotonic clock at the same moment.
    pub const START_NS: usize = 64;
    /// `u64`: nanoseconds since 1970 at the same moment.
    pub const START_WALL: usize = 72;
    /// `u64`: ticks at the end, 0 when unknown.
    pub const END_TICKS: usize = 80;
    /// `u64`: nanoseconds of the monotonic clock at the same moment.
    pub const END_NS: usize = 88;
    /// `u32`: greatest number of return addresses in a stack, 0 without stacks.
    pub const STACKS: usize = 96;
    /// `u32`: bytes of a pointer in the process.
    pub const POINTER: usize = 100;
    /// `u64`: mean number of bytes between two sampled allocations, 0 when all are recorded.
    pub const SAMPLE: usize = 104;
    /// `u64`: ticks from the parent's start to the fork of this process.
    pub const FORKED: usize = 112;
    /// `u32`: the wait status, with [`EXITED`] set, once `memoman record` knows it.
    pub const EXIT: usize = 120;
    /// `u32`: bytes of text.
    pub const TEXT_BYTES: usize = 124;
    /// Strings, each ended by a zero byte: program file, the parent's trace, arguments.
    pub const TEXT: usize = 128;
    /// Set in [`EXIT`] when the wait status below it is known.
    pub const EXITED: u32 = 1 << 31;
}

/// How a process came to be.
pub mod origin {
    /// A program was started.
    pub const STARTED: u32 = 0;
    /// A recorded process forked.
    pub const FORKED: u32 = 1;
    /// A recorded process replaced its program.
    pub const EXECUTED: u32 = 2;
    /// The events come from elsewhere, such as firmware.
    pub const IMPORTED: u32 = 3;
}

/// How a recording ended.
pub mod state {
    /// It did not: the process runs, or it was killed.
    pub const RUNNING: u32 = 0;
    /// The process exited.
    pub const COMPLETE: u32 = 1;
    /// The recorder had to stop before the process did.
    pub const CUT: u32 = 2;
    /// The process replaced its program.
    pub const EXECUTED: u32 = 3;
}

/// Why a recording was cut.
pub mod cut {
    /// No space on the device.
    pub const DISK_FULL: u32 = 1;
    /// The process's limit on the size of a file.
    pub const FILE_LIMIT: u32 = 2;
    /// No memory for a chunk of the file.
    pub const NO_MEMORY: u32 = 3;
    /// The file could not be written for another reason.
    pub const WRITE: u32 = 4;
    /// What was imported ended early.
    pub const IMPORT: u32 = 5;
}

/// A chunk: a head, then records up to the first zero byte or to the chunk's end.
pub mod chunk {
    /// First bytes of a chunk's head; written last.
    pub const MAGIC: u32 = u32::from_le_bytes(*b"MMCK");
    /// Bytes of the head.
    pub const HEAD: usize = 64;
    /// `u32`: [`UNFINISHED`], [`EVENTS`] or [`MODULES`].
    pub const KIND: usize = 4;
    /// `u64`: bytes of the chunk, its head included.
    pub const BYTES: usize = 8;
    /// `u32`: the stream that the chunk belongs to.
    pub const STREAM: usize = 16;
    /// `u32`: 0, or 1 for events that interrupted the stream's own recording.
    pub const LANE: usize = 20;
    /// `u64`: position of the chunk in its stream and lane. Of two chunks in one position, the
    /// later one in the file counts.
    pub const SEQUENCE: usize = 24;
    /// `u64`: ticks when the chunk was begun; its first record's time counts from here.
    pub const TICKS: usize = 32;
    /// `u64`: nanoseconds of the monotonic clock at the same moment.
    pub const NS: usize = 40;
    /// A copy that is being written: it does not count.
    pub const UNFINISHED: u32 = 0;
    /// A chunk of events.
    pub const EVENTS: u32 = 1;
    /// A chunk with a table of modules.
    pub const MODULES: u32 = 2;
    /// Bytes of a module's entry before its path and build id.
    pub const MODULE: usize = 32;
}

/// The first byte of a record: [`PRESENT`](op::PRESENT), flags, an operation.
pub mod op {
    /// Set in every first byte: zero is the end.
    pub const PRESENT: u8 = 0x80;
    /// A stack number ends the record.
    pub const STACK: u8 = 0x40;
    /// Heap and block size stand behind the time.
    pub const EXTRA: u8 = 0x20;
    /// Differences of addresses are in bytes, not in units of 8.
    pub const EXACT: u8 = 0x10;
    /// The operation's bits.
    pub const MASK: u8 = 0x0f;

    /// time, pointer, size
    pub const MALLOC: u8 = 1;
    /// time, pointer, size
    pub const CALLOC: u8 = 2;
    /// time, pointer, size, alignment
    pub const MEMALIGN: u8 = 3;
    /// time before, time after, pointer, size, old pointer (from the new one)
    pub const REALLOC: u8 = 4;
    /// time, pointer
    pub const FREE: u8 = 5;
    /// time, old pointer (as a number), size, alignment
    pub const FAILED: u8 = 6;
    /// time, [`pool`](super::pool), start (as a number), bytes
    pub const POOL: u8 = 7;
    /// count, return addresses (each from the one before): the stream's next stack number
    pub const DEFINE: u8 = 8;
    /// thread, its system number: the records that follow are its own
    pub const THREAD: u8 = 9;
}

/// What happened to a pool, in a record [`op::POOL`].
pub mod pool {
    /// The pool joined the heap.
    pub const ADDED: u64 = 0;
    /// The pool grew at its end.
    pub const EXTENDED: u64 = 1;
    /// The pool left the heap.
    pub const REMOVED: u64 = 2;
    /// Every block of the heap was forgotten.
    pub const RESET: u64 = 3;
}

/// The greatest number of return addresses in a stack.
pub const STACK_MAX: usize = 255;
/// No record is longer: a stack of [`STACK_MAX`] addresses.
pub const RECORD_MAX: usize = 1 + 10 + STACK_MAX * 10;
