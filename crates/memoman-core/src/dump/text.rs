//! The dump for people: each pool drawn, the free lists and the figures in tables.

use super::{Dump, List, counters};
use crate::block::{Block, Header};
use crate::control::WILDERNESS;
use crate::measure::{Measure, Seen};
use crate::size_class::bin_floor_size;
use crate::stats::Stats;
use crate::validate::Violation;

/// Characters of a row.
const ROW: usize = 64;
/// Rows of a pool, unless it has more blocks.
const ROWS: usize = 32;
/// Binary logarithm of the least that a character stands for, in bytes.
const UNIT_SHIFT: u32 = 5;

impl Dump<'_> {
    pub(super) fn text_heading(&mut self) {
        self.sink.print(
            concat!("memoman ", env!("CARGO_PKG_VERSION"), ", heap at 0x@\n"),
            &[self.control.addr()],
        );
    }

    /// Writes a pool's heading; returns the binary logarithm of the bytes that a
    /// character of its drawing stands for.
    pub(super) fn text_pool(&mut self, index: usize, start: usize, bytes: usize) -> u32 {
        let mut shift = UNIT_SHIFT;
        while 1 << shift < bytes / (ROW * ROWS) {
            shift += 1;
        }
        self.sink.print(
            "pool % at 0x@, % bytes; a character is up to % bytes: # in use, . free",
            &[index, start, bytes, 1 << shift],
        );
        self.sink.text(if self.debug {
            ", ~ in quarantine\n"
        } else {
            "\n"
        });
        shift
    }

    /// Draws a block: a character for each started unit, and its end.
    pub(super) fn text_block(
        &mut self,
        column: &mut usize,
        shift: u32,
        block: Block,
        header: Header,
        seen: Option<Seen>,
    ) {
        let character = match seen {
            None => ".",
            Some(Seen::HeldBack(..)) => "~",
            Some(_) => "#",
        };
        let count = ((header.size() - 1) >> shift) + 1;
        for index in 0..=count {
            if *column == ROW {
                self.sink.text("\n");
                *column = 0;
            }
            if *column == 0 {
                let at = block
                    .addr()
                    .wrapping_add((index << shift).min(header.size()));
                self.sink.print("  0x@ ", &[at]);
            }
            self.sink.text(if index == count { "|" } else { character });
            *column += 1;
            if !self.sink.is_open() {
                return;
            }
        }
    }

    pub(super) fn text_list(&mut self, list: &List) {
        if list.bin == WILDERNESS {
            self.sink.text("  wilderness");
        } else {
            self.sink.print("  from %", &[bin_floor_size(list.bin)]);
        }
        self.sink.print(
            if list.blocks == 1 {
                ": % block, % bytes, first at 0x@\n"
            } else {
                ": % blocks, % bytes, first at 0x@\n"
            },
            &[list.blocks, list.bytes, list.head],
        );
    }

    pub(super) fn text_fault(&mut self, violation: &Violation, pool: Option<usize>) {
        self.sink.text("BROKEN ");
        self.sink.bytes(violation.invariant.name().to_bytes());
        self.sink.print(", at 0x@", &[violation.address.addr()]);
        if let Some(pool) = pool {
            self.sink
                .print(" in pool %: the rest of the pool is not shown", &[pool]);
        }
        self.sink.text("\n");
    }

    pub(super) fn text_figures(&mut self, stats: &Stats, measure: &Measure) {
        self.sink.print(
            "figures\n  pool_bytes: %\n  used: %\n  free: %\n  overhead: %\n  peak: %\n  \
             largest: %\n  live_blocks: %\n  failed_requests: %\n",
            &counters(stats),
        );
        self.sink.print(
            "  free_blocks: %\n  fragmentation: % millionths\nblocks by size, in use and free\n",
            &[measure.free_blocks, measure.fragmentation],
        );
        let powers = measure.live_by_power.iter().zip(&measure.free_by_power);
        for (power, (&live, &free)) in powers.enumerate() {
            if live + free > 0 {
                let least = 1usize.checked_shl(power as u32).unwrap_or(0);
                self.sink.print("  from %: %, %\n", &[least, live, free]);
            }
        }
    }

    pub(super) fn text_end(&mut self) {
        self.sink.text(if self.faults == 0 {
            "sound\n"
        } else {
            "damaged\n"
        });
    }
}
