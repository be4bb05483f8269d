//! The header: the program, the process, how the recording ended.

use std::fmt;

use memoman_trace_format::layout::{self, cut, header as at, origin, state};

/// What a trace says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The program's file.
    pub program: String,
    /// Its arguments, its name first.
    pub args: Vec<String>,
    /// The process.
    pub pid: u32,
    /// The parent process, 0 when unknown.
    pub parent: u32,
    /// How the process came to be.
    pub origin: Origin,
    /// When recording began, in nanoseconds since 1970; 0 when unknown.
    pub started: u64,
    /// How the recording ended.
    pub ended: Ended,
    /// The process's wait status, once `memoman record` knows it.
    pub exit: Option<i32>,
    /// Events that happened and are not in the trace.
    pub lost: u64,
    /// The greatest number of return addresses in a stack; 0 without stacks.
    pub stacks: u32,
    /// Mean number of bytes between two sampled allocations; 0 when every event was recorded.
    pub sample: u64,
    /// Bytes of a pointer in the process.
    pub pointer: u32,
}

impl Default for Header {
    /// A complete trace of an unknown program on a 64-bit machine.
    fn default() -> Header {
        Header {
            program: String::new(),
            args: Vec::new(),
            pid: 0,
            parent: 0,
            origin: Origin::Started,
            started: 0,
            ended: Ended::Complete,
            exit: None,
            lost: 0,
            stacks: 0,
            sample: 0,
            pointer: 8,
        }
    }
}

/// Where the wait status stands in the file, and the bit that says that it is known: `memoman
/// record` writes it when the process has ended.
pub const EXIT_FIELD: (u64, u32) = (at::EXIT as u64, at::EXITED);

/// How a process came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A program was started.
    Started,
    /// A recorded process forked. Blocks that it frees without having allocated them are the
    /// parent's.
    Forked {
        /// The file name of the parent's trace.
        trace: String,
        /// Nanoseconds since the parent's start.
        time: u64,
    },
    /// A recorded process replaced its program.
    Executed {
        /// The file name of the trace of the program before.
        trace: String,
    },
    /// The events come from elsewhere, such as firmware.
    Imported,
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The process exited, or replaced its program: the trace is whole.
    Complete,
    /// The trace lacks what came later.
    Cut(Cut),
    /// The process was killed, or still runs: the trace is whole up to there.
    Killed,
}

/// Why a trace lacks its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// No space on the device.
    DiskFull,
    /// The process's limit on the size of a file.
    FileLimit,
    /// No memory for the file's chunks.
    NoMemory,
    /// The file could not be written; an error number.
    Write(u32),
    /// What was imported ended early.
    Import,
    /// The file is shorter than when it was written.
    Truncated,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Complete => write!(f, "complete"),
            Ended::Killed => write!(f, "the process was killed or still runs"),
            Ended::Cut(why) => write!(f, "cut: {why}"),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cut::DiskFull => write!(f, "no space left on the device"),
            Cut::FileLimit => write!(f, "the limit on the size of a file (ulimit -f)"),
            Cut::NoMemory => write!(f, "no memory for the recorder"),
            Cut::Write(error) => write!(f, "the file could not be written (error {error})"),
            Cut::Import => write!(f, "what was imported ended early"),
            Cut::Truncated => write!(f, "the file is truncated"),
        }
    }
}

/// The header with the fields that only the reader needs.
pub(crate) struct Raw {
    pub(crate) header: Header,
    pub(crate) rate: u64,
    pub(crate) start: (u64, u64),
    pub(crate) end: (u64, u64),
    pub(crate) forked: u64,
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

impl Raw {
    /// The header in its bytes, which are those of a trace of a known version.
    pub(crate) fn parse(bytes: &[u8]) -> Raw {
        let length = (u32_at(bytes, at::TEXT_BYTES) as usize).min(layout::HEADER - at::TEXT);
        let text = &bytes[at::TEXT..][..length];
        let mut strings = text
            .split(|&byte| byte == 0)
            .map(|part| String::from_utf8_lossy(part).into_owned());
        let program = strings.next().unwrap_or_default();
        let trace = strings.next().unwrap_or_default();
        let mut args: Vec<String> = strings.collect();
        args.pop(); // behind the last zero byte
        let exit = u32_at(bytes, at::EXIT);
        let header = Header {
            program,
            args,
            pid: u32_at(bytes, at::PID),
            parent: u32_at(bytes, at::PARENT),
            origin: match u32_at(bytes, at::ORIGIN) {
                origin::FORKED => Origin::Forked { trace, time: 0 },
                origin::EXECUTED => Origin::Executed { trace },
                origin::IMPORTED => Origin::Imported,
                _ => Origin::Started,
            },
            started: u64_at(bytes, at::START_WALL),
            ended: match u32_at(bytes, at::STATE) {
                state::COMPLETE | state::EXECUTED => Ended::Complete,
                state::CUT => Ended::Cut(match u32_at(bytes, at::CUT) {
                    cut::DISK_FULL => Cut::DiskFull,
                    cut::FILE_LIMIT => Cut::FileLimit,
                    cut::NO_MEMORY => Cut::NoMemory,
                    cut::IMPORT => Cut::Import,
                    _ => Cut::Write(u32_at(bytes, at::ERRNO)),
                }),
                // Without an end of its own, as when it ends by a program that is not recorded.
                _ if exit & at::EXITED != 0 && exit & 0x7f == 0 => Ended::Complete,
                _ => Ended::Killed,
            },
            exit: (exit & at::EXITED != 0).then_some((exit & !at::EXITED) as i32),
            lost: u64_at(bytes, at::LOST),
            stacks: u32_at(bytes, at::STACKS),
            sample: u64_at(bytes, at::SAMPLE),
            pointer: u32_at(bytes, at::POINTER),
        };
        Raw {
            header,
            rate: u64_at(bytes, at::RATE),
            start: (u64_at(bytes, at::START_TICKS), u64_at(bytes, at::START_NS)),
            end: (u64_at(bytes, at::END_TICKS), u64_at(bytes, at::END_NS)),
            forked: u64_at(bytes, at::FORKED),
        }
    }
}

impl Header {
    /// The header's bytes, for a clock that counts nanoseconds from 0. Arguments that do not fit
    /// are left out.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; layout::HEADER];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        let small = u32::to_le_bytes;
        put(0, &layout::MAGIC);
        put(at::VERSION, &small(layout::VERSION));
        put(at::BYTES, &small(layout::HEADER as u32));
        put(at::PID, &small(self.pid));
        put(at::PARENT, &small(self.parent));
        let (origin, trace, forked) = match &self.origin {
            Origin::Started => (origin::STARTED, "", 0),
            Origin::Forked { trace, time } => (origin::FORKED, trace.as_str(), *time),
            Origin::Executed { trace } => (origin::EXECUTED, trace.as_str(), 0),
            Origin::Imported => (origin::IMPORTED, "", 0),
        };
        put(at::ORIGIN, &small(origin));
        put(at::FORKED, &forked.to_le_bytes());
        let (state, cut, error) = match self.ended {
            Ended::Complete => (state::COMPLETE, 0, 0),
            Ended::Killed => (state::RUNNING, 0, 0),
            Ended::Cut(Cut::DiskFull) => (state::CUT, cut::DISK_FULL, 0),
            Ended::Cut(Cut::FileLimit) => (state::CUT, cut::FILE_LIMIT, 0),
            Ended::Cut(Cut::NoMemory) => (state::CUT, cut::NO_MEMORY, 0),
            Ended::Cut(Cut::Write(error)) => (state::CUT, cut::WRITE, error),
            Ended::Cut(Cut::Import | Cut::Truncated) => (state::CUT, cut::IMPORT, 0),
        };
        put(at::STATE, &small(state));
        put(at::CUT, &small(cut));
        put(at::ERRNO, &small(error));
        put(at::LOST, &self.lost.to_le_bytes());
        put(at::RATE, &1_000_000_000u64.to_le_bytes());
        put(at::START_WALL, &self.started.to_le_bytes());
        put(at::STACKS, &small(self.stacks));
        put(at::POINTER, &small(self.pointer));
        put(at::SAMPLE, &self.sample.to_le_bytes());
        if let Some(exit) = self.exit {
            put(at::EXIT, &small(exit as u32 | at::EXITED));
        }
        let mut text = Vec::new();
        for part in [self.program.as_str(), trace]
            .into_iter()
            .chain(self.args.iter().map(String::as_str))
        {
            if text.len() + part.len() + 1 > layout::HEADER - at::TEXT {
                break;
            }
            text.extend(part.bytes().filter(|&byte| byte != 0));
            text.push(0);
        }
        put(at::TEXT_BYTES, &small(text.len() as u32));
        put(at::TEXT, &text);
        bytes
    }
}
