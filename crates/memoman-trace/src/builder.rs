//! Writes a trace from events: for tests, and for what comes from elsewhere.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memoman_trace_format::layout::{HEADER, RECORD_MAX, STACK_MAX, UNIT, chunk, op, pool};
use memoman_trace_format::number;

use crate::chunks::Module;
use crate::error::{Error, What};
use crate::event::{Event, Kind};
use crate::header::{Ended, Header};

/// Writes a trace. Until [`finish`](Builder::finish), the file says that the process runs.
pub struct Builder {
    path: PathBuf,
    file: File,
    header: Header,
    /// The chunk that is being filled, its head first.
    chunk: Vec<u8>,
    sequence: u64,
    time: u64,
    last: u64,
    thread: Option<u32>,
    stacks: HashMap<Vec<u64>, u32>,
}

/// Bytes of a chunk.
const CHUNK: usize = 1 << 20;

impl Builder {
    /// Creates the file, or replaces it. `stacks`, `lost` and `ended` of the header are those that
    /// the builder learns later.
    pub fn create(path: impl AsRef<Path>, header: &Header) -> Result<Builder, Error> {
        let path = path.as_ref().to_owned();
        let fails = |error| Error::new(&path, What::Io("write it", error));
        let mut file = File::create(&path).map_err(fails)?;
        let header = Header {
            ended: Ended::Killed,
            stacks: 0,
            ..header.clone()
        };
        file.write_all(&header.bytes()).map_err(fails)?;
        Ok(Builder {
            path,
            file,
            header,
            chunk: Vec::new(),
            sequence: 0,
            time: 0,
            last: 0,
            thread: None,
            stacks: HashMap::new(),
        })
    }

    fn fails(&self, error: std::io::Error) -> Error {
        Error::new(&self.path, What::Io("write it", error))
    }

    fn refuse(&self, why: &'static str) -> Error {
        Error::new(&self.path, What::Invalid(why))
    }

    /// The number of a stack, the innermost return address first; 0 for an empty one. Addresses
    /// beyond the 255th are left out.
    pub fn stack(&mut self, addresses: &[u64]) -> Result<u32, Error> {
        let addresses = &addresses[..addresses.len().min(STACK_MAX)];
        if addresses.is_empty() {
            return Ok(0);
        }
        if let Some(&known) = self.stacks.get(addresses) {
            return Ok(known);
        }
        self.make_room()?;
        self.byte(op::PRESENT | op::DEFINE);
        self.number(addresses.len() as u64);
        let mut before = 0;
        for &address in addresses {
            self.number(number::difference(before, address, true));
            before = address;
        }
        let id = self.stacks.len() as u32 + 1;
        self.stacks.insert(addresses.to_vec(), id);
        self.header.stacks = self.header.stacks.max(addresses.len() as u32);
        Ok(id)
    }

    /// Adds a file to the table of modules.
    pub fn module(&mut self, module: &Module) -> Result<(), Error> {
        self.end_chunk()?;
        self.begin_chunk(chunk::MODULES);
        let (path, id) = (module.path.as_bytes(), &module.build_id[..]);
        if path.len() > 4096 || id.len() > 256 || module.end <= module.start {
            return Err(self.refuse("a module's path, build id or end is invalid"));
        }
        for word in [module.start, module.end, module.offset] {
            self.chunk.extend(word.to_le_bytes());
        }
        self.chunk.extend((path.len() as u32).to_le_bytes());
        self.chunk.extend((id.len() as u32).to_le_bytes());
        self.chunk.extend(path);
        self.chunk.extend(id);
        self.end_chunk()
    }

    /// Adds an event, whose time is not before that of the last one.
    pub fn push(&mut self, event: &Event) -> Result<(), Error> {
        if event.time < self.time {
            return Err(self.refuse("events must come in the order of time"));
        }
        self.make_room()?;
        if self.thread != Some(event.thread) {
            self.thread = Some(event.thread);
            self.byte(op::PRESENT | op::THREAD);
            self.number(event.thread.into());
            self.number(0);
        }
        let operation = match event.kind {
            Kind::Malloc => op::MALLOC,
            Kind::Calloc => op::CALLOC,
            Kind::Memalign => op::MEMALIGN,
            Kind::Realloc => op::REALLOC,
            Kind::Free => op::FREE,
            Kind::Failed => op::FAILED,
            Kind::PoolAdded | Kind::PoolExtended | Kind::PoolRemoved | Kind::Reset => op::POOL,
        };
        let pointer = if operation == op::FREE {
            event.old
        } else {
            event.pointer
        };
        let exact = number::needs_exact(self.last, pointer)
            || operation == op::REALLOC && number::needs_exact(pointer, event.old);
        let extra = event.heap != 0 || event.block != 0;
        let mut first = op::PRESENT | operation;
        for (flag, set) in [
            (op::EXACT, exact),
            (op::EXTRA, extra),
            (op::STACK, event.stack != 0),
        ] {
            if set {
                first |= flag;
            }
        }
        self.byte(first);
        self.number(event.time - self.time);
        self.time = event.time;
        if operation == op::REALLOC {
            self.number(0);
        }
        if extra {
            self.number(event.heap.into());
            self.number(event.block);
        }
        match operation {
            op::FAILED => {
                self.number(event.old);
                self.number(event.size);
                self.number(event.align);
            }
            op::POOL => {
                self.number(match event.kind {
                    Kind::PoolAdded => pool::ADDED,
                    Kind::PoolExtended => pool::EXTENDED,
                    Kind::PoolRemoved => pool::REMOVED,
                    _ => pool::RESET,
                });
                self.number(event.pointer);
                self.number(event.size);
            }
            _ => {
                self.number(number::difference(self.last, pointer, exact));
                self.last = pointer;
                if operation != op::FREE {
                    self.number(event.size);
                }
                if operation == op::MEMALIGN {
                    self.number(event.align);
                }
                if operation == op::REALLOC {
                    self.number(number::difference(pointer, event.old, exact));
                }
            }
        }
        if event.stack != 0 {
            self.number(event.stack.into());
        }
        Ok(())
    }

    /// Ends the trace: how the recording ended, and how many events are not in it.
    pub fn finish(mut self, ended: Ended, lost: u64) -> Result<(), Error> {
        self.end_chunk()?;
        self.header.ended = ended;
        self.header.lost = lost;
        self.file
            .write_all_at(&self.header.bytes(), 0)
            .map_err(|error| self.fails(error))
    }

    fn byte(&mut self, byte: u8) {
        self.chunk.push(byte);
    }

    fn number(&mut self, value: u64) {
        let mut bytes = [0; number::NUMBER_MAX];
        let length = number::write(&mut bytes, value);
        self.chunk.extend_from_slice(&bytes[..length]);
    }

    /// Room for a record and a change of thread.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.chunk.len() + RECORD_MAX + 32 > CHUNK {
            self.end_chunk()?;
        }
        if self.chunk.is_empty() {
            self.begin_chunk(chunk::EVENTS);
        }
        Ok(())
    }

    fn begin_chunk(&mut self, kind: u32) {
        self.chunk.resize(chunk::HEAD, 0);
        let head = &mut self.chunk[..];
        let mut put = |at: usize, value: &[u8]| head[at..at + value.len()].copy_from_slice(value);
        put(0, &chunk::MAGIC.to_le_bytes());
        put(chunk::KIND, &kind.to_le_bytes());
        put(chunk::SEQUENCE, &self.sequence.to_le_bytes());
        put(chunk::TICKS, &self.time.to_le_bytes());
        put(chunk::NS, &self.time.to_le_bytes());
        self.sequence += 1;
        self.last = 0;
        self.thread = None;
    }

    fn end_chunk(&mut self) -> Result<(), Error> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let bytes = self.chunk.len().next_multiple_of(UNIT);
        self.chunk.resize(bytes, 0);
        self.chunk[chunk::BYTES..chunk::BYTES + 8].copy_from_slice(&(bytes as u64).to_le_bytes());
        let written = self.file.write_all(&self.chunk);
        self.chunk.clear();
        written.map_err(|error| self.fails(error))
    }
}

const _: () = assert!(HEADER.is_multiple_of(UNIT));
