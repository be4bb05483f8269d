//! The lines of docs/book/dump-format.md.

use super::{Dump, List, counters};
use crate::block::{Block, Header};
use crate::config::{HEADER, QUANTUM, WORD};
use crate::control::{Control, WILDERNESS};
use crate::measure::{Measure, Seen};
use crate::pool::Pool;
use crate::size_class::bin_floor_size;
use crate::stats::Stats;
use crate::validate::{Violation, follows};

impl Dump<'_> {
    /// The first line; `sound`: the control structure is validated.
    pub(super) fn json_heading(&mut self, sound: bool) {
        self.sink.text(concat!(
            "{\"memoman_dump\":1,\"library\":\"",
            env!("CARGO_PKG_VERSION")
        ));
        let numbers = [WORD, QUANTUM, HEADER, self.control.addr()];
        self.sink.print(
            "\",\"word\":%,\"quantum\":%,\"header\":%,\"allocator\":%",
            &numbers,
        );
        if sound {
            // SAFETY: validated (caller).
            let bytes = unsafe { (*self.control).bytes() };
            self.sink.print(",\"control\":%", &[bytes]);
        }
        self.sink.text(if self.debug {
            ",\"debug\":true,\"pools\":["
        } else {
            ",\"debug\":false,\"pools\":["
        });
        if sound {
            // SAFETY: the control structure is validated (caller).
            unsafe { self.json_pools(self.control) };
        }
        self.sink.text("]}\n");
    }

    /// # Safety
    /// The control structure is validated.
    unsafe fn json_pools(&mut self, control: *mut Control) {
        // SAFETY: the control structure is validated (caller), each pool before it is followed.
        unsafe {
            let mut last = None;
            let mut next = Pool::new((*control).first_pool);
            while let Some(pool) = next {
                if follows(control, last, pool).is_err() || !self.sink.is_open() {
                    return;
                }
                let (start, bytes) = pool.memory();
                self.sink.text(if last.is_some() { "," } else { "" });
                let numbers = [start.addr(), bytes, pool.first_block().addr()];
                self.sink
                    .print("{\"at\":%,\"size\":%,\"first\":%}", &numbers);
                last = next;
                next = pool.next();
            }
        }
    }

    pub(super) fn json_block(
        &mut self,
        pool: usize,
        block: Block,
        header: Header,
        seen: Option<Seen>,
    ) {
        let size = header.size();
        self.sink.print(
            "{\"pool\":%,\"at\":%,\"size\":%,\"state\":\"",
            &[pool, block.addr(), size],
        );
        match seen {
            None => {
                // SAFETY: the control structure is validated before any block is written.
                let bin = unsafe { (*self.control).bin_of_block(block, size) };
                self.sink.print("free\",\"bin\":%}\n", &[bin]);
            }
            Some(Seen::Used) => self.sink.text("used\"}\n"),
            Some(Seen::Holds(pointer, requested) | Seen::HeldBack(pointer, requested)) => {
                self.sink.text(match seen {
                    Some(Seen::Holds(..)) => "used",
                    _ => "quarantine",
                });
                self.sink.print(
                    "\",\"pointer\":%,\"requested\":%}\n",
                    &[pointer.addr(), requested],
                );
            }
        }
    }

    pub(super) fn json_list(&mut self, list: &List) {
        let least = match list.bin {
            WILDERNESS => 0,
            bin => bin_floor_size(bin),
        };
        self.sink.print(
            "{\"bin\":%,\"least\":%,\"head\":%,\"blocks\":%,\"bytes\":%}\n",
            &[list.bin, least, list.head, list.blocks, list.bytes],
        );
    }

    pub(super) fn json_fault(&mut self, violation: &Violation, pool: Option<usize>) {
        self.sink.print(
            "{\"broken\":{\"invariant\":%,\"name\":\"",
            &[violation.invariant.number().into()],
        );
        self.sink.bytes(violation.invariant.name().to_bytes());
        self.sink.print("\",\"at\":%", &[violation.address.addr()]);
        if let Some(pool) = pool {
            self.sink.print(",\"pool\":%", &[pool]);
        }
        self.sink.text("}}\n");
    }

    pub(super) fn json_figures(&mut self, stats: &Stats, measure: &Measure) {
        self.sink.print(
            "{\"counters\":{\"pool_bytes\":%,\"used\":%,\"free\":%,\"overhead\":%,\"peak\":%,\
             \"largest\":%,\"live_blocks\":%,\"failed_requests\":%}}\n",
            &counters(stats),
        );
        self.sink.print(
            "{\"measure\":{\"free_blocks\":%,\"live_blocks\":%,\"free_bytes\":%,\
             \"live_bytes\":%,\"fragmentation\":%",
            &[
                measure.free_blocks,
                measure.live_blocks,
                measure.free_bytes,
                measure.live_bytes,
                measure.fragmentation,
            ],
        );
        self.array(",\"gaps\":[", &measure.gaps);
        self.array(",\"free_by_power\":[", &measure.free_by_power);
        self.array(",\"live_by_power\":[", &measure.live_by_power);
        self.sink.text("}}\n");
    }

    /// Numbers up to the last that is not 0.
    #[inline(never)]
    fn array(&mut self, key: &str, numbers: &[usize]) {
        self.sink.text(key);
        let last = numbers.iter().rposition(|&number| number != 0);
        for (index, &number) in numbers.iter().enumerate() {
            if last.is_none_or(|last| index > last) {
                break;
            }
            self.sink
                .print(if index > 0 { ",%" } else { "%" }, &[number]);
        }
        self.sink.text("]");
    }

    pub(super) fn json_end(&mut self) {
        self.sink
            .print("{\"end\":%,\"broken\":%}\n", &[self.blocks, self.faults]);
    }
}
