//! The shadow: live blocks, expected counters, and the checks after every operation.

use crate::arena::{self, Arena, Seen};
use crate::ops::{Op, Setup, Size};
use crate::support::fronts::ByTurns;
use memoman_core::config::{BLOCK_MIN, QUANTUM, WORD};
use memoman_core::size_class::block_size_for;
use memoman_core::{Cursor, Misuse, Refusal, Stats, Tlsf};
use std::collections::BTreeMap;
use std::ptr::NonNull;

pub(crate) struct Live {
    pub(crate) ptr: NonNull<u8>,
    /// Usable bytes, all of them filled.
    pub(crate) bytes: usize,
    pub(crate) align: usize,
    pub(crate) tag: u64,
}

/// A pool's region as it was added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    pub(crate) mem: usize,
    pub(crate) end: usize,
}

impl Given {
    pub(crate) fn start(&self) -> usize {
        self.mem.next_multiple_of(QUANTUM)
    }

    /// The rounded bounds.
    pub(crate) fn bounds(&self) -> (usize, usize) {
        (self.start(), self.end & !(QUANTUM - 1))
    }
}

pub(crate) struct Shadow {
    pub(crate) tlsf: Tlsf,
    pub(crate) max_block: usize,
    pub(crate) control: (usize, usize),
    /// By start address.
    pub(crate) pools: BTreeMap<usize, Given>,
    pub(crate) live: BTreeMap<usize, Live>,
    pub(crate) peak: usize,
    pub(crate) failed: usize,
    pub(crate) resets: usize,
    pub(crate) cursor: Cursor,
    /// The arena before the operation.
    pub(crate) before: Vec<u8>,
    scratch: Vec<u8>,
    tags: u64,
    // Last, so that it outlives the pointers into it.
    pub(crate) arena: Arena,
}

/// Bytes of a pool that belong to no block.
pub(crate) const POOL_COST: usize = Tlsf::POOL_OVERHEAD - Tlsf::ALLOC_OVERHEAD;
pub(crate) const POOL_MIN: usize = POOL_COST + BLOCK_MIN;

/// The number of the first life, so that a second instance can have the same seal.
const LIFE: usize = 1;

impl Shadow {
    pub(crate) fn new(setup: &Setup) -> Shadow {
        let arena = Arena::new();
        let max_block = setup.max_block.unwrap_or(Tlsf::DEFAULT_MAX_BLOCK);
        let control_bytes = Tlsf::control_size(max_block);
        let mut pools = BTreeMap::new();
        let created = match setup.max_block {
            None => Shadow::create_with_pool(&arena, setup, &mut pools),
            Some(_) => None,
        };
        let tlsf = created.unwrap_or_else(|| {
            let mem = arena.at(setup.control_at & !(WORD - 1));
            // SAFETY: the arena holds the control structure there; refused calls write nothing.
            unsafe {
                assert_eq!(Tlsf::create(mem.wrapping_add(1), max_block), None);
                assert_eq!(Tlsf::create(std::ptr::null_mut(), max_block), None);
                assert_eq!(Tlsf::create(mem, usize::MAX / 2 + 2), None);
                Tlsf::create_seeded(mem, max_block, LIFE).unwrap()
            }
        });
        let start = tlsf.as_raw().addr();
        let mut shadow = Shadow {
            tlsf,
            max_block,
            control: (start, start + control_bytes),
            pools,
            live: BTreeMap::new(),
            peak: 0,
            failed: 0,
            resets: 0,
            cursor: Cursor::START,
            before: Vec::new(),
            scratch: Vec::new(),
            tags: 0,
            arena,
        };
        shadow.check();
        let pools = setup.pools.iter().skip(usize::from(created.is_some()));
        for &(at, bytes) in pools {
            shadow.run(&Op::AddPool(at, bytes));
        }
        shadow
    }

    /// A default instance and its first pool in one range of memory, if that is large enough.
    fn create_with_pool(
        arena: &Arena,
        setup: &Setup,
        pools: &mut BTreeMap<usize, Given>,
    ) -> Option<Tlsf> {
        let (mem, bytes) = (arena.at(setup.control_at), setup.pools[0].1);
        let bytes = bytes.min(crate::ops::ARENA - setup.control_at);
        let control = mem.addr().next_multiple_of(WORD);
        let rest = control + Tlsf::control_size(Tlsf::DEFAULT_MAX_BLOCK);
        let end = mem.addr() + bytes;
        let fits = end >= rest.next_multiple_of(QUANTUM) + POOL_MIN;
        // SAFETY: the arena holds the range.
        let tlsf =
            unsafe { Tlsf::create_seeded_with_pool(mem, bytes, Tlsf::DEFAULT_MAX_BLOCK, LIFE) };
        assert_eq!(tlsf.is_some(), fits, "create_with_pool of {bytes} bytes");
        if tlsf.is_some() {
            let given = Given { mem: rest, end };
            pools.insert(given.start(), given);
        }
        tlsf
    }

    /// The largest request of this instance.
    pub(crate) fn limit(&self) -> usize {
        block_size_for(self.max_block) - Tlsf::ALLOC_OVERHEAD
    }

    pub(crate) fn stats(&self) -> Stats {
        // SAFETY: the instance is live.
        unsafe { self.tlsf.stats() }
    }

    pub(crate) fn resolve(&self, size: Size) -> usize {
        match size {
            Size::Bytes(bytes) => bytes,
            Size::Largest(by) => self.stats().largest.saturating_add_signed(by),
            Size::Limit(by) => self.limit().saturating_add_signed(by),
            Size::Huge(k, below) => (usize::MAX >> k) - below,
        }
    }

    pub(crate) fn nth_live(&self, number: usize) -> Option<usize> {
        let count = self.live.len();
        (count > 0).then(|| *self.live.keys().nth(number % count).unwrap())
    }

    pub(crate) fn nth_pool(&self, number: usize) -> Option<Given> {
        let count = self.pools.len();
        (count > 0).then(|| *self.pools.values().nth(number % count).unwrap())
    }

    /// The pool that contains an address.
    pub(crate) fn pool_around(&self, address: usize) -> Option<Given> {
        let (_, given) = self.pools.range(..=address).next_back()?;
        (address < given.bounds().1).then_some(*given)
    }

    pub(crate) fn used(&self) -> usize {
        let sizes = self
            .live
            .values()
            .map(|live| live.bytes + Tlsf::ALLOC_OVERHEAD);
        sizes.sum()
    }

    /// Checks and enters a returned block: aligned, apart from all others, inside a pool, not
    /// wasteful.
    pub(crate) fn enter(&mut self, ptr: NonNull<u8>, bytes: usize, align: usize) {
        let start = ptr.as_ptr().addr();
        // SAFETY: a live block.
        let usable = unsafe { Tlsf::block_size(ptr.as_ptr()) };
        assert!(usable >= bytes, "{usable} usable bytes of {bytes}");
        let need = memoman_core::size_class::cut_size(block_size_for(bytes));
        assert!(
            usable + Tlsf::ALLOC_OVERHEAD <= need + BLOCK_MIN - QUANTUM,
            "{usable} usable bytes for {bytes}: a remainder was given away"
        );
        assert_eq!(start % align.max(QUANTUM), 0, "alignment {align}");
        if let Some((&below, live)) = self.live.range(..=start).next_back() {
            assert!(
                below + live.bytes + Tlsf::ALLOC_OVERHEAD <= start,
                "overlaps the block below"
            );
        }
        if let Some((&above, _)) = self.live.range(start..).next() {
            assert!(
                start + usable + Tlsf::ALLOC_OVERHEAD <= above,
                "overlaps the block above"
            );
        }
        let pool = self.pool_around(start).expect("a block outside every pool");
        let (first, end) = pool.bounds();
        let first = first + Tlsf::POOL_OVERHEAD - Tlsf::ALLOC_OVERHEAD;
        assert!(
            start >= first && start + usable + Tlsf::ALLOC_OVERHEAD <= end,
            "leaves its pool"
        );
        self.tags += 1;
        let tag = self.tags;
        arena::fill(ptr.as_ptr(), usable, tag);
        let live = Live {
            ptr,
            bytes: usable,
            align,
            tag,
        };
        self.live.insert(start, live);
        self.peak = self.peak.max(self.used());
    }

    pub(crate) fn assert_contents(live: &Live) {
        assert!(
            arena::is_filled(live.ptr.as_ptr(), live.bytes, live.tag),
            "contents of {:?} lost",
            live.ptr
        );
    }

    /// Runs one operation with all checks.
    pub(crate) fn run(&mut self, op: &Op) {
        let mut image = std::mem::take(&mut self.before);
        self.arena.copy_to(&mut image);
        self.before = image;
        let mut owned = self.owned();
        self.execute(op);
        owned.extend(self.owned());
        self.arena.assert_untouched_outside(&self.before, owned);
        self.check();
    }

    fn owned(&self) -> Vec<(usize, usize)> {
        let pools = self.pools.values().map(Given::bounds);
        pools.chain([self.control]).collect()
    }

    /// Checks all that must hold between two operations.
    pub(crate) fn check(&mut self) {
        // SAFETY: the instance is live.
        assert_eq!(unsafe { self.tlsf.diagnose() }, None);
        let pool_bytes: usize = self
            .pools
            .values()
            .map(|p| p.bounds().1 - p.bounds().0)
            .sum();
        let overhead = self.pools.len() * POOL_COST;
        let used = self.used();
        let stats = self.stats();
        let expected = Stats {
            pool_bytes,
            used,
            free: pool_bytes - overhead - used,
            overhead,
            peak: self.peak,
            largest: stats.largest,
            live_blocks: self.live.len(),
            failed_requests: self.failed,
            cached: 0,
        };
        assert_eq!(stats, expected);

        let seen = arena::walk(self.tlsf);
        let mut in_use = seen.iter().filter(|block| block.used);
        for live in self.live.values() {
            let block = Seen {
                addr: live.ptr.as_ptr().addr(),
                size: live.bytes + Tlsf::ALLOC_OVERHEAD,
                used: true,
            };
            assert_eq!(in_use.next(), Some(&block));
            Shadow::assert_contents(live);
        }
        assert_eq!(in_use.next(), None);
        let free: usize = seen
            .iter()
            .filter(|block| !block.used)
            .map(|block| block.size)
            .sum();
        assert_eq!(free, stats.free);
        self.check_pools();
        self.check_largest(stats.largest);
    }

    fn check_pools(&self) {
        // SAFETY: the instance is live.
        unsafe {
            let mut pool = self.tlsf.first_pool();
            for given in self.pools.values() {
                let this = pool.expect("a pool is missing");
                let (start, end) = given.bounds();
                let (memory, bytes) = this.memory();
                assert_eq!((memory.addr(), memory.addr() + bytes), (start, end));
                assert_eq!(
                    self.tlsf.pool_of(self.arena.at(self.arena.offset(start))),
                    pool
                );
                assert_eq!(
                    self.tlsf.pool_of(self.arena.at(self.arena.offset(end - 1))),
                    pool
                );
                let live = self.live.range(start..end).count();
                assert_eq!(this.is_empty(), live == 0);
                pool = self.tlsf.next_pool(this);
            }
            assert_eq!(pool, None, "a pool too many");
        }
    }

    /// `largest` bytes can be allocated, and a byte more cannot. Tried on the heap itself, which is
    /// restored.
    fn check_largest(&mut self, largest: usize) {
        let mut image = std::mem::take(&mut self.scratch);
        self.arena.copy_to(&mut image);
        // SAFETY: the instance is live.
        unsafe {
            let more = self.tlsf.malloc(largest + 1);
            assert_eq!(
                more,
                Err(Refusal::Exhausted),
                "more than largest = {largest}"
            );
            if largest > 0 {
                self.tlsf
                    .malloc(largest)
                    .expect("largest must be allocatable");
            }
        }
        self.arena.load(&image);
        self.scratch = image;
    }

    /// Frees all blocks and compares the memory with that of a new instance over the same pools.
    pub(crate) fn end(mut self) {
        // Fill the heap first, so that the frees make the pools whole in address order, which fixes
        // the order of the lists.
        loop {
            let largest = self.stats().largest;
            if largest == 0 {
                break;
            }
            // SAFETY: the instance is live.
            let ptr = unsafe { self.tlsf.malloc(largest) }.expect("largest");
            self.enter(ptr, largest, 1);
        }
        self.check();
        assert_eq!(self.stats().free, 0);
        for (address, live) in std::mem::take(&mut self.live) {
            assert_eq!(address % live.align.max(1), 0);
            Shadow::assert_contents(&live);
            // SAFETY: a live block.
            unsafe { self.tlsf.free_by_turns(live.ptr) }
                .map(drop)
                .unwrap();
        }
        self.check();
        let stats = self.stats();
        self.clear_user_data();
        let (mut freed, mut fresh) = (Vec::new(), Vec::new());
        self.arena.copy_to(&mut freed);
        let control = self.arena.at(self.arena.offset(self.control.0));
        // SAFETY: the old instance is given up; the memory was its own.
        unsafe {
            for (start, end) in self.owned() {
                self.arena
                    .at(self.arena.offset(start))
                    .write_bytes(0xA7, end - start);
            }
            let again = Tlsf::create_seeded(control, self.max_block, LIFE);
            assert_eq!(again, Some(self.tlsf));
            for given in self.pools.values() {
                // Without the bytes that rounding skips, which a later pool below may contain.
                let start = given.start();
                let mem = self.arena.at(self.arena.offset(start));
                self.tlsf.add_pool(mem, given.end - start).unwrap();
            }
            // A reset counts the life, which gives the seal, and changes nothing else.
            for _ in 0..self.resets {
                assert!(self.tlsf.reset());
            }
        }
        self.clear_user_data();
        self.arena.copy_to(&mut fresh);
        for at in (0..freed.len()).step_by(WORD) {
            let word =
                |image: &[u8]| usize::from_ne_bytes(image[at..at + WORD].try_into().unwrap());
            let (was, new) = (word(&freed), word(&fresh));
            // Counters that a new instance has at zero, and the word that takes unneeded writes.
            let absorber = self.arena.offset(self.control.0) + WORD;
            let history =
                at == absorber || new == 0 && (was == stats.peak || was == stats.failed_requests);
            assert!(
                was == new || history,
                "byte {at}: {was:#x}, in a new instance {new:#x}"
            );
        }
        // SAFETY: the instance is live, and given up.
        unsafe {
            self.tlsf.destroy();
            assert!(self.tlsf.malloc(1).is_err());
            assert_eq!(self.tlsf.stats().pool_bytes, 0);
            let old = NonNull::new(control).unwrap();
            assert!(matches!(self.tlsf.free_by_turns(old), Err(Misuse::Foreign)));
        }
    }

    /// Clears all bytes except headers and links, where every pool is one free block.
    fn clear_user_data(&self) {
        for block in arena::walk(self.tlsf) {
            let bytes = block.size - Tlsf::ALLOC_OVERHEAD - 3 * WORD;
            let inside = self.arena.at(self.arena.offset(block.addr) + 2 * WORD);
            // SAFETY: a free block's payload, without its two links and the ghost in its last word.
            unsafe { inside.write_bytes(0, bytes) };
        }
    }
}
