//! The first reading of a trace: its length, the addresses it touches, the moment of its peak.

use memoman_trace::{Kind, Trace};

use super::live::{Change, Live};
use super::space::Touched;
use crate::error::Error;
use crate::progress::Progress;

/// What the first reading found.
pub(super) struct Scan {
    /// Events of the heap.
    pub(super) events: u64,
    /// Time of the last event, ns.
    pub(super) end: u64,
    pub(super) touched: Touched,
    pub(super) peak: u64,
    /// The heap's event after which the peak was reached first, counted from 1.
    pub(super) peak_event: u64,
    /// Allocated bytes of each stack.
    pub(super) stacks: Vec<u64>,
}

impl Scan {
    /// The touched pages, which are needed once.
    pub(super) fn take_touched(&mut self) -> Touched {
        std::mem::replace(&mut self.touched, Touched::new())
    }
}

pub(super) fn scan(trace: &Trace, heap: u32) -> Result<Scan, Error> {
    let mut live = Live::default();
    let mut scan = Scan {
        events: 0,
        end: 0,
        touched: Touched::new(),
        peak: 0,
        peak_event: 0,
        stacks: vec![0; trace.stacks() as usize + 1],
    };
    let mut events = trace.events();
    let mut progress = Progress::new("reading", trace.bytes());
    let mut count = 0u64;
    while let Some(event) = events.next() {
        let event = event?;
        count += 1;
        if count.is_multiple_of(1 << 16) {
            progress.at(events.position());
        }
        if event.heap != heap {
            continue;
        }
        scan.events += 1;
        scan.end = event.time;
        if matches!(
            event.kind,
            Kind::PoolAdded | Kind::PoolExtended | Kind::PoolRemoved
        ) {
            continue;
        }
        let (touched, stacks) = (&mut scan.touched, &mut scan.stacks);
        live.apply(&event, &mut |change| {
            if let Change::Born(block) = change {
                touched.add(block.pointer, block.size);
                if let Some(bytes) = stacks.get_mut(block.stack as usize) {
                    *bytes = bytes.saturating_add(block.size);
                }
            }
        });
        if live.bytes > scan.peak {
            scan.peak = live.bytes;
            scan.peak_event = scan.events;
        }
    }
    Ok(scan)
}
