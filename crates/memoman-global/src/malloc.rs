//! The calls of the release library: each goes to the calling thread's heap, to another thread's,
//! or to the process-wide instance.

use core::ptr::{self, NonNull};

use crate::allocator::ALIGN;
#[cfg(feature = "announced-threads")]
use crate::process::fork;
use crate::process::heap::LargeBlocks;
use crate::process::mapping_word::{STEP, is_large};
use crate::process::{empty, large, map, mapping, mapping_spares, misuse, start, supply};
use crate::system::errno::{EINVAL, ENOMEM, errno, set_errno};
use crate::thread::calls::Less;
use crate::thread::heap::{REQUEST_MAX, ThreadHeap};
use crate::thread::{attach, calls, lifetime, remote};

/// The calling thread's heap; null when it can have none.
#[inline(always)]
fn heap() -> *mut ThreadHeap {
    let current = lifetime::current();
    if current.is_heap() {
        current.heap()
    } else {
        attached()
    }
}

#[cold]
#[inline(never)]
fn attached() -> *mut ThreadHeap {
    #[cfg(feature = "announced-threads")]
    if !lifetime::current().is_ended() {
        fork::register_unless_first();
        if lifetime::current().is_heap() {
            // Registering has allocated.
            return lifetime::current().heap();
        }
    }
    let heap = attach::attach();
    start::settle();
    heap
}

/// `malloc`: NULL and ENOMEM when there is no memory; a unique pointer for 0 bytes. O(1), apart
/// from growing.
#[inline(always)]
pub fn malloc(bytes: usize) -> *mut u8 {
    let less = Less::of(bytes);
    let current = lifetime::current();
    if !less.is_small() {
        return malloc_outlined(less.bytes());
    }
    if !current.is_heap() {
        return malloc_first(less.bytes());
    }
    // SAFETY: the calling thread's heap.
    unsafe { calls::malloc_small(current.heap(), less) }
}

/// A second name of [`malloc_outlined`]: with one name, the compiler would merge the two tests of
/// [`malloc`] into one, which takes longer.
#[cold]
#[inline(never)]
fn malloc_first(bytes: usize) -> *mut u8 {
    malloc_outlined(bytes)
}

#[inline(never)]
fn malloc_outlined(mut bytes: usize) -> *mut u8 {
    if bytes == 0 {
        if let Some(block) = empty::allocate() {
            return block.as_ptr();
        }
        bytes = 1;
    }
    let heap = heap();
    // SAFETY: the calling thread's heap, or null.
    unsafe {
        if bytes > REQUEST_MAX {
            return allocate_large(heap, ALIGN, bytes, false);
        }
        if heap.is_null() {
            return supply::allocate(heap, ALIGN, bytes);
        }
        calls::malloc(heap, bytes)
    }
}

/// A request that is to have a mapping of its own, or with a reserve a block of the reserve; with
/// `zeroed`, all bytes zero. Without a mapping, the heap serves it if it may.
///
/// # Safety
/// `heap` is null, or the calling thread's, which is outside its gate.
#[inline(never)]
unsafe fn allocate_large(
    heap: *mut ThreadHeap,
    align: usize,
    bytes: usize,
    zeroed: bool,
) -> *mut u8 {
    if bytes > isize::MAX as usize {
        supply::refuse();
        return ptr::null_mut();
    }
    let settings = LargeBlocks::read();
    let in_heap = !heap.is_null() && ThreadHeap::serves(align, bytes);
    let mut block = None;
    if settings.in_pools_first() && !in_heap {
        block = large::allocate_in_pools(align, bytes);
    }
    if block.is_none()
        && !(settings.in_pools_only() || in_heap && settings.in_pools_first())
        && !mapping_spares::crowded()
        && let Some(block) = mapping::allocate(settings, align, bytes, zeroed)
    {
        return block.as_ptr();
    }
    let block = match block {
        Some(block) => block.as_ptr(),
        // SAFETY: the calling thread's heap, outside its gate (caller).
        None if in_heap => unsafe { calls::memalign(heap, align, bytes) },
        // SAFETY: null, or the calling thread's heap, outside its gate (caller).
        None => unsafe { supply::allocate(heap, align, bytes) },
    };
    if zeroed && !block.is_null() {
        // SAFETY: a fresh block of at least `bytes` bytes.
        unsafe { block.write_bytes(0, bytes) };
    }
    block
}

/// 64 KiB: a zeroed block of more bytes gets a mapping of its own. The pages of a fresh one need no
/// clearing, and those that the program does not touch take no memory.
const ZEROED_MAX: usize = REQUEST_MAX / 4;

/// `calloc`: as [`malloc`], all bytes zero; a product beyond the address space is refused with
/// ENOMEM.
#[inline]
pub fn calloc(count: usize, size: usize) -> *mut u8 {
    let Some(bytes) = count.checked_mul(size) else {
        set_errno(ENOMEM);
        return ptr::null_mut();
    };
    if bytes > ZEROED_MAX {
        let heap = heap();
        // SAFETY: the calling thread's heap, or null.
        return unsafe { allocate_large(heap, ALIGN, bytes, true) };
    }
    let payload = malloc_outlined(bytes);
    if !payload.is_null() {
        // SAFETY: a fresh block of at least `bytes` bytes.
        unsafe { payload.write_bytes(0, bytes) };
    }
    payload
}

/// Aligned allocation: EINVAL for an alignment that is no power of two, else as [`malloc`].
#[inline(never)]
pub fn memalign(align: usize, bytes: usize) -> *mut u8 {
    if !align.is_power_of_two() {
        set_errno(EINVAL);
        return ptr::null_mut();
    }
    if align <= ALIGN {
        return malloc_outlined(bytes);
    }
    let bytes = bytes.max(1);
    let heap = heap();
    // SAFETY: the calling thread's heap, or null.
    unsafe {
        if !ThreadHeap::serves(align, bytes) {
            return allocate_large(heap, align, bytes, false);
        }
        if heap.is_null() {
            return supply::allocate(heap, align, bytes);
        }
        calls::memalign(heap, align, bytes)
    }
}

/// [`memalign`], all bytes zero.
pub(crate) fn memalign_zeroed(align: usize, bytes: usize) -> *mut u8 {
    if align.is_power_of_two() && !ThreadHeap::serves(align, bytes) {
        // SAFETY: the calling thread's heap, or null.
        return unsafe { allocate_large(heap(), align, bytes.max(1), true) };
    }
    let block = memalign(align, bytes);
    if !block.is_null() {
        // SAFETY: a fresh block of at least `bytes` bytes.
        unsafe { block.write_bytes(0, bytes) };
    }
    block
}

/// `free`: NULL does nothing. Keeps errno.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap. (Misuse that the header checks detect is reported.)
#[inline(never)]
pub unsafe fn free(ptr: *mut u8) {
    // SAFETY: NULL or a live block (caller).
    unsafe { free_inlined(ptr) }
}

/// [`free`], compiled into its caller.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap. (Misuse that the header checks detect is reported.)
#[inline(always)]
pub unsafe fn free_inlined(ptr: *mut u8) {
    // The heap's address comes from the thread's word, not from the map: its use need not wait for
    // the map's loads.
    let heap = lifetime::current().heap();
    let owner = ThreadHeap::near(ptr.addr());
    // SAFETY: an address that the map gives a thread heap lies in one of its segments, and is not
    // 0; the block is not used any more (caller).
    unsafe {
        // (`heap` is never null: an address outside all segments does not pass for one of the
        // thread's.)
        if owner == heap {
            calls::free(heap, NonNull::new_unchecked(ptr));
        } else {
            free_elsewhere(heap, ptr, owner);
        }
    }
}

/// # Safety
/// `ptr` is NULL or a live block of this heap, `owner` its word in the map; `heap` is the thread's
/// word.
#[inline(never)]
unsafe fn free_elsewhere(heap: *mut ThreadHeap, ptr: *mut u8, owner: *mut ThreadHeap) {
    // SAFETY: the map says whose the block is, so that it is not null where there is an owner; it
    // is not used any more (caller).
    unsafe {
        if owner.is_null() || is_large(owner) {
            free_outside(ptr);
        } else if lifetime::is_heap(heap) {
            remote::free_quickly(heap, owner, NonNull::new_unchecked(ptr));
        } else {
            free_first(owner, NonNull::new_unchecked(ptr));
        }
    }
}

/// Frees another thread's block where the calling one has no heap.
///
/// # Safety
/// A live block in a segment of `owner`.
#[cold]
#[inline(never)]
unsafe fn free_first(owner: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the caller's duties.
    unsafe { remote::free(heap(), owner, block) }
}

/// Frees a block that no near segment has.
///
/// # Safety
/// The duties of [`free`].
#[inline(never)]
unsafe fn free_outside(ptr: *mut u8) {
    let Some(block) = NonNull::new(ptr) else {
        return;
    };
    let owner: *mut ThreadHeap = map::owner_outlined(block.as_ptr().addr()).cast();
    // SAFETY: the map says whose the block is; it is not used any more (caller).
    unsafe {
        if owner.is_null() && empty::owns(block) {
            if let Err(misuse) = empty::free(block) {
                misuse::report_global(misuse, ptr);
            }
        } else if owner.is_null() || is_large(owner) {
            if mapping::free(block, true).is_none() {
                large::free(block);
            }
        } else if owner == lifetime::current().heap() {
            calls::free_outlined(owner, block);
        } else {
            remote::free(heap(), owner, block);
        }
    }
}

/// A block that `realloc` has to move since it grows beyond this gets a mapping of its own: it may
/// grow on, and many that grow in turns leave holes in a heap.
const GROWN_MAX: usize = REQUEST_MAX / 8;

/// `realloc`: NULL allocates, 0 bytes frees and returns NULL; on ENOMEM the block is unchanged.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap; on success it is not used any more.
#[inline]
pub unsafe fn realloc(ptr: *mut u8, bytes: usize) -> *mut u8 {
    let Some(block) = NonNull::new(ptr) else {
        return malloc_outlined(bytes);
    };
    // SAFETY: a live block (caller).
    unsafe { resize(block, bytes) }
}

/// # Safety
/// `block` is a live block of this heap; on success it is not used any more.
#[inline(never)]
unsafe fn resize(block: NonNull<u8>, bytes: usize) -> *mut u8 {
    // SAFETY: a live block (caller), of the heap that the map names.
    unsafe {
        if bytes == 0 {
            free(block.as_ptr());
            return ptr::null_mut();
        }
        let owner = ThreadHeap::of(block.as_ptr().addr());
        let in_place = if owner.is_null() && empty::owns(block) {
            match empty::usable_size(block) {
                Ok(usable) => Err(usable),
                Err(misuse) => {
                    misuse::report_global(misuse, block.as_ptr());
                    Ok(ptr::null_mut())
                }
            }
        } else if owner.is_null() || is_large(owner) {
            match mapping::realloc(block, bytes) {
                Some(resized) => resized,
                None => large::realloc(block, bytes),
            }
        } else if owner == lifetime::current().heap() {
            calls::realloc(owner, block, bytes)
        } else {
            match remote::usable_size(owner, block) {
                0 => Ok(ptr::null_mut()),
                // A request that wastes less than half of the block leaves it where it is.
                usable if bytes <= usable && bytes >= usable / 2 => Ok(block.as_ptr()),
                usable => Err(usable),
            }
        };
        let usable = match in_place {
            Ok(resized) => return resized,
            Err(usable) => usable,
        };
        let saved = errno();
        let moved = if bytes > usable && bytes > GROWN_MAX {
            allocate_large(heap(), ALIGN, bytes, false)
        } else {
            malloc_outlined(bytes)
        };
        if moved.is_null() && bytes <= usable {
            set_errno(saved);
            supply::was_served();
            return block.as_ptr();
        }
        if !moved.is_null() {
            // Copied without the lock: only the caller uses either block.
            moved.copy_from_nonoverlapping(block.as_ptr(), usable.min(bytes));
            // Who makes a large block small wants its memory to go.
            let goes = is_large(owner) && bytes < usable;
            if !(goes && mapping::free(block, false).is_some()) {
                free(block.as_ptr());
            }
        }
        moved
    }
}

/// Usable bytes of a large block, which has no header; None for every other block, and NULL. Large
/// blocks begin at a multiple of [`LARGE_ALIGN`].
pub fn large_size(ptr: *const u8) -> Option<usize> {
    mapping::size_of(NonNull::new(ptr.cast_mut())?)
}

/// Large blocks begin at a multiple of this.
pub const LARGE_ALIGN: usize = STEP;

/// Usable bytes of a live block; 0 for NULL.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap. (Misuse that the header checks detect is reported.)
#[inline]
pub unsafe fn usable_size(ptr: *const u8) -> usize {
    let Some(block) = NonNull::new(ptr.cast_mut()) else {
        return 0;
    };
    let owner = ThreadHeap::of(ptr.addr());
    // SAFETY: a live block (caller), of the heap that the map names.
    unsafe {
        if owner.is_null() && empty::owns(block) {
            empty::usable_size(block).unwrap_or_else(|misuse| {
                misuse::report_global(misuse, ptr);
                0
            })
        } else if owner.is_null() || is_large(owner) {
            mapping::usable_size(block).unwrap_or_else(|| large::usable_size(block))
        } else if owner == lifetime::current().heap() {
            calls::usable_size(owner, block)
        } else {
            remote::usable_size(owner, block)
        }
    }
}
