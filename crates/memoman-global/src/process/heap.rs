//! The process-wide instance, one instance of the core whose pools are regions from the operating
//! system: its creation, its state, and the lock around both. `process/regions.rs` has the regions.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;
#[cfg(not(memoman_debug))]
use core::sync::atomic::{AtomicBool, AtomicU8};
use core::sync::atomic::{AtomicPtr, Ordering};

#[cfg(not(memoman_debug))]
use crate::allocator::Misuse;
use crate::allocator::{Pool, Tlsf};
use crate::process::lock::LOCK;
use crate::process::pages::Piece;
use crate::process::regions::{Region, Regions, Wanted, unmap_doomed};
use crate::system::env::Settings;
use crate::system::errno::errno;
use crate::system::stderr::Line;

static HEAP: Heap = Heap(UnsafeCell::new(State::new()));
/// The instance, once it is created.
static INSTANCE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
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
    regions: Regions,
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
    /// Bytes of segments given back that may still be in memory; no more than are free.
    pub(crate) touched: usize,
    /// Bytes of segments whose pages were released, since `keeps` changed.
    pub(crate) released: usize,
    /// How many touched bytes are kept.
    pub(crate) keeps: usize,
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
            regions: Regions::new(),
            allocations: 0,
            #[cfg(not(memoman_debug))]
            shared: Shared {
                segment_bytes: 0,
                segments: 0,
                touched: 0,
                released: 0,
                keeps: 0,
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
        #[cfg(not(memoman_debug))]
        if real_time {
            crate::system::sync::begin_real_time();
        }
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
        self.regions.add_first(tlsf, &self.settings);
        #[cfg(not(memoman_debug))]
        {
            self.prefault_for_threads();
            LARGE_BLOCKS.store(self.for_large_blocks(), Ordering::Relaxed);
        }
        // Last: a thread that finds the instance finds the settings and the reserve.
        INSTANCE.store(tlsf.as_raw(), Ordering::Release);
        Some(tlsf)
    }

    /// [`Regions::wanted`].
    pub(crate) fn wanted(
        &mut self,
        tlsf: Tlsf,
        needs: [usize; 2],
        ordinary: bool,
    ) -> Option<Wanted> {
        self.regions.wanted(tlsf, &self.settings, needs, ordinary)
    }

    /// [`Regions::add`].
    pub(crate) fn add(&mut self, tlsf: Tlsf, region: Region) -> bool {
        self.regions.add(tlsf, region).is_some()
    }

    /// [`Regions::emptied`].
    pub(crate) fn emptied(&mut self, tlsf: Tlsf, pool: Pool) {
        self.regions.emptied(tlsf, &self.settings, pool);
    }

    /// Gives empty regions back. True if there was one. O(regions).
    pub(crate) fn remove_empty(&mut self, tlsf: Tlsf) -> bool {
        self.regions.remove_empty(tlsf, &self.settings)
    }

    /// Releases whole OS pages inside free blocks, except in a reserve, from this address on and as
    /// far as one piece reaches. Returns the address where the next piece begins, and whether any
    /// were released.
    ///
    /// # Safety
    /// The instance, or a thread heap's core, is live, and no other thread is in it.
    pub(crate) unsafe fn release_pages(&self, tlsf: Tlsf, from: usize) -> (Option<usize>, bool) {
        let mut piece = Piece::new(from);
        // SAFETY: the instance is live, and no other thread is in it (caller); so are its pools.
        unsafe {
            let pools = core::iter::successors(tlsf.first_pool(), |&pool| tlsf.next_pool(pool));
            piece.over(pools.filter(|pool| !self.is_reserved(pool.as_raw().addr())));
        }
        (piece.next(), piece.released)
    }

    /// A pool or block at this address lies in the reserve, whose pages stay in memory.
    pub(crate) fn is_reserved(&self, address: usize) -> bool {
        match (self.regions.first, self.settings.reserve) {
            (Some(first), Some(_)) => {
                // SAFETY: the first pool is never given back.
                let (start, bytes) = unsafe { first.memory() };
                address.wrapping_sub(start.addr()) < bytes
            }
            _ => false,
        }
    }

    /// With a reserve, brings into memory what the threads will need: the first pool's words of the
    /// map, and the first thread heap.
    #[cfg(not(memoman_debug))]
    fn prefault_for_threads(&self) {
        if let (Some(first), Some(_)) = (self.regions.first, self.settings.reserve) {
            // SAFETY: the first pool is never given back.
            let (start, bytes) = unsafe { first.memory() };
            if self.settings.lock {
                crate::process::map::lock(start.addr(), bytes);
            }
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
        DEFERRED.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_deferred(&mut self) -> Option<(Misuse, *const u8)> {
        DEFERRED.store(false, Ordering::Relaxed);
        self.shared.deferred.take()
    }
}

/// Misuse is deferred. Written under the lock.
#[cfg(not(memoman_debug))]
static DEFERRED: AtomicBool = AtomicBool::new(false);

/// Misuse is deferred: by this thread, or by another one.
#[cfg(not(memoman_debug))]
pub(crate) fn is_deferred() -> bool {
    DEFERRED.load(Ordering::Relaxed)
}

/// Runs `work` on the process-wide state and instance under the lock; None when the instance cannot
/// be created.
/// Waits for the end of another thread's fork: for calls that no program needs while it forks.
#[inline]
pub(crate) fn with_heap<R>(mut work: impl FnMut(&mut State, Tlsf) -> R) -> Option<R> {
    let mut result = None;
    wait_and_enter(&mut |state, tlsf| result = Some(work(state, tlsf)));
    result
}

/// The body of [`with_heap`], compiled once.
#[inline(never)]
fn wait_and_enter(work: &mut dyn FnMut(&mut State, Tlsf)) {
    LOCK.with(|| enter(work));
    unmap_doomed();
}

/// The lock is not available, and must not be waited for: another thread forks, or this thread is
/// in a signal handler that has interrupted a section of its own.
#[cfg(not(memoman_debug))]
pub(crate) struct Away;

/// [`with_heap`], without waiting for a fork.
#[cfg(not(memoman_debug))]
#[inline]
pub(crate) fn try_with_heap<R>(
    mut work: impl FnMut(&mut State, Tlsf) -> R,
) -> Result<Option<R>, Away> {
    let mut result = None;
    if try_to_enter(&mut |state, tlsf| result = Some(work(state, tlsf))) {
        Ok(result)
    } else {
        Err(Away)
    }
}

/// The body of [`try_with_heap`], compiled once. False if the lock is not available.
#[cfg(not(memoman_debug))]
#[inline(never)]
fn try_to_enter(work: &mut dyn FnMut(&mut State, Tlsf)) -> bool {
    let entered = LOCK.try_with(|| enter(work)).is_some();
    if entered {
        unmap_doomed();
    }
    entered
}

/// Runs `work` under the lock, unless there is no instance.
#[inline(always)]
fn enter(work: &mut dyn FnMut(&mut State, Tlsf)) {
    if LOCK.is_lost() {
        return;
    }
    #[cfg(not(memoman_debug))]
    if LOCK.take_unsettled() {
        crate::process::registry::forget_others();
    }
    if let Some(tlsf) = created() {
        // SAFETY: the lock is held, and `work` does not call this function.
        work(unsafe { &mut *HEAP.0.get() }, tlsf);
    }
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

/// A span of time is over: empty regions that have not been worth keeping in it go back.
#[cfg(not(memoman_debug))]
#[cold]
pub(crate) fn age() {
    // While another thread forks they stay for one span more.
    let _ = try_with_heap(|state, tlsf| state.regions.age(tlsf, &state.settings));
}

/// Returns kept mappings and empty regions to the system, unless another thread forks. True if
/// there was one. Outside every section of the lock.
#[cfg(all(feature = "late-checks", not(memoman_debug)))]
pub(crate) fn give_back_kept() -> bool {
    let spares = crate::process::mapping_spares::release();
    let regions = try_with_heap(|state, tlsf| state.remove_empty(tlsf));
    spares | matches!(regions, Ok(Some(true)))
}

/// The control structure's memory, and the words that [`crate::process::published`] names.
#[cfg(not(memoman_debug))]
pub(crate) const fn published() -> (*const u8, [*const usize; 3]) {
    let state = HEAP.0.get();
    // SAFETY: addresses of fields of a static; nothing is read.
    let words = unsafe {
        [
            &raw const (*state).shared.segment_bytes,
            &raw const (*state).shared.segments,
            &raw const (*state).shared.refused,
        ]
    };
    (CONTROL.0.get() as *const u8, words)
}

/// The control structure's memory.
#[cfg(memoman_debug)]
pub(crate) const fn published() -> *const u8 {
    CONTROL.0.get() as *const u8
}

/// Whether this is the process-wide instance's address, which is the same before its creation.
pub(crate) fn is_instance(raw: *const core::ffi::c_void) -> bool {
    raw.addr() == CONTROL.0.get().addr()
}

/// The process-wide instance, created at the first use; without the lock once it exists, so that
/// misuse can be reported while another thread forks and in an interrupted section. None when it
/// cannot be created.
pub(crate) fn instance() -> Option<Tlsf> {
    // Acquire: the instance is made before its address is stored.
    let raw = INSTANCE.load(Ordering::Acquire);
    if raw.is_null() {
        return with_heap(|_, tlsf| tlsf);
    }
    // SAFETY: the address of the process's instance, which is never destroyed.
    unsafe { Tlsf::from_raw(raw) }
}
