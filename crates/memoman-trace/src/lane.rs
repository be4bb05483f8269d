//! The records of one lane: a stream's chunks in the order of writing.

use std::fs::File;
use std::os::unix::fs::FileExt;

use memoman_trace_format::layout::{RECORD_MAX, STACK_MAX, op, pool};
use memoman_trace_format::number;

use crate::chunks::Chunk;
use crate::event::Kind;

/// A record, with absolute times in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) ticks: u64,
    /// When a `realloc` began; else as `ticks`.
    pub(crate) before: u64,
    pub(crate) kind: Kind,
    pub(crate) thread: u32,
    pub(crate) heap: u32,
    pub(crate) pointer: u64,
    pub(crate) old: u64,
    pub(crate) size: u64,
    pub(crate) block: u64,
    pub(crate) align: u64,
    /// The stream's own number.
    pub(crate) stack: u64,
}

/// What a lane yields next.
pub(crate) enum Item<'a> {
    Record(Record),
    /// The next stack of the stream.
    Stack(&'a [u64]),
}

/// Why a lane cannot go on.
pub(crate) enum Fault {
    Io(std::io::Error),
    Damaged(u64, &'static str),
}

/// Reads a lane through a window of its own.
pub(crate) struct Lane<'a> {
    file: &'a File,
    chunks: std::slice::Iter<'a, Chunk>,
    chunk: Option<Chunk>,
    window: Vec<u8>,
    size: usize,
    /// Position in the window.
    at: usize,
    /// File offset of the window's end.
    read: u64,
    consumed: u64,
    ticks: u64,
    last: u64,
    thread: u32,
    addresses: Vec<u64>,
}

impl<'a> Lane<'a> {
    /// `window`: bytes to read at once.
    pub(crate) fn new(file: &'a File, chunks: &'a [Chunk], window: usize) -> Lane<'a> {
        Lane {
            file,
            chunks: chunks.iter(),
            chunk: None,
            window: Vec::new(),
            size: window.max(2 * RECORD_MAX),
            at: 0,
            read: 0,
            consumed: 0,
            ticks: 0,
            last: 0,
            thread: 0,
            addresses: Vec::new(),
        }
    }

    /// Bytes that were read so far.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The next record or stack; `None` at the end, and after a fault.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'_>>, Fault> {
        loop {
            let more = self.chunk.is_none_or(|chunk| self.read < chunk.end);
            if more && self.window.len() - self.at < RECORD_MAX {
                self.refill().map_err(Fault::Io)?;
            }
            let Some(chunk) = self.chunk else {
                return Ok(None);
            };
            let rest = &self.window[self.at..];
            if rest.first().is_none_or(|&first| first == 0) {
                self.leave();
                continue;
            }
            let mut reader = Reader {
                bytes: rest,
                fault: None,
            };
            let found = decode(
                &mut reader,
                self.ticks,
                self.last,
                self.thread,
                &mut self.addresses,
            );
            let used = rest.len() - reader.bytes.len();
            match reader.fault {
                None => {}
                // The rest of the record is behind the end of the file.
                Some(ENDS) if chunk.truncated && self.read == chunk.end => {
                    self.leave();
                    continue;
                }
                Some(what) => {
                    let at = self.read - (self.window.len() - self.at) as u64;
                    self.leave();
                    self.chunks = [].iter();
                    return Err(Fault::Damaged(at, what));
                }
            }
            self.at += used;
            match found {
                Found::Thread(thread) => self.thread = thread,
                Found::Stack => return Ok(Some(Item::Stack(&self.addresses))),
                Found::Record(record) => {
                    self.ticks = record.ticks;
                    if record.kind == Kind::Free {
                        self.last = record.old;
                    } else if !matches!(record.kind, Kind::Failed) && !is_pool(record.kind) {
                        self.last = record.pointer;
                    }
                    return Ok(Some(Item::Record(record)));
                }
            }
        }
    }

    /// The chunk has no more records.
    fn leave(&mut self) {
        self.chunk = None;
        self.window.clear();
        self.at = 0;
    }

    /// Reads on: the rest of the chunk, or the next chunk.
    fn refill(&mut self) -> std::io::Result<()> {
        if self.chunk.is_none() {
            let Some(&next) = self.chunks.next() else {
                return Ok(());
            };
            self.chunk = Some(next);
            self.read = next.start;
            (self.ticks, self.last) = (next.ticks, 0);
        }
        let Some(chunk) = self.chunk else {
            return Ok(());
        };
        self.window.drain(..self.at);
        self.at = 0;
        let kept = self.window.len();
        let more =
            (chunk.end.saturating_sub(self.read)).min((self.size - kept.min(self.size)) as u64);
        self.window.resize(kept + more as usize, 0);
        self.file
            .read_exact_at(&mut self.window[kept..], self.read)?;
        self.read += more;
        self.consumed += more;
        Ok(())
    }
}

pub(crate) fn is_pool(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::PoolAdded | Kind::PoolExtended | Kind::PoolRemoved | Kind::Reset
    )
}

enum Found {
    Record(Record),
    Stack,
    Thread(u32),
}

/// The record does not end within the bytes.
const ENDS: &str = "a record has no end";

/// Takes numbers off the front; keeps the first fault.
struct Reader<'a> {
    bytes: &'a [u8],
    fault: Option<&'static str>,
}

impl Reader<'_> {
    #[inline]
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else {
            self.fault = Some(ENDS);
            return 0;
        };
        self.bytes = rest;
        first
    }

    #[inline]
    fn number(&mut self) -> u64 {
        if let Some((value, length)) = number::read(self.bytes) {
            self.bytes = &self.bytes[length..];
            return value;
        }
        if self.bytes.len() >= number::NUMBER_MAX {
            self.fault.get_or_insert("a number exceeds 64 bits");
        } else {
            self.fault.get_or_insert(ENDS);
        }
        0
    }

    fn small(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or_else(|_| {
            self.fault.get_or_insert("a number exceeds 32 bits");
            0
        })
    }

    #[inline]
    fn later(&mut self, ticks: u64) -> u64 {
        ticks.checked_add(self.number()).unwrap_or_else(|| {
            self.fault.get_or_insert("time runs over");
            0
        })
    }
}

#[inline]
fn decode(
    from: &mut Reader<'_>,
    ticks: u64,
    last: u64,
    thread: u32,
    addresses: &mut Vec<u64>,
) -> Found {
    let first = from.byte();
    let exact = first & op::EXACT != 0;
    if first & op::PRESENT == 0 {
        from.fault = Some("no record starts here");
        return Found::Stack;
    }
    let operation = first & op::MASK;
    match operation {
        op::THREAD => {
            let thread = from.small();
            from.number();
            return Found::Thread(thread);
        }
        op::DEFINE => {
            addresses.clear();
            let count = from.number();
            if count > STACK_MAX as u64 {
                from.fault.get_or_insert("a stack is too deep");
                return Found::Stack;
            }
            let mut address = 0;
            for _ in 0..count {
                address = number::address(address, from.number(), true);
                addresses.push(address);
            }
            return Found::Stack;
        }
        _ => {}
    }
    let before = from.later(ticks);
    let after = if operation == op::REALLOC {
        from.later(before)
    } else {
        before
    };
    let mut record = Record {
        ticks: after,
        before,
        kind: Kind::Malloc,
        thread,
        heap: 0,
        pointer: 0,
        old: 0,
        size: 0,
        block: 0,
        align: 0,
        stack: 0,
    };
    if first & op::EXTRA != 0 {
        record.heap = from.small();
        record.block = from.number();
    }
    match operation {
        op::MALLOC | op::CALLOC | op::MEMALIGN | op::REALLOC => {
            record.pointer = number::address(last, from.number(), exact);
            record.size = from.number();
            match operation {
                op::CALLOC => record.kind = Kind::Calloc,
                op::MEMALIGN => {
                    record.kind = Kind::Memalign;
                    record.align = from.number();
                }
                op::REALLOC => {
                    record.kind = Kind::Realloc;
                    record.old = number::address(record.pointer, from.number(), exact);
                }
                _ => {}
            }
        }
        op::FREE => {
            record.kind = Kind::Free;
            record.old = number::address(last, from.number(), exact);
        }
        op::FAILED => {
            record.kind = Kind::Failed;
            record.old = from.number();
            record.size = from.number();
            record.align = from.number();
        }
        op::POOL => {
            record.kind = match from.number() {
                pool::ADDED => Kind::PoolAdded,
                pool::EXTENDED => Kind::PoolExtended,
                pool::REMOVED => Kind::PoolRemoved,
                pool::RESET => Kind::Reset,
                _ => {
                    from.fault.get_or_insert("an unknown event of a pool");
                    Kind::Reset
                }
            };
            record.pointer = from.number();
            record.size = from.number();
        }
        _ => from.fault = Some("an unknown operation"),
    }
    if first & op::STACK != 0 {
        record.stack = from.number();
    }
    Found::Record(record)
}
