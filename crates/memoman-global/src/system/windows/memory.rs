//! Regions of memory from Windows. An allocation of `VirtualAlloc` goes back as a whole only: of
//! one that is given back in parts, each part loses its memory at once, and the last part takes the
//! addresses with it.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

use crate::system::windows::{
    AcquireSRWLockExclusive, MEM_COMMIT, MEM_DECOMMIT, MEM_RELEASE, MEM_RESERVE, MemoryInformation,
    PAGE_READWRITE, ReleaseSRWLockExclusive, VirtualAlloc, VirtualFree, VirtualLock, VirtualQuery,
    keeping_error,
};

/// Held while parts are given back: two threads that give back the last parts of an allocation
/// would both release its addresses, the second those of an allocation made meanwhile.
static PARTS: Parts = Parts(UnsafeCell::new(ptr::null_mut()));

struct Parts(UnsafeCell<*mut c_void>);

// SAFETY: an SRW lock, initially null, which the system's functions alone access.
unsafe impl Sync for Parts {}

/// Rounding unit of regions: Windows places an allocation at a multiple of it.
pub(crate) const PAGE: usize = 1 << 16;

/// A region of `bytes` (a multiple of the OS page) zero bytes; with `prefault`, in memory at once.
/// None when the system refuses. Keeps the last error.
pub(crate) fn map(bytes: usize, prefault: bool) -> Option<*mut u8> {
    let how = MEM_RESERVE | MEM_COMMIT;
    // SAFETY: a fresh allocation touches no existing memory.
    let start: *mut u8 = keeping_error(|| unsafe {
        VirtualAlloc(ptr::null_mut(), bytes, how, PAGE_READWRITE).cast()
    });
    if start.is_null() {
        return None;
    }
    if prefault {
        for offset in (0..bytes).step_by(page_size()) {
            // SAFETY: inside the fresh region; a volatile write is not left out.
            unsafe { start.add(offset).write_volatile(0) };
        }
    }
    Some(start)
}

/// [`map`], wherever the system chooses.
#[cfg(not(memoman_debug))]
pub(crate) fn map_at(_hint: usize, bytes: usize, prefault: bool) -> Option<*mut u8> {
    map(bytes, prefault)
}

/// What the system says about the pages from an address on.
fn query(at: *mut u8) -> Option<MemoryInformation> {
    let mut information = MaybeUninit::uninit();
    let bytes = size_of::<MemoryInformation>();
    // SAFETY: writes the structure, of the size given, and is valid for any address.
    unsafe {
        (VirtualQuery(at.cast(), information.as_mut_ptr(), bytes) == bytes)
            .then(|| information.assume_init())
    }
}

/// What is behind a region of the debug library stays accessible here.
pub(crate) const FENCE: usize = 0;

/// [`map`].
#[cfg(memoman_debug)]
pub(crate) fn map_fenced(bytes: usize, prefault: bool) -> Option<*mut u8> {
    map(bytes, prefault)
}

/// Nothing: the shim, which it is for, is not for Windows.
#[cfg(not(memoman_debug))]
pub(crate) fn map_without_access(_bytes: usize) -> Option<*mut u8> {
    None
}

/// Gives a region, or whole pages of one, or several that touch, back to the system. False when the
/// system refuses. Keeps the last error.
///
/// # Safety
/// The pages came from [`map`], and nothing in them is used any more.
pub(crate) unsafe fn unmap(start: *mut u8, bytes: usize) -> bool {
    keeping_error(|| {
        // SAFETY: the lock is static, and released below on this thread.
        unsafe { AcquireSRWLockExclusive(PARTS.0.get()) };
        // SAFETY: pages from `map`, no longer used (caller).
        let done = unsafe { give_back(start, start.addr() + bytes) };
        // SAFETY: acquired above.
        unsafe { ReleaseSRWLockExclusive(PARTS.0.get()) };
        done
    })
}

/// # Safety
/// The pages came from [`map`], and nothing in them is used any more. `PARTS` is held.
unsafe fn give_back(start: *mut u8, end: usize) -> bool {
    let mut next = start;
    while next.addr() < end {
        let Some(found) = query(next) else {
            return false;
        };
        let part = found.bytes.min(end - next.addr());
        // SAFETY: pages of one allocation, no longer used (caller).
        if part == 0 || unsafe { VirtualFree(next.cast(), part, MEM_DECOMMIT) } == 0 {
            return false;
        }
        next = next.wrapping_add(part);
        // SAFETY: an allocation from `map`, which the part just given back belonged to.
        unsafe { release_if_empty(found.allocation.cast()) };
    }
    true
}

/// Gives the addresses of an allocation back once none of its pages has memory.
///
/// # Safety
/// `allocation` is the start of an allocation from [`map`]. `PARTS` is held.
unsafe fn release_if_empty(allocation: *mut u8) {
    let mut next = allocation;
    while let Some(found) = query(next) {
        if found.allocation != allocation.cast() {
            break;
        }
        if found.state == MEM_COMMIT {
            return;
        }
        next = next.wrapping_add(found.bytes);
    }
    // SAFETY: the allocation's start, and no page of it has memory, so nothing uses it.
    unsafe { VirtualFree(allocation.cast(), 0, MEM_RELEASE) };
}

/// Windows cannot move a region: None.
///
/// # Safety
/// The pages came from [`map`].
#[cfg(not(memoman_debug))]
pub(crate) unsafe fn remap(_: *mut u8, _: usize, _: usize, _: bool) -> Option<*mut u8> {
    None
}

/// True: pages that were never used are not distinguished.
#[cfg(not(memoman_debug))]
pub(crate) fn is_in_memory(_: *mut u8, _: usize) -> bool {
    true
}

/// Releases nothing: what releases pages and has them read as zero may fail in the middle of it,
/// when other programs have used up the system's memory.
///
/// # Safety
/// The bytes are part of a region from [`map`], and their contents are not needed.
pub(crate) unsafe fn discard(_: *mut u8, _: usize, _: usize) -> usize {
    0
}

/// The size of an OS page on every processor that Windows runs on.
pub(crate) fn page_size() -> usize {
    4096
}

/// Locks a region in memory; false when the system refuses.
pub(crate) fn lock(start: *mut u8, bytes: usize) -> bool {
    // SAFETY: locking changes no contents.
    unsafe { VirtualLock(start.cast(), bytes) != 0 }
}

/// Reads words of this process that may not be there: not done here.
#[cfg(memoman_debug)]
pub(crate) fn read<const WORDS: usize>(_: usize) -> Option<[usize; WORDS]> {
    None
}
