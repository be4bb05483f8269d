//! A heap whose control structure and pools each lie between guard pages, and are read-only while
//! validation runs: a stray read or any write ends the test process.

use std::vec::Vec;

use crate::block::{Block, Header};
use crate::config::{HEADER, QUANTUM, WORD};
use crate::control::Control;
use crate::instance::Tlsf;
use crate::pool::Pool;
use crate::validate::Violation;
use crate::validate::{Cursor, Step};

pub(super) const PAGE: usize = 4096;

/// A random generator (splitmix64, Steele, Lea, Flood, OOPSLA 2014); a failing test prints its
/// seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as usize
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.next() % limit
    }
}

/// One guarded range of memory.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) bytes: usize,
}

impl Part {
    pub(super) fn contains(&self, address: usize) -> bool {
        (self.start..self.start + self.bytes).contains(&address)
    }
}

/// A block found by a walk of the sound heap.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) block: Block,
    pub(super) header: Header,
    /// Index of its pool.
    pub(super) pool: usize,
    /// The previous block is free.
    pub(super) after_free: bool,
}

impl Seen {
    pub(super) fn at(&self) -> usize {
        self.block.addr()
    }

    /// The address lies in its header or its payload.
    pub(super) fn covers(&self, address: usize) -> bool {
        (self.at() - HEADER..self.next_at() - HEADER).contains(&address)
    }

    pub(super) fn next_at(&self) -> usize {
        self.at() + self.header.size()
    }
}

/// An instance with pools on both sides of its control structure, which lies in `parts[1]`.
pub(super) struct Heap {
    base: *mut u8,
    bytes: usize,
    pub(super) parts: Vec<Part>,
    pub(super) tlsf: Tlsf,
    pub(super) pools: Vec<Pool>,
    pub(super) blocks: Vec<Seen>,
    image: Vec<u8>,
}

/// The `max_block` of a control structure of exactly one page, if one exists: both its ends then
/// touch guard pages.
fn max_block() -> usize {
    (1..64usize)
        .flat_map(|k| (10..24).map(move |log2| k << log2))
        .find(|&max| Control::size_for(max) == PAGE)
        .unwrap_or(1 << 16)
}

impl Heap {
    /// Lays an instance at `address` (so that a seed repeats the heap) over pools of `pages` pages,
    /// the last one at an odd address, and fills them with used and free blocks in turn.
    pub(super) fn new(address: usize, pages: &[usize], seed: u64) -> Heap {
        Heap::with_requests(address, pages, seed, (1, max_block()))
    }

    /// [`Heap::new`] with requests within these bounds; the upper one is the instance's largest
    /// request.
    pub(super) fn with_requests(
        address: usize,
        pages: &[usize],
        seed: u64,
        (least, max_block): (usize, usize),
    ) -> Heap {
        let mut layout = Vec::from(pages);
        layout.insert(1, 1);
        let bytes = (layout.iter().sum::<usize>() + layout.len() + 1) * PAGE;
        // SAFETY: a new mapping; the address is only a hint.
        let base = unsafe {
            libc::mmap(
                core::ptr::without_provenance_mut(address),
                bytes,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert!(base != libc::MAP_FAILED);
        let base: *mut u8 = base.cast();
        let mut parts = Vec::new();
        let mut at = base.addr() + PAGE;
        for count in layout {
            parts.push(Part {
                start: at,
                bytes: count * PAGE,
            });
            at += (count + 1) * PAGE;
        }
        protect(base, &parts, libc::PROT_READ | libc::PROT_WRITE);
        let pointer = |address: usize| base.wrapping_add(address - base.addr());
        let mut random = Random(seed);
        for part in &parts {
            for word in (0..part.bytes).step_by(WORD) {
                // SAFETY: a word of the mapping, made writable above.
                unsafe {
                    pointer(part.start + word)
                        .cast::<usize>()
                        .write(random.next());
                }
            }
        }
        let control = pointer(parts[1].start + PAGE - Control::size_for(max_block));
        // SAFETY: the parts are writable and belong to the heap for as long as it is used.
        let (tlsf, pools) = unsafe {
            let tlsf = Tlsf::create(control, max_block).unwrap();
            let mut pools = Vec::new();
            for (index, part) in parts.iter().enumerate().filter(|(index, _)| *index != 1) {
                let odd = if index == parts.len() - 1 { 1 } else { 0 };
                pools.push(
                    tlsf.add_pool(pointer(part.start + odd), part.bytes - 2 * odd)
                        .unwrap(),
                );
            }
            (tlsf, pools)
        };
        let mut heap = Heap {
            base,
            bytes,
            parts,
            tlsf,
            pools,
            blocks: Vec::new(),
            image: Vec::new(),
        };
        heap.fill(&mut random, least, max_block);
        heap.blocks = heap.walk();
        heap.image = heap.snapshot();
        heap
    }

    /// Fills the pools, then frees every other block: in even pools from the first on, in odd ones
    /// from the second. A few frees coalesce, so that absorbed headers remain as in a heap after
    /// longer use.
    fn fill(&mut self, random: &mut Random, least: usize, most: usize) {
        let mut live = Vec::new();
        for round in 0.. {
            let bytes = [40, 40, 72, 200, 24, 40, 600][round % 7].clamp(least, most);
            // SAFETY: the instance is live; payloads are filled to their end.
            unsafe {
                let Ok(ptr) = self.tlsf.malloc(bytes) else {
                    break;
                };
                for word in 0..Tlsf::block_size(ptr.as_ptr()) / WORD {
                    ptr.as_ptr().cast::<usize>().add(word).write(random.next());
                }
                live.push(ptr);
            }
        }
        live.sort();
        for (index, pool) in self.pools.iter().enumerate() {
            // SAFETY: live pools and blocks, each freed once.
            unsafe {
                let within = pool.start()..pool.end();
                let mine = live
                    .iter()
                    .filter(|ptr| within.contains(&ptr.as_ptr().addr()))
                    .enumerate();
                for (turn, &ptr) in mine {
                    let coalesces = turn % 12 == 5 + index % 2;
                    let stays = turn % 20 >= 15;
                    if !stays && (turn % 2 == index % 2 || coalesces) {
                        self.tlsf.free(ptr).unwrap();
                    }
                }
            }
        }
    }

    fn walk(&self) -> Vec<Seen> {
        let mut blocks = Vec::new();
        for (index, pool) in self.pools.iter().enumerate() {
            // SAFETY: a sound heap.
            unsafe {
                let mut block = pool.first_block();
                let mut after_free = false;
                while block.addr() < pool.end() {
                    let header = block.header(self.cookie());
                    blocks.push(Seen {
                        block,
                        header,
                        pool: index,
                        after_free,
                    });
                    after_free = header.is_free();
                    block = block.offset(header.size());
                }
            }
        }
        blocks
    }

    pub(super) fn control(&self) -> *mut Control {
        self.tlsf.control()
    }

    /// The seal of header words.
    pub(super) fn cookie(&self) -> usize {
        // SAFETY: readable memory.
        let cookie = unsafe { (*self.control()).cookie };
        if WORD == 8 { cookie } else { 0 }
    }

    /// The word at `address`, if it lies in one of the parts.
    pub(super) fn word(&self, address: usize) -> Option<usize> {
        let inside =
            address.is_multiple_of(WORD) && self.parts.iter().any(|part| part.contains(address));
        // SAFETY: a word of a part.
        inside.then(|| unsafe { self.pointer(address).cast::<usize>().read() })
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        self.base.wrapping_add(address - self.base.addr())
    }

    pub(super) fn list_end(&self) -> usize {
        Control::list_end(self.control()).addr()
    }

    pub(super) fn write(&self, address: usize, value: usize) {
        assert!(self.parts.iter().any(|part| part.contains(address)));
        // SAFETY: a word of a part.
        unsafe { self.pointer(address).cast::<usize>().write_unaligned(value) }
    }

    pub(super) fn snapshot(&self) -> Vec<u8> {
        let mut image = Vec::new();
        for part in &self.parts {
            // SAFETY: the part is readable and was initialised.
            image.extend_from_slice(unsafe {
                core::slice::from_raw_parts(self.pointer(part.start), part.bytes)
            });
        }
        image
    }

    /// The word at `address` in the sound heap.
    pub(super) fn original(&self, address: usize) -> usize {
        let mut skipped = 0;
        for part in &self.parts {
            if part.contains(address) {
                let at = skipped + address - part.start;
                let bytes = self.image[at..at + WORD].try_into().unwrap();
                return usize::from_ne_bytes(bytes);
            }
            skipped += part.bytes;
        }
        panic!("no word of the heap");
    }

    /// The pool with a block, or the sentinel, at `address`.
    pub(super) fn pool_around(&self, address: usize) -> Option<Pool> {
        let ends = |pool: &Pool| self.original(pool.start() + 3 * WORD) & !(QUANTUM - 1);
        let mut pools = self.pools.iter();
        pools
            .find(|pool| (pool.first_block().addr()..=ends(pool)).contains(&address))
            .copied()
    }

    /// Restores the sound heap.
    pub(super) fn restore(&self) {
        let mut at = 0;
        for part in &self.parts {
            // SAFETY: the image has as many bytes as the parts.
            unsafe {
                self.pointer(part.start)
                    .copy_from_nonoverlapping(self.image.as_ptr().add(at), part.bytes);
            }
            at += part.bytes;
        }
    }

    /// Runs `f` while the heap is read-only.
    pub(super) fn read_only<T>(&self, f: impl FnOnce() -> T) -> T {
        protect(self.base, &self.parts, libc::PROT_READ);
        let result = f();
        protect(self.base, &self.parts, libc::PROT_READ | libc::PROT_WRITE);
        result
    }

    pub(super) fn diagnose(&self) -> Option<Violation> {
        // SAFETY: control structure and pools may be read.
        unsafe { self.tlsf.diagnose() }
    }

    pub(super) fn diagnose_pool(&self, pool: Pool) -> Option<Violation> {
        // SAFETY: control structure and pools may be read.
        unsafe { Tlsf::diagnose_pool(pool) }
    }

    /// Validates in steps of `max_blocks` until the heap is covered; the number of steps and their
    /// finding.
    pub(super) fn validate_in_steps(&self, max_blocks: usize) -> (usize, Option<Violation>) {
        let mut cursor = Cursor::START;
        for steps in 1.. {
            // SAFETY: control structure and pools may be read.
            match unsafe { self.tlsf.validate_step(&mut cursor, max_blocks) } {
                Step::More => assert!(steps < self.bytes, "the steps do not end"),
                Step::Sound => return (steps, None),
                Step::Broken(violation) => return (steps, Some(violation)),
            }
        }
        unreachable!()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value; nothing points into it any more.
        unsafe { libc::munmap(self.base.cast(), self.bytes) };
    }
}

fn protect(base: *mut u8, parts: &[Part], protection: i32) {
    for part in parts {
        let start = base.wrapping_add(part.start - base.addr());
        // SAFETY: whole pages of the heap's mapping.
        let result = unsafe { libc::mprotect(start.cast(), part.bytes, protection) };
        assert_eq!(result, 0);
    }
}
