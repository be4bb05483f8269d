//! The hot functions of the released library. Each one's first way has no frame and no call: what it does not serve goes
//! to the next function by a jump, which is why that one is never inlined and takes the same registers.

use core::ffi::c_void;
use core::ptr::NonNull;

use memoman_core::block::Header;
use memoman_core::{Beside, Large, Miss, Misuse, Refusal, Stuck, Tlsf};

use super::allocation::{mm_free, mm_malloc};
use super::{answer, misuse, watched};

/// # Safety
/// The instance is live.
#[inline(always)]
pub(super) unsafe fn malloc(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe {
        match tlsf.malloc_hit(bytes) {
            Ok(block) => block.as_ptr().cast(),
            Err(Miss::Small(size)) => search_small(tlsf, size),
            Err(Miss::Large(miss)) => search_large(tlsf, miss.size, miss.wanted, miss.bin),
            Err(Miss::Refused) => refused(tlsf, bytes),
        }
    }
}

#[inline(never)]
unsafe fn search_small(tlsf: Tlsf, size: usize) -> *mut c_void {
    // SAFETY: live (caller), and the size that was missed.
    unsafe { answer(tlsf, tlsf.malloc_small(size)) }
}

#[inline(never)]
unsafe fn search_large(tlsf: Tlsf, size: usize, wanted: usize, bin: usize) -> *mut c_void {
    // SAFETY: live (caller), and what was missed.
    unsafe { answer(tlsf, tlsf.malloc_large(Large { size, wanted, bin })) }
}

#[cold]
#[inline(never)]
unsafe fn refused(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe {
        match tlsf.malloc_refused(bytes) {
            Refusal::Misuse(Misuse::Intercepted, _) => {
                watched::allocate(tlsf, bytes, false, &|tlsf| tlsf.malloc(bytes))
            }
            refusal => answer(tlsf, Err(refusal)),
        }
    }
}

/// # Safety
/// The instance is live.
#[inline(always)]
pub(super) unsafe fn memalign(tlsf: Tlsf, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe {
        match tlsf.memalign(align, bytes) {
            Err(Refusal::Misuse(Misuse::Intercepted, _)) => {
                watched::allocate(tlsf, bytes, false, &|tlsf| tlsf.memalign(align, bytes))
            }
            result => answer(tlsf, result),
        }
    }
}

/// # Safety
/// As for [`Tlsf::realloc`], but for NULL.
#[inline(always)]
pub(super) unsafe fn realloc(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
    // SAFETY: the same duties.
    unsafe {
        if tlsf.realloc_same(ptr, bytes) {
            ptr.cast()
        } else {
            resize(tlsf, ptr, bytes)
        }
    }
}

#[inline(never)]
unsafe fn resize(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
    // SAFETY: as for `realloc`.
    unsafe {
        match tlsf.realloc_forward(ptr, bytes) {
            Ok(()) => ptr.cast(),
            Err(Stuck::Behind(header, next)) => backward(tlsf, ptr, bytes, header, next),
            Err(Stuck::Alone(size)) => relocate(tlsf, ptr, bytes, size),
            Err(Stuck::Refused) => not_resized(tlsf, ptr, bytes),
        }
    }
}

#[inline(never)]
unsafe fn backward(
    tlsf: Tlsf,
    ptr: *mut u8,
    bytes: usize,
    header: Header,
    next: Header,
) -> *mut c_void {
    // SAFETY: as for `realloc`, with the headers that `resize` has read; so the pointer is not NULL.
    unsafe {
        let block = NonNull::new_unchecked(ptr);
        answer(tlsf, tlsf.realloc_backward(block, header, next, bytes))
    }
}

#[inline(never)]
unsafe fn relocate(tlsf: Tlsf, ptr: *mut u8, bytes: usize, size: usize) -> *mut c_void {
    // SAFETY: as for `backward`.
    unsafe {
        let block = NonNull::new_unchecked(ptr);
        answer(tlsf, tlsf.relocate(block, size, Tlsf::ALIGN, bytes))
    }
}

#[cold]
#[inline(never)]
unsafe fn not_resized(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> *mut c_void {
    // SAFETY: as for `realloc`.
    unsafe {
        let handle = tlsf.as_raw().cast();
        let Some(block) = NonNull::new(ptr) else {
            return mm_malloc(handle, bytes);
        };
        if bytes == 0 {
            mm_free(handle, ptr.cast());
            return core::ptr::null_mut();
        }
        match tlsf.realloc_aligned(block, Tlsf::ALIGN, bytes) {
            Err(Refusal::Misuse(Misuse::Intercepted, _)) => {
                watched::realloc(tlsf, block, Tlsf::ALIGN, bytes)
            }
            result => answer(tlsf, result),
        }
    }
}

/// # Safety
/// As for [`Tlsf::realloc_aligned`].
#[inline(always)]
pub(super) unsafe fn realloc_aligned(
    tlsf: Tlsf,
    block: NonNull<u8>,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: the same duties.
    unsafe {
        match tlsf.realloc_aligned(block, align, bytes) {
            Err(Refusal::Misuse(Misuse::Intercepted, _)) => {
                watched::realloc(tlsf, block, align, bytes)
            }
            result => answer(tlsf, result),
        }
    }
}

/// # Safety
/// As for [`Tlsf::free`], but for NULL.
#[inline(always)]
pub(super) unsafe fn free(tlsf: Tlsf, ptr: *mut u8) {
    // SAFETY: the same duties.
    unsafe {
        match tlsf.free_alone(ptr) {
            Ok(_) => (),
            Err(Beside::Previous(header)) => free_behind(tlsf, ptr, header),
            Err(Beside::Next(header, next)) => free_before(tlsf, ptr, header, next),
            Err(Beside::Both(..) | Beside::SmashedPrev | Beside::Misuse) => {
                not_freed(tlsf, ptr, None)
            }
        }
    }
}

#[inline(never)]
unsafe fn free_before(tlsf: Tlsf, ptr: *mut u8, header: Header, next: Header) {
    // SAFETY: as for `free`, with the headers that it has read.
    unsafe {
        if let Err(what) = tlsf.free_before(ptr, header, next) {
            not_freed(tlsf, ptr, what);
        }
    }
}

#[inline(never)]
unsafe fn free_behind(tlsf: Tlsf, ptr: *mut u8, header: Header) {
    // SAFETY: as for `free`, with the header that it has read.
    unsafe {
        match tlsf.free_behind(ptr, header) {
            Ok(_) => (),
            Err(Beside::Both(header, next)) => free_between(tlsf, ptr, header, next),
            Err(Beside::SmashedPrev) => not_freed(tlsf, ptr, Some(Misuse::SmashedPrev)),
            Err(Beside::Previous(_) | Beside::Next(..) | Beside::Misuse) => {
                not_freed(tlsf, ptr, None)
            }
        }
    }
}

#[inline(never)]
unsafe fn free_between(tlsf: Tlsf, ptr: *mut u8, header: Header, next: Header) {
    // SAFETY: as for `free`, with the headers that `free_behind` has read.
    unsafe {
        if let Err(what) = tlsf.free_between(ptr, header, next) {
            not_freed(tlsf, ptr, what);
        }
    }
}

#[cold]
#[inline(never)]
unsafe fn not_freed(tlsf: Tlsf, ptr: *mut u8, what: Option<Misuse>) {
    let Some(block) = NonNull::new(ptr) else {
        return;
    };
    // SAFETY: as for `free`.
    unsafe {
        match what.unwrap_or_else(|| tlsf.free_refused(block)) {
            Misuse::Intercepted => watched::free(tlsf, block),
            what => {
                misuse(tlsf, what, ptr);
            }
        }
    }
}
