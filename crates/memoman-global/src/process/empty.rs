//! Blocks of 0 bytes, in the shim (feature `late-checks`): addresses in a region without access,
//! where a read or a write faults. Such an address comes again after [`SLOTS`] others, so that a
//! double free is found meanwhile. Lock-free.
//!
//! The region is mapped at the first such request. A request that finds no place in it, or no
//! region, gets the smallest ordinary block, and so does each in a configuration with a reserve,
//! whose requests make no system call.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::allocator::{ALIGN, Misuse};
use crate::process::heap::LargeBlocks;
use crate::process::map::{self, UNIT};
use crate::system::memory;

/// Whether these blocks are in the region.
pub(crate) const APART: bool = cfg!(feature = "late-checks");
/// Places in the region.
pub(crate) const SLOTS: usize = 1 << 18;
const BYTES: usize = SLOTS * ALIGN;
const BITS: usize = usize::BITS as usize;
/// Places that a request looks at.
const TRIES: usize = 16;

/// Null until the first request.
static REGION: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
/// The next request looks for a place from this one on, modulo [`SLOTS`].
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// A bit for each place: a block is there.
static TAKEN: [AtomicUsize; SLOTS / BITS] = [const { AtomicUsize::new(0) }; SLOTS / BITS];

/// The region, mapped at the first call.
#[cold]
#[inline(never)]
fn mapped() -> *mut u8 {
    let settings = LargeBlocks::read();
    if settings.in_pools_only() || settings.in_pools_first() {
        return ptr::null_mut();
    }
    let Some(start) = memory::map_without_access(BYTES + UNIT) else {
        return ptr::null_mut();
    };
    // Whole units. Their words may say that a large block was freed here, which is unmapped.
    let new = start.wrapping_add(start.addr().wrapping_neg() & (UNIT - 1));
    map::assign(new.expose_provenance(), BYTES, ptr::null_mut());
    let first = REGION.compare_exchange(ptr::null_mut(), new, Ordering::Relaxed, Ordering::Relaxed);
    first.map_or_else(
        |known| {
            // Another thread was faster.
            // SAFETY: whole pages from `map_without_access`, which no other thread knows.
            unsafe { memory::unmap(start, BYTES + UNIT) };
            known
        },
        |_| new,
    )
}

/// The bit of a place, and its word. The order between a free and the next allocation of the place
/// does not matter: no memory is behind it.
fn bit(slot: usize) -> (&'static AtomicUsize, usize) {
    (&TAKEN[slot / BITS % TAKEN.len()], 1 << (slot % BITS))
}

/// An address of its own, aligned to the quantum; None: the request gets an ordinary block.
pub(crate) fn allocate() -> Option<NonNull<u8>> {
    if !APART {
        return None;
    }
    let mut region = REGION.load(Ordering::Relaxed);
    if region.is_null() {
        region = mapped();
    }
    let region = NonNull::new(region)?;
    let free = |_| {
        let slot = NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS;
        let (word, bit) = bit(slot);
        (word.fetch_or(bit, Ordering::Relaxed) & bit == 0).then_some(slot)
    };
    let slot = (0..TRIES).find_map(free)?;
    // SAFETY: inside the region, which is one mapping.
    Some(unsafe { region.add(slot * ALIGN) })
}

/// The address lies in the region.
pub(crate) fn owns(block: NonNull<u8>) -> bool {
    if !APART {
        return false;
    }
    let region = REGION.load(Ordering::Relaxed);
    !region.is_null() && block.as_ptr().addr().wrapping_sub(region.addr()) < BYTES
}

/// The place of a block that is there.
fn live(block: NonNull<u8>) -> Result<usize, Misuse> {
    let offset = block.as_ptr().addr() - REGION.load(Ordering::Relaxed).addr();
    if !offset.is_multiple_of(ALIGN) {
        return Err(Misuse::Misaligned);
    }
    let slot = offset / ALIGN;
    let (word, bit) = bit(slot);
    match word.load(Ordering::Relaxed) & bit {
        0 => Err(Misuse::DoubleFree),
        _ => Ok(slot),
    }
}

/// Frees a block of the region.
pub(crate) fn free(block: NonNull<u8>) -> Result<(), Misuse> {
    let (word, bit) = bit(live(block)?);
    // Of two threads that free it at once, one finds the bit gone.
    match word.fetch_and(!bit, Ordering::Relaxed) & bit {
        0 => Err(Misuse::DoubleFree),
        _ => Ok(()),
    }
}

/// Usable bytes of a block of the region: none.
pub(crate) fn usable_size(block: NonNull<u8>) -> Result<usize, Misuse> {
    live(block).map(|_| 0)
}
