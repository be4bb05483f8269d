//! Bytes overwritten as by an overflow, an underflow or a write after free, then random calls: each
//! call either reports the damage and changes nothing, or returns memory that is not in use (groups
//! I and L).
//!
//! Excluded is damage that no header shows: another size under the right seal in the header of a
//! block in use, or in that of a free block once its false end looks like a true one.

// 32-bit headers have no seal, which shows most damage.
#![cfg(target_pointer_width = "64")]

mod support;

use memoman_core::{Refusal, Stats, Tlsf};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Instance, Random, Region};

const WORD: usize = size_of::<usize>();
const BYTES: usize = 16 << 10;

struct Live {
    ptr: NonNull<u8>,
    usable: usize,
    tag: u8,
    /// The damage has hit its contents.
    hit: bool,
}

struct Heap {
    instance: Instance,
    region: Region,
    live: BTreeMap<usize, Live>,
    /// Blocks freed recently, with their usable bytes.
    freed: Vec<(*mut u8, usize)>,
    /// The free block whose header the damage has given another size under the right seal, and its
    /// false end.
    false_end: Option<(*const usize, *const usize)>,
    random: Random,
}

/// How a call ended.
enum Outcome {
    Fine,
    Reported,
}

impl Heap {
    fn new(seed: u64) -> Heap {
        let instance = Instance::new(1 << 20);
        let region = Region::new(BYTES, 0, 0);
        // SAFETY: the region may be written and belongs to the instance.
        assert!(unsafe { instance.tlsf.add_pool(region.start(), BYTES) }.is_some());
        Heap {
            instance,
            region,
            live: BTreeMap::new(),
            freed: Vec::new(),
            false_end: None,
            random: Random(seed),
        }
    }

    fn tlsf(&self) -> Tlsf {
        self.instance.tlsf
    }

    fn stats(&self) -> Stats {
        // SAFETY: a live instance.
        unsafe { self.tlsf().stats() }
    }

    fn any(&mut self) -> Option<usize> {
        let count = self.live.len();
        (count > 0).then(|| *self.live.keys().nth(self.random.below(count)).unwrap())
    }

    fn contents(&self) {
        for block in self.live.values().filter(|block| !block.hit) {
            // SAFETY: a live block, filled when it was entered.
            let bytes = unsafe { std::slice::from_raw_parts(block.ptr.as_ptr(), block.usable) };
            assert!(
                bytes.iter().all(|&byte| byte == block.tag),
                "contents of {:?} lost",
                block.ptr
            );
        }
    }

    /// Checks a returned block: inside the pool, and apart from every other one.
    fn enter(&mut self, ptr: NonNull<u8>, bytes: usize) {
        // SAFETY: a new block, whose header has just been written.
        let usable = unsafe { Tlsf::block_size(ptr.as_ptr()) };
        let start = ptr.as_ptr().addr();
        let pool = self.region.start().addr();
        assert!(usable >= bytes && start.is_multiple_of(Tlsf::ALIGN));
        assert!(
            start > pool && start + usable <= pool + BYTES - WORD,
            "outside the pool"
        );
        if let Some((&below, block)) = self.live.range(..=start).next_back() {
            assert!(below + block.usable < start, "overlaps the block below");
        }
        if let Some((&above, _)) = self.live.range(start..).next() {
            assert!(start + usable < above, "overlaps the block above");
        }
        let tag = self.random.next() as u8;
        // SAFETY: inside the pool, in no other block.
        unsafe { ptr.as_ptr().write_bytes(tag, usable) };
        let block = Live {
            ptr,
            usable,
            tag,
            hit: false,
        };
        self.live.insert(start, block);
    }

    fn step(&mut self) -> Outcome {
        let before = self.stats();
        let octave = 3 + self.random.below(8);
        let bytes = 1 + self.random.below(1 << octave);
        let kind = self.random.below(8);
        let result = match (kind, self.any()) {
            (0..=2, _) | (_, None) => {
                // SAFETY: a live instance.
                let result = unsafe { self.tlsf().malloc(bytes) };
                result.map(|ptr| self.enter(ptr, bytes))
            }
            (3, _) => {
                let align = 1 << self.random.below(9);
                // SAFETY: a live instance.
                let result = unsafe { self.tlsf().memalign(align, bytes) };
                result.map(|ptr| self.enter(ptr, bytes))
            }
            (4, Some(key)) => {
                let ptr = self.live[&key].ptr;
                // SAFETY: a live block.
                let result = unsafe { self.tlsf().realloc(ptr, bytes) };
                result.map(|moved| {
                    let old = self.live.remove(&key).unwrap();
                    let kept = old.usable.min(bytes);
                    // SAFETY: the new block has at least `bytes` bytes.
                    let found = unsafe { std::slice::from_raw_parts(moved.as_ptr(), kept) };
                    assert!(
                        old.hit || found.iter().all(|&byte| byte == old.tag),
                        "realloc lost it"
                    );
                    if moved != ptr {
                        self.freed.push((ptr.as_ptr(), old.usable));
                    }
                    self.enter(moved, bytes);
                })
            }
            (_, Some(key)) => {
                let ptr = self.live[&key].ptr;
                // SAFETY: a live block.
                match unsafe { self.tlsf().free_by_turns(ptr) } {
                    Ok(_) => {
                        let old = self.live.remove(&key).unwrap();
                        self.freed.push((ptr.as_ptr(), old.usable));
                        Ok(())
                    }
                    Err(misuse) => Err(Refusal::Misuse(misuse, ptr.as_ptr())),
                }
            }
        };
        match result {
            Err(Refusal::Misuse(..)) => {
                assert_eq!(
                    self.stats(),
                    before,
                    "a refused call has changed the counters"
                );
                self.contents();
                Outcome::Reported
            }
            _ => Outcome::Fine,
        }
    }

    /// Overwrites some bytes; false where the damage is excluded.
    fn damage(&mut self) -> bool {
        const LENGTHS: [usize; 6] = [1, 1, 2, 8, 16, 24];
        let length = LENGTHS[self.random.below(6)];
        let start = match (self.random.below(4), self.any(), self.freed.last().copied()) {
            (0, Some(key), _) => {
                let block = &self.live[&key];
                block.ptr.as_ptr().wrapping_add(block.usable)
            }
            (1, Some(key), _) => self.live[&key].ptr.as_ptr().wrapping_sub(length),
            (2, _, Some((ptr, _))) => ptr.wrapping_add(WORD * self.random.below(3)),
            (3, _, Some((ptr, usable))) => ptr.wrapping_add(usable - length.min(WORD)),
            _ => return false,
        };
        let pool = self.region.start().addr();
        let (first, last) = (start.addr(), start.addr() + length);
        if first < pool + 6 * WORD || last > pool + BYTES {
            return false;
        }
        // No header shows a write after free into a block in use.
        let inside = |block: &Live| {
            let at = block.ptr.as_ptr().addr();
            last > at && first < at + block.usable
        };
        for block in self.live.values_mut() {
            block.hit |= inside(block);
        }
        let with_header = |payload: *const u8| {
            let header: *const usize = payload.wrapping_sub(WORD).cast();
            // SAFETY: the header of a block of the pool, or the pool's sentinel.
            (header, unsafe { header.read() })
        };
        let live = self.live.values().map(|block| block.ptr.as_ptr());
        let headers: Vec<_> = live.map(|ptr| with_header(ptr)).collect();
        let free: Vec<_> = self.free_blocks().into_iter().map(with_header).collect();
        let value = [0, 0xFF, b'A', self.random.next() as u8][self.random.below(4)];
        let bit = 1 << self.random.below(8);
        let flip = self.random.below(4) == 0;
        for offset in 0..length {
            // SAFETY: inside the pool, after its header.
            unsafe {
                let byte = start.wrapping_add(offset);
                byte.write(if flip { byte.read() ^ bit } else { value });
            }
        }
        let resized = |&(header, old): &(*const usize, usize)| {
            let seal_and_flags = |word: usize| (word >> (usize::BITS - 16), word & 0xD);
            // SAFETY: inside the pool, after its header.
            let new = unsafe { header.read() };
            let size = new & (usize::MAX >> 16) & !0xF;
            let differs = (new ^ old) & !0xF != 0 && size != 0;
            (differs && seal_and_flags(new) == seal_and_flags(old)).then_some((header, size))
        };
        self.false_end = free.iter().find_map(resized).map(|(header, size)| {
            let payload = header.wrapping_add(1);
            (payload, payload.wrapping_byte_add(size - 2 * WORD))
        });
        !headers.iter().any(|header| resized(header).is_some())
    }

    /// The gaps between the blocks in use; each is one free block.
    fn free_blocks(&self) -> Vec<*const u8> {
        // The first block's header lies directly after the pool's, its payload after that.
        let first = Tlsf::POOL_OVERHEAD / Tlsf::ALIGN * Tlsf::ALIGN;
        let first = self.region.start().wrapping_add(first).cast_const();
        let mut next = first;
        let mut free = Vec::new();
        for block in self.live.values() {
            let start = block.ptr.as_ptr().cast_const();
            if start != next {
                free.push(next);
            }
            next = start.wrapping_add(block.usable + WORD);
        }
        if next.addr() < self.region.start().addr() + BYTES {
            free.push(next);
        }
        free
    }

    /// The false end of the free block looks like a true one: a ghost, then a sealed header in use
    /// with PREV_FREE.
    fn is_disguised(&self) -> bool {
        self.false_end.is_some_and(|(block, end)| {
            let pool = self.region.start().addr();
            let inside = (pool..=pool + BYTES - 2 * WORD).contains(&end.addr());
            // SAFETY: words of the pool.
            inside
                && unsafe {
                    let words = end.add(1).read() ^ block.sub(1).read();
                    let seals = if WORD == 8 { words >> 48 } else { 0 };
                    end.read() == block.addr() && seals == 0 && words & 3 == 3
                }
        })
    }
}

fn seed() -> u64 {
    std::env::var("MM_SEED").map_or(1, |text| text.parse().expect("MM_SEED is a number"))
}

#[test]
fn group_i_damage_is_reported_or_harmless() {
    let rounds = std::env::var("MM_ROUNDS").map_or(20_000, |text| text.parse().unwrap());
    let first = std::env::var("MM_FIRST").map_or(0, |text| text.parse().unwrap());
    let (mut damaged, mut reported, mut disguised) = (0, 0, 0);
    for round in first..first + rounds {
        let seed = seed().wrapping_mul(1 << 32).wrapping_add(round);
        let _shown = Shown(round);
        let mut heap = Heap::new(seed);
        for _ in 0..20 + heap.random.below(60) {
            assert!(
                matches!(heap.step(), Outcome::Fine),
                "a report without damage"
            );
        }
        if !heap.damage() {
            continue;
        }
        damaged += 1;
        for _ in 0..60 {
            if heap.is_disguised() {
                disguised += 1;
                break;
            }
            if let Outcome::Reported = heap.step() {
                reported += 1;
                break;
            }
        }
        heap.contents();
    }
    println!("{damaged} heaps damaged, {reported} of them reported, {disguised} disguised");
    // The next sixty calls read most of the damaged words.
    assert!(
        rounds == 1 || damaged > rounds / 3 && reported > damaged / 3 && disguised < damaged / 1000,
        "{damaged} damaged, {reported} reported"
    );
}

/// Prints how to repeat a failing round.
struct Shown(u64);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("again: MM_SEED={} MM_FIRST={} MM_ROUNDS=1", seed(), self.0);
        }
    }
}
