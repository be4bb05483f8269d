//! The calls of the release library: each goes to the calling thread's heap, to another heap, or to the process-wide instance.

use core::ptr::{self, NonNull};

use crate::thread_heap::{ALIGN, REQUEST_MAX, ThreadHeap};
use crate::{adopt, elsewhere, locked, os, own, segment, supply, tls};

/// The calling thread's heap; null when it can have none.
#[inline(always)]
fn heap() -> *mut ThreadHeap {
    let current = tls::current();
    if current.is_heap() {
        current.heap()
    } else {
        adopt::attach()
    }
}

/// `malloc`: NULL and ENOMEM when there is no memory; a unique pointer for 0 bytes. O(1), apart from growing.
#[inline(always)]
pub fn malloc(bytes: usize) -> *mut u8 {
    let current = tls::current();
    if bytes > own::CACHED_MAX {
        return malloc_outlined(bytes);
    }
    if !current.is_heap() {
        return malloc_first(bytes);
    }
    // SAFETY: the calling thread's heap.
    unsafe { own::malloc_small(current.heap(), bytes) }
}

/// Another name, so that [`malloc`] has two tests and not one of both, which takes longer.
#[cold]
#[inline(never)]
fn malloc_first(bytes: usize) -> *mut u8 {
    malloc_outlined(bytes)
}

#[inline(never)]
pub(crate) fn malloc_outlined(bytes: usize) -> *mut u8 {
    let bytes = bytes.max(1);
    let heap = heap();
    // SAFETY: the calling thread's heap, or null.
    unsafe {
        if bytes > REQUEST_MAX || heap.is_null() {
            return supply::allocate(heap, ALIGN, bytes);
        }
        own::malloc(heap, bytes)
    }
}

/// `calloc`: as [`malloc`], all bytes zero; a product beyond the address space is refused with ENOMEM.
#[inline]
pub fn calloc(count: usize, size: usize) -> *mut u8 {
    let Some(bytes) = count.checked_mul(size) else {
        os::set_errno(libc::ENOMEM);
        return ptr::null_mut();
    };
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
        os::set_errno(libc::EINVAL);
        return ptr::null_mut();
    }
    if align <= ALIGN {
        return malloc_outlined(bytes);
    }
    let bytes = bytes.max(1);
    let heap = heap();
    // SAFETY: the calling thread's heap, or null.
    unsafe {
        if heap.is_null() || !ThreadHeap::serves(align, bytes) {
            return supply::allocate(heap, align, bytes);
        }
        own::memalign(heap, align, bytes)
    }
}

/// `free`: NULL does nothing. Keeps errno.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap. (Misuse is reported as far as the headers show it.)
#[inline(never)]
pub unsafe fn free(ptr: *mut u8) {
    // SAFETY: the same duty.
    unsafe { free_inlined(ptr) }
}

/// [`free`], compiled into its caller.
///
/// # Safety
/// As for it.
#[inline(always)]
pub unsafe fn free_inlined(ptr: *mut u8) {
    // The heap's address comes from here, not from the map: then what is done with it need not wait for the map.
    let heap = tls::current().heap();
    let owner = segment::owner(ptr.addr());
    // SAFETY: the caller's duty; the map says whose the address is, and a block there is not at address 0.
    unsafe {
        // (What is nobody's has the owner null, which is no thread's.)
        if owner == heap {
            own::free(heap, NonNull::new_unchecked(ptr));
        } else {
            free_elsewhere(owner, ptr);
        }
    }
}

#[inline(never)]
unsafe fn free_elsewhere(owner: *mut ThreadHeap, ptr: *mut u8) {
    let Some(block) = NonNull::new(ptr) else {
        return;
    };
    // SAFETY: the caller's duty.
    unsafe {
        if owner.is_null() {
            locked::free(block);
        } else {
            elsewhere::free(heap(), owner, block);
        }
    }
}

/// `realloc`: NULL allocates, 0 bytes frees and gives NULL; on ENOMEM the block is as it was.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap; on success it is given up.
#[inline]
pub unsafe fn realloc(ptr: *mut u8, bytes: usize) -> *mut u8 {
    let Some(block) = NonNull::new(ptr) else {
        return malloc_outlined(bytes);
    };
    // SAFETY: the caller's duty.
    unsafe { resize(block, bytes) }
}

#[inline(never)]
unsafe fn resize(block: NonNull<u8>, bytes: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    unsafe {
        if bytes == 0 {
            free(block.as_ptr());
            return ptr::null_mut();
        }
        let owner = segment::owner(block.as_ptr().addr());
        if owner.is_null() {
            return locked::realloc(block, bytes);
        }
        let usable = if owner == tls::current().heap() {
            match own::realloc(owner, block, bytes) {
                Ok(resized) => return resized,
                Err(usable) => usable,
            }
        } else {
            let usable = elsewhere::usable_size(owner, block);
            if usable == 0 {
                return ptr::null_mut();
            }
            // What fits without waste stays where it is.
            if bytes <= usable && bytes >= usable / 2 {
                return block.as_ptr();
            }
            usable
        };
        let moved = malloc_outlined(bytes);
        if !moved.is_null() {
            moved.copy_from_nonoverlapping(block.as_ptr(), usable.min(bytes));
            free(block.as_ptr());
        }
        moved
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
    let owner = segment::owner(ptr.addr());
    // SAFETY: the caller's duty.
    unsafe {
        if owner == tls::current().heap() {
            own::usable_size(owner, block)
        } else {
            elsewhere::usable_size(owner, block)
        }
    }
}
