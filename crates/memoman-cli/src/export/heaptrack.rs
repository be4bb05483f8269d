//! heaptrack's interpreted text, file version 3: heaptrack_print and heaptrack_gui read it. The
//! name alone tells them whether it is compressed. Numbers are hexadecimal.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use memoman_trace::{Kind, Trace};

use crate::error::Error;
use crate::output::Output;
use crate::progress::Progress;
use crate::symbols::Symbols;

/// Milliseconds between two time stamps.
const STEP: u64 = 10;

/// Tables that grow as events need them. All numbers but those of allocations begin with 1.
struct Writer<'a> {
    trace: &'a Trace,
    symbols: Symbols<'a>,
    to: Text,
    strings: HashMap<String, usize>,
    addresses: HashMap<u64, usize>,
    /// Address and the caller's number: a place in the tree of stacks.
    places: HashMap<(usize, usize), usize>,
    stacks: HashMap<u32, usize>,
    allocations: HashMap<(u64, usize), usize>,
}

pub(super) fn write(trace: &Trace, path: &Path) -> Result<(), Error> {
    let mut writer = Writer {
        trace,
        symbols: Symbols::new(trace),
        to: Text::new(path.extension().is_some_and(|name| name == "gz")),
        strings: HashMap::new(),
        addresses: HashMap::new(),
        places: HashMap::new(),
        stacks: HashMap::new(),
        allocations: HashMap::new(),
    };
    writer.events().map_err(|error| match error {
        Fault::Io(error) => Error::failed(error),
        Fault::Trace(error) => error.into(),
    })?;
    let written = writer.to.finish().map_err(Error::failed)?;
    let mut out = Output::create(path)?;
    out.bytes(&written)?;
    out.finish()
}

/// The text, compressed or plain.
enum Text {
    Packed(GzEncoder<Vec<u8>>),
    Plain(Vec<u8>),
}

impl Text {
    fn new(packed: bool) -> Text {
        if packed {
            Text::Packed(GzEncoder::new(Vec::new(), Compression::default()))
        } else {
            Text::Plain(Vec::new())
        }
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Text::Packed(packed) => packed.finish(),
            Text::Plain(text) => Ok(text),
        }
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Text::Packed(packed) => packed.write(bytes),
            Text::Plain(text) => text.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

enum Fault {
    Io(std::io::Error),
    Trace(memoman_trace::Error),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl From<memoman_trace::Error> for Fault {
    fn from(error: memoman_trace::Error) -> Fault {
        Fault::Trace(error)
    }
}

impl Writer<'_> {
    fn events(&mut self) -> Result<(), Fault> {
        let trace = self.trace;
        writeln!(self.to, "v 10400 3")?;
        let args: Vec<String> = trace.header().args.clone();
        writeln!(self.to, "X {}", args.join(" ").replace('\n', " "))?;
        // Size of a page and their number: unknown here.
        writeln!(self.to, "I 1000 0")?;
        let mut progress = Progress::new("export", trace.bytes());
        let mut live = HashMap::<(u32, u64), usize>::new();
        let mut stamp = 0;
        let mut count = 0u64;
        let mut events = trace.events();
        while let Some(event) = events.next() {
            let event = event?;
            count += 1;
            if count.is_multiple_of(1 << 16) {
                progress.at(events.position());
            }
            let now = event.time / 1_000_000;
            if now >= stamp + STEP {
                stamp = now;
                writeln!(self.to, "c {now:x}")?;
            }
            if event.old != 0
                && event.kind != Kind::Failed
                && let Some(allocation) = live.remove(&(event.heap, event.old))
            {
                writeln!(self.to, "- {allocation:x}")?;
            }
            match event.kind {
                Kind::Malloc | Kind::Calloc | Kind::Memalign | Kind::Realloc => {
                    let place = self.stack(event.stack)?;
                    let next = self.allocations.len();
                    let allocation = match self.allocations.get(&(event.size, place)) {
                        Some(&known) => known,
                        None => {
                            writeln!(self.to, "a {:x} {place:x}", event.size)?;
                            self.allocations.insert((event.size, place), next);
                            next
                        }
                    };
                    writeln!(self.to, "+ {allocation:x}")?;
                    live.insert((event.heap, event.pointer), allocation);
                }
                Kind::Reset => {
                    let gone: Vec<(u32, u64)> = live
                        .keys()
                        .filter(|key| key.0 == event.heap)
                        .copied()
                        .collect();
                    for key in gone {
                        if let Some(allocation) = live.remove(&key) {
                            writeln!(self.to, "- {allocation:x}")?;
                        }
                    }
                }
                _ => {}
            }
        }
        writeln!(self.to, "c {:x}", stamp + 1)?;
        Ok(())
    }

    /// The place of a stack, 0 without one.
    fn stack(&mut self, stack: u32) -> Result<usize, Fault> {
        if let Some(&known) = self.stacks.get(&stack) {
            return Ok(known);
        }
        let mut place = 0;
        let trace = self.trace;
        for &address in trace.stack(stack).iter().rev() {
            let address = self.address(address)?;
            let next = self.places.len() + 1;
            place = match self.places.get(&(address, place)) {
                Some(&known) => known,
                None => {
                    writeln!(self.to, "t {address:x} {place:x}")?;
                    self.places.insert((address, place), next);
                    next
                }
            };
        }
        self.stacks.insert(stack, place);
        Ok(place)
    }

    fn address(&mut self, address: u64) -> Result<usize, Fault> {
        if let Some(&known) = self.addresses.get(&address) {
            return Ok(known);
        }
        let frames = self.symbols.frames(address).to_vec();
        let module = frames
            .last()
            .map_or(String::new(), |frame| frame.module.clone());
        let mut line = format!("i {address:x} {:x}", self.string(&module)?);
        for frame in &frames {
            let (function, file) = (self.string(&frame.function)?, self.string(&frame.file)?);
            // A frame without a file ends the entry: those around it are left out.
            line += &format!(" {function:x}");
            if file == 0 {
                break;
            }
            line += &format!(" {file:x} {:x}", frame.line);
        }
        writeln!(self.to, "{line}")?;
        let next = self.addresses.len() + 1;
        self.addresses.insert(address, next);
        Ok(next)
    }

    /// The number of a string, 0 for an empty one.
    fn string(&mut self, text: &str) -> Result<usize, Fault> {
        if text.is_empty() {
            return Ok(0);
        }
        if let Some(&known) = self.strings.get(text) {
            return Ok(known);
        }
        let plain = text.replace('\n', " ");
        writeln!(self.to, "s {:x} {plain}", plain.len())?;
        let next = self.strings.len() + 1;
        self.strings.insert(text.to_owned(), next);
        Ok(next)
    }
}
