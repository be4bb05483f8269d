//! Reads the calls of one heap out of a trace.

use std::collections::BTreeMap;

use memoman_trace::{Kind, Trace};
use rustc_hash::FxHashMap;

use super::{ALIGN, Call, Calls, What};
use crate::error::Error;
use crate::input;
use crate::progress::Progress;

/// The heap whose calls were read.
pub(crate) struct Chosen {
    pub(crate) heap: u32,
    /// Events of each heap in the trace.
    pub(crate) events: BTreeMap<u32, u64>,
}

/// Reads the calls of a heap; without a number, of the one with the most events.
pub(crate) fn load(trace: &Trace, heap: Option<u32>) -> Result<(Calls, Chosen), Error> {
    let name = trace.path().display();
    let header = trace.header();
    if header.sample > 0 {
        return Err(Error::failed(format_args!(
            "{name}: a sampled trace cannot be repeated: record without --sample"
        )));
    }
    let (heap, events) = input::choose(trace, heap)?;
    let mut loader = Loader::default();
    let mut reader = trace.events();
    let mut progress = Progress::new("loading", trace.bytes());
    let mut count = 0u64;
    while let Some(event) = reader.next() {
        let event = event?;
        if event.heap == heap {
            loader
                .event(&event)
                .map_err(|what| Error::failed(format_args!("{name}: {what}")))?;
        }
        count += 1;
        if count.is_multiple_of(1 << 16) {
            progress.at(reader.position());
        }
    }
    let mut calls = loader.calls;
    if calls.list.is_empty() {
        return Err(Error::failed(format_args!(
            "{name}: no call of heap {heap} in the trace"
        )));
    }
    calls.threads = loader.threads.len() as u16;
    calls.count();
    Ok((calls, Chosen { heap, events }))
}

#[derive(Default)]
struct Loader {
    calls: Calls,
    live: FxHashMap<u64, u32>,
    threads: FxHashMap<u32, u16>,
}

impl Loader {
    fn event(&mut self, event: &memoman_trace::Event) -> Result<(), &'static str> {
        let facts = &mut self.calls.facts;
        match event.kind {
            Kind::Malloc | Kind::Calloc | Kind::Memalign => {
                self.allocated(event, event.align)?;
            }
            Kind::Free => self.freed(event),
            Kind::Realloc if event.pointer == 0 => self.freed(event),
            Kind::Realloc => match self.live.remove(&event.old) {
                Some(block) => {
                    self.displaced(event);
                    self.live.insert(event.pointer, block);
                    self.push(event, What::Realloc, block, 0)?;
                }
                None => {
                    facts.unknown += u64::from(event.old != 0);
                    self.allocated(event, 0)?;
                }
            },
            Kind::Failed => {
                facts.failed += 1;
                facts.largest_failed = facts.largest_failed.max(event.size);
            }
            Kind::Reset => {
                let mut blocks: Vec<u32> = self.live.drain().map(|(_, block)| block).collect();
                blocks.sort_unstable();
                for block in blocks {
                    self.push(event, What::Free, block, 0)?;
                }
            }
            Kind::PoolAdded | Kind::PoolExtended | Kind::PoolRemoved => {}
        }
        Ok(())
    }

    /// A block at the event's address that the trace has live was freed unseen.
    fn displaced(&mut self, event: &memoman_trace::Event) {
        if let Some(block) = self.live.remove(&event.pointer) {
            self.calls.facts.doubled += 1;
            let _ = self.push(event, What::Free, block, 0);
        }
    }

    fn allocated(&mut self, event: &memoman_trace::Event, align: u64) -> Result<(), &'static str> {
        if event.pointer == 0 {
            return Ok(());
        }
        self.displaced(event);
        let block = self.calls.blocks;
        self.calls.blocks = block
            .checked_add(1)
            .ok_or("more than 4,294,967,295 blocks")?;
        self.live.insert(event.pointer, block);
        let aligned = align > ALIGN as u64 && align.is_power_of_two();
        if aligned {
            self.push(event, What::Memalign, block, align.trailing_zeros() as u8)
        } else {
            self.push(event, What::Malloc, block, 0)
        }
    }

    fn freed(&mut self, event: &memoman_trace::Event) {
        match self.live.remove(&event.old) {
            Some(block) => {
                let _ = self.push(event, What::Free, block, 0);
            }
            None => self.calls.facts.unknown += u64::from(event.old != 0),
        }
    }

    fn push(
        &mut self,
        event: &memoman_trace::Event,
        what: What,
        block: u32,
        align: u8,
    ) -> Result<(), &'static str> {
        let next = self.threads.len();
        let thread = *self
            .threads
            .entry(event.thread)
            .or_insert(next.min(65_535) as u16);
        if event.size > input::LARGEST || align > 46 {
            return Err("a request of more than 64 TiB, or so aligned: the trace is damaged");
        }
        self.calls.list.push(Call {
            size: if what == What::Free {
                0
            } else {
                event.size.max(1)
            },
            block,
            thread,
            what,
            align,
        });
        self.calls.times.push(event.time);
        Ok(())
    }
}
