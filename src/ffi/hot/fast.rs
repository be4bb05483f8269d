//! The hot functions of the release library: the core's ways with a front that returns what C
//! expects. The first way of each has neither frame nor call (see `Front` in the core); what the
//! core refuses because a memory checker watches is done in [`checker`].

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use memoman_core::{FreeBlock, Front, Misuse, Refusal, Tlsf};

use crate::ffi::allocation::{mm_free, mm_malloc};
use crate::ffi::checker;
use crate::ffi::misuse::{answer, misuse};

/// The front of the C functions: a payload or NULL, and misuse goes to the error handler.
struct C;

impl Front for C {
    type Allocated = *mut c_void;
    type Freed = ();

    const COMPACT: bool = false;

    #[inline(always)]
    unsafe fn allocated(tlsf: Tlsf, result: Result<NonNull<u8>, Refusal>) -> *mut c_void {
        // SAFETY: live (caller).
        unsafe { answer(tlsf, result) }
    }

    #[inline(always)]
    unsafe fn not_searched(tlsf: Tlsf, bytes: usize, refusal: Refusal) -> *mut c_void {
        // SAFETY: live (caller), and intercepted where the refusal says so.
        unsafe {
            match refusal {
                Refusal::Misuse(Misuse::Intercepted, _) => {
                    checker::allocate(tlsf, bytes, false, &|tlsf| tlsf.malloc(bytes))
                }
                refusal => answer(tlsf, Err(refusal)),
            }
        }
    }

    #[inline(always)]
    unsafe fn not_resized(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
        let handle = tlsf.as_raw().cast();
        // SAFETY: live (caller); `ptr` is NULL or given up on success (caller).
        unsafe {
            let Some(block) = NonNull::new(ptr) else {
                return mm_malloc(handle, bytes);
            };
            if bytes == 0 {
                mm_free(handle, ptr.cast());
                return ptr::null_mut();
            }
            realloc_aligned(tlsf, block, Tlsf::ALIGN, bytes)
        }
    }

    #[inline(always)]
    fn freed(_: FreeBlock) {}

    #[inline(always)]
    unsafe fn not_freed(tlsf: Tlsf, ptr: *mut u8, what: Option<Misuse>) {
        let Some(block) = NonNull::new(ptr) else {
            return;
        };
        // SAFETY: live (caller), and intercepted where the misuse says so.
        unsafe {
            match what.unwrap_or_else(|| tlsf.free_refused(block)) {
                Misuse::Intercepted => checker::free(tlsf, block),
                what => {
                    misuse(tlsf, what, ptr);
                }
            }
        }
    }
}

/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn malloc(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe { tlsf.malloc_for::<C>(bytes) }
}

/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn memalign(tlsf: Tlsf, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe {
        match tlsf.memalign(align, bytes) {
            Err(Refusal::Misuse(Misuse::Intercepted, _)) => {
                checker::allocate(tlsf, bytes, false, &|tlsf| tlsf.memalign(align, bytes))
            }
            result => answer(tlsf, result),
        }
    }
}

/// # Safety
/// As for [`Tlsf::realloc`], but `ptr` may be NULL.
#[inline(always)]
pub(crate) unsafe fn realloc(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
    // SAFETY: live, and the block is given up on success (caller).
    unsafe { tlsf.realloc_for::<C>(ptr, bytes) }
}

/// # Safety
/// As for [`Tlsf::realloc_aligned`].
#[inline(always)]
pub(crate) unsafe fn realloc_aligned(
    tlsf: Tlsf,
    block: NonNull<u8>,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: live, and the block is given up on success (caller).
    unsafe {
        match tlsf.realloc_aligned(block, align, bytes) {
            Err(Refusal::Misuse(Misuse::Intercepted, _)) => {
                checker::realloc(tlsf, block, align, bytes)
            }
            result => answer(tlsf, result),
        }
    }
}

/// # Safety
/// As for [`Tlsf::free`], but `ptr` may be NULL.
#[inline(always)]
pub(crate) unsafe fn free(tlsf: Tlsf, ptr: *mut u8) {
    // SAFETY: live, and the block is given up (caller).
    unsafe { tlsf.free_for::<C>(ptr) }
}
