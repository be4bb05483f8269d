//! The calls of the debug library: all threads share the process-wide instance, under its lock, so
//! that each block has a record of its own and all blocks one quarantine.

use core::ptr::{self, NonNull};

use memoman_debug::site::{STACK_MAX, Site, here};
use memoman_debug::{By, Family};

use crate::allocator::{Refusal, Tlsf};
use crate::debug::settings;
use crate::process::heap::with_heap;
use crate::process::regions::LARGE;
use crate::process::{misuse, start};
use crate::system::errno::{EINVAL, ENOMEM, set_errno};

/// The result of a request, to be acted on after the lock is released.
type Outcome = Result<NonNull<u8>, (Tlsf, Refusal)>;

/// Calls the core; when it is exhausted, adds a pool for `need` bytes and calls it again, and last
/// after emptying the quarantine.
#[inline]
#[expect(
    clippy::result_large_err,
    reason = "a misuse carries what is known of the block, on the stack of a call with records"
)]
fn serve(
    need: Option<usize>,
    mut attempt: impl FnMut(Tlsf) -> Result<NonNull<u8>, Refusal>,
) -> *mut u8 {
    let outcome: Option<Outcome> = with_heap(|state, tlsf| {
        let mut result = attempt(tlsf);
        if result == Err(Refusal::Exhausted)
            && let Some(need) = need
            && let Some(wanted) = state.wanted(tlsf, [need; 2], need < LARGE)
            && let Some(region) = wanted.map()
            && state.add(tlsf, region)
        {
            // SAFETY: the instance is live and under the lock; the refusal above was counted.
            unsafe { tlsf.withdraw_refusal() };
            result = attempt(tlsf);
        }
        if result == Err(Refusal::Exhausted) {
            // SAFETY: the instance is live and under the lock.
            match unsafe { tlsf.drain() } {
                Ok(true) => {
                    // SAFETY: the instance is live and under the lock; the refusal above was
                    // counted.
                    unsafe { tlsf.withdraw_refusal() };
                    result = attempt(tlsf);
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
    start::settle();
    match outcome {
        Some(Ok(payload)) => payload.as_ptr(),
        Some(Err((tlsf, Refusal::Misuse(misuse, address)))) => {
            // SAFETY: the instance is live; the lock is released.
            unsafe { misuse::report(tlsf, misuse, address) };
            ptr::null_mut()
        }
        _ => {
            set_errno(ENOMEM);
            ptr::null_mut()
        }
    }
}

/// What a request may take beyond its bytes and the overhead of a pool for it: rounding, and the
/// block's return addresses beyond the first two.
const SLACK: usize = Tlsf::ALIGN + 2 * (STACK_MAX - 1) * size_of::<usize>();
/// Gaps of one alignment that may be skipped before a block.
const GAPS: usize = 2;

/// `malloc`: NULL and ENOMEM when there is no memory; a unique pointer for 0 bytes. O(1), apart
/// from growing.
#[inline(always)]
pub fn malloc(bytes: usize) -> *mut u8 {
    allocate(bytes, here(), Family::Malloc)
}

#[inline]
fn allocate(bytes: usize, site: Site, family: Family) -> *mut u8 {
    serve(bytes.checked_add(SLACK), |tlsf| {
        // SAFETY: the instance is live and under the lock; the block is new.
        unsafe {
            let block = tlsf.at(site).memalign_or_empty(Tlsf::ALIGN, bytes)?;
            tlsf.set_family(block, family);
            Ok(block)
        }
    })
}

/// `calloc`: as [`malloc`], all bytes zero; a product beyond the address space is refused with
/// ENOMEM.
#[inline(always)]
pub fn calloc(count: usize, size: usize) -> *mut u8 {
    let Some(bytes) = count.checked_mul(size) else {
        set_errno(ENOMEM);
        return ptr::null_mut();
    };
    let payload = allocate(bytes, here(), Family::Malloc);
    if !payload.is_null() {
        // SAFETY: a fresh block of at least `bytes` bytes; clearing needs no lock.
        unsafe { payload.write_bytes(0, bytes) };
    }
    payload
}

/// Aligned allocation: EINVAL for an alignment that is no power of two, else as [`malloc`].
#[inline(always)]
pub fn memalign(align: usize, bytes: usize) -> *mut u8 {
    allocate_aligned(align, bytes, here(), Family::Malloc)
}

/// [`memalign`], all bytes zero.
#[inline]
pub(crate) fn memalign_zeroed(align: usize, bytes: usize) -> *mut u8 {
    let block = allocate_aligned(align, bytes, here(), Family::Malloc);
    if !block.is_null() {
        // SAFETY: a fresh block of at least `bytes` bytes.
        unsafe { block.write_bytes(0, bytes) };
    }
    block
}

#[inline]
fn allocate_aligned(align: usize, bytes: usize, site: Site, family: Family) -> *mut u8 {
    if !align.is_power_of_two() {
        set_errno(EINVAL);
        return ptr::null_mut();
    }
    let need = align
        .checked_mul(GAPS)
        .and_then(|gaps| bytes.checked_add(gaps)?.checked_add(SLACK));
    serve(need, |tlsf| {
        // SAFETY: the instance is live and under the lock; the block is new.
        unsafe {
            let block = tlsf.at(site).memalign_or_empty(align, bytes)?;
            tlsf.set_family(block, family);
            Ok(block)
        }
    })
}

/// `realloc`: NULL allocates, 0 bytes frees and returns NULL; on ENOMEM the block is unchanged.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap; on success it is not used any more.
#[inline(always)]
pub unsafe fn realloc(ptr: *mut u8, bytes: usize) -> *mut u8 {
    // SAFETY: NULL or a live block (caller).
    unsafe { resize(ptr, bytes, here(), By::default()) }
}

/// # Safety
/// `ptr` is NULL or a live block of this heap; on success it is not used any more.
#[inline]
unsafe fn resize(ptr: *mut u8, bytes: usize, site: Site, by: By) -> *mut u8 {
    let Some(block) = NonNull::new(ptr) else {
        return allocate(bytes, site, Family::Malloc);
    };
    if bytes == 0 {
        // SAFETY: a live block (caller).
        unsafe { release(ptr, site, by) };
        return ptr::null_mut();
    }
    serve(bytes.checked_add(SLACK), |tlsf| {
        // SAFETY: the instance is live and under the lock; the debug layer tests the block.
        unsafe { tlsf.at(site).realloc_as(block, bytes, by) }
    })
}

/// `free`: NULL does nothing. Keeps errno.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap. (Misuse that the header checks detect is reported.)
#[inline(always)]
pub unsafe fn free(ptr: *mut u8) {
    // SAFETY: NULL or a live block (caller).
    unsafe { release(ptr, here(), By::default()) }
}

/// # Safety
/// `ptr` is NULL or a live block of this heap. (Misuse that the records show is reported.)
#[inline]
unsafe fn release(ptr: *mut u8, site: Site, by: By) {
    let Some(block) = NonNull::new(ptr) else {
        return;
    };
    let outcome = with_heap(|state, tlsf| {
        // SAFETY: the instance is live and under the lock; the debug layer tests the block.
        unsafe {
            let tlsf = tlsf.at(site);
            match tlsf.free_as(block, by) {
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
        unsafe { misuse::report(tlsf, misuse, ptr) };
    }
}

/// Usable bytes of a live block; 0 for NULL.
///
/// # Safety
/// `ptr` is NULL or a live block of this heap. (Misuse that the header checks detect is reported.)
#[inline]
pub unsafe fn usable_size(ptr: *const u8) -> usize {
    let Some(block) = NonNull::new(ptr.cast_mut()) else {
        return 0;
    };
    // Under the lock: freeing a neighbour writes a flag into this block's header.
    // SAFETY: the instance is live and under the lock; the debug layer tests the block.
    let outcome = with_heap(|_, tlsf| (tlsf, unsafe { tlsf.usable_size(block) }));
    match outcome {
        Some((_, Ok(bytes))) => bytes,
        Some((tlsf, Err(misuse))) => {
            // SAFETY: the instance is live; the lock is released.
            unsafe { misuse::report(tlsf, misuse, ptr) };
            0
        }
        None => 0,
    }
}

/// `free` by a function of the shim.
///
/// # Safety
/// The duties of [`free`].
#[inline(always)]
pub unsafe fn free_as(ptr: *mut u8, by: By) {
    // SAFETY: NULL or a live block (caller).
    unsafe { release(ptr, here(), settings::tested(by)) }
}

/// `realloc` by a function of the shim.
///
/// # Safety
/// The duties of [`realloc`].
#[inline(always)]
pub unsafe fn realloc_as(ptr: *mut u8, bytes: usize, by: By) -> *mut u8 {
    // SAFETY: NULL or a live block (caller).
    unsafe { resize(ptr, bytes, here(), settings::tested(by)) }
}

/// [`malloc`] for a caller that passes its own call site.
pub fn malloc_at(bytes: usize, site: impl Into<Site>, family: Family) -> *mut u8 {
    allocate(bytes, site.into(), family)
}

/// [`memalign`] for a caller that passes its own call site.
pub fn memalign_at(align: usize, bytes: usize, site: impl Into<Site>, family: Family) -> *mut u8 {
    allocate_aligned(align, bytes, site.into(), family)
}
