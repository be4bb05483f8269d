//! The catalogue's control structure: the hashed words, the counters, the bitmaps.

use core::mem::offset_of;
use std::format;
use std::vec;
use std::vec::Vec;

use super::catalogue::Catalogue;
use crate::config::{QUANTUM, SL_WORDS, WORD};
use crate::control::Control;
use crate::validate::Invariant;

impl Catalogue<'_> {
    pub(super) fn control_words(&mut self) {
        use Invariant::{Counters, Placement};
        let control = self.heap.control().addr();
        let hashed = [
            (offset_of!(Control, low), "low"),
            (offset_of!(Control, high), "high"),
            (offset_of!(Control, links_low), "links_low"),
            (offset_of!(Control, links), "links"),
            (offset_of!(Control, quanta), "quanta"),
            (offset_of!(Control, cookie), "cookie"),
            (offset_of!(Control, top_bin), "top_bin"),
            (offset_of!(Control, max_size), "max_size"),
            (offset_of!(Control, limit), "limit"),
            (offset_of!(Control, first_pool), "first_pool"),
            (offset_of!(Control, last_pool), "last_pool"),
            (offset_of!(Control, pool_bytes), "pool_bytes"),
            (offset_of!(Control, overhead), "overhead"),
            (offset_of!(Control, handler), "handler"),
            (offset_of!(Control, handler_user), "handler_user"),
            (offset_of!(Control, check), "check"),
        ];
        for (offset, field) in hashed {
            let expected = [(Placement, control)];
            self.garbage(field, control + offset, control, &expected);
            self.flips(field, control + offset, |_| expected.to_vec());
            for pool in self.heap.pools.clone() {
                self.add(
                    format!("{field} <- a pool"),
                    vec![(control + offset, pool.start())],
                    expected.to_vec(),
                );
            }
        }
        for (offset, field) in [
            (offset_of!(Control, used), "used"),
            (offset_of!(Control, live_blocks), "live_blocks"),
        ] {
            let expected = [(Counters, control + offset)];
            self.garbage(field, control + offset, control, &expected);
            self.flips(field, control + offset, |_| expected.to_vec());
        }
        // `peak` is at least `used`, in whole quanta; nothing contradicts any such value.
        let at = control + offset_of!(Control, peak);
        let used = self.heap.original(control + offset_of!(Control, used));
        for value in [
            0,
            1,
            used - QUANTUM,
            used + 1,
            usize::MAX,
            used ^ (QUANTUM / 4),
            used ^ (QUANTUM / 2),
        ] {
            self.add(
                format!(
                    "peak <- {}",
                    if value < used {
                        "too small"
                    } else {
                        "no multiple"
                    }
                ),
                vec![(at, value)],
                vec![(Counters, at)],
            );
        }
        self.add(
            "peak <- a larger one".into(),
            vec![(at, used + 16 * QUANTUM)],
            Vec::new(),
        );
        let at = control + offset_of!(Control, failed_requests);
        self.add(
            "failed_requests <- any number".into(),
            vec![(at, 77)],
            Vec::new(),
        );
        for value in [0, usize::MAX] {
            let words = size_of::<Control>() / WORD;
            let writes = (0..words)
                .map(|word| (control + word * WORD, value))
                .collect();
            self.add(
                format!("fixed part of the control structure <- {value:#x}"),
                writes,
                vec![(Placement, control)],
            );
        }
    }

    pub(super) fn bitmaps(&mut self) {
        let control = self.heap.control().addr();
        let top_bin = self.heap.original(control + offset_of!(Control, top_bin));
        let words = SL_WORDS;
        for word in 0..words {
            let at = control + offset_of!(Control, sl_bitmap) + word * WORD;
            let original = self.heap.original(at);
            for bit in 0..usize::BITS {
                let bin = word * usize::BITS as usize + bit as usize;
                let what = match (original >> bit & 1, bin > top_bin) {
                    (0, false) => "second-level bit of an empty list set",
                    (0, true) => "second-level bit beyond the last bin set",
                    _ => "second-level bit of a list cleared",
                };
                self.add(
                    what.into(),
                    vec![(at, original ^ 1 << bit)],
                    vec![(Invariant::Bitmap, at)],
                );
            }
            self.add(
                "second-level word <- 0".into(),
                vec![(at, 0)],
                vec![(Invariant::Bitmap, at)],
            );
            self.add(
                "second-level word <- all ones".into(),
                vec![(at, usize::MAX)],
                vec![(Invariant::Bitmap, at)],
            );
        }
        let at = control + offset_of!(Control, fl_bitmap);
        let original = self.heap.original(at);
        for bit in 0..usize::BITS {
            let what = match (original >> bit & 1, bit as usize >= words) {
                (0, false) => "first-level bit of an empty word set",
                (0, true) => "first-level bit beyond the last word set",
                _ => "first-level bit of a filled word cleared",
            };
            self.add(
                what.into(),
                vec![(at, original ^ 1 << bit)],
                vec![(Invariant::Bitmap, at)],
            );
        }
        self.add(
            "first-level word <- 0".into(),
            vec![(at, 0)],
            vec![(Invariant::Bitmap, at)],
        );
        self.add(
            "first-level word <- all ones".into(),
            vec![(at, usize::MAX)],
            vec![(Invariant::Bitmap, at)],
        );
    }
}
