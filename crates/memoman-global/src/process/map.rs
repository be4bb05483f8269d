//! Which thread heap an address belongs to, in two loads: a map of the address space in units.
//!
//! A thread heap's pools are *segments*: whole units, aligned to one. The map has a word for each unit, null where no
//! thread heap has it. It is asked before anything at an address is read, so a pointer from anywhere (the stack, a
//! page of the program's own, nonsense) is never followed.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::os;
use crate::thread_heap::ThreadHeap;

const UNIT_LOG2: u32 = 14;
/// Bytes of a unit: segments are multiples of it, at multiples of it.
pub(crate) const UNIT: usize = 1 << UNIT_LOG2;

/// User addresses have so many bits: what `mmap` gives without being asked for more.
const ADDRESS_BITS: u32 = if cfg!(target_pointer_width = "64") {
    47
} else {
    32
};
/// The last address that may be in a segment.
pub(crate) const ADDRESS_MAX: usize = usize::MAX >> (usize::BITS - ADDRESS_BITS);
const LEAF_LOG2: u32 = 16;
const LEAF: usize = 1 << LEAF_LOG2;
const ROOTS: usize = 1 << (ADDRESS_BITS - UNIT_LOG2 - LEAF_LOG2);

/// A gibibyte of address space: half a mebibyte, of which only the pages with segments in them take memory.
type Leaf = [AtomicPtr<ThreadHeap>; LEAF];

/// Leaves are made at the first segment in their range, under the lock, and never given back.
static MAP: [AtomicPtr<Leaf>; ROOTS] = [const { AtomicPtr::new(ptr::null_mut()) }; ROOTS];

/// The thread heap that has this address, or null.
#[inline(always)]
pub(crate) fn owner(address: usize) -> *mut ThreadHeap {
    match entry(address) {
        // Acquire: whoever is handed a block by another thread may see its heap for the first time.
        Some(entry) => entry.load(Ordering::Acquire),
        None => ptr::null_mut(),
    }
}

#[inline(always)]
fn entry(address: usize) -> Option<&'static AtomicPtr<ThreadHeap>> {
    let unit = address >> UNIT_LOG2;
    // Acquire: the leaf's memory is there before its address is.
    let leaf = MAP.get(unit >> LEAF_LOG2)?.load(Ordering::Acquire);
    // SAFETY: null, or a leaf, which is never given back.
    unsafe { leaf.as_ref() }.and_then(|leaf| leaf.get(unit % LEAF))
}

/// Makes the map's words for these addresses exist. Under the lock. False when the system has no memory.
pub(crate) fn prepare(start: usize, bytes: usize) -> bool {
    let (first, last) = (start >> UNIT_LOG2, (start + bytes - 1) >> UNIT_LOG2);
    for root in first >> LEAF_LOG2..=last >> LEAF_LOG2 {
        let Some(root) = MAP.get(root) else {
            return false;
        };
        if root.load(Ordering::Relaxed).is_null() {
            let Some(leaf) = os::map(size_of::<Leaf>(), false) else {
                return false;
            };
            // Release: fresh memory is all zero, which is a leaf without segments.
            root.store(leaf.cast(), Ordering::Release);
        }
    }
    true
}

/// Brings the map's words for a region into memory ahead of time, so that no later call faults on them. Under the lock.
pub(crate) fn prefault(start: usize, bytes: usize, lock: bool) {
    let mut at = start & !(UNIT - 1);
    // Counted down: on 32-bit targets a leaf's end may be that of the address space, which is 0.
    let mut left = start + bytes - at;
    if !prepare(start, bytes) {
        return;
    }
    assign(at, left, ptr::null_mut());
    while lock && left > 0 {
        // The words of one leaf lie side by side.
        let here = ((LEAF - (at >> UNIT_LOG2) % LEAF) << UNIT_LOG2).min(left);
        if let Some(entry) = entry(at) {
            os::lock(
                ptr::from_ref(entry).cast_mut().cast(),
                here.div_ceil(UNIT) * size_of::<usize>(),
            );
        }
        at = at.wrapping_add(here);
        left -= here;
    }
}

/// Writes who has these units: the heap that gets a segment, or null. Under the lock; the words exist.
pub(crate) fn assign(start: usize, bytes: usize, heap: *mut ThreadHeap) {
    for unit in 0..bytes.div_ceil(UNIT) {
        if let Some(entry) = entry(start + (unit << UNIT_LOG2)) {
            // Release: the heap's own words come before.
            entry.store(heap, Ordering::Release);
        }
    }
}

// (They count pages of 4 KiB, in 64-bit addresses.)
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
