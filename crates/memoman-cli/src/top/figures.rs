//! The published object, and the figures that it leads to.

use serde::Serialize;

use super::process::Process;
use super::walk::Places;
use crate::error::Error;

/// The figures of a heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Figures {
    pub(super) pool_bytes: u64,
    pub(super) used: u64,
    pub(super) free: u64,
    /// Known of handle heaps only: threads have peaks of their own.
    pub(super) peak: Option<u64>,
    pub(super) live_blocks: u64,
    pub(super) failed_requests: u64,
    pub(super) cached_bytes: u64,
    pub(super) thread_heaps: u64,
}

/// What `memoman_published` says: offsets and addresses.
pub(super) struct Published {
    word: usize,
    quantum: u64,
    /// Bytes of a control structure's fixed part.
    control: usize,
    used: usize,
    peak: usize,
    live_blocks: usize,
    failed_requests: usize,
    pool_bytes: usize,
    overhead: usize,
    heap_next: usize,
    heap_control: usize,
    heap_classes: usize,
    class_bytes: usize,
    class_left: usize,
    heap_rooms: usize,
    classes: usize,
    before_control: u64,
    process: u64,
    heaps: u64,
    shared: [u64; 3],
    large: [u64; 3],
    places: Places,
}

const VERSION: u32 = 2;
const NAME: &str = "memoman_published";
/// Nothing that the object describes is longer: else it is not what it seems.
const LONGEST: usize = 1 << 20;
/// More threads than a system has.
const HEAPS: u64 = 1 << 22;

/// A number of the process; 0 where there is none.
pub(super) fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(found) = bytes.get(at..at + size) {
        word[..size].copy_from_slice(found);
    }
    u64::from_le_bytes(word)
}

impl Published {
    /// Finds the object in a process: the one whose heap is in use, where there are several.
    pub(super) fn find(process: &Process) -> Result<Published, Error> {
        let mut found = None;
        for address in process.symbols(NAME)? {
            let published = Published::read(process, address)?;
            let used = published
                .process(process)
                .is_ok_and(|figures| figures.pool_bytes > 0);
            if used {
                return Ok(published);
            }
            found = Some(published);
        }
        found.ok_or_else(|| {
            Error::failed(format_args!(
                "process {} has no memoman in it: start it with LD_PRELOAD=libmemoman_preload.so, \
                 or link libmemoman",
                process.pid()
            ))
        })
    }

    fn read(process: &Process, address: u64) -> Result<Published, Error> {
        let mut head = [0; 20];
        process.read(address, &mut head)?;
        let version = number(&head, 8, 4) as u32;
        let bytes = number(&head, 12, 4) as usize;
        let layout = number(&head, 16, 4) as usize;
        let broken = || {
            Error::failed(format_args!(
                "process {}: the object {NAME} makes no sense",
                process.pid()
            ))
        };
        if head[..8] != *b"memoman\0" {
            return Err(broken());
        }
        if version != VERSION {
            return Err(Error::failed(format_args!(
                "process {} publishes figures of version {version}, which needs another memoman",
                process.pid()
            )));
        }
        if !(104..LONGEST).contains(&layout) || bytes < 16 + layout + 32 || bytes > LONGEST {
            return Err(broken());
        }
        let mut object = vec![0; bytes];
        process.read(address, &mut object)?;
        let of_layout = |index: usize| number(&object, 16 + 4 * index, 4) as usize;
        let behind = |index: usize| number(&object, 16 + layout + 4 * index, 4) as usize;
        let word = of_layout(1);
        if word != 4 && word != 8 {
            return Err(broken());
        }
        let pointers = (16 + layout + 32).next_multiple_of(word);
        let pointer = |index: usize| number(&object, pointers + word * index, word);
        let published = Published {
            word,
            quantum: of_layout(2) as u64,
            control: of_layout(9),
            used: of_layout(14),
            peak: of_layout(15),
            live_blocks: of_layout(16),
            failed_requests: of_layout(17),
            pool_bytes: of_layout(19),
            overhead: of_layout(20),
            heap_next: behind(0),
            heap_control: behind(1),
            heap_classes: behind(2),
            class_bytes: behind(3),
            class_left: behind(4),
            heap_rooms: behind(5),
            classes: behind(6),
            before_control: behind(7) as u64,
            process: pointer(0),
            heaps: pointer(1),
            shared: [pointer(2), pointer(3), pointer(4)],
            large: [pointer(5), pointer(6), pointer(7)],
            places: Places {
                word,
                quantum: of_layout(2) as u64,
                header: of_layout(3) as u64,
                block_min: of_layout(4) as u64,
                free: of_layout(6) as u64,
                sentinel: of_layout(8) as u64,
                cookie: of_layout(11) as u64,
                first_pool: of_layout(18) as u64,
                next: of_layout(21) as u64,
                control: of_layout(23) as u64,
                end: of_layout(24) as u64,
                first: of_layout(25) as u64,
            },
        };
        let places = &published.places;
        if !places.quantum.is_power_of_two()
            || places.quantum > 4096
            || places.block_min < places.quantum
            || places.header != word as u64
        {
            return Err(broken());
        }
        let spans = [
            published.control,
            published.heap_control + published.control,
            published.heap_classes + published.classes.saturating_mul(published.class_bytes),
            published.heap_rooms + published.classes.saturating_mul(4),
        ];
        if spans.iter().any(|&span| span > LONGEST) {
            return Err(broken());
        }
        Ok(published)
    }

    /// The figures of an instance, by the address of its control structure.
    fn instance(&self, process: &Process, control: u64) -> Result<Figures, Error> {
        let mut bytes = vec![0; self.control];
        process.read(control, &mut bytes)?;
        let word = |at: usize| number(&bytes, at, self.word);
        let (pool_bytes, used) = (word(self.pool_bytes), word(self.used));
        Ok(Figures {
            pool_bytes,
            used,
            free: pool_bytes
                .saturating_sub(used)
                .saturating_sub(word(self.overhead)),
            peak: Some(word(self.peak)),
            live_blocks: word(self.live_blocks),
            failed_requests: word(self.failed_requests),
            cached_bytes: 0,
            thread_heaps: 0,
        })
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// The control structure of a handle.
    pub(super) fn control_of(&self, handle: u64) -> u64 {
        handle.wrapping_add(self.before_control)
    }

    /// The control structures of the process's own heap: the shared instance's and the threads'.
    pub(super) fn controls(&self, process: &Process) -> Result<Vec<u64>, Error> {
        let mut found = vec![self.control_of(self.process)];
        let mut heap = self.word(process, self.heaps)?;
        while heap != 0 && (found.len() as u64) < HEAPS {
            found.push(heap.wrapping_add(self.heap_control as u64));
            heap = self.word(process, heap.wrapping_add(self.heap_next as u64))?;
        }
        Ok(found)
    }

    /// The figures of a handle heap.
    pub(super) fn handle(&self, process: &Process, handle: u64) -> Result<Figures, Error> {
        let figures = self.instance(process, self.control_of(handle))?;
        // An address of something else has figures that do not go together.
        let holds = figures.used <= figures.pool_bytes
            && figures.peak.is_some_and(|peak| peak >= figures.used)
            && figures.live_blocks <= figures.used;
        if !holds {
            return Err(Error::failed(format_args!(
                "process {} has no heap at {handle:#x}",
                process.pid()
            )));
        }
        Ok(figures)
    }

    /// A word of the process; 0 where there is none.
    fn word(&self, process: &Process, address: u64) -> Result<u64, Error> {
        if address == 0 {
            return Ok(0);
        }
        let mut bytes = vec![0; self.word];
        process.read(address, &mut bytes)?;
        Ok(number(&bytes, 0, self.word))
    }

    /// The figures of the process's own heap: shared instance, threads' heaps, large blocks.
    pub(super) fn process(&self, process: &Process) -> Result<Figures, Error> {
        let mut sum = self.instance(process, self.control_of(self.process))?;
        let mut words = [0; 6];
        for (word, &address) in words.iter_mut().zip(self.shared.iter().chain(&self.large)) {
            *word = self.word(process, address)?;
        }
        let [
            segment_bytes,
            segments,
            refused,
            large_bytes,
            allocated,
            freed,
        ] = words;
        let large_blocks = allocated.saturating_sub(freed);
        // Words of different moments may miss each other: nothing goes below 0.
        let mut used = sum
            .used
            .saturating_sub(segment_bytes)
            .saturating_add(large_bytes);
        let mut blocks = sum
            .live_blocks
            .saturating_sub(segments)
            .saturating_add(large_blocks);
        let mut heap = self.word(process, self.heaps)?;
        while heap != 0 && sum.thread_heaps < HEAPS {
            let own = self.instance(process, heap.wrapping_add(self.heap_control as u64))?;
            let (cached_blocks, cached_bytes) = self.cached(process, heap)?;
            used = used.saturating_add(own.used.saturating_sub(cached_bytes));
            blocks = blocks.saturating_add(own.live_blocks.saturating_sub(cached_blocks));
            sum.cached_bytes += cached_bytes;
            sum.thread_heaps += 1;
            heap = self.word(process, heap.wrapping_add(self.heap_next as u64))?;
        }
        sum.pool_bytes = sum.pool_bytes.saturating_add(large_bytes);
        sum.used = used;
        sum.free = sum.pool_bytes.saturating_sub(used);
        sum.live_blocks = blocks;
        sum.failed_requests = sum.failed_requests.max(refused);
        sum.peak = None;
        Ok(sum)
    }

    /// Blocks and bytes in a thread's cache.
    fn cached(&self, process: &Process, heap: u64) -> Result<(u64, u64), Error> {
        let mut classes = vec![0; self.classes * self.class_bytes];
        process.read(heap.wrapping_add(self.heap_classes as u64), &mut classes)?;
        let mut rooms = vec![0; self.classes * 4];
        process.read(heap.wrapping_add(self.heap_rooms as u64), &mut rooms)?;
        let (mut blocks, mut bytes) = (0u64, 0u64);
        for class in 0..self.classes {
            let left = number(
                &classes,
                class * self.class_bytes + self.class_left,
                self.word,
            );
            let room = number(&rooms, class * 4, 4);
            let held = room.saturating_sub(left);
            blocks += held;
            bytes += held * quanta_of(class as u64) * self.quantum;
        }
        Ok((blocks, bytes))
    }
}

/// The least quanta of a block of this class of a thread's cache, header included
/// (`thread/cache.rs` of memoman-global).
fn quanta_of(class: u64) -> u64 {
    match class {
        0..=128 => class,
        129..160 => 128 + (class - 128) * 4,
        _ => 256 + (class - 160) * 8,
    }
}
