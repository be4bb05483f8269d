//! Where the chunks of each stream lie, the clock, and the tables of modules.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use memoman_trace_format::layout::{HEADER, UNIT, chunk};

use crate::header::{Raw, u32_at, u64_at};

/// A file that was mapped into the process, for the meaning of return addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Module {
    /// Its path.
    pub path: String,
    /// Its first address.
    pub start: u64,
    /// Its end: the first address behind it.
    pub end: u64,
    /// What an address in the process exceeds the file's own address by.
    pub offset: u64,
    /// Its build id, empty when it has none.
    pub build_id: Vec<u8>,
}

/// A part of the file that holds records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// File offset of the first record.
    pub(crate) start: u64,
    /// File offset of the end.
    pub(crate) end: u64,
    pub(crate) ticks: u64,
    sequence: u64,
    /// The file ends before the chunk does.
    pub(crate) truncated: bool,
}

/// The chunks of one lane, in the order of writing.
#[derive(Debug)]
pub(crate) struct LaneChunks {
    pub(crate) stream: u32,
    pub(crate) chunks: Vec<Chunk>,
}

pub(crate) struct Index {
    pub(crate) lanes: Vec<LaneChunks>,
    pub(crate) modules: Vec<Module>,
    pub(crate) clock: Clock,
    pub(crate) truncated: bool,
    /// Where the file makes no sense, and why.
    pub(crate) damaged: Option<(u64, &'static str)>,
}

/// Ticks as nanoseconds since the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: u64,
    /// Nanoseconds a tick, times 2^32.
    scale: u64,
}

impl Clock {
    #[inline]
    pub(crate) fn ns(self, ticks: u64) -> u64 {
        self.span(ticks.saturating_sub(self.start))
    }

    /// A number of ticks in nanoseconds.
    #[inline]
    pub(crate) fn span(self, ticks: u64) -> u64 {
        let scaled = u128::from(ticks) * u128::from(self.scale);
        (scaled >> 32).try_into().unwrap_or(u64::MAX)
    }

    /// Two readings of both clocks that lie well apart give the rate; else the header's.
    fn new(raw: &Raw, last: (u64, u64)) -> Clock {
        const APART: u64 = 20_000_000;
        let (ticks, ns) = (
            last.0.saturating_sub(raw.start.0),
            last.1.saturating_sub(raw.start.1),
        );
        let (ns, ticks) = if ns >= APART && ticks > 0 {
            (ns, ticks)
        } else {
            (1_000_000_000, raw.rate.max(1))
        };
        let scale = (u128::from(ns) << 32) / u128::from(ticks);
        Clock {
            start: raw.start.0,
            scale: scale.try_into().unwrap_or(u64::MAX),
        }
    }
}

impl Index {
    /// Reads the heads of all chunks. The lanes are in the order of their numbers.
    pub(crate) fn read(file: &File, bytes: u64, raw: &Raw) -> std::io::Result<Index> {
        let mut lanes = BTreeMap::<(u32, u32), Vec<Chunk>>::new();
        let mut modules = Modules::default();
        let mut last = raw.end;
        let (mut truncated, mut damaged) = (false, None);
        let mut at = HEADER as u64;
        while at < bytes {
            let mut head = [0; chunk::HEAD];
            let room = usize::try_from(bytes - at).unwrap_or(usize::MAX);
            if room < chunk::HEAD {
                truncated = true;
                break;
            }
            file.read_exact_at(&mut head, at)?;
            let magic = u32_at(&head, 0);
            if magic != chunk::MAGIC {
                // Reserved and not begun, when all is zero: the next chunk may follow.
                if head != [0; chunk::HEAD] {
                    damaged = Some((at, NO_CHUNK));
                    break;
                }
                at = next_data(file, at + UNIT as u64, bytes);
                continue;
            }
            let length = u64_at(&head, chunk::BYTES);
            if length < UNIT as u64 || !length.is_multiple_of(UNIT as u64) {
                damaged = Some((at, NO_CHUNK));
                break;
            }
            let end = at.saturating_add(length);
            let kind = u32_at(&head, chunk::KIND);
            let cut = end > bytes && kind != chunk::UNFINISHED;
            truncated |= cut;
            let reading = (u64_at(&head, chunk::TICKS), u64_at(&head, chunk::NS));
            last = last.max(reading);
            let part = Chunk {
                start: at + chunk::HEAD as u64,
                end: end.min(bytes),
                ticks: reading.0,
                sequence: u64_at(&head, chunk::SEQUENCE),
                truncated: cut,
            };
            match kind {
                chunk::EVENTS => {
                    let lane = (u32_at(&head, chunk::STREAM), u32_at(&head, chunk::LANE));
                    lanes.entry(lane).or_default().push(part);
                }
                chunk::MODULES => {
                    let room = modules.read(file, &part)?;
                    damaged = damaged.or((!room).then_some((at, "more than 65,536 modules")));
                }
                // A copy whose original is there, or a kind of a later revision.
                _ => {}
            }
            at = end;
        }
        let lanes = lanes
            .into_iter()
            .map(|((stream, _), mut chunks)| {
                // A chunk and its finished copy: the copy has all records, unless the file ends
                // in it.
                chunks.sort_by_key(|part| (part.sequence, part.truncated, Reverse(part.start)));
                chunks.dedup_by_key(|part| part.sequence);
                LaneChunks { stream, chunks }
            })
            .collect();
        Ok(Index {
            lanes,
            modules: modules.list,
            clock: Clock::new(raw, last),
            truncated,
            damaged,
        })
    }
}

const NO_CHUNK: &str = "no chunk starts here";

/// The next unit that may hold a chunk, at `from` or behind it: a hole is skipped as a whole, since
/// a file can have one of any size.
fn next_data(file: &File, from: u64, bytes: u64) -> u64 {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{SeekFrom, seek};
        if from < bytes {
            return match seek(file, SeekFrom::Data(from)) {
                Ok(data) => (data - data % UNIT as u64).max(from),
                Err(rustix::io::Errno::NXIO) => bytes,
                // A file system that does not know.
                Err(_) => from,
            };
        }
    }
    let _ = (file, bytes);
    from
}

/// The modules of all tables, each once.
#[derive(Default)]
struct Modules {
    list: Vec<Module>,
    known: HashSet<Module>,
}

impl Modules {
    /// No process has as many.
    const MOST: usize = 1 << 16;

    /// Adds what a chunk's table names, up to an entry without an end, or one that makes no sense:
    /// whether there was room.
    fn read(&mut self, file: &File, part: &Chunk) -> std::io::Result<bool> {
        /// No process has this many bytes of module table.
        const LIMIT: u64 = 16 << 20;
        let mut table = vec![0; (part.end - part.start).min(LIMIT) as usize];
        file.read_exact_at(&mut table, part.start)?;
        let mut rest = &table[..];
        while rest.len() >= chunk::MODULE {
            let (entry, behind) = rest.split_at(chunk::MODULE);
            let path = u32_at(entry, 24) as usize;
            let id = u32_at(entry, 28) as usize;
            let (start, end) = (u64_at(entry, 0), u64_at(entry, 8));
            if end <= start || path > 4096 || id > 256 || path + id > behind.len() {
                break;
            }
            let module = Module {
                path: String::from_utf8_lossy(&behind[..path]).into_owned(),
                start,
                end,
                offset: u64_at(entry, 16),
                build_id: behind[path..path + id].to_vec(),
            };
            // Tables of later moments repeat those before them.
            if !self.known.contains(&module) {
                if self.list.len() == Modules::MOST {
                    return Ok(false);
                }
                self.known.insert(module.clone());
                self.list.push(module);
            }
            rest = &behind[path + id..];
        }
        Ok(true)
    }
}
