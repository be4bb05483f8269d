//! The process-wide instance: one instance of the core, whose pools are regions from the operating
//! system.
//!
//! * A small request that no pool can serve gets a new ordinary region, a fraction of all pools, so
//!   that the number of regions grows with the logarithm of the heap; a large one gets a region
//!   that fits. (Large blocks get no region but a mapping of their own, `process/mapping.rs`,
//!   except in the debug library and where the system refuses the mapping.)
//! * A region whose last block is freed is unmapped. A few empty ones, bounded in number and bytes,
//!   are kept: they save a program that frees and allocates in turn the system calls.
//!
//! The core returns "exhausted"; this layer adds a pool and calls it again.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
#[cfg(not(memoman_debug))]
use core::sync::atomic::AtomicU8;
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(not(memoman_debug))]
use crate::allocator::Misuse;
use crate::allocator::{Pool, Tlsf};
use crate::process::lock::LOCK;
use crate::system::env::Settings;
use crate::system::errno::errno;
use crate::system::memory::{self, PAGE};
use crate::system::stderr::Line;

/// Smallest ordinary region, and the first one.
const REGION_MIN: usize = 1 << 20;
/// Largest ordinary region.
const REGION_MAX: usize = 64 << 20;
/// An ordinary region is this part of the bytes of all pools.
const REGION_PART: usize = 4;
/// A request of at least this size that no pool can serve gets a region of its own.
pub(crate) const LARGE: usize = 256 << 10;
/// The largest number of empty regions kept. Their bytes are bounded by `SPARE_MIN`, by one
/// `SPARE_PART`th of all pools, or by [`State::spare_bytes`], whichever is largest. `spare_bytes`
/// starts at `SPARE_MIN` and doubles, up to `SPARE_MAX`, whenever a region is mapped that a region
/// unmapped earlier could have served: a program whose use rises and falls pays for it in system
/// calls and page faults a few times only. A use that only grows, as of a reallocated list, does
/// not count; nor does a region larger than `SPARE_MAX`, for which no doubling makes room.
const SPARES: usize = 16;
const SPARE_MIN: usize = 2 << 20;
const SPARE_MAX: usize = 32 << 20;
const SPARE_PART: usize = 32;
/// The largest part of all pools that `spare_bytes` may make up.
const SPARE_PART_MAX: usize = 2;

static HEAP: Heap = Heap(UnsafeCell::new(State::new()));
static CONTROL: Control = Control(UnsafeCell::new(MaybeUninit::uninit()));

struct Heap(UnsafeCell<State>);

// SAFETY: accessed under the lock only.
unsafe impl Sync for Heap {}

const CONTROL_BYTES: usize = Tlsf::control_size(Tlsf::DEFAULT_MAX_BLOCK);

/// The control structure's memory.
#[repr(align(64))]
struct Control(UnsafeCell<MaybeUninit<[u8; CONTROL_BYTES]>>);

// SAFETY: accessed under the lock only.
unsafe impl Sync for Control {}

pub(crate) struct State {
    tlsf: Option<Tlsf>,
    pub(crate) settings: Settings,
    /// The first pool: never returned.
    pub(crate) first: Option<Pool>,
    /// Pools that were empty when they were entered here.
    spares: [Option<Pool>; SPARES],
    /// Bytes of empty regions that are worth keeping.
    spare_bytes: usize,
    /// Bytes of the largest region unmapped since one was mapped that it could have served.
    gave_back: usize,
    /// Successful allocations so far, relocations by realloc included.
    pub(crate) allocations: usize,
    #[cfg(not(memoman_debug))]
    pub(crate) shared: Shared,
}

/// The part of the state that exists because threads have heaps of their own.
#[cfg(not(memoman_debug))]
pub(crate) struct Shared {
    /// Bytes of the instance in segments, headers included.
    pub(crate) segment_bytes: usize,
    /// Number of segments.
    pub(crate) segments: usize,
    /// The most bytes in use without the segments.
    pub(crate) peak: usize,
    /// Requests refused after every attempt.
    pub(crate) refused: usize,
    /// Misuse found under the lock, to be reported without it.
    deferred: Option<(Misuse, *const u8)>,
}

/// [`LargeBlocks`], for readers without the lock; 0 until the instance is created.
#[cfg(not(memoman_debug))]
static LARGE_BLOCKS: AtomicU8 = AtomicU8::new(0);

/// What the environment says about large blocks.
#[cfg(not(memoman_debug))]
#[derive(Clone, Copy)]
pub(crate) struct LargeBlocks(u8);

#[cfg(not(memoman_debug))]
impl LargeBlocks {
    const KNOWN: u8 = 1;
    const FIXED: u8 = 2;
    const RESERVED: u8 = 4;
    const LOCKED: u8 = 8;

    /// Reads it, and creates the instance for that if need be.
    pub(crate) fn read() -> LargeBlocks {
        if LARGE_BLOCKS.load(Ordering::Relaxed) == 0 {
            let _ = instance();
        }
        LargeBlocks(LARGE_BLOCKS.load(Ordering::Relaxed))
    }

    /// `MEMOMAN_GROW=0`: none has a mapping of its own.
    pub(crate) fn in_pools_only(self) -> bool {
        self.0 & LargeBlocks::FIXED != 0
    }

    /// `MEMOMAN_RESERVE`: the reserve serves them while it has room.
    pub(crate) fn in_pools_first(self) -> bool {
        self.0 & LargeBlocks::RESERVED != 0
    }

    /// `MEMOMAN_LOCK=1`: their mappings are locked in memory.
    pub(crate) fn locked(self) -> bool {
        self.0 & LargeBlocks::LOCKED != 0
    }
}

impl State {
    const fn new() -> State {
        State {
            tlsf: None,
            settings: Settings {
                reserve: None,
                fixed: false,
                lock: false,
                stats: false,
            },
            first: None,
            spares: [None; SPARES],
            spare_bytes: SPARE_MIN,
            gave_back: 0,
            allocations: 0,
            #[cfg(not(memoman_debug))]
            shared: Shared {
                segment_bytes: 0,
                segments: 0,
                peak: 0,
                refused: 0,
                deferred: None,
            },
        }
    }

    /// Reads the environment, creates the instance and its first pool.
    #[cold]
    #[inline(never)]
    fn create(&mut self) -> Option<Tlsf> {
        self.settings = Settings::read();
        let real_time = self.settings.fixed && self.settings.reserve.is_some();
        if real_time && !LOCK.inherit_priority() {
            Line::new()
                .text(b"memoman: the lock does not inherit priority: the system refuses (errno ")
                .number(errno() as usize, 0)
                .text(b")\n")
                .print();
        }
        // SAFETY: the control structure's memory is static, aligned, large enough, and used for
        // nothing else.
        let tlsf = unsafe { Tlsf::create(CONTROL.0.get().cast(), Tlsf::DEFAULT_MAX_BLOCK) }?;
        #[cfg(memoman_debug)]
        crate::debug::settings::prepare(tlsf);
        self.tlsf = Some(tlsf);
        if let Some(bytes) = self.settings.reserve {
            self.first = round_up(bytes).and_then(|bytes| self.add_region(tlsf, bytes, true));
            if self.first.is_none() {
                Line::new()
                    .text(b"memoman: MEMOMAN_RESERVE ignored: the system has no region of ")
                    .number(bytes, 0)
                    .text(b" bytes\n")
                    .print();
            }
        }
        if self.first.is_none() {
            self.first = self.add_region(tlsf, REGION_MIN, false);
        }
        #[cfg(not(memoman_debug))]
        {
            self.prefault_for_threads();
            LARGE_BLOCKS.store(self.for_large_blocks(), Ordering::Relaxed);
        }
        Some(tlsf)
    }

    /// With a reserve, brings into memory what the threads will need: the first pool's words of the
    /// map, and the first thread heap.
    #[cfg(not(memoman_debug))]
    fn prefault_for_threads(&self) {
        if let (Some(first), Some(_)) = (self.first, self.settings.reserve) {
            // SAFETY: the first pool is never returned.
            let (start, bytes) = unsafe { first.memory() };
            crate::process::map::prefault(start.addr(), bytes, self.settings.lock);
            crate::process::registry::prefault_first(self.settings.lock);
        }
    }

    /// The settings that large blocks heed.
    #[cfg(not(memoman_debug))]
    fn for_large_blocks(&self) -> u8 {
        let settings = &self.settings;
        let mut bits = LargeBlocks::KNOWN;
        for (bit, set) in [
            (LargeBlocks::FIXED, settings.fixed),
            (LargeBlocks::RESERVED, settings.reserve.is_some()),
            (LargeBlocks::LOCKED, settings.lock),
        ] {
            if set {
                bits |= bit;
            }
        }
        bits
    }

    /// Maps a region and adds it to the instance as a pool.
    fn add_region(&mut self, tlsf: Tlsf, bytes: usize, prefault: bool) -> Option<Pool> {
        let start = memory::map(bytes, prefault)?;
        if self.settings.lock {
            keep_in_memory(start, bytes);
        }
        // SAFETY: the instance is live and under the lock; the region is fresh and used for nothing
        // else.
        let pool = unsafe { tlsf.add_pool(start, bytes) };
        if pool.is_none() {
            // SAFETY: the core has refused the region, so nothing uses it.
            unsafe { memory::unmap(start, bytes) };
        }
        pool
    }

    /// Adds a pool in which a block of `need` bytes fits, all overheads included. With `ordinary`,
    /// for a small request, an ordinary region if that is larger and the system has it.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&mut self, tlsf: Tlsf, need: usize, ordinary: bool) -> bool {
        if self.settings.fixed && self.first.is_some() {
            return false;
        }
        let Some(fitting) = need.checked_add(Tlsf::POOL_OVERHEAD).and_then(round_up) else {
            return false;
        };
        // The core would refuse the block, and the region would stay.
        if need > Tlsf::DEFAULT_MAX_BLOCK {
            return false;
        }
        if self.gave_back >= fitting {
            self.gave_back = 0;
            self.spare_bytes = (2 * self.spare_bytes).min(SPARE_MAX);
        }
        if ordinary {
            // SAFETY: the instance is live and under the lock.
            let have = unsafe { tlsf.stats() }.pool_bytes;
            let generous = (have / REGION_PART).clamp(REGION_MIN, REGION_MAX) & !(PAGE - 1);
            if generous > fitting && self.add_region(tlsf, generous, false).is_some() {
                return true;
            }
        }
        self.add_region(tlsf, fitting, false).is_some()
    }

    /// A free has left this pool without a live block: keeps it as a spare, or unmaps it.
    pub(crate) fn emptied(&mut self, tlsf: Tlsf, pool: Pool) {
        if Some(pool) == self.first || self.settings.fixed {
            return;
        }
        // SAFETY: the pool is live, and so is the instance, under the lock.
        let (bytes, all) = unsafe { (pool.memory().1, tlsf.stats().pool_bytes) };
        let mut kept = 0;
        let mut place = None;
        for spare in &mut self.spares {
            // SAFETY: a spare is a live pool: `give_back` strikes it from the list first.
            if spare.is_some_and(|spare| spare == pool || unsafe { !spare.is_empty() }) {
                *spare = None;
            }
            match spare {
                // SAFETY: a spare is a live pool.
                Some(spare) => kept += unsafe { spare.memory() }.1,
                None => place = Some(spare),
            }
        }
        let most = self.spare_bytes.min(all / SPARE_PART_MAX);
        match place {
            Some(place) if kept + bytes <= most.max(SPARE_MIN).max(all / SPARE_PART) => {
                *place = Some(pool);
            }
            _ => {
                if self.give_back(tlsf, pool) && bytes <= SPARE_MAX {
                    self.gave_back = self.gave_back.max(bytes);
                }
            }
        }
    }

    /// Removes an empty pool and unmaps its region. False if the core refuses: the pool is not
    /// empty.
    pub(crate) fn give_back(&mut self, tlsf: Tlsf, pool: Pool) -> bool {
        for spare in &mut self.spares {
            if *spare == Some(pool) {
                *spare = None;
            }
        }
        // SAFETY: a live pool, whose memory is the region mapped for it: both bounds are
        // page-aligned.
        unsafe {
            let (start, bytes) = pool.memory();
            let removed = tlsf.remove_pool(start);
            if removed {
                memory::unmap(start, bytes);
            }
            removed
        }
    }

    /// Gives back every empty region, and releases the whole OS pages inside free blocks. True if
    /// any memory was returned.
    pub(crate) fn trim(&mut self, tlsf: Tlsf) -> bool {
        // Damage to a quarantined block is reported by validation, not by a call that frees no
        // block.
        #[cfg(memoman_debug)]
        // SAFETY: the instance is live and under the lock.
        unsafe {
            if tlsf.diagnose().is_none() {
                let _ = tlsf.drain();
            }
        }
        let mut released = false;
        // SAFETY: the instance is live and under the lock.
        unsafe {
            let mut next = tlsf.first_pool();
            while let Some(pool) = next {
                next = tlsf.next_pool(pool);
                if Some(pool) != self.first && !self.settings.fixed && pool.is_empty() {
                    released |= self.give_back(tlsf, pool);
                    continue;
                }
                released |= self.discard_free(pool);
            }
        }
        released
    }

    /// Releases the whole OS pages inside a pool's free blocks, except in a reserve. True if any
    /// were.
    ///
    /// # Safety
    /// The pool is live, and no other thread is in its instance.
    pub(crate) unsafe fn discard_free(&self, pool: Pool) -> bool {
        let page = memory::page_size();
        let mut released = false;
        // SAFETY: the pool is live and this thread's (caller), and the first pool is never given
        // back. A free block's links and ghost are kept: its first two words and its last one.
        unsafe {
            if let (Some(first), Some(_)) = (self.first, self.settings.reserve) {
                let (start, bytes) = first.memory();
                if pool.as_raw().addr().wrapping_sub(start.addr()) < bytes {
                    return false;
                }
            }
            pool.walk(&mut |payload, size, used| {
                const WORD: usize = size_of::<usize>();
                if !used {
                    let inside = payload.as_ptr().wrapping_add(2 * WORD);
                    released |= memory::discard(inside, size - 3 * WORD, page) > 0;
                }
            });
        }
        released
    }
}

#[cfg(not(memoman_debug))]
impl State {
    /// Counts a successful allocation from the instance itself.
    pub(crate) fn count_allocation(&mut self, tlsf: Tlsf) {
        self.allocations = self.allocations.wrapping_add(1);
        // SAFETY: the instance is live and under the lock.
        let used = unsafe { tlsf.stats() }.used - self.shared.segment_bytes;
        self.shared.peak = self.shared.peak.max(used);
    }

    /// Keeps misuse found under the lock for `misuse::report_deferred`.
    pub(crate) fn defer(&mut self, found: (Misuse, *const u8)) {
        self.shared.deferred = Some(found);
    }

    pub(crate) fn take_deferred(&mut self) -> Option<(Misuse, *const u8)> {
        self.shared.deferred.take()
    }
}

/// Locks a region in memory (`MEMOMAN_LOCK`). The first failure is reported in one line.
pub(crate) fn keep_in_memory(start: *mut u8, bytes: usize) {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    if !memory::lock(start, bytes) && !REPORTED.swap(true, Ordering::Relaxed) {
        Line::new()
            .text(b"memoman: MEMOMAN_LOCK: cannot keep ")
            .number(bytes, 0)
            .text(b" bytes in memory (errno ")
            .number(errno() as usize, 0)
            .text(b"): raise the limit, see ulimit -l\n")
            .print();
    }
}

fn round_up(bytes: usize) -> Option<usize> {
    Some(bytes.checked_add(PAGE - 1)? & !(PAGE - 1))
}

/// Runs `work` on the process-wide state and instance under the lock; None when the instance cannot
/// be created.
/// Waits for the end of another thread's fork: for calls that no program needs while it forks.
#[inline]
pub(crate) fn with_heap<R>(work: impl FnOnce(&mut State, Tlsf) -> R) -> Option<R> {
    LOCK.with(|| enter(work))
}

/// The lock is not available, and must not be waited for: another thread forks, or this thread is
/// in a signal handler that has interrupted a section of its own.
#[cfg(not(memoman_debug))]
pub(crate) struct Away;

/// [`with_heap`], without waiting for a fork.
#[cfg(not(memoman_debug))]
#[inline]
pub(crate) fn try_with_heap<R>(
    work: impl FnOnce(&mut State, Tlsf) -> R,
) -> Result<Option<R>, Away> {
    LOCK.try_with(|| enter(work)).ok_or(Away)
}

/// Under the lock.
#[inline]
fn enter<R>(work: impl FnOnce(&mut State, Tlsf) -> R) -> Option<R> {
    #[cfg(not(memoman_debug))]
    if LOCK.take_unsettled() {
        crate::process::registry::forget_others();
    }
    let tlsf = created()?;
    // SAFETY: the lock is held, and `work` does not call this function.
    Some(work(unsafe { &mut *HEAP.0.get() }, tlsf))
}

/// The instance, created at the first use. Under the lock.
#[inline(never)]
fn created() -> Option<Tlsf> {
    // SAFETY: the lock is held.
    let state = unsafe { &mut *HEAP.0.get() };
    match state.tlsf {
        Some(tlsf) => Some(tlsf),
        None => state.create(),
    }
}

/// The process-wide instance, created at the first use. None when it cannot be created.
pub(crate) fn instance() -> Option<Tlsf> {
    with_heap(|_, tlsf| tlsf)
}
