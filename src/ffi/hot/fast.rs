//! The hot functions of the release library: the core's paths with a front that returns what C
//! expects (`front.rs` of the core describes the dispatch). Calls that the core refuses as
//! intercepted, since a memory checker watches or an observer is set, are made by [`made`].

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use memoman_core::{EventKind, FreeBlock, Front, Misuse, Refusal, Tlsf};

use crate::ffi::allocation::{mm_free, mm_malloc};
use crate::ffi::misuse::{answer, misuse};
use crate::ffi::observe::made;

/// The front of the C functions: it returns a payload or NULL, and reports misuse to the error
/// handler. For an observer, `ZEROED` distinguishes `mm_calloc`.
struct C<const ZEROED: bool>;

impl<const ZEROED: bool> C<ZEROED> {
    const KIND: EventKind = if ZEROED {
        EventKind::Calloc
    } else {
        EventKind::Malloc
    };
}

impl<const ZEROED: bool> Front for C<ZEROED> {
    type Allocated = *mut c_void;
    type Freed = ();

    const COMPACT: bool = false;

    #[inline(always)]
    unsafe fn allocated(tlsf: Tlsf, result: Result<NonNull<u8>, Refusal>) -> *mut c_void {
        // SAFETY: live instance (caller).
        unsafe { answer(tlsf, result) }
    }

    #[inline(always)]
    unsafe fn not_searched(tlsf: Tlsf, bytes: usize) -> *mut c_void {
        // SAFETY: live instance (caller), with this cache, intercepted then.
        unsafe {
            match tlsf.cached() {
                // `mm_calloc`, whose clearing takes longer, has no copy of the hit.
                Some(_) if ZEROED => return mm_malloc(tlsf.as_raw().cast(), bytes),
                Some(cached) => {
                    if let Some(block) = cached.take(bytes) {
                        return block.as_ptr().cast();
                    }
                }
                None => {}
            }
            missed(tlsf, Self::KIND, 0, bytes)
        }
    }

    #[inline(always)]
    unsafe fn not_aligned(tlsf: Tlsf, align: usize, bytes: usize, refusal: Refusal) -> *mut c_void {
        // SAFETY: live instance (caller), intercepted when the refusal is `Intercepted`.
        unsafe {
            match refusal {
                Refusal::Misuse(Misuse::Intercepted, _) => {
                    missed(tlsf, EventKind::Memalign, align, bytes)
                }
                refusal => answer(tlsf, Err(refusal)),
            }
        }
    }

    #[inline(always)]
    unsafe fn not_resized(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
        let handle = tlsf.as_raw().cast();
        // SAFETY: live instance; `ptr` is NULL or given up on success (caller).
        unsafe {
            let Some(block) = NonNull::new(ptr) else {
                return mm_malloc(handle, bytes);
            };
            if bytes == 0 {
                mm_free(handle, ptr.cast());
                return ptr::null_mut();
            }
            if tlsf.cached().is_some() {
                return resized(tlsf, block, Tlsf::ALIGN, bytes);
            }
            realloc_aligned(tlsf, block, Tlsf::ALIGN, bytes)
        }
    }

    #[inline(always)]
    fn freed(_: FreeBlock) {}

    #[inline(always)]
    unsafe fn not_inside(tlsf: Tlsf, ptr: *mut u8) {
        // SAFETY: live instance (caller), with this cache, intercepted; contents given up. Null
        // lies outside the bounds, so that the cache does not take it.
        unsafe {
            match tlsf.cached() {
                Some(cached) if cached.put(ptr) => {}
                _ => turned_away(tlsf, ptr),
            }
        }
    }

    #[inline(always)]
    unsafe fn not_freed(tlsf: Tlsf, ptr: *mut u8, what: Option<Misuse>) {
        let Some(block) = NonNull::new(ptr) else {
            return;
        };
        // SAFETY: live instance (caller).
        unsafe {
            misuse(tlsf, what.unwrap_or_else(|| tlsf.free_refused(block)), ptr);
        }
    }
}

/// Ends a call that allocates without a search, and without a block of the cache.
///
/// # Safety
/// The instance is live.
#[inline(never)]
unsafe fn missed(tlsf: Tlsf, kind: EventKind, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: live instance (caller), with this cache; it has counted the refusal.
    unsafe {
        let align_at_least = align.max(Tlsf::ALIGN);
        let result = match tlsf.cached() {
            Some(cached) => match cached.allocate(align_at_least, bytes) {
                Err(Refusal::Exhausted) => {
                    tlsf.withdraw_refusal();
                    Err(Refusal::Misuse(Misuse::Intercepted, ptr::null()))
                }
                result => result,
            },
            None => Err(tlsf.refusal(bytes)),
        };
        match result {
            Err(Refusal::Misuse(Misuse::Intercepted, _)) => {
                made(tlsf, kind, ptr::null_mut(), align, bytes)
            }
            result => answer(tlsf, result),
        }
    }
}

/// Resizes a block of an intercepted instance.
///
/// # Safety
/// The instance is live and intercepted, and on success the block is given up.
#[inline(never)]
unsafe fn resized(tlsf: Tlsf, block: NonNull<u8>, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: live instance, block given up on success (caller); a refusal that is withdrawn has
    // been counted.
    unsafe {
        if let Some(cached) = tlsf.cached() {
            let old = block.as_ptr();
            let peak = cached.peak();
            let result = match cached.grown(block, align, bytes) {
                Ok(Some(new)) => {
                    mm_free(tlsf.as_raw().cast(), old.cast());
                    if Tlsf::block_size(old) == 0 {
                        return new.as_ptr().cast();
                    }
                    // A neighbour of the old block is overwritten, which has been reported.
                    cached.retract(new, peak);
                    return ptr::null_mut();
                }
                Ok(None) => cached.resize(block, align, bytes),
                Err(refusal) => Err(refusal),
            };
            match result {
                Err(Refusal::Exhausted) => tlsf.withdraw_refusal(),
                result => return answer(tlsf, result),
            }
        }
        made(tlsf, EventKind::Realloc, block.as_ptr(), align, bytes)
    }
}

/// Frees a block that no cache has taken, or reports its address.
///
/// # Safety
/// The instance is live; the block's contents are given up, or `ptr` is null.
#[inline(never)]
unsafe fn turned_away(tlsf: Tlsf, ptr: *mut u8) {
    let Some(block) = NonNull::new(ptr) else {
        return;
    };
    // SAFETY: live instance, with this cache, contents given up (caller).
    unsafe {
        let result = match tlsf.cached() {
            Some(cached) => cached.free(block),
            None => Err(tlsf.free_refused(block)),
        };
        match result {
            Ok(()) => {}
            Err(Misuse::Intercepted) => {
                made(tlsf, EventKind::Free, ptr, 0, 0);
            }
            Err(what) => {
                misuse(tlsf, what, ptr);
            }
        }
    }
}

/// `mm_malloc`.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn malloc(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    // SAFETY: live instance (caller).
    unsafe { tlsf.malloc_for::<C<false>>(bytes) }
}

/// The block of `mm_calloc`, before it is cleared.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn calloc(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    // SAFETY: live instance (caller).
    unsafe { tlsf.malloc_for::<C<true>>(bytes) }
}

/// `mm_memalign`.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn memalign(tlsf: Tlsf, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: live instance (caller).
    unsafe { tlsf.memalign_for::<C<false>>(align, bytes) }
}

/// `mm_realloc`.
///
/// # Safety
/// The instance is live. `ptr` is NULL, or on success given up.
#[inline(always)]
pub(crate) unsafe fn realloc(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
    // SAFETY: live instance; `ptr` is NULL or given up on success (caller).
    unsafe { tlsf.realloc_for::<C<false>>(ptr, bytes) }
}

/// `mm_realloc_aligned` of a block to more than 0 bytes.
///
/// # Safety
/// The instance is live, and on success the block is given up.
#[inline(always)]
pub(crate) unsafe fn realloc_aligned(
    tlsf: Tlsf,
    block: NonNull<u8>,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: live instance, block given up on success (caller); intercepted when the refusal is
    // `Intercepted`.
    unsafe {
        match tlsf.realloc_aligned(block, align, bytes) {
            Err(Refusal::Misuse(Misuse::Intercepted, _)) => resized(tlsf, block, align, bytes),
            result => answer(tlsf, result),
        }
    }
}

/// `mm_free`.
///
/// # Safety
/// The instance is live. `ptr` is NULL, or the block's contents are given up.
#[inline(always)]
pub(crate) unsafe fn free(tlsf: Tlsf, ptr: *mut u8) {
    // SAFETY: live instance; `ptr` is NULL or given up (caller).
    unsafe { tlsf.free_for::<C<false>>(ptr) }
}
