//! The dump of a heap: pools, blocks, free lists and counters, in one walk over all blocks and one
//! over the lists, on a heap whose every word may have been overwritten.
//!
//! What is followed is validated first, as in [`crate::validate`]: the control structure and each
//! pool by its hash, each block by the walk, each list link by the pool that it leads into and the
//! link back. Damage ends the pool or list that contains it; the dump names it and goes on with the
//! next.
//!
//! | file | what |
//! |---|---|
//! | `json.rs` | the lines of docs/book/dump-format.md |
//! | `text.rs` | the drawing |
//! | `sink.rs` | the caller's writer |

mod json;
mod sink;
mod text;

pub use sink::Writer;

use core::ptr::NonNull;

use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, HEADER};
use crate::control::Control;
use crate::instance::Tlsf;
use crate::measure::{Look, Seen, Sums, plain};
use crate::pool::Pool;
use crate::stats::Stats;
use crate::validate::walk::{check_block, turn};
use crate::validate::{
    Before, Checked, Invariant, Violation, broken, check_bitmaps, check_control, check_counters,
    follows,
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
    format: DumpFormat,
    control: *mut Control,
    look: Look,
    /// The debug library's blocks have more around them.
    debug: bool,
    sums: Sums,
    blocks: usize,
    free_blocks: usize,
    used: usize,
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
            sink: Sink::new(write),
            format,
            control: self.control(),
            look,
            debug,
            sums: Sums::EMPTY,
            blocks: 0,
            free_blocks: 0,
            used: 0,
            faults: 0,
        };
        // SAFETY: the instance's memory may be read (caller).
        unsafe { dump.whole() };
        dump.sink.flush();
        dump.faults == 0 && dump.sink.is_open()
    }
}

impl Dump<'_> {
    fn is_json(&self) -> bool {
        self.format == DumpFormat::Json
    }

    /// Writes a fault, if there is one.
    fn report<T>(&mut self, found: Checked<T>, pool: Option<usize>) -> Option<T> {
        match found {
            Ok(value) => Some(value),
            Err(violation) => {
                self.faults += 1;
                self.fault(&violation, pool);
                None
            }
        }
    }

    fn fault(&mut self, violation: &Violation, pool: Option<usize>) {
        if self.is_json() {
            self.json_fault(violation, pool);
        } else {
            self.text_fault(violation, pool);
        }
    }

    /// # Safety
    /// The instance's memory may be read.
    unsafe fn whole(&mut self) {
        let control = self.control;
        // SAFETY: the control structure may be read (caller); it is validated before anything of it
        // is followed.
        unsafe {
            let sound = check_control(control);
            if sound.is_err() {
                self.heading(false);
                self.report(sound, None);
                self.end();
                return;
            }
            self.heading(true);
            let mut last = None;
            let mut index = 0;
            let mut next = Pool::new((*control).first_pool);
            while let Some(pool) = next {
                turn();
                if !self.sink.is_open() {
                    return;
                }
                if self.report(follows(control, last, pool), None).is_none() {
                    break;
                }
                self.pool(index, pool);
                last = next;
                index += 1;
                next = pool.next();
            }
            let walked = self.faults == 0;
            let bitmaps = check_bitmaps(control);
            self.report(bitmaps, None);
            self.lists(walked);
            if walked {
                self.compare_counters();
            }
            let largest = if self.faults == 0 {
                Control::largest(control)
            } else {
                // A bin's head may lead anywhere.
                self.sums.measure().gaps[0].saturating_sub(HEADER)
            };
            self.figures(&Stats::of(&*control, largest));
            self.end();
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
            let shift = self.begin_pool(index, pool);
            let mut block = pool.first_block();
            let mut before = Before::Used;
            let mut column = 0;
            while self.sink.is_open() {
                turn();
                let found = check_block(cookie, pool, block, before);
                if found.is_err() || block.addr() == end {
                    self.end_pool(column);
                    self.report(found, Some(index));
                    return;
                }
                let Ok(header) = found else { return };
                let seen = self.count(block, header);
                if self.is_json() {
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
        if seen.is_some() {
            self.used += header.size();
        } else {
            self.free_blocks += 1;
        }
        let live = seen.is_some_and(|seen| !matches!(seen, Seen::HeldBack(..)));
        self.sums.add(header.size(), !live);
        seen
    }

    /// The free lists. `walked`: every pool has been walked to its end, so `free_blocks` is the
    /// number of listed blocks of a sound heap.
    ///
    /// # Safety
    /// The control structure is validated.
    unsafe fn lists(&mut self, walked: bool) {
        let control = self.control;
        self.begin_lists();
        let mut listed = 0;
        let mut whole = true;
        // SAFETY: the control structure is validated (caller), so `top_bin` bounds the heads.
        unsafe {
            for bin in 0..=(*control).top_bin {
                turn();
                if !self.sink.is_open() {
                    return;
                }
                let (list, found) = list(control, bin);
                listed += list.blocks;
                whole &= found.is_ok();
                if list.blocks > 0 {
                    if self.is_json() {
                        self.json_list(&list);
                    } else {
                        self.text_list(&list);
                    }
                }
                self.report(found, None);
            }
        }
        if walked && whole && listed != self.free_blocks {
            let fault = broken::<()>(Invariant::Listed, control.cast_const().cast(), None);
            self.report(fault, None);
        }
    }

    /// I8, once every pool has been walked to its end.
    ///
    /// # Safety
    /// The control structure is validated.
    unsafe fn compare_counters(&mut self) {
        // SAFETY: validated (caller).
        let control = unsafe { &*self.control };
        let found = check_counters(control, self.used, self.blocks - self.free_blocks);
        self.report(found, None);
    }

    /// `sound`: the control structure is validated.
    fn heading(&mut self, sound: bool) {
        if self.is_json() {
            self.json_heading(sound);
        } else {
            self.text_heading();
        }
    }

    /// Binary logarithm of the bytes that one character of the drawing stands for.
    ///
    /// # Safety
    /// The pool is validated.
    unsafe fn begin_pool(&mut self, index: usize, pool: Pool) -> u32 {
        if self.is_json() {
            return 0;
        }
        // SAFETY: validated (caller).
        let bytes = unsafe { pool.memory() }.1;
        self.text_pool(index, pool.start(), bytes)
    }

    fn end_pool(&mut self, column: usize) {
        if !self.is_json() && column > 0 {
            self.sink.text("\n");
        }
    }

    fn begin_lists(&mut self) {
        if !self.is_json() {
            self.sink.text("free lists\n");
        }
    }

    fn figures(&mut self, stats: &Stats) {
        let measure = self.sums.measure();
        if self.is_json() {
            self.json_figures(stats, &measure);
        } else {
            self.text_figures(stats, &measure);
        }
    }

    fn end(&mut self) {
        if self.is_json() {
            self.json_end();
        } else {
            self.text_end();
        }
    }
}

/// The members of [`Stats`] in their order.
fn counters(stats: &Stats) -> [usize; 8] {
    [
        stats.pool_bytes,
        stats.used,
        stats.free,
        stats.overhead,
        stats.peak,
        stats.largest,
        stats.live_blocks,
        stats.failed_requests,
    ]
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
        let (cookie, end) = ((*control).cookie, Control::list_end(control));
        let mut link = Control::head(control, bin);
        let mut block = link.read();
        list.head = block.addr();
        let mut inside: Option<Pool> = None;
        while block != end {
            turn();
            let fault = |pool| broken(Invariant::List, link.cast_const().cast(), pool);
            if !inside.is_some_and(|pool| holds(pool, block)) {
                inside = pool_of(control, block);
            }
            let Some(pool) = inside else {
                return (list, fault(None));
            };
            if !block.is_aligned() {
                return (list, fault(Some(pool)));
            }
            let header = block.header(cookie);
            let size = header.size();
            if !header.is_plain_free()
                || size < BLOCK_MIN
                || size > pool.end() - block.addr()
                || (*control).bin_of_block(block, size) != bin
                || block.prev_link() != link
            {
                return (list, fault(Some(pool)));
            }
            list.blocks += 1;
            list.bytes += size;
            link = block.next_link();
            block = block.next_free();
        }
    }
    (list, Ok(()))
}

/// A smallest block fits between this payload and the pool's end.
///
/// # Safety
/// The pool is validated.
unsafe fn holds(pool: Pool, block: Block) -> bool {
    // SAFETY: validated (caller).
    let end = unsafe { pool.end() };
    block.addr() >= pool.first_block().addr() && end.saturating_sub(block.addr()) >= BLOCK_MIN
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
            if holds(pool, block) {
                return next;
            }
            last = next;
            next = pool.next();
        }
    }
    None
}
