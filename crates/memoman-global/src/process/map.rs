//! What an address belongs to, in two loads: a map of the address space in units.
//!
//! The map has a word for each unit: null; the thread heap one of whose *segments* (whole units,
//! aligned to one) has the unit; or, odd, the description of the large block that begins in the
//! unit, or the mark of a unit of the process-wide instance's regions
//! (`process/mapping_word.rs`). It is read before anything at an address is, so an address
//! from anywhere (the stack, a page of the program's own, a random number) is never followed.
//!
//! The root has an entry for each gibibyte of 48 bits, which is user space on x86-64 and AArch64;
//! what lies beyond has roots of its own, by which no hot path goes.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::system::memory;

const UNIT_LOG2: u32 = 14;
/// Bytes of a unit: the size and alignment step of segments.
pub(crate) const UNIT: usize = 1 << UNIT_LOG2;

/// Bits of an address that the first root covers.
const ROOT_BITS: u32 = if cfg!(target_pointer_width = "64") {
    48
} else {
    32
};
/// Bits of a user address: 57 where page tables have five levels.
const ADDRESS_BITS: u32 = if cfg!(target_pointer_width = "64") {
    57
} else {
    32
};
/// The largest address that the map has a word for.
pub(crate) const ADDRESS_MAX: usize = usize::MAX >> (usize::BITS - ADDRESS_BITS);
pub(crate) const LEAF_LOG2: u32 = 16;
const LEAF: usize = 1 << LEAF_LOG2;
const ROOTS: usize = 1 << (ROOT_BITS - UNIT_LOG2 - LEAF_LOG2);

/// A thread heap, of which the map knows the address only; an odd address describes a large block
/// or a region.
pub(crate) enum Owner {}

/// The words of a gibibyte of address space: half a mebibyte, of which only the pages that have
/// segments or begin large blocks take memory.
type Leaf = [AtomicPtr<Owner>; LEAF];
type Root = [AtomicPtr<Leaf>; ROOTS];

// Leaves and roots are mapped with the first word needed in their range, and never unmapped.
static MAP: Root = [const { AtomicPtr::new(ptr::null_mut()) }; ROOTS];
/// The roots for addresses beyond the first one's: by the bits above it, entry 0 unused.
static BEYOND: [AtomicPtr<Root>; 1 << (ADDRESS_BITS - ROOT_BITS)] =
    [const { AtomicPtr::new(ptr::null_mut()) }; 1 << (ADDRESS_BITS - ROOT_BITS)];

/// The map's word for an address that the first root covers; null for any other.
#[inline(always)]
pub(crate) fn near_owner(address: usize) -> *mut Owner {
    let leaf = MAP.get(address >> UNIT_LOG2 >> LEAF_LOG2);
    match leaf.and_then(|leaf| word(leaf, address)) {
        // Acquire: a block may be the first of its heap that this thread sees.
        Some(entry) => entry.load(Ordering::Acquire),
        None => ptr::null_mut(),
    }
}

/// The map's word for any address: null where there is none.
#[inline(always)]
pub(crate) fn owner(address: usize) -> *mut Owner {
    match entry(address) {
        // Acquire: as above.
        Some(entry) => entry.load(Ordering::Acquire),
        None => ptr::null_mut(),
    }
}

/// [`owner`], one copy for where it is not hot.
#[inline(never)]
pub(crate) fn owner_outlined(address: usize) -> *mut Owner {
    owner(address)
}

#[inline(always)]
pub(crate) fn entry(address: usize) -> Option<&'static AtomicPtr<Owner>> {
    match MAP.get(address >> UNIT_LOG2 >> LEAF_LOG2) {
        Some(leaf) => word(leaf, address),
        None => word(leaf_beyond(address)?, address),
    }
}

#[inline(always)]
fn word(leaf: &AtomicPtr<Leaf>, address: usize) -> Option<&'static AtomicPtr<Owner>> {
    // Acquire: the leaf's memory is mapped before its address is stored.
    let leaf = leaf.load(Ordering::Acquire);
    // SAFETY: null, or a leaf, which is never unmapped.
    unsafe { leaf.as_ref() }.and_then(|leaf| leaf.get((address >> UNIT_LOG2) % LEAF))
}

/// The entry of the leaf for an address that the first root does not cover.
#[cold]
#[inline(never)]
fn leaf_beyond(address: usize) -> Option<&'static AtomicPtr<Leaf>> {
    let root = root_beyond(address)?.load(Ordering::Acquire);
    // SAFETY: null, or a root, which is never unmapped.
    unsafe { root.as_ref() }.and_then(|root| root.get((address >> UNIT_LOG2 >> LEAF_LOG2) % ROOTS))
}

fn root_beyond(address: usize) -> Option<&'static AtomicPtr<Root>> {
    BEYOND.get(address.checked_shr(ROOT_BITS)?)
}

/// Makes the words for these addresses exist. Any thread may call it at any time. False when the
/// system has no memory.
pub(crate) fn prepare(start: usize, bytes: usize) -> bool {
    const LEAF_BYTES: usize = UNIT << LEAF_LOG2;
    let mut at = start;
    let mut left = bytes;
    loop {
        let leaf = match MAP.get(at >> UNIT_LOG2 >> LEAF_LOG2) {
            Some(leaf) => Some(leaf),
            None if root_beyond(at).is_some_and(make) => leaf_beyond(at),
            None => None,
        };
        if !leaf.is_some_and(make) {
            return false;
        }
        // To the next leaf. (A count of bytes left, not an end: the end may wrap to 0.)
        let here = LEAF_BYTES - at % LEAF_BYTES;
        if left <= here {
            return true;
        }
        at = at.wrapping_add(here);
        left -= here;
    }
}

/// [`prepare`] for one address of a block that is in use already: a leaf set aside serves if the
/// system has no memory for one. False when that is taken as well.
pub(crate) fn prepare_moved(address: usize) -> bool {
    static LAST: Leaf = [const { AtomicPtr::new(ptr::null_mut()) }; LEAF];
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if prepare(address, 1) {
        return true;
    }
    let Some(entry) = MAP.get(address >> UNIT_LOG2 >> LEAF_LOG2) else {
        return false;
    };
    if TAKEN.swap(true, Ordering::Relaxed) {
        return !entry.load(Ordering::Relaxed).is_null();
    }
    let leaf = (&raw const LAST).cast_mut();
    let (set, seen) = (Ordering::Release, Ordering::Relaxed);
    // (Another thread may have found memory meanwhile.)
    let _ = entry.compare_exchange(ptr::null_mut(), leaf, set, seen);
    true
}

/// Maps what the entry is to lead to, unless it is there. False when the system has no memory.
fn make<T>(entry: &AtomicPtr<T>) -> bool {
    if !entry.load(Ordering::Relaxed).is_null() {
        return true;
    }
    // With a page above it that is not mapped: the first block in reach of a leaf has its mapping
    // already, perhaps just there, and what is written before that block is to fault.
    let (bytes, page) = (size_of::<T>(), memory::page_size());
    let Some(fresh) = memory::map(bytes + page, false) else {
        return false;
    };
    // SAFETY: the last page of a mapping that nothing uses.
    unsafe { memory::unmap(fresh.wrapping_add(bytes), page) };
    // Release: fresh memory is all zero, which is a leaf or root without entries.
    let made = entry.compare_exchange(
        ptr::null_mut(),
        fresh.cast(),
        Ordering::Release,
        Ordering::Relaxed,
    );
    if made.is_err() {
        // SAFETY: another thread was faster; this memory is known to this thread only.
        unsafe { memory::unmap(fresh, size_of::<T>()) };
    }
    true
}

/// Locks the words for a region in memory. They exist.
pub(crate) fn lock(start: usize, bytes: usize) {
    let mut at = start & !(UNIT - 1);
    // A count of bytes left, not an end: on 32-bit targets the end of the last leaf wraps to 0.
    let mut left = start + bytes - at;
    while left > 0 {
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

/// Sets the word of these units: the heap that gets the segment, or a region's, or null. The units
/// are the calling thread's, and the words exist. (No large block begins in one.)
pub(crate) fn assign(start: usize, bytes: usize, owner: *mut Owner) {
    for unit in 0..bytes.div_ceil(UNIT) {
        if let Some(entry) = entry(start + (unit << UNIT_LOG2)) {
            // Release: the heap's own words are written before.
            entry.store(owner, Ordering::Release);
        }
    }
}
