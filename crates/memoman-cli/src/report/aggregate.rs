//! The second reading: everything that the page shows, in slices of time and cells of addresses.
//! Memory grows with the live blocks, the slices and the cells, not with the events.

use memoman_trace::{Kind, Trace};

use super::live::{Block, Change, Live};
use super::scan::Scan;
use super::space::Space;
use crate::error::Error;
use crate::progress::Progress;

/// Call sites that have a colour of their own; the last one is all others.
pub(super) const GROUPS: usize = 10;

/// Failed requests that the page lists.
const FAILED: usize = 200;

/// What of a cell is live.
#[derive(Clone, Copy, Default)]
struct Cell {
    bytes: u64,
    /// Sums over the bytes: births, as parts of the run in 16 bits; logarithms of the blocks'
    /// sizes, in sixteenths.
    births: u64,
    sizes: u64,
    groups: [u32; GROUPS],
}

/// A slice of time.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Slice {
    /// Its end, ns.
    pub(super) time: u64,
    /// Events up to its end.
    pub(super) events: u64,
    /// Live bytes: at most, and at its end.
    pub(super) peak: u64,
    pub(super) live: u64,
    pub(super) blocks: u64,
    /// Bytes of the pages that hold a live block at its end.
    pub(super) held: u64,
}

/// A row of a histogram.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Row {
    pub(super) up_to: u64,
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    /// Of these, still live at the end.
    pub(super) left: u64,
}

/// The sums of a stack.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Sums {
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    /// Bytes live at the moment of the heap's peak.
    pub(super) peak: u64,
    pub(super) left_blocks: u64,
    pub(super) left: u64,
    /// Bytes live while reading.
    #[serde(skip)]
    live: u64,
}

/// A refused request, and the heap at that moment.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Failed {
    pub(super) time: u64,
    pub(super) slice: usize,
    pub(super) thread: u32,
    pub(super) size: u64,
    pub(super) align: u64,
    pub(super) stack: u32,
    pub(super) live: u64,
    pub(super) blocks: u64,
    pub(super) held: u64,
    /// Bytes of the heap's pools, where it has any.
    pub(super) pools: u64,
}

/// All of it.
pub(super) struct Aggregate {
    pub(super) slices: Vec<Slice>,
    /// For each of four planes (fill, birth, size, group), slices of a byte a cell.
    pub(super) planes: [Vec<u8>; 4],
    pub(super) sizes: Vec<Row>,
    pub(super) lives: Vec<Row>,
    pub(super) stacks: Vec<Sums>,
    pub(super) failed: Vec<Failed>,
    pub(super) failed_count: u64,
    pub(super) unknown: u64,
    pub(super) allocations: u64,
    pub(super) largest: u64,
    pub(super) threads: u32,
    pub(super) left: (u64, u64),
}

/// How the run is cut into slices.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum By {
    /// Equal times.
    Time,
    /// Equal numbers of events.
    Events,
}

struct Reader<'a> {
    space: &'a Space,
    groups: &'a [u8],
    end: u64,
    cells: Vec<Cell>,
    /// Live blocks that begin or end in each page.
    pages: Vec<u32>,
    held: u64,
    out: Aggregate,
}

pub(super) fn aggregate(
    trace: &Trace,
    heap: u32,
    scan: &Scan,
    space: &Space,
    groups: &[u8],
    by: By,
    count: usize,
) -> Result<Aggregate, Error> {
    let mut reader = Reader {
        space,
        groups,
        end: scan.end.max(1),
        cells: vec![Cell::default(); space.cells],
        pages: vec![0; space.pages],
        held: 0,
        out: Aggregate {
            slices: Vec::with_capacity(count),
            planes: Default::default(),
            sizes: Vec::new(),
            lives: Vec::new(),
            stacks: vec![Sums::default(); scan.stacks.len()],
            failed: Vec::new(),
            failed_count: 0,
            unknown: 0,
            allocations: 0,
            largest: 0,
            threads: 0,
            left: (0, 0),
        },
    };
    let mut live = Live::default();
    let mut events = trace.events();
    let mut progress = Progress::new("summing up", trace.bytes());
    let (mut all, mut number, mut pools) = (0u64, 0u64, 0u64);
    let mut peak = 0;
    let slice_end = |slice: usize| {
        let of = if by == By::Time {
            scan.end.saturating_add(1)
        } else {
            scan.events
        };
        (u128::from(of) * (slice as u128 + 1) / count as u128) as u64
    };
    while let Some(event) = events.next() {
        let event = event?;
        all += 1;
        if all.is_multiple_of(1 << 16) {
            progress.at(events.position());
        }
        if event.heap != heap {
            continue;
        }
        let key = if by == By::Time { event.time } else { number };
        while reader.out.slices.len() + 1 < count && key >= slice_end(reader.out.slices.len()) {
            let end = match by {
                By::Time => slice_end(reader.out.slices.len()),
                By::Events => event.time,
            };
            reader.end_slice(end, number, peak, &live);
            peak = live.bytes;
        }
        number += 1;
        reader.out.threads = reader.out.threads.max(event.thread.saturating_add(1));
        match event.kind {
            Kind::Failed => reader.failed(&event, &live, pools),
            Kind::PoolAdded | Kind::PoolExtended => pools = pools.saturating_add(event.size),
            Kind::PoolRemoved => pools = pools.saturating_sub(event.size),
            _ => {
                live.apply(&event, &mut |change| reader.change(change, event.time));
                peak = peak.max(live.bytes);
                if number == scan.peak_event {
                    for sums in &mut reader.out.stacks {
                        sums.peak = sums.live;
                    }
                }
            }
        }
    }
    while reader.out.slices.len() < count {
        let end = slice_end(reader.out.slices.len());
        let end = if by == By::Time { end } else { scan.end };
        reader.end_slice(end, number, peak, &live);
        peak = live.bytes;
    }
    let mut out = reader.out;
    for block in live.iter() {
        let row = size_row(block.size);
        out.sizes[row].left += 1;
        if let Some(sums) = out.stacks.get_mut(block.stack as usize) {
            sums.left_blocks += 1;
            sums.left = sums.left.saturating_add(block.size);
        }
        let life = life_row(&mut out.lives, scan.end.saturating_sub(block.birth));
        life.left += 1;
    }
    out.left = (live.blocks(), live.bytes);
    out.unknown = live.unknown;
    Ok(out)
}

/// Sizes by powers of two, from 16 bytes.
fn size_row(size: u64) -> usize {
    size.next_power_of_two().max(16).trailing_zeros() as usize - 4
}

/// Lives by factors of four, from a microsecond.
fn life_row(lives: &mut Vec<Row>, ns: u64) -> &mut Row {
    let row = (ns / 1000)
        .checked_ilog2()
        .map_or(0, |log| log as usize / 2 + 1);
    while lives.len() <= row {
        lives.push(Row {
            up_to: 1000 << (2 * lives.len()),
            ..Row::default()
        });
    }
    &mut lives[row]
}

impl Reader<'_> {
    fn change(&mut self, change: Change, now: u64) {
        match change {
            Change::Born(block) => {
                self.out.allocations += 1;
                self.out.largest = self.out.largest.max(block.size);
                let row = size_row(block.size);
                while self.out.sizes.len() <= row {
                    let up_to = 16 << self.out.sizes.len();
                    self.out.sizes.push(Row {
                        up_to,
                        ..Row::default()
                    });
                }
                self.out.sizes[row].blocks += 1;
                self.out.sizes[row].bytes = self.out.sizes[row].bytes.saturating_add(block.size);
                if let Some(sums) = self.out.stacks.get_mut(block.stack as usize) {
                    sums.blocks += 1;
                    sums.bytes = sums.bytes.saturating_add(block.size);
                    sums.live = sums.live.saturating_add(block.size);
                }
                self.occupy(&block, true);
            }
            Change::Gone { block, resized } => {
                if let Some(sums) = self.out.stacks.get_mut(block.stack as usize) {
                    sums.live = sums.live.saturating_sub(block.size);
                }
                if !resized {
                    let row = life_row(&mut self.out.lives, now.saturating_sub(block.birth));
                    row.blocks += 1;
                    row.bytes = row.bytes.saturating_add(block.size);
                }
                self.occupy(&block, false);
            }
        }
    }

    /// Enters a block into its cells and pages, or takes it out.
    fn occupy(&mut self, block: &Block, born: bool) {
        let birth = (u128::from(block.birth) * 65_535 / u128::from(self.end)).min(65_535) as u64;
        let log = u64::from(block.size.ilog2());
        let size = log * 16 + (block.size << 4 >> log) - 16;
        let group = self
            .groups
            .get(block.stack as usize)
            .map_or(GROUPS - 1, |&g| g as usize);
        let cells = &mut self.cells;
        self.space
            .for_cells(block.pointer, block.size, &mut |cell, bytes| {
                let cell = &mut cells[cell];
                let add = |sum: &mut u64, value: u64| {
                    *sum = if born {
                        sum.saturating_add(value)
                    } else {
                        sum.saturating_sub(value)
                    };
                };
                add(&mut cell.bytes, bytes);
                add(&mut cell.births, bytes * birth);
                add(&mut cell.sizes, bytes * size);
                let of_group = &mut cell.groups[group];
                let bytes = bytes.min(u64::from(u32::MAX)) as u32;
                *of_group = if born {
                    of_group.saturating_add(bytes)
                } else {
                    of_group.saturating_sub(bytes)
                };
            });
        let Some((first, last)) = self.space.pages_of(block.pointer, block.size) else {
            return;
        };
        // Pages in between hold nothing else.
        let mut held = (last - first).saturating_sub(1) as u64;
        for page in [first, last]
            .into_iter()
            .take(1 + usize::from(last > first))
        {
            let blocks = &mut self.pages[page];
            if born {
                held += u64::from(*blocks == 0);
                *blocks += 1;
            } else {
                *blocks = blocks.saturating_sub(1);
                held += u64::from(*blocks == 0);
            }
        }
        self.held = if born {
            self.held + held
        } else {
            self.held.saturating_sub(held)
        };
    }

    fn end_slice(&mut self, time: u64, events: u64, peak: u64, live: &Live) {
        self.out.slices.push(Slice {
            time,
            events,
            peak: peak.max(live.bytes),
            live: live.bytes,
            blocks: live.blocks(),
            held: self.held << self.space.page_shift,
        });
        let cell_bytes = self.space.cell_bytes;
        for cell in &self.cells {
            let bytes = [
                if cell.bytes == 0 {
                    0
                } else {
                    1 + (cell.bytes.saturating_mul(254) / cell_bytes).min(254)
                },
                cell.births.checked_div(cell.bytes).unwrap_or(0) >> 8,
                (cell.sizes.checked_div(cell.bytes).unwrap_or(0) >> 1).min(255),
                if cell.bytes == 0 {
                    0
                } else {
                    largest(&cell.groups)
                },
            ];
            for (plane, byte) in self.out.planes.iter_mut().zip(bytes) {
                plane.push(byte as u8);
            }
        }
    }

    fn failed(&mut self, event: &memoman_trace::Event, live: &Live, pools: u64) {
        self.out.failed_count += 1;
        if self.out.failed.len() < FAILED {
            self.out.failed.push(Failed {
                time: event.time,
                slice: self.out.slices.len(),
                thread: event.thread,
                size: event.size,
                align: event.align,
                stack: event.stack,
                live: live.bytes,
                blocks: live.blocks(),
                held: self.held << self.space.page_shift,
                pools,
            });
        }
    }
}

fn largest(groups: &[u32; GROUPS]) -> u64 {
    (0..GROUPS).max_by_key(|&group| groups[group]).unwrap_or(0) as u64
}
