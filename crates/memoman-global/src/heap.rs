//! The process-wide allocator: one core instance whose pools are regions from the operating system.
//!
//! * A small request that no pool can serve gets a new ordinary region, a fraction of what there is (so their number
//!   grows with the logarithm of the heap); a large one a region that fits.
//! * A region whose last block is freed goes back to the system, except a few empty ones, bounded in
//!   bytes, that spare a program the system calls when it frees and allocates in turn.
//!
//! The core says "exhausted"; this layer adds a pool and asks again.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use memoman_debug::allocator::{Pool, Refusal, Site, Stats, Tlsf, at, here};

use crate::env::Settings;
use crate::line::Line;
use crate::lock::Lock;
use crate::os::{self, PAGE};
use crate::{fatal, fork, report};

/// Smallest ordinary region, and the first one.
const REGION_MIN: usize = 1 << 20;
/// Greatest ordinary region.
const REGION_MAX: usize = 64 << 20;
/// An ordinary region is this part of the bytes that all pools have.
const REGION_PART: usize = 4;
/// Requests from this size on get a region of their own when no pool can serve them.
const LARGE: usize = 256 << 10;
/// Empty regions that may be kept: so many, and at most this many bytes or this part of all pools.
const SPARES: usize = 8;
const SPARE_MIN: usize = 2 << 20;
const SPARE_PART: usize = 8;

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

struct State {
    tlsf: Option<Tlsf>,
    settings: Settings,
    /// The first pool: never given back.
    first: Option<Pool>,
    /// Pools that were empty when they were entered here.
    spares: [Option<Pool>; SPARES],
    /// Successful allocations so far, moves of realloc included.
    allocations: usize,
    /// A region could not be locked in memory: said once.
    lock_failed: bool,
}

/// How a request ended, to be acted on after the lock is released.
type Outcome = Result<NonNull<u8>, (Tlsf, Refusal)>;

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
            allocations: 0,
            lock_failed: false,
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

    /// Adds a pool in which a block of `need` bytes fits, all overheads included.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, tlsf: Tlsf, need: usize) -> bool {
        if self.settings.fixed && self.first.is_some() {
            return false;
        }
        let Some(fitting) = need.checked_add(Tlsf::POOL_OVERHEAD).and_then(round_up) else {
            return false;
        };
        if need < LARGE {
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
    fn emptied(&mut self, tlsf: Tlsf, pool: Pool) {
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
        match place {
            Some(place) if kept + bytes <= SPARE_MIN.max(all / SPARE_PART) => *place = Some(pool),
            _ => {
                self.give_back(tlsf, pool);
            }
        }
    }

    /// Removes an empty pool and unmaps its region.
    fn give_back(&mut self, tlsf: Tlsf, pool: Pool) -> bool {
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
    fn trim(&mut self, tlsf: Tlsf) -> bool {
        // What is wrong with a block in quarantine is reported by validation, not by a call that frees nothing.
        #[cfg(memoman_debug)]
        // SAFETY: the instance is live and under the lock.
        unsafe {
            if tlsf.diagnose().is_none() {
                let _ = tlsf.drain();
            }
        }
        let page = os::page_size();
        let mut released = false;
        // SAFETY: the instance is live and under the lock. A free block's links and ghost stay: they
        // are its first two words and its last one.
        unsafe {
            let mut next = tlsf.first_pool();
            while let Some(pool) = next {
                next = tlsf.next_pool(pool);
                if Some(pool) == self.first && self.settings.reserve.is_some() {
                    continue;
                }
                if Some(pool) != self.first && !self.settings.fixed && pool.is_empty() {
                    released |= self.give_back(tlsf, pool);
                    continue;
                }
                pool.walk(&mut |payload, size, used| {
                    const WORD: usize = size_of::<usize>();
                    if !used {
                        let inside = payload.as_ptr().wrapping_add(2 * WORD);
                        released |= os::discard(inside, size - 3 * WORD, page) > 0;
                    }
                });
            }
        }
        released
    }
}

fn round_up(bytes: usize) -> Option<usize> {
    Some(bytes.checked_add(PAGE - 1)? & !(PAGE - 1))
}

/// Runs `work` on the heap under the lock; None when the heap cannot be created.
#[inline]
fn with_heap<R>(work: impl FnOnce(&mut State, Tlsf) -> R) -> Option<R> {
    let result = LOCK.with(|| {
        // SAFETY: the lock is held, and `work` does not come back here.
        let state = unsafe { &mut *HEAP.0.get() };
        let tlsf = match state.tlsf {
            Some(tlsf) => tlsf,
            None => state.create()?,
        };
        Some(work(state, tlsf))
    });
    if !SETTLED.load(Ordering::Relaxed) {
        settle();
    }
    result
}

/// Registers what may allocate, once, without the lock.
#[cold]
#[inline(never)]
fn settle() {
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

/// Asks the core; when it is exhausted, adds a pool for `need` bytes and asks again.
#[inline]
fn serve(
    need: Option<usize>,
    mut ask: impl FnMut(Tlsf) -> Result<NonNull<u8>, Refusal>,
) -> *mut u8 {
    let outcome: Option<Outcome> = with_heap(|state, tlsf| {
        let mut result = ask(tlsf);
        if result == Err(Refusal::Exhausted)
            && let Some(need) = need
            && state.grow(tlsf, need)
        {
            // SAFETY: the instance is live and under the lock; the refusal above was counted.
            unsafe { tlsf.withdraw_refusal() };
            result = ask(tlsf);
        }
        #[cfg(memoman_debug)]
        if result == Err(Refusal::Exhausted) {
            // SAFETY: as above.
            match unsafe { tlsf.drain() } {
                Ok(true) => {
                    // SAFETY: as above.
                    unsafe { tlsf.withdraw_refusal() };
                    result = ask(tlsf);
                }
                Ok(false) => {}
                Err(fault) => result = Err(fault.into()),
            }
        }
        if result.is_ok() {
            state.allocations = state.allocations.wrapping_add(1);
        }
        result.map_err(|refusal| (tlsf, refusal))
    });
    match outcome {
        Some(Ok(payload)) => payload.as_ptr(),
        Some(Err((tlsf, Refusal::Misuse(misuse, address)))) => {
            // SAFETY: the instance is live; the lock is released.
            unsafe { fatal::report(tlsf, misuse, address) };
            ptr::null_mut()
        }
        _ => {
            os::set_errno(libc::ENOMEM);
            ptr::null_mut()
        }
    }
}

/// The most that is taken beyond a request: rounding, header, the debug library's record and guard.
const SLACK: usize = 4 * Tlsf::ALIGN + Tlsf::ALLOC_OVERHEAD;
/// How often an alignment may be skipped in front of a block.
const GAPS: usize = if cfg!(memoman_debug) { 2 } else { 1 };

/// The process-wide instance, created at the first use. None when it cannot be created.
pub fn handle() -> Option<Tlsf> {
    with_heap(|_, tlsf| tlsf)
}

/// `malloc`: NULL and ENOMEM when there is no memory; a unique pointer for 0 bytes. O(1), apart from growing.
#[cfg_attr(not(memoman_debug), inline)]
#[cfg_attr(memoman_debug, inline(always))]
pub fn malloc(bytes: usize) -> *mut u8 {
    allocate(bytes, here())
}

#[inline]
fn allocate(bytes: usize, site: Site) -> *mut u8 {
    let bytes = bytes.max(1);
    serve(bytes.checked_add(SLACK), |tlsf| {
        // SAFETY: live, and under the lock.
        unsafe { at(tlsf, site).malloc(bytes) }
    })
}

/// `calloc`: as [`malloc`], all bytes zero; a product beyond the address space is refused with ENOMEM.
#[cfg_attr(not(memoman_debug), inline)]
#[cfg_attr(memoman_debug, inline(always))]
pub fn calloc(count: usize, size: usize) -> *mut u8 {
    let Some(bytes) = count.checked_mul(size) else {
        os::set_errno(libc::ENOMEM);
        return ptr::null_mut();
    };
    let payload = allocate(bytes, here());
    if !payload.is_null() {
        // SAFETY: a fresh block of at least `bytes` bytes; clearing needs no lock.
        unsafe { payload.write_bytes(0, bytes) };
    }
    payload
}

/// Aligned allocation: EINVAL for an alignment that is no power of two, else as [`malloc`].
#[cfg_attr(not(memoman_debug), inline)]
#[cfg_attr(memoman_debug, inline(always))]
pub fn memalign(align: usize, bytes: usize) -> *mut u8 {
    allocate_aligned(align, bytes, here())
}

#[inline]
fn allocate_aligned(align: usize, bytes: usize, site: Site) -> *mut u8 {
    if !align.is_power_of_two() {
        os::set_errno(libc::EINVAL);
        return ptr::null_mut();
    }
    let bytes = bytes.max(1);
    let need = align
        .checked_mul(GAPS)
        .and_then(|gaps| bytes.checked_add(gaps)?.checked_add(SLACK));
    serve(need, |tlsf| {
        // SAFETY: live, and under the lock.
        unsafe { at(tlsf, site).memalign(align, bytes) }
    })
}

/// `realloc`: NULL allocates, 0 bytes frees and gives NULL; on ENOMEM the block is as it was.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap; on success it is given up.
#[cfg_attr(not(memoman_debug), inline)]
#[cfg_attr(memoman_debug, inline(always))]
pub unsafe fn realloc(ptr: *mut u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe { resize(ptr, bytes, here()) }
}

#[inline]
unsafe fn resize(ptr: *mut u8, bytes: usize, site: Site) -> *mut u8 {
    let Some(block) = NonNull::new(ptr) else {
        return allocate(bytes, site);
    };
    if bytes == 0 {
        // SAFETY: the caller's duty.
        unsafe { release(ptr, site) };
        return ptr::null_mut();
    }
    serve(bytes.checked_add(SLACK), |tlsf| {
        // SAFETY: live, and under the lock; the block is the caller's.
        unsafe { at(tlsf, site).realloc_aligned(block, Tlsf::ALIGN, bytes) }
    })
}

/// `free`: NULL does nothing. Keeps errno.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap. (Misuse is reported as far as the headers show it.)
#[cfg_attr(not(memoman_debug), inline)]
#[cfg_attr(memoman_debug, inline(always))]
pub unsafe fn free(ptr: *mut u8) {
    // SAFETY: the caller's duty.
    unsafe { release(ptr, here()) }
}

#[inline]
unsafe fn release(ptr: *mut u8, site: Site) {
    let Some(block) = NonNull::new(ptr) else {
        return;
    };
    let outcome = with_heap(|state, tlsf| {
        // SAFETY: live, and under the lock; the block is the caller's.
        unsafe {
            match at(tlsf, site).free(block) {
                Ok(freed) => {
                    if let Some(pool) = tlsf.emptied_pool(freed) {
                        state.emptied(tlsf, pool);
                    }
                    None
                }
                Err(misuse) => Some((tlsf, misuse)),
            }
        }
    });
    if let Some(Some((tlsf, misuse))) = outcome {
        // SAFETY: the instance is live; the lock is released.
        unsafe { fatal::report(tlsf, misuse, ptr) };
    }
}

/// Usable bytes of a live block; 0 for NULL.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap. (Misuse is reported as far as the headers show it.)
#[inline]
pub unsafe fn usable_size(ptr: *const u8) -> usize {
    let Some(block) = NonNull::new(ptr.cast_mut()) else {
        return 0;
    };
    // Under the lock: a neighbour's free writes a flag into this block's header word.
    // SAFETY: live, and under the lock; the block is the caller's.
    let outcome = with_heap(|_, tlsf| (tlsf, unsafe { tlsf.usable_size(block) }));
    match outcome {
        Some((_, Ok(bytes))) => bytes,
        Some((tlsf, Err(misuse))) => {
            // SAFETY: the instance is live; the lock is released.
            unsafe { fatal::report(tlsf, misuse, ptr) };
            0
        }
        None => 0,
    }
}

/// The heap is sound; O(blocks), under the lock.
pub fn validate() -> bool {
    // SAFETY: live, and under the lock.
    let found = with_heap(|_, tlsf| unsafe { tlsf.diagnose() });
    #[cfg(memoman_debug)]
    if let Some(Some(violation)) = &found {
        crate::debug::print(&violation.fault);
    }
    found.is_some_and(|violation| violation.is_none())
}

/// The heap's figures.
pub fn stats() -> Stats {
    // SAFETY: live, and under the lock.
    with_heap(|_, tlsf| unsafe { tlsf.stats() }).unwrap_or_default()
}

/// [`malloc`], on behalf of a caller that knows its own call site.
#[cfg(memoman_debug)]
pub fn malloc_at(bytes: usize, site: Site) -> *mut u8 {
    allocate(bytes, site)
}

/// [`memalign`], on behalf of a caller that knows its own call site.
#[cfg(memoman_debug)]
pub fn memalign_at(align: usize, bytes: usize, site: Site) -> *mut u8 {
    allocate_aligned(align, bytes, site)
}

/// Runs `work` on the instance under the lock.
#[cfg(memoman_debug)]
pub(crate) fn with<R>(work: impl FnOnce(Tlsf) -> R) -> Option<R> {
    with_heap(|_, tlsf| work(tlsf))
}

/// Successful allocations so far.
pub(crate) fn allocations() -> usize {
    with_heap(|state, _| state.allocations).unwrap_or(0)
}

/// Gives back to the system what it can: empty regions, and whole pages inside free blocks. True if it was something.
/// O(blocks). `pad`, the bytes that `malloc_trim` would keep at the top, has no meaning here.
pub fn trim(_pad: usize) -> bool {
    with_heap(|state, tlsf| state.trim(tlsf)).unwrap_or(false)
}

/// Sets the calling thread's errno: for the layers whose rules ask for another value.
pub fn set_errno(value: i32) {
    os::set_errno(value);
}
