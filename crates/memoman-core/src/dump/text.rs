//! The drawing of the dump for people, and its tables where the JSON lines have arrays.

use super::sink::Sink;
use super::{Dump, List};
use crate::block::{Block, Header};
use crate::control::WILDERNESS;
use crate::measure::{Measure, Seen};

/// Characters of a row.
const ROW: usize = 64;
/// Rows of a pool, unless it has more blocks.
const ROWS: usize = 32;
/// Binary logarithm of the least that a character stands for, in bytes.
const UNIT_SHIFT: u32 = 5;

impl Dump<'_> {
    /// Writes a pool's heading; returns the binary logarithm of the bytes that a
    /// character of its drawing stands for.
    pub(super) fn text_pool(&mut self, index: usize, start: usize, bytes: usize) -> u32 {
        let mut shift = UNIT_SHIFT;
        while 1 << shift < bytes / (ROW * ROWS) {
            shift += 1;
        }
        self.sink.print(
            "\0pool % at 0x@, % bytes; a character is up to % bytes: # in use, . free",
            &[index, start, bytes, 1 << shift],
        );
        self.sink.text(if self.debug {
            "\0, ~ in quarantine\n"
        } else {
            "\0\n"
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
            None => b'.',
            _ if header.is_sentinel() => b'~',
            Some(Seen::HeldBack(..)) => b'~',
            Some(_) => b'#',
        };
        let count = ((header.size() - 1) >> shift) + 1;
        for index in 0..=count {
            if *column == ROW {
                self.sink.byte(b'\n');
                *column = 0;
            }
            if *column == 0 {
                let at = block
                    .addr()
                    .wrapping_add((index << shift).min(header.size()));
                self.sink.print("\0  0x@ ", &[at]);
            }
            self.sink
                .byte(if index == count { b'|' } else { character });
            *column += 1;
            if !self.sink.is_open() {
                return;
            }
        }
    }

    /// The row of a free list whose blocks have at least `least` bytes.
    pub(super) fn text_list(&mut self, list: &List, least: usize) {
        self.sink.print(
            if list.bin == WILDERNESS {
                "\0  wilderness"
            } else {
                "\0  from %"
            },
            &[least],
        );
        self.sink.print(
            if list.blocks == 1 {
                "\0: % block, % bytes, first at 0x@\n"
            } else {
                "\0: % blocks, % bytes, first at 0x@\n"
            },
            &[list.blocks, list.bytes, list.head],
        );
    }
}

/// The numbers of blocks by size.
pub(super) fn powers(sink: &mut Sink, measure: &Measure) {
    let powers = measure.live_by_power.iter().zip(&measure.free_by_power);
    for (power, (&live, &free)) in powers.enumerate() {
        if live + free > 0 {
            let least = 1usize.checked_shl(power as u32).unwrap_or(0);
            sink.print("\0  from %: %, %\n", &[least, live, free]);
        }
    }
}
