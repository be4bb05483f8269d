//! The events of all lanes in the order of time.
//!
//! A `realloc` that moves gives up its old block when it begins and has its new one when it ends.
//! It is one event at its end, unless another thread got the old address in between: then it is a
//! `Free` before that and a `Malloc` at its end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::chunks::Clock;
use crate::error::{Error, What};
use crate::event::{Event, Kind};
use crate::lane::{Fault, Item, Lane, Record, is_pool};
use crate::trace::Trace;

/// Iterator over the events of a [`Trace`], in the order of time. A damaged place is an error, and
/// the events of other threads go on behind it.
pub struct Events<'a> {
    trace: &'a Trace,
    clock: Clock,
    lanes: Vec<Source<'a>>,
    /// Moment, order at that moment, lane.
    queue: BinaryHeap<Reverse<(u64, u8, u32)>>,
    /// Moves that have begun, and whether another thread has got the old address.
    moves: Vec<Move>,
    ready: VecDeque<Result<Event, Error>>,
}

struct Source<'a> {
    lane: Lane<'a>,
    stacks: &'a [u32],
    next: Option<Record>,
}

struct Move {
    lane: u32,
    old: u64,
    split: bool,
}

/// At one moment, blocks are given up before others are handed out.
const GIVES: u8 = 0;
const TAKES: u8 = 1;

impl<'a> Events<'a> {
    pub(crate) fn new(trace: &'a Trace) -> Events<'a> {
        let mut events = Events {
            trace,
            clock: trace.clock(),
            lanes: trace
                .lanes()
                .map(|(lane, stacks)| Source {
                    lane,
                    stacks,
                    next: None,
                })
                .collect(),
            queue: BinaryHeap::new(),
            moves: Vec::new(),
            ready: VecDeque::new(),
        };
        if let Some(error) = trace.damage() {
            events.ready.push_back(Err(error));
        }
        for lane in 0..events.lanes.len() as u32 {
            if let Some(key) = events.advance(lane) {
                events.queue.push(Reverse(key));
            }
        }
        events
    }

    /// Bytes of the file that were read so far, for a progress line.
    pub fn position(&self) -> u64 {
        self.lanes.iter().map(|source| source.lane.consumed()).sum()
    }

    /// Reads the next record of a lane: when it is due.
    fn advance(&mut self, index: u32) -> Option<(u64, u8, u32)> {
        let source = &mut self.lanes[index as usize];
        source.next = None;
        loop {
            match source.lane.next() {
                Ok(Some(Item::Stack(_))) => {}
                Ok(Some(Item::Record(record))) => {
                    source.next = Some(record);
                    return Some(match record.kind {
                        Kind::Free => (record.ticks, GIVES, index),
                        Kind::Realloc if record.old != record.pointer && record.old != 0 => {
                            (record.before, GIVES, index)
                        }
                        _ => (record.ticks, TAKES, index),
                    });
                }
                Ok(None) => return None,
                Err(fault) => {
                    self.ready.push_back(Err(self.trace.error(match fault {
                        Fault::Io(error) => What::Io("read it", error),
                        Fault::Damaged(at, what) => What::Damaged(at, what),
                    })));
                    return None;
                }
            }
        }
    }

    /// Deals with the record that is due in a lane.
    fn take(&mut self, order: u8, index: u32) -> Option<(u64, u8, u32)> {
        let source = &self.lanes[index as usize];
        let record = source.next?;
        let mut event = Event {
            time: self.clock.ns(record.ticks),
            thread: record.thread,
            heap: record.heap,
            kind: record.kind,
            pointer: record.pointer,
            old: record.old,
            size: record.size,
            block: record.block,
            align: record.align,
            stack: 0,
        };
        if record.stack != 0 {
            // A stack that the stream does not define stands in a damaged part: none.
            let local = usize::try_from(record.stack - 1).ok();
            event.stack = local
                .and_then(|i| source.stacks.get(i))
                .copied()
                .unwrap_or(0);
        }
        if record.kind == Kind::Realloc && order == GIVES {
            self.moves.push(Move {
                lane: index,
                old: record.old,
                split: false,
            });
            return Some((record.ticks, TAKES, index));
        }
        if !self.moves.is_empty() {
            self.settle(&mut event, index);
        }
        self.ready.push_back(Ok(event));
        self.advance(index)
    }

    /// The event may end a move, or hand out an address that a move has given up.
    fn settle(&mut self, event: &mut Event, index: u32) {
        let own = self.moves.iter().position(|begun| begun.lane == index);
        if let Some(own) = own
            && self.moves.swap_remove(own).split
        {
            event.kind = Kind::Malloc;
            event.old = 0;
        }
        if event.pointer == 0 || is_pool(event.kind) {
            return;
        }
        for begun in &mut self.moves {
            if begun.old == event.pointer && !begun.split {
                begun.split = true;
                let source = &self.lanes[begun.lane as usize];
                self.ready.push_back(Ok(Event {
                    time: event.time,
                    thread: source.next.map_or(0, |record| record.thread),
                    heap: source.next.map_or(0, |record| record.heap),
                    kind: Kind::Free,
                    old: begun.old,
                    ..Event::default()
                }));
            }
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            // It keeps its place while the record is dealt with.
            let &Reverse((_, order, index)) = self.queue.peek()?;
            let next = self.take(order, index);
            match next {
                Some(key) => {
                    if let Some(mut top) = self.queue.peek_mut() {
                        *top = Reverse(key);
                    }
                }
                None => {
                    self.queue.pop();
                }
            }
        }
    }
}
