//! The side heap: serves the other threads while a thread forks, when their heaps are closed and
//! the process-wide instance is the forking thread's.
//!
//! It is an instance of the core under a lock of its own, which no fork takes. So in a child its
//! state may be in the middle of a change: the child gives up the instance, whose blocks stay
//! readable and are never reused, and starts anew when it needs one.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::allocator::{Misuse, Tlsf};
use crate::process::core_calls;
use crate::process::lock::{Lock, Taken};
use crate::system::memory::{self, PAGE};

static LOCK: Lock = Lock::new();
static INSTANCE: Instance = Instance(UnsafeCell::new(None));
static CONTROL: Control = Control(UnsafeCell::new(MaybeUninit::uninit()));

struct Instance(UnsafeCell<Option<Tlsf>>);

// SAFETY: accessed under the side heap's lock only.
unsafe impl Sync for Instance {}

const CONTROL_BYTES: usize = Tlsf::control_size(Tlsf::DEFAULT_MAX_BLOCK);

/// The control structure's memory.
#[repr(align(64))]
struct Control(UnsafeCell<MaybeUninit<[u8; CONTROL_BYTES]>>);

// SAFETY: accessed under the side heap's lock only.
unsafe impl Sync for Control {}

/// Smallest region, and the most that an empty one keeps in memory.
const REGION_MIN: usize = 1 << 20;
/// Each region is at least as large as all before it, so their number is logarithmic.
const REGIONS: usize = 128;
/// Regions are never unmapped: the end of each, stored before its start, and the number of all.
static STARTS: [AtomicUsize; REGIONS] = [const { AtomicUsize::new(0) }; REGIONS];
static ENDS: [AtomicUsize; REGIONS] = [const { AtomicUsize::new(0) }; REGIONS];
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The regions before this one are a parent's: their blocks are not reused.
static FROZEN: AtomicUsize = AtomicUsize::new(0);

/// The region that has this address.
fn region(address: usize) -> Option<usize> {
    // Acquire: the bounds are stored before the number.
    (0..COUNT.load(Ordering::Acquire)).find(|&index| {
        let bound =
            |bounds: &[AtomicUsize]| bounds.get(index).map(|one| one.load(Ordering::Relaxed));
        bound(&STARTS) <= Some(address) && Some(address) < bound(&ENDS)
    })
}

/// The address may be that of a block of the side heap.
#[inline(never)]
pub(crate) fn owns(block: NonNull<u8>) -> bool {
    region(block.as_ptr().addr()).is_some()
}

/// Allocates `bytes`, at least 1. None when there is no memory, or the calling thread is in a
/// signal handler that has interrupted this function.
#[cold]
#[inline(never)]
pub(crate) fn allocate(align: usize, bytes: usize) -> Option<NonNull<u8>> {
    loop {
        // SAFETY: the instance is live and under its lock.
        let result =
            LOCK.try_with(|| unsafe { core_calls::allocate(instance()?, align, bytes).ok() });
        if let Some(block) = result? {
            return Some(block);
        }
        // Mapped without the lock; two threads may both do it.
        if !grow(align, bytes) {
            return None;
        }
    }
}

/// The instance, created at the first use. Under the lock.
fn instance() -> Option<Tlsf> {
    // SAFETY: the lock is held. The control structure's memory is static, aligned and large enough;
    // an instance that had it before was given up by `child`.
    unsafe {
        let instance = &mut *INSTANCE.0.get();
        if instance.is_none() {
            *instance = Tlsf::create(CONTROL.0.get().cast(), Tlsf::DEFAULT_MAX_BLOCK);
        }
        *instance
    }
}

/// Adds a region in which the request fits.
fn grow(align: usize, bytes: usize) -> bool {
    let gap = if align <= Tlsf::ALIGN { 0 } else { 2 * align };
    let least = bytes
        .checked_add(gap)
        .and_then(|bytes| bytes.checked_add(Tlsf::POOL_OVERHEAD + 8 * Tlsf::ALIGN))
        .and_then(|bytes| bytes.checked_next_multiple_of(PAGE));
    // The core's largest block bounds the request, too.
    let Some(least) = least.filter(|&least| least <= Tlsf::DEFAULT_MAX_BLOCK) else {
        return false;
    };
    let count = COUNT.load(Ordering::Acquire);
    let all: usize = (FROZEN.load(Ordering::Relaxed)..count)
        .map(|index| match (ENDS.get(index), STARTS.get(index)) {
            (Some(end), Some(start)) => end.load(Ordering::Relaxed) - start.load(Ordering::Relaxed),
            _ => 0,
        })
        .sum();
    let generous = least.max(REGION_MIN).max(all);
    let Some((start, size)) = [generous, least]
        .into_iter()
        .find_map(|size| Some((memory::map(size, false)?, size)))
    else {
        return false;
    };
    let added = LOCK.try_with(|| {
        let index = COUNT.load(Ordering::Relaxed);
        let (first, end) = (STARTS.get(index)?, ENDS.get(index)?);
        // SAFETY: the instance is live and under its lock; the region is fresh.
        unsafe { instance()?.add_pool(start, size) }?;
        end.store(start.addr() + size, Ordering::Relaxed);
        first.store(start.addr(), Ordering::Relaxed);
        COUNT.store(index + 1, Ordering::Release);
        Some(())
    });
    if added.flatten().is_none() {
        // SAFETY: not part of the instance.
        unsafe { memory::unmap(start, size) };
        return false;
    }
    true
}

/// Frees a block, unless it is a parent's. An error after misuse.
///
/// # Safety
/// The side heap owns the block, which is not used any more. (Misuse that the header checks detect
/// is returned.)
#[cold]
pub(crate) unsafe fn free(block: NonNull<u8>) -> Result<(), Misuse> {
    // None: a signal handler that has interrupted this heap. The block is lost.
    let Some(taken) = LOCK.take() else {
        return Ok(());
    };
    // SAFETY: the caller's duties; the lock is held.
    unsafe { free_taken(taken, &[block]) }
}

/// Frees a few blocks if the lock is free at this moment. False if it is not.
///
/// # Safety
/// The duties of [`free`] for each.
pub(crate) unsafe fn free_now(blocks: &[NonNull<u8>]) -> bool {
    let Some(taken) = LOCK.take_now() else {
        return false;
    };
    // SAFETY: the caller's duties; the lock is held.
    let _ = unsafe { free_taken(taken, blocks) };
    true
}

/// Frees blocks as far as the first misuse, and releases the lock.
///
/// # Safety
/// The duties of [`free`] for each. The lock is held.
#[inline(never)]
unsafe fn free_taken(taken: Taken, blocks: &[NonNull<u8>]) -> Result<(), Misuse> {
    let frozen = FROZEN.load(Ordering::Relaxed);
    // An emptied region above the minimum is taken out, so that its pages are released without the
    // lock.
    let free_all = || -> Result<_, Misuse> {
        let mut emptied = None;
        let Some(tlsf) = instance() else {
            return Ok(None);
        };
        for &block in blocks {
            if region(block.as_ptr().addr()) < Some(frozen) {
                continue;
            }
            // SAFETY: the instance is live and under its lock; the core tests the block.
            unsafe {
                if let Some(pool) = core_calls::free(tlsf, block)? {
                    let (start, bytes) = pool.memory();
                    if bytes > REGION_MIN && emptied.is_none() && tlsf.remove_pool(start) {
                        emptied = Some((start, bytes));
                    }
                }
            }
        }
        Ok(emptied)
    };
    let emptied = free_all();
    LOCK.put_back(taken);
    if let Some((start, bytes)) = emptied? {
        // SAFETY: out of the instance, and so this thread's; added again unchanged.
        unsafe {
            memory::discard(start, bytes, memory::page_size());
            LOCK.try_with(|| instance().map(|tlsf| tlsf.add_pool(start, bytes)));
        }
    }
    Ok(())
}

/// Usable bytes of a block.
///
/// # Safety
/// The side heap owns the block. (Misuse that the header checks detect is returned.)
#[cold]
pub(crate) unsafe fn usable_size(block: NonNull<u8>) -> Result<usize, Misuse> {
    if region(block.as_ptr().addr()) < Some(FROZEN.load(Ordering::Relaxed)) {
        // SAFETY: a live block of a region that does not change any more (caller).
        return Ok(unsafe { Tlsf::block_size(block.as_ptr()) });
    }
    // SAFETY: the instance is live and under its lock; the core tests the block.
    LOCK.with(|| unsafe { instance().map_or(Ok(0), |tlsf| tlsf.usable_size(block)) })
}

/// Releases the whole OS pages inside free blocks. True if there were any. O(blocks).
pub(crate) fn trim() -> bool {
    const WORD: usize = size_of::<usize>();
    let page = memory::page_size();
    let mut released = false;
    LOCK.try_with(|| {
        // SAFETY: the instance is live and under its lock. A free block's links and ghost are kept:
        // its first two words and its last one.
        unsafe {
            let mut next = (*INSTANCE.0.get()).and_then(|tlsf| tlsf.first_pool());
            while let (Some(pool), Some(tlsf)) = (next, *INSTANCE.0.get()) {
                next = tlsf.next_pool(pool);
                pool.walk(&mut |payload, size, used| {
                    if !used {
                        let inside = payload.as_ptr().wrapping_add(2 * WORD);
                        released |= memory::discard(inside, size - 3 * WORD, page) > 0;
                    }
                });
            }
        }
    });
    released
}

/// In the child of a fork. A section that the fork has interrupted goes on, with a sound heap: no
/// other thread was in it.
pub(crate) fn child() {
    if LOCK.is_away() {
        return;
    }
    LOCK.reset();
    // SAFETY: no other thread exists, and none of this thread's calls is in progress.
    unsafe { *INSTANCE.0.get() = None };
    FROZEN.store(COUNT.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Runs `work` while the side heap is in use.
#[cfg(test)]
pub(crate) fn in_use<R>(work: impl FnOnce() -> R) -> R {
    LOCK.with(work)
}
