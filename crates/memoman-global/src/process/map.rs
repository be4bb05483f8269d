//! Which thread heap an address belongs to, in two loads: a map of the address space in units.
//!
//! A thread heap's pools are *segments*: whole units, aligned to one. The map has a word for each
//! unit, null where no thread heap has it. It is read before anything at an address is, so an
//! address from anywhere (the stack, a page of the program's own, a random number) is never
//! followed.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::system::memory;

const UNIT_LOG2: u32 = 14;
/// Bytes of a unit: the size and alignment step of segments.
pub(crate) const UNIT: usize = 1 << UNIT_LOG2;

/// Bits of a user address: `mmap` returns no greater one unless a hint requests it.
const ADDRESS_BITS: u32 = if cfg!(target_pointer_width = "64") {
    47
} else {
    32
};
/// The greatest address that may lie in a segment.
pub(crate) const ADDRESS_MAX: usize = usize::MAX >> (usize::BITS - ADDRESS_BITS);
pub(crate) const LEAF_LOG2: u32 = 16;
const LEAF: usize = 1 << LEAF_LOG2;
const ROOTS: usize = 1 << (ADDRESS_BITS - UNIT_LOG2 - LEAF_LOG2);

/// A thread heap, of which the map knows the address only.
pub(crate) enum Owner {}

/// The words of a gibibyte of address space: half a mebibyte, of which only the pages that have
/// segments take memory.
type Leaf = [AtomicPtr<Owner>; LEAF];

/// A leaf is mapped under the lock, with the first segment in its range, and never given back.
static MAP: [AtomicPtr<Leaf>; ROOTS] = [const { AtomicPtr::new(ptr::null_mut()) }; ROOTS];

/// The thread heap whose segment has this address, or null.
#[inline(always)]
pub(crate) fn owner(address: usize) -> *mut Owner {
    match entry(address) {
        // Acquire: a block may be the first of its heap that this thread sees.
        Some(entry) => entry.load(Ordering::Acquire),
        None => ptr::null_mut(),
    }
}

#[inline(always)]
pub(crate) fn entry(address: usize) -> Option<&'static AtomicPtr<Owner>> {
    let unit = address >> UNIT_LOG2;
    // Acquire: the leaf's memory is mapped before its address is stored.
    let leaf = MAP.get(unit >> LEAF_LOG2)?.load(Ordering::Acquire);
    // SAFETY: null, or a leaf, which is never given back.
    unsafe { leaf.as_ref() }.and_then(|leaf| leaf.get(unit % LEAF))
}

/// Makes the words for these addresses exist. Under the lock. False when the system has no memory.
pub(crate) fn prepare(start: usize, bytes: usize) -> bool {
    let (first, last) = (start >> UNIT_LOG2, (start + bytes - 1) >> UNIT_LOG2);
    for root in first >> LEAF_LOG2..=last >> LEAF_LOG2 {
        let Some(root) = MAP.get(root) else {
            return false;
        };
        if root.load(Ordering::Relaxed).is_null() {
            let Some(leaf) = memory::map(size_of::<Leaf>(), false) else {
                return false;
            };
            // Release: fresh memory is all zero, which is a leaf without segments.
            root.store(leaf.cast(), Ordering::Release);
        }
    }
    true
}

/// Brings the words for a region into memory, so that no later call faults on them; with `lock`,
/// locks them there. Under the lock.
pub(crate) fn prefault(start: usize, bytes: usize, lock: bool) {
    let mut at = start & !(UNIT - 1);
    // A count of bytes left, not an end: on 32-bit targets the end of the last leaf wraps to 0.
    let mut left = start + bytes - at;
    if !prepare(start, bytes) {
        return;
    }
    assign(at, left, ptr::null_mut());
    while lock && left > 0 {
        // The words of one leaf are contiguous.
        let here = ((LEAF - (at >> UNIT_LOG2) % LEAF) << UNIT_LOG2).min(left);
        if let Some(entry) = entry(at) {
            memory::lock(
                ptr::from_ref(entry).cast_mut().cast(),
                here.div_ceil(UNIT) * size_of::<usize>(),
            );
        }
        at = at.wrapping_add(here);
        left -= here;
    }
}

/// Sets the owner of these units: the heap that gets the segment, or null. Under the lock; the
/// words exist.
pub(crate) fn assign(start: usize, bytes: usize, owner: *mut Owner) {
    for unit in 0..bytes.div_ceil(UNIT) {
        if let Some(entry) = entry(start + (unit << UNIT_LOG2)) {
            // Release: the heap's own words are written before.
            entry.store(owner, Ordering::Release);
        }
    }
}
