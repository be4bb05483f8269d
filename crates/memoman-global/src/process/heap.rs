//! The process-wide allocator: one core instance whose pools are regions from the operating system.
//!
//! * A small request that no pool can serve gets a new ordinary region, a fraction of what there is (so their number
//!   grows with the logarithm of the heap); a large one a region that fits.
//! * A region whose last block is freed goes back to the system, except a few empty ones, bounded in
//!   bytes, that spare a program the system calls when it frees and allocates in turn.
//!
//! The core says "exhausted"; this layer adds a pool and asks again. In the release library it also lends the thread heaps
//! their segments, and serves what is too large for them.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use memoman_debug::allocator::{Pool, Tlsf};

use crate::env::Settings;
#[cfg(not(memoman_debug))]
use crate::lend::Lent;
use crate::line::Line;
use crate::lock::Lock;
use crate::os::{self, PAGE};
use crate::{fork, report};

/// Smallest ordinary region, and the first one.
const REGION_MIN: usize = 1 << 20;
/// Greatest ordinary region.
const REGION_MAX: usize = 64 << 20;
/// An ordinary region is this part of the bytes that all pools have.
const REGION_PART: usize = 4;
/// Requests from this size on get a region of their own when no pool can serve them.
pub(crate) const LARGE: usize = 256 << 10;
/// Empty regions that may be kept: so many, and at most this part of all pools, or so many bytes at first. That doubles, to a
/// limit, each time a region is mapped for which one that was given back would have done: a program whose use goes up and down pays
/// for it in system calls and page faults a few times only. (What only grows, as a list that is reallocated, does not count; nor
/// does a region larger than the limit, for which no doubling makes room.)
const SPARES: usize = 16;
const SPARE_MIN: usize = 2 << 20;
const SPARE_MAX: usize = 32 << 20;
const SPARE_PART: usize = 32;
/// The most that this makes of all pools.
const SPARE_PART_MAX: usize = 2;

pub(crate) static LOCK: Lock = Lock::new();
static HEAP: Heap = Heap(UnsafeCell::new(State::new()));
static CONTROL: Control = Control(UnsafeCell::new(MaybeUninit::uninit()));
/// The handlers that may allocate have been registered.
static SETTLED: AtomicBool = AtomicBool::new(false);

struct Heap(UnsafeCell<State>);

// SAFETY: touched only inside LOCK.
unsafe impl Sync for Heap {}

const CONTROL_BYTES: usize = Tlsf::control_size(Tlsf::DEFAULT_MAX_BLOCK);

/// The control structure's memory.
#[repr(align(64))]
struct Control(UnsafeCell<MaybeUninit<[u8; CONTROL_BYTES]>>);

// SAFETY: as for Heap.
unsafe impl Sync for Control {}

pub(crate) struct State {
    tlsf: Option<Tlsf>,
    pub(crate) settings: Settings,
    /// The first pool: never given back.
    pub(crate) first: Option<Pool>,
    /// Pools that were empty when they were entered here.
    spares: [Option<Pool>; SPARES],
    /// Bytes of empty regions that are worth keeping.
    spare_bytes: usize,
    /// Bytes of the largest region that has been given back since one was mapped in its stead.
    gave_back: usize,
    /// Successful allocations so far, moves of realloc included.
    pub(crate) allocations: usize,
    /// A region could not be locked in memory: said once.
    lock_failed: bool,
    /// What only the release library has: see `lend.rs`.
    #[cfg(not(memoman_debug))]
    pub(crate) lent: Lent,
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
            lock_failed: false,
            #[cfg(not(memoman_debug))]
            lent: Lent::new(),
        }
    }

    /// Reads the environment, creates the instance and its first pool.
    #[cold]
    #[inline(never)]
    fn create(&mut self) -> Option<Tlsf> {
        self.settings = Settings::read();
        // SAFETY: the control structure's memory is static, aligned, large enough and used for nothing else.
        let tlsf = unsafe { Tlsf::create(CONTROL.0.get().cast(), Tlsf::DEFAULT_MAX_BLOCK) }?;
        #[cfg(memoman_debug)]
        crate::debug::prepare(tlsf);
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
        self.prepare_for_threads();
        Some(tlsf)
    }

    /// Maps a region and gives it to the instance.
    fn add_region(&mut self, tlsf: Tlsf, bytes: usize, prefault: bool) -> Option<Pool> {
        let start = os::map(bytes, prefault)?;
        if self.settings.lock && !os::lock(start, bytes) && !self.lock_failed {
            self.lock_failed = true;
            Line::new()
                .text(b"memoman: MEMOMAN_LOCK: cannot keep ")
                .number(bytes, 0)
                .text(b" bytes in memory (errno ")
                .number(os::errno() as usize, 0)
                .text(b"): raise the limit, see ulimit -l\n")
                .print();
        }
        // SAFETY: the instance is live and under the lock; the region is fresh and ours.
        let pool = unsafe { tlsf.add_pool(start, bytes) };
        if pool.is_none() {
            // SAFETY: nobody uses it.
            unsafe { os::unmap(start, bytes) };
        }
        pool
    }

    /// Adds a pool in which a block of `need` bytes fits, all overheads included; an ordinary one, if that is no more than
    /// the system has, for small requests.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&mut self, tlsf: Tlsf, need: usize, ordinary: bool) -> bool {
        if self.settings.fixed && self.first.is_some() {
            return false;
        }
        let Some(fitting) = need.checked_add(Tlsf::POOL_OVERHEAD).and_then(round_up) else {
            return false;
        };
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

    /// A free left this pool without a block in use: keep it, or give it back.
    pub(crate) fn emptied(&mut self, tlsf: Tlsf, pool: Pool) {
        if Some(pool) == self.first || self.settings.fixed {
            return;
        }
        // SAFETY: pools in this list are removed from it before they are removed from the instance.
        let (bytes, all) = unsafe { (pool.memory().1, tlsf.stats().pool_bytes) };
        let mut kept = 0;
        let mut place = None;
        for spare in &mut self.spares {
            // SAFETY: as above.
            if spare.is_some_and(|spare| spare == pool || unsafe { !spare.is_empty() }) {
                *spare = None;
            }
            match spare {
                // SAFETY: as above.
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

    /// Removes an empty pool and unmaps its region.
    pub(crate) fn give_back(&mut self, tlsf: Tlsf, pool: Pool) -> bool {
        for spare in &mut self.spares {
            if *spare == Some(pool) {
                *spare = None;
            }
        }
        // SAFETY: a live pool, whose region is what was mapped for it: both bounds are page-aligned.
        unsafe {
            let (start, bytes) = pool.memory();
            let removed = tlsf.remove_pool(start);
            if removed {
                os::unmap(start, bytes);
            }
            removed
        }
    }

    /// Gives back every empty region, and lets the system have the whole pages inside free blocks.
    pub(crate) fn trim(&mut self, tlsf: Tlsf) -> bool {
        // What is wrong with a block in quarantine is reported by validation, not by a call that frees nothing.
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

    /// Lets the system have the whole pages inside a pool's free blocks, but for a reserve's. True if it was something.
    ///
    /// # Safety
    /// The pool is live, and nobody else is in its instance.
    pub(crate) unsafe fn discard_free(&self, pool: Pool) -> bool {
        let page = os::page_size();
        let mut released = false;
        // SAFETY: live (caller), and the first pool is never given back. A free block's links and ghost stay: they are its
        // first two words and its last one.
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
                    released |= os::discard(inside, size - 3 * WORD, page) > 0;
                }
            });
        }
        released
    }
}

fn round_up(bytes: usize) -> Option<usize> {
    Some(bytes.checked_add(PAGE - 1)? & !(PAGE - 1))
}

/// Runs `work` on the heap under the lock; None when the heap cannot be created.
#[inline]
pub(crate) fn with_heap<R>(work: impl FnOnce(&mut State, Tlsf) -> R) -> Option<R> {
    let result = with_heap_unsettled(work);
    if !SETTLED.load(Ordering::Relaxed) {
        settle();
    }
    result
}

/// The same, without what may allocate behind it.
#[inline]
pub(crate) fn with_heap_unsettled<R>(work: impl FnOnce(&mut State, Tlsf) -> R) -> Option<R> {
    LOCK.with(|| {
        let tlsf = instance()?;
        // SAFETY: the lock is held, and `work` does not come back here.
        Some(work(unsafe { &mut *HEAP.0.get() }, tlsf))
    })
}

/// The instance, created at the first use. Under the lock.
#[inline(never)]
fn instance() -> Option<Tlsf> {
    // SAFETY: the lock is held.
    let state = unsafe { &mut *HEAP.0.get() };
    match state.tlsf {
        Some(tlsf) => Some(tlsf),
        None => state.create(),
    }
}

/// Registers what may allocate, once, without the lock.
#[cold]
#[inline(never)]
pub(crate) fn settle() {
    if SETTLED.swap(true, Ordering::Relaxed) {
        return;
    }
    let saved = os::errno();
    fork::register();
    if with_heap(|state, _| state.settings.stats) == Some(true) {
        report::at_exit();
    }
    #[cfg(memoman_debug)]
    crate::debug::at_exit();
    os::set_errno(saved);
}

/// The process-wide instance, created at the first use. None when it cannot be created.
pub fn handle() -> Option<Tlsf> {
    with_heap(|_, tlsf| tlsf)
}

/// Runs `work` on the instance under the lock.
#[cfg(memoman_debug)]
pub(crate) fn with<R>(work: impl FnOnce(Tlsf) -> R) -> Option<R> {
    with_heap(|_, tlsf| work(tlsf))
}
