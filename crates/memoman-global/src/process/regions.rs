//! The regions of the process-wide instance: memory from the operating system, each a pool.
//!
//! * A small request that no pool can serve gets a new ordinary region, a fraction of all pools, so
//!   that the number of regions grows with the logarithm of the heap; a large one gets a region
//!   that fits. (Large blocks get no region but a mapping of their own, `process/mapping.rs`,
//!   except in the debug library and where the system refuses the mapping.)
//! * A region whose last block is freed goes back to the system, after the lock is released. A few
//!   empty ones, bounded in number and bytes, are kept: they save a program that frees and
//!   allocates in turn the system calls and the page faults.
//!
//! The core returns "exhausted"; the lock's holder says which region is wanted, maps it after the
//! lock is released, and adds it under the lock. The methods of [`Regions`] are called under the
//! lock, all others without it.
//!
//! Each unit of a region has a word in the map, unless a thread heap has the unit: so a pointer's
//! region is found in O(1) (not in the debug library, which has no map).

use core::ptr;
#[cfg(not(memoman_debug))]
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::allocator::{Pool, Tlsf};
#[cfg(not(memoman_debug))]
use crate::process::lock::LOCK;
#[cfg(not(memoman_debug))]
use crate::process::map::{self, UNIT};
#[cfg(not(memoman_debug))]
use crate::process::mapping_word;
use crate::system::env::Settings;
use crate::system::errno::errno;
use crate::system::memory::{self, PAGE};
use crate::system::stderr::Line;

/// Smallest ordinary region, and the first one.
const REGION_MIN: usize = 1 << 20;
/// Greatest ordinary region.
const REGION_MAX: usize = 64 << 20;
/// An ordinary region is this part of the bytes of all pools.
const REGION_PART: usize = 4;
/// A request of at least this size that no pool can serve gets a region of its own.
pub(crate) const LARGE: usize = 256 << 10;
/// The greatest number of empty regions kept. Their bytes are bounded by [`SPARE_MIN`], by one
/// [`SPARE_PART`]th of all pools, or by [`Regions::worth`], whichever is greatest. The last one
/// begins at `SPARE_MIN` and doubles, up to [`SPARE_MAX`], when a region is mapped that a region
/// given back before could have been: so a program whose use goes up and down pays for it in system
/// calls and page faults a few times only. A use that only grows, as of a reallocated list, does
/// not count; nor does a region larger than `SPARE_MAX`, for which no doubling makes room.
const SPARES: usize = 16;
const SPARE_MIN: usize = 2 << 20;
const SPARE_MAX: usize = 32 << 20;
const SPARE_PART: usize = 32;

/// The regions, and which empty ones are kept.
pub(crate) struct Regions {
    /// The first pool: never given back.
    pub(crate) first: Option<Pool>,
    /// Pools that were empty when they were entered here.
    spares: [Option<Pool>; SPARES],
    /// Bytes of empty regions that are worth keeping, as far as they and the other pools make up no
    /// more than the most bytes of late.
    worth: usize,
    /// Bytes of the largest region given back since one was mapped that it could have been.
    gave_back: usize,
    /// The most bytes of pools in this span of time, and in the one before. A span ends when
    /// [`Regions::age`] is called.
    recent: usize,
    before: usize,
    /// Bytes of spares that were used again in this span.
    reused: usize,
}

/// A region that the instance needs: the most bytes to ask the system for, and the least.
pub(crate) struct Wanted {
    sizes: [usize; 2],
    lock: bool,
}

/// A mapped region that is no pool.
pub(crate) struct Region {
    start: *mut u8,
    pub(crate) bytes: usize,
}

impl Regions {
    pub(crate) const fn new() -> Regions {
        Regions {
            first: None,
            spares: [None; SPARES],
            worth: 0,
            gave_back: 0,
            recent: 0,
            before: 0,
            reused: 0,
        }
    }

    /// Adds the first pool: the reserve, or an ordinary region. A reserve that the system does not
    /// have is reported in one line.
    pub(crate) fn add_first(&mut self, tlsf: Tlsf, settings: &Settings) {
        // Not in `new`: a static that is all zero takes no room in the library's file.
        self.worth = SPARE_MIN;
        let lock = settings.lock;
        if let Some(bytes) = settings.reserve {
            let region = round_up(bytes).and_then(|bytes| Region::map(bytes, true, lock));
            self.first = region.and_then(|region| self.add(tlsf, region));
            if self.first.is_none() {
                Line::new()
                    .text(b"memoman: MEMOMAN_RESERVE ignored: the system has no region of ")
                    .number(bytes, 0)
                    .text(b" bytes\n")
                    .print();
            }
        }
        if self.first.is_none() {
            let region = Region::map(REGION_MIN, false, lock);
            self.first = region.and_then(|region| self.add(tlsf, region));
        }
    }

    /// Adds a region to the instance as a pool. If the core refuses, it goes back.
    pub(crate) fn add(&mut self, tlsf: Tlsf, region: Region) -> Option<Pool> {
        // SAFETY: the instance is live and under the lock; the region is fresh and used for nothing
        // else.
        let pool = unsafe { tlsf.add_pool(region.start, region.bytes) };
        if pool.is_none() {
            // SAFETY: the core has refused the region, so nothing uses it.
            unsafe { doom(region.start, region.bytes) };
        }
        self.recent = self.recent.max(all(tlsf));
        pool
    }

    /// A region in which a block of `needs` bytes fits, all overheads included: of the first
    /// number, or, where the system has none, of the second. With `ordinary`, for a small request,
    /// rather an ordinary region if that is larger. None if there may be no more regions.
    #[cold]
    #[inline(never)]
    pub(crate) fn wanted(
        &mut self,
        tlsf: Tlsf,
        settings: &Settings,
        needs: [usize; 2],
        ordinary: bool,
    ) -> Option<Wanted> {
        let [first, second] = needs;
        // The core would refuse a larger block, and the region would stay.
        if (settings.fixed && self.first.is_some()) || first > Tlsf::DEFAULT_MAX_BLOCK {
            return None;
        }
        let mut generous = round_up(first + Tlsf::POOL_OVERHEAD)?;
        let fitting = round_up(second + Tlsf::POOL_OVERHEAD)?;
        if self.gave_back >= fitting {
            self.gave_back = 0;
            self.worth = (2 * self.worth).min(SPARE_MAX);
        }
        if ordinary {
            let part = (all(tlsf) / REGION_PART).clamp(REGION_MIN, REGION_MAX) & !(PAGE - 1);
            generous = generous.max(part);
        }
        Some(Wanted {
            sizes: [generous, fitting],
            lock: settings.lock,
        })
    }

    /// Bytes of empty regions that may be kept, of which there are `kept`.
    fn to_keep(&self, tlsf: Tlsf, kept: usize) -> usize {
        let all = all(tlsf);
        let below_peak = if cfg!(memoman_debug) {
            // A large block has a region of its own there, too small for the next larger one.
            all / 2
        } else {
            self.recent.max(self.before).saturating_sub(all - kept)
        };
        self.worth
            .min(below_peak)
            .max(SPARE_MIN)
            .max(all / SPARE_PART)
    }

    /// Strikes spares that are in use, and `but`, from the list. Returns the bytes of the others.
    fn tidy(&mut self, but: Option<Pool>) -> usize {
        let mut kept = 0;
        for place in &mut self.spares {
            let Some(spare) = *place else { continue };
            // SAFETY: a spare is a live pool: `remove` strikes it from the list first.
            let (is_empty, bytes) = unsafe { (spare.is_empty(), spare.memory().1) };
            if is_empty && Some(spare) != but {
                kept += bytes;
            } else {
                self.reused += bytes;
                *place = None;
            }
        }
        kept
    }

    /// A free has left this pool without a live block: keeps it as a spare, or gives it back.
    pub(crate) fn emptied(&mut self, tlsf: Tlsf, settings: &Settings, pool: Pool) {
        if Some(pool) == self.first || settings.fixed || !is_region(pool) {
            return;
        }
        let kept = self.tidy(Some(pool));
        // SAFETY: the pool is live.
        let (_, bytes) = unsafe { pool.memory() };
        let room = self.to_keep(tlsf, kept + bytes);
        match self.spares.iter_mut().find(|place| place.is_none()) {
            Some(place) if kept + bytes <= room => *place = Some(pool),
            _ => {
                if self.remove(tlsf, pool) && bytes <= SPARE_MAX {
                    self.gave_back = self.gave_back.max(bytes);
                }
            }
        }
    }

    /// A span of time is over: what has not been worth keeping in it goes.
    #[cfg(not(memoman_debug))]
    pub(crate) fn age(&mut self, tlsf: Tlsf, settings: &Settings) {
        if settings.fixed {
            return;
        }
        let mut kept = self.tidy(None);
        self.before = self.recent;
        self.recent = all(tlsf) - kept;
        self.gave_back = 0;
        self.worth = self.worth.min(self.reused.max(SPARE_MIN));
        self.reused = 0;
        for place in 0..SPARES {
            if let Some(&Some(spare)) = self.spares.get(place)
                && kept > self.to_keep(tlsf, kept)
            {
                // SAFETY: a spare is a live pool.
                kept -= unsafe { spare.memory() }.1;
                self.remove(tlsf, spare);
            }
        }
    }

    /// Removes an empty pool; its region is unmapped after the lock is released. False if the core
    /// refuses: the pool is not empty.
    fn remove(&mut self, tlsf: Tlsf, pool: Pool) -> bool {
        for spare in &mut self.spares {
            if *spare == Some(pool) {
                *spare = None;
            }
        }
        // SAFETY: a live pool, whose memory is the region mapped for it: both bounds are
        // page-aligned. What is removed is used by nothing else.
        unsafe {
            let (start, bytes) = pool.memory();
            let removed = tlsf.remove_pool(start);
            if removed {
                doom(start, bytes);
            }
            removed
        }
    }

    /// Gives back every empty region but the first. True if there was one. O(regions).
    pub(crate) fn remove_empty(&mut self, tlsf: Tlsf, settings: &Settings) -> bool {
        let mut any = false;
        // SAFETY: the instance is live and under the lock; the next pool is read before one is
        // removed.
        unsafe {
            let mut next = tlsf.first_pool();
            while let Some(pool) = next {
                next = tlsf.next_pool(pool);
                if Some(pool) != self.first && !settings.fixed && is_region(pool) && pool.is_empty()
                {
                    any |= self.remove(tlsf, pool);
                }
            }
        }
        any
    }
}

impl Wanted {
    /// Maps the first of the regions that the system has: of the first size, of a quarter of it,
    /// and so on down to the second. Near a limit, many small regions would leave many small rests.
    #[cold]
    pub(crate) fn map(self) -> Option<Region> {
        let [mut bytes, least] = self.sizes;
        loop {
            let region = Region::map(bytes, false, self.lock);
            if region.is_some() || bytes <= least {
                return region;
            }
            bytes = ((bytes / 4) & !(PAGE - 1)).max(least);
        }
    }
}

impl Region {
    /// Maps a region, in memory at once with `prefault`, and locked there with `lock`.
    fn map(bytes: usize, prefault: bool, lock: bool) -> Option<Region> {
        #[cfg(memoman_debug)]
        let start = memory::map_fenced(bytes, prefault)?;
        // Whole units, which no large block shares.
        #[cfg(not(memoman_debug))]
        let start = map_above(bytes, prefault)?;
        #[cfg(not(memoman_debug))]
        if map::prepare(start.addr(), bytes) {
            map::assign(start.addr(), bytes, mapping_word::region());
        } else {
            // SAFETY: mapped above, and used for nothing.
            unsafe { memory::unmap(start, bytes) };
            return None;
        }
        if lock {
            keep_in_memory(start, bytes);
        }
        Some(Region { start, bytes })
    }

    /// Gives back a region that is not needed.
    #[cfg(not(memoman_debug))]
    #[cold]
    pub(crate) fn unmap(self) {
        // SAFETY: mapped, and used for nothing.
        unsafe { doom(self.start, self.bytes) };
        unmap_doomed();
    }
}

/// Bytes of all pools.
fn all(tlsf: Tlsf) -> usize {
    // SAFETY: the instance is live and under the lock.
    unsafe { tlsf.stats() }.pool_bytes
}

/// The pool is a region of this layer, and not one that the program has added to the instance: the
/// map has a word for it. (The debug library has no map: such a pool is seldom of whole pages.)
fn is_region(pool: Pool) -> bool {
    // SAFETY: a live pool.
    let (start, bytes) = unsafe { pool.memory() };
    #[cfg(not(memoman_debug))]
    return bytes > 0 && map::owner_outlined(start.addr()) == mapping_word::region();
    #[cfg(memoman_debug)]
    return start.addr().is_multiple_of(memory::page_size()) && bytes.is_multiple_of(PAGE);
}

/// Regions without a pool, to be unmapped without the lock: unmapping takes as long as the region
/// is large. (In a child that is forked meanwhile they stay mapped.)
static DOOMED: AtomicPtr<Doomed> = AtomicPtr::new(ptr::null_mut());

/// The first words of such a region.
struct Doomed {
    next: *mut Doomed,
    bytes: usize,
}

/// Has a region unmapped after the lock is released.
///
/// # Safety
/// A region that nothing uses any more.
unsafe fn doom(start: *mut u8, bytes: usize) {
    let region: *mut Doomed = start.cast();
    let mut next = DOOMED.load(Ordering::Relaxed);
    loop {
        // SAFETY: the region is unused (caller), page-aligned, and larger than these words.
        unsafe { region.write(Doomed { next, bytes }) };
        // Release: the words come before the thread that takes the list.
        let (set, seen) = (Ordering::Release, Ordering::Relaxed);
        match DOOMED.compare_exchange(next, region, set, seen) {
            Ok(_) => return,
            Err(found) => next = found,
        }
    }
}

/// Unmaps the regions that have no pool any more. After the lock is released.
#[inline]
pub(crate) fn unmap_doomed() {
    if !DOOMED.load(Ordering::Relaxed).is_null() {
        unmap_all();
    }
}

#[cold]
#[inline(never)]
fn unmap_all() {
    let first = DOOMED.swap(ptr::null_mut(), Ordering::Acquire);
    #[cfg(not(memoman_debug))]
    let away = {
        // SAFETY: `doom` has written the words, and the list is this thread's.
        unsafe {
            each_doomed(first, |start, bytes| {
                map::assign(start, bytes, ptr::null_mut())
            })
        };
        // A thread that has found a word before this reads a header by it under the lock.
        LOCK.try_with(|| ()).is_none()
    };
    #[cfg(memoman_debug)]
    let away = false;
    // SAFETY: as above; a region is unmapped, or put back, after its words are read.
    unsafe {
        each_doomed(first, |start, bytes| {
            let start = ptr::with_exposed_provenance_mut(start);
            if away {
                // A fork: the next section's end unmaps them.
                doom(start, bytes);
            } else if !memory::unmap(start, bytes + memory::FENCE) {
                // The table of mappings is full: the addresses are lost, but not the memory.
                memory::discard(start, bytes, memory::page_size());
            }
        });
    }
}

/// Calls `f` with start and bytes of each region of a list.
///
/// # Safety
/// The list is the caller's.
unsafe fn each_doomed(first: *mut Doomed, f: impl Fn(usize, usize)) {
    let mut next = first;
    while !next.is_null() {
        // SAFETY: a region whose words `doom` has written (caller).
        let Doomed { next: after, bytes } = unsafe { next.read() };
        f(next.expose_provenance(), bytes);
        next = after;
    }
}

/// Where the next region begins if nothing is there: above the one before it, since the core uses
/// the end of the highest pool last. So memory that was used before is used again before new pages
/// are. 0: as for the first region.
#[cfg(not(memoman_debug))]
static ABOVE: AtomicUsize = AtomicUsize::new(0);
/// The first region begins so many bytes below this library, in what is mostly free address space.
#[cfg(not(memoman_debug))]
const BELOW_LIBRARY: usize = 256 << 20;
/// A library at a lower address leaves the place to the system.
#[cfg(not(memoman_debug))]
const LOW: u64 = 4 << 30;

/// Maps a region, whole units at a multiple of one.
#[cfg(not(memoman_debug))]
fn map_above(bytes: usize, prefault: bool) -> Option<*mut u8> {
    let mut hint = ABOVE.load(Ordering::Relaxed);
    let library = (&raw const ABOVE).addr();
    if hint == 0 && library as u64 >= LOW {
        hint = library - BELOW_LIBRARY;
    }
    let start = map_aligned(hint, bytes, UNIT, memory::page_size(), prefault)?;
    // At the library at the latest the hint is taken, and the next one is the first again. So the
    // regions of a program that frees them and allocates others do not climb without end.
    let was_free = start.addr() == hint.next_multiple_of(UNIT);
    let above = if was_free { start.addr() + bytes } else { 0 };
    ABOVE.store(above, Ordering::Relaxed);
    Some(start)
}

/// [`memory::map_at`], at a multiple of `align`, a power of two and at least `page`. (If the system
/// refuses to cut off what is before and after it, addresses without memory are lost.)
#[cfg(not(memoman_debug))]
pub(crate) fn map_aligned(
    hint: usize,
    bytes: usize,
    align: usize,
    page: usize,
    prefault: bool,
) -> Option<*mut u8> {
    // The system aligns to a page.
    let gap = align.saturating_sub(page);
    let start = memory::map_at(hint, bytes.checked_add(gap)?, prefault)?;
    let skip = start.addr().wrapping_neg() & (align - 1);
    let first = start.wrapping_add(skip);
    // SAFETY: the pages before and after the ones that are returned.
    unsafe {
        if skip > 0 {
            memory::unmap(start, skip);
        }
        if skip < gap {
            memory::unmap(first.wrapping_add(bytes), gap - skip);
        }
    }
    Some(first)
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
