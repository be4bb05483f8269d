//! A trace: a file that was opened.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memoman_trace_format::layout::{HEADER, MAGIC, VERSION, header as at};

use crate::chunks::{Clock, Index, Module};
use crate::error::{Error, What};
use crate::header::{Cut, Ended, Header, Origin, Raw, u32_at};
use crate::lane::{Fault, Item, Lane};
use crate::merge::Events;

/// A trace: its header, events, stacks and modules.
pub struct Trace {
    path: PathBuf,
    file: File,
    bytes: u64,
    header: Header,
    index: Index,
    /// For each stream, what its stack numbers mean.
    streams: HashMap<u32, Vec<u32>>,
    /// Where each stack ends in `addresses`; stack n is entry n - 1.
    ends: Vec<usize>,
    addresses: Vec<u64>,
}

/// Bytes that the windows of all lanes take together, as far as they can be that small.
const WINDOWS: usize = 32 << 20;
/// Distinct stacks of a trace, and their return addresses: 700 MB with the tables that find them.
const MOST_STACKS: usize = 1 << 22;
const MOST_ADDRESSES: usize = 1 << 26;

impl Trace {
    /// Opens a trace. Stacks are read at once, events later.
    pub fn open(path: impl AsRef<Path>) -> Result<Trace, Error> {
        Trace::open_with(path.as_ref(), MOST_STACKS, MOST_ADDRESSES)
    }

    fn open_with(path: &Path, most: usize, most_addresses: usize) -> Result<Trace, Error> {
        let fails = |what| Error::new(path, what);
        let io = |error| fails(What::Io("read it", error));
        let file = File::open(path).map_err(|error| fails(What::Io("open it", error)))?;
        let about = file.metadata().map_err(io)?;
        if !about.is_file() {
            return Err(fails(What::Invalid("not a file; give the trace itself")));
        }
        let bytes = about.len();
        let mut head = [0; HEADER];
        let have = usize::try_from(bytes).map_or(HEADER, |bytes| bytes.min(HEADER));
        file.read_exact_at(&mut head[..have], 0).map_err(io)?;
        if have < MAGIC.len() || head[..MAGIC.len()] != MAGIC {
            return Err(fails(What::Foreign));
        }
        match u32_at(&head, at::VERSION) {
            0 => return Err(fails(What::Foreign)),
            version if version > VERSION => return Err(fails(What::Newer(version))),
            _ => {}
        }
        let mut raw = Raw::parse(&head);
        let index = Index::read(&file, bytes, &raw).map_err(io)?;
        if index.truncated || have < HEADER {
            raw.header.ended = Ended::Cut(Cut::Truncated);
        }
        if let Origin::Forked { time, .. } = &mut raw.header.origin {
            *time = index.clock.span(raw.forked);
        }
        let mut trace = Trace {
            path: path.to_owned(),
            file,
            bytes,
            header: raw.header,
            index,
            streams: HashMap::new(),
            ends: Vec::new(),
            addresses: Vec::new(),
        };
        if trace.header.stacks > 0 {
            trace.read_stacks(most, most_addresses)?;
        }
        Ok(trace)
    }

    /// What the trace says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The events in the order of time.
    pub fn events(&self) -> Events<'_> {
        Events::new(self)
    }

    /// The return addresses of a stack, the innermost first; none for an unknown number.
    pub fn stack(&self, id: u32) -> &[u64] {
        let Some(index) = (id as usize).checked_sub(1) else {
            return &[];
        };
        let Some(&end) = self.ends.get(index) else {
            return &[];
        };
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.addresses[start..end]
    }

    /// The number of stacks: their numbers are 1 to this one.
    pub fn stacks(&self) -> u32 {
        self.ends.len() as u32
    }

    /// The files that were mapped into the process.
    pub fn modules(&self) -> &[Module] {
        &self.index.modules
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the trace holds all that happened: not cut, nothing lost, no sampling.
    pub fn is_whole(&self) -> bool {
        !matches!(self.header.ended, Ended::Cut(_))
            && self.header.lost == 0
            && self.header.sample == 0
            && self.index.damaged.is_none()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.index.clock
    }

    pub(crate) fn error(&self, what: What) -> Error {
        Error::new(&self.path, what)
    }

    /// Where the chunks themselves are damaged.
    pub(crate) fn damage(&self) -> Option<Error> {
        let (at, why) = self.index.damaged?;
        Some(self.error(What::Damaged(at, why)))
    }

    pub(crate) fn lanes(&self) -> impl Iterator<Item = (Lane<'_>, &[u32])> {
        let window = (WINDOWS / self.index.lanes.len().max(1)).clamp(1 << 13, 1 << 18);
        self.index.lanes.iter().map(move |lane| {
            let stacks = self
                .streams
                .get(&lane.stream)
                .map_or(&[][..], Vec::as_slice);
            (Lane::new(&self.file, &lane.chunks, window), stacks)
        })
    }

    /// Collects the stacks of all streams, each distinct one once.
    fn read_stacks(&mut self, most: usize, most_addresses: usize) -> Result<(), Error> {
        let hasher = RandomState::new();
        // Stacks of one hash have keys that follow each other.
        let mut known = HashMap::<u64, u32>::new();
        let (mut ends, mut addresses) = (Vec::<usize>::new(), Vec::new());
        let mut streams = HashMap::<u32, Vec<u32>>::new();
        for part in &self.index.lanes {
            let numbers = streams.entry(part.stream).or_default();
            let mut lane = Lane::new(&self.file, &part.chunks, 1 << 18);
            loop {
                match lane.next() {
                    Ok(Some(Item::Record(_))) => {}
                    Ok(Some(Item::Stack(stack))) => {
                        let mut key = hasher.hash_one(stack);
                        let id = loop {
                            let Some(&id) = known.get(&key) else {
                                break ends.len() as u32 + 1;
                            };
                            let index = id as usize - 1;
                            let start = index.checked_sub(1).map_or(0, |before| ends[before]);
                            if addresses[start..ends[index]] == *stack {
                                break id;
                            }
                            key = key.wrapping_add(1);
                        };
                        numbers.push(id);
                        if id as usize <= ends.len() {
                            continue;
                        }
                        if ends.len() == most || addresses.len() + stack.len() > most_addresses {
                            return Err(self.error(What::TooManyStacks));
                        }
                        addresses.extend_from_slice(stack);
                        ends.push(addresses.len());
                        known.insert(key, id);
                    }
                    // `events` reports a damaged place.
                    Ok(None) | Err(Fault::Damaged(..)) => break,
                    Err(Fault::Io(error)) => return Err(self.error(What::Io("read it", error))),
                }
            }
        }
        (self.streams, self.ends, self.addresses) = (streams, ends, addresses);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_ADDRESSES, MOST_STACKS, Trace};
    use crate::{Builder, Ended, Header};

    #[test]
    fn too_many_stacks_are_one_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.mmt");
        let header = Header {
            stacks: 9,
            ..Header::default()
        };
        let mut builder = Builder::create(&path, &header).unwrap();
        for stack in 1..=100u64 {
            builder.stack(&[stack, stack << 20]).unwrap();
        }
        builder.finish(Ended::Complete, 0).unwrap();
        let open = |most, addresses| Trace::open_with(&path, most, addresses);
        assert_eq!(open(100, 200).unwrap().stacks(), 100);
        for (most, addresses) in [(99, MOST_ADDRESSES), (MOST_STACKS, 199)] {
            let error = open(most, addresses).err().unwrap().to_string();
            assert!(error.contains("record with a smaller --stacks"), "{error}");
        }
    }
}
