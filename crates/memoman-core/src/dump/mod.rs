//! The dump of a heap: pools, blocks, free lists and counters, in one walk over all blocks and one
//! over the lists, on a heap whose every word may have been overwritten. Where both are sound, a
//! validation finds what they do not show.
//!
//! What is followed is validated first, as in [`crate::validate`]: the control structure and each
//! pool by its hash, each block by the walk, each list link by the pool that it leads into and the
//! link back. Damage ends the pool or list that contains it; the dump names it and goes on with the
//! next.
//!
//! Both formats have the same lines, in the same order: a line is written with its two forms, the
//! lines of docs/book/dump-format.md and those for people, and [`sink`] chooses. [`text`] has what
//! is drawn.

mod sink;
mod text;

pub use sink::Writer;

use core::ptr::NonNull;

use crate::block::{Block, Header};
use crate::config::{HEADER, QUANTUM, WORD};
use crate::control::{Control, WILDERNESS};
use crate::figures::cached;
use crate::instance::Tlsf;
use crate::measure::{Look, Seen, Sums, plain};
use crate::pool::Pool;
use crate::size_class::bin_floor_size;
use crate::stats::Stats;
use crate::validate::walk::{check_block, turn};
use crate::validate::{
    Before, Checked, Invariant, Violation, broken, check_bitmaps, check_control, diagnose, follows,
    listed_in,
};
use sink::Sink;

/// The form of a dump.
///
/// ```
/// # use memoman_core::{DumpFormat, Heap};
/// # use std::mem::MaybeUninit;
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let mut heap = Heap::new(&mut memory).unwrap();
/// let mut text = Vec::new();
/// assert!(heap.dump(DumpFormat::Text, |piece| {
///     text.extend_from_slice(piece);
///     true
/// }));
/// assert!(text.ends_with(b"sound\n"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpFormat {
    /// A drawing and tables, for people.
    Text,
    /// JSON lines, one object each: the page "The dump format" of the documentation.
    Json,
}

/// A dump in progress.
struct Dump<'a> {
    sink: Sink<'a>,
    control: *mut Control,
    look: Look,
    /// The debug library's blocks have more around them.
    debug: bool,
    sums: Sums,
    blocks: usize,
    faults: usize,
}

/// One free list.
#[derive(Default)]
struct List {
    bin: usize,
    head: usize,
    blocks: usize,
    bytes: usize,
}

impl Tlsf {
    /// Writes the whole heap in a readable form: O(blocks · pools), since a list may link blocks of
    /// different pools. False when damage was found or the writer stopped the dump. Nothing is
    /// changed.
    ///
    /// # Safety
    /// The instance is live; the contents of its memory may be anything. `write` makes no call that
    /// changes the instance.
    pub unsafe fn dump(self, format: DumpFormat, write: Writer) -> bool {
        // SAFETY: live instance (caller).
        unsafe { self.dump_with(format, plain, false, write) }
    }

    /// [`Tlsf::dump`] for a layer above, which knows more of a block in use.
    ///
    /// # Safety
    /// The duties of [`Tlsf::dump`]. `look` may be called with each block in use.
    #[inline(never)]
    pub unsafe fn dump_with(
        self,
        format: DumpFormat,
        look: Look,
        debug: bool,
        write: Writer,
    ) -> bool {
        let mut dump = Dump {
            sink: Sink::new(write, format == DumpFormat::Json),
            control: self.control(),
            look,
            debug,
            sums: Sums::EMPTY,
            blocks: 0,
            faults: 0,
        };
        // SAFETY: the instance's memory may be read (caller).
        unsafe { dump.whole() };
        dump.sink.flush();
        dump.faults == 0 && dump.sink.is_open()
    }
}

impl Dump<'_> {
    /// Writes a fault, if there is one; true if there is none.
    fn report(&mut self, found: Checked, pool: Option<usize>) -> bool {
        match found {
            Ok(()) => true,
            Err(violation) => {
                self.fault(&violation, pool);
                false
            }
        }
    }

    #[inline(never)]
    fn fault(&mut self, violation: &Violation, pool: Option<usize>) {
        self.faults += 1;
        self.sink.print(
            "{\"broken\":{\"invariant\":%,\"name\":\"\0BROKEN ",
            &[violation.invariant.number().into()],
        );
        self.sink.bytes(violation.invariant.name().to_bytes());
        self.sink
            .print("\",\"at\":%\0, at 0x@", &[violation.address.addr()]);
        if let Some(pool) = pool {
            self.sink.print(
                ",\"pool\":%\0 in pool %: the rest of the pool is not shown",
                &[pool],
            );
        }
        self.sink.text("}}\n\0\n");
    }

    /// # Safety
    /// The instance's memory may be read.
    unsafe fn whole(&mut self) {
        let control = self.control;
        // SAFETY: the control structure may be read (caller); it is validated before anything of it
        // is followed.
        unsafe {
            self.sink.print(
                concat!(
                    "{\"memoman_dump\":1,\"library\":\"",
                    env!("CARGO_PKG_VERSION"),
                    "\",\"word\":%,\"quantum\":%,\"header\":%,\"allocator\":%\0***memoman ",
                    env!("CARGO_PKG_VERSION"),
                    ", heap at 0x@\n"
                ),
                &[WORD, QUANTUM, HEADER, control.addr()],
            );
            let sound = check_control(control);
            if sound.is_ok() {
                self.sink.print(",\"control\":%", &[(*control).bytes()]);
            }
            self.sink.text(if self.debug {
                ",\"debug\":true,\"pools\":["
            } else {
                ",\"debug\":false,\"pools\":["
            });
            if sound.is_ok() {
                self.pools(false);
            }
            self.sink.text("]}\n");
            if self.report(sound, None) {
                self.sound_control();
            }
            self.sink
                .print("{\"end\":%,\"broken\":%}\n", &[self.blocks, self.faults]);
            self.sink.text(if self.faults == 0 {
                "\0sound\n"
            } else {
                "\0damaged\n"
            });
        }
    }

    /// What stands between the first line and the last.
    ///
    /// # Safety
    /// The control structure is validated.
    unsafe fn sound_control(&mut self) {
        let control = self.control;
        // SAFETY: the control structure is validated (caller).
        unsafe {
            self.pools(true);
            let bitmaps = check_bitmaps(control);
            self.report(bitmaps, None);
            self.lists();
            if self.faults == 0 {
                // Counters, unlisted blocks, the cache.
                self.report(diagnose(control), None);
            }
            let largest = if self.faults == 0 {
                Control::largest(control)
            } else {
                // A bin's head may lead anywhere.
                self.sums.finish().gaps[0].saturating_sub(HEADER)
            };
            let cached = Tlsf::new(control).map_or(0, |tlsf| cached(tlsf));
            self.figures(&Stats::of(&*control, largest, cached));
        }
    }

    /// The pools in address order, up to one whose header is overwritten: their list in the first
    /// JSON line, or their blocks.
    ///
    /// # Safety
    /// The control structure is validated.
    #[inline(never)]
    unsafe fn pools(&mut self, blocks: bool) {
        // SAFETY: the control structure is validated (caller), each pool before it is followed.
        unsafe {
            let mut last = None;
            let mut index = 0;
            let mut next = Pool::new((*self.control).first_pool);
            while let Some(pool) = next {
                turn();
                if !self.sink.is_open() {
                    return;
                }
                let found = follows(self.control, last, pool);
                if found.is_err() {
                    if blocks {
                        self.report(found, None);
                    }
                    return;
                }
                if blocks {
                    self.pool(index, pool);
                } else {
                    let (start, bytes) = pool.memory();
                    if index > 0 {
                        self.sink.text(",");
                    }
                    self.sink.print(
                        "{\"at\":%,\"size\":%,\"first\":%}",
                        &[start.addr(), bytes, pool.first_block().addr()],
                    );
                }
                last = next;
                index += 1;
                next = pool.next();
            }
        }
    }

    /// The blocks of a validated pool.
    ///
    /// # Safety
    /// The control structure and the pool are validated.
    unsafe fn pool(&mut self, index: usize, pool: Pool) {
        // SAFETY: validated (caller); each block is reached through validated sizes.
        unsafe {
            let (cookie, end) = ((*self.control).cookie, pool.end());
            let shift = self.text_pool(index, pool.start(), pool.memory().1);
            let mut block = pool.first_block();
            let mut before = Before::Used;
            let mut column = 0;
            while self.sink.is_open() {
                turn();
                let header = match check_block(cookie, pool, block, before) {
                    Ok(header) if block.addr() != end => header,
                    found => {
                        if column > 0 {
                            self.sink.text("\0\n");
                        }
                        self.report(found.map(|_| ()), Some(index));
                        return;
                    }
                };
                let seen = self.count(block, header);
                if self.sink.is_json() {
                    self.json_block(index, block, header, seen);
                } else {
                    self.text_block(&mut column, shift, block, header, seen);
                }
                before = if header.is_free() {
                    Before::Free(block)
                } else {
                    Before::Used
                };
                block = block.offset(header.size());
            }
        }
    }

    /// Counts a block; returns what the layer above knows of it, if it is in use.
    fn count(&mut self, block: Block, header: Header) -> Option<Seen> {
        let seen = match NonNull::new(block.payload()) {
            Some(payload) if !header.is_free() => {
                Some((self.look)(payload, header.size() - HEADER))
            }
            _ => None,
        };
        self.blocks += 1;
        let held_back = header.is_sentinel() || matches!(seen, Some(Seen::HeldBack(..)));
        let live = seen.is_some() && !held_back;
        self.sums.add(header.size(), !live);
        seen
    }

    fn json_block(&mut self, pool: usize, block: Block, header: Header, seen: Option<Seen>) {
        self.sink.print(
            "{\"pool\":%,\"at\":%,\"size\":%,\"state\":\"",
            &[pool, block.addr(), header.size()],
        );
        match seen {
            None => {
                // SAFETY: the control structure is validated before any block is written.
                let bin = unsafe { (*self.control).bin_of_block(block, header.size()) };
                self.sink.print("free\",\"bin\":%", &[bin]);
            }
            _ if header.is_sentinel() => self.sink.text("cached\""),
            Some(Seen::Used) => self.sink.text("used\""),
            Some(Seen::Holds(pointer, requested) | Seen::HeldBack(pointer, requested)) => {
                self.sink.text(match seen {
                    Some(Seen::Holds(..)) => "used",
                    _ => "quarantine",
                });
                self.sink.print(
                    "\",\"pointer\":%,\"requested\":%",
                    &[pointer.addr(), requested],
                );
            }
        }
        self.sink.text("}\n");
    }

    /// The free lists.
    ///
    /// # Safety
    /// The control structure is validated.
    unsafe fn lists(&mut self) {
        let control = self.control;
        self.sink.text("\0free lists\n");
        // SAFETY: the control structure is validated (caller), so `top_bin` bounds the heads.
        unsafe {
            for bin in 0..=(*control).top_bin {
                turn();
                if !self.sink.is_open() {
                    return;
                }
                let (list, found) = list(control, bin);
                if list.blocks > 0 {
                    let least = match bin {
                        WILDERNESS => 0,
                        bin => bin_floor_size(bin),
                    };
                    self.sink.print(
                        "{\"bin\":%,\"least\":%,\"head\":%,\"blocks\":%,\"bytes\":%}\n",
                        &[bin, least, list.head, list.blocks, list.bytes],
                    );
                    self.text_list(&list, least);
                }
                self.report(found, None);
            }
        }
    }

    fn figures(&mut self, stats: &Stats) {
        let (sink, measure) = (&mut self.sink, self.sums.finish());
        sink.print(
            "{\"counters\":{\"pool_bytes\":%,\"used\":%,\"free\":%,\"overhead\":%,\"peak\":%,\
             \"largest\":%,\"live_blocks\":%,\"failed_requests\":%,\"cached\":%}}\n\0\
             figures\n  pool_bytes: %\n  used: %\n  free: %\n  overhead: %\n  peak: %\n  \
             largest: %\n  live_blocks: %\n  failed_requests: %\n  cached: %\n",
            stats.as_numbers(),
        );
        sink.print(
            "{\"measure\":{\"free_blocks\":%,\"live_blocks\":%,\"free_bytes\":%,\
             \"live_bytes\":%,\"fragmentation\":%\0  free_blocks: %\n***\
             \x20 fragmentation: % millionths\nblocks by size, in use and free\n",
            &[
                measure.free_blocks,
                measure.live_blocks,
                measure.free_bytes,
                measure.live_bytes,
                measure.fragmentation,
            ],
        );
        if sink.is_json() {
            sink.array(",\"gaps\":[", &measure.gaps);
            sink.array(",\"free_by_power\":[", &measure.free_by_power);
            sink.array(",\"live_by_power\":[", &measure.live_by_power);
            sink.text("}}\n");
        } else {
            text::powers(sink, measure);
        }
    }
}

/// Walks one list. Each block's link back is tested, so no list leads into a circle.
///
/// # Safety
/// The control structure is validated; `bin` is at most `top_bin`.
unsafe fn list(control: *mut Control, bin: usize) -> (List, Checked) {
    let mut list = List {
        bin,
        ..List::default()
    };
    // SAFETY: a head of a validated control structure (caller); a block is read only inside a
    // validated pool.
    unsafe {
        let end = Control::list_end(control);
        let mut link = Control::head(control, bin);
        let mut block = link.read();
        list.head = block.addr();
        while block != end {
            turn();
            let pool = pool_of(control, block);
            let Some(size) = pool
                .and_then(|pool| listed_in(control, pool, block, bin))
                .filter(|_| block.prev_link() == link)
            else {
                return (
                    list,
                    broken(Invariant::List, link.cast_const().cast(), pool),
                );
            };
            list.blocks += 1;
            list.bytes += size;
            link = block.next_link();
            block = block.next_free();
        }
    }
    (list, Ok(()))
}

/// The validated pool that holds a block; O(pools).
///
/// # Safety
/// The control structure is validated.
unsafe fn pool_of(control: *mut Control, block: Block) -> Option<Pool> {
    // SAFETY: the control structure is validated (caller), each pool before it is followed.
    unsafe {
        let mut last = None;
        let mut next = Pool::new((*control).first_pool);
        while let Some(pool) = next {
            if follows(control, last, pool).is_err() {
                return None;
            }
            if pool.holds(block.addr()) {
                return next;
            }
            last = next;
            next = pool.next();
        }
    }
    None
}
