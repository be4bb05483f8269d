//! Allocation: every function here is O(1), apart from clearing and copying.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use memoman_debug::allocator::Tlsf;
#[cfg(not(memoman_debug))]
use memoman_debug::allocator::{Misuse, Refusal};

use super::types::mm_allocator_t;
use super::{answer, instance, misuse};
#[cfg(not(memoman_debug))]
use super::{watch, watched};

/// The core's answer to every call of a watched program. (Nothing of this is in the debug library.)
#[cfg(not(memoman_debug))]
macro_rules! intercepted {
    () => {
        Refusal::Misuse(Misuse::Intercepted, _)
    };
}

/// Allocates at least `bytes` bytes, aligned to mm_align_size(). Returns NULL if
/// `bytes` is 0 or no free block is large enough. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_malloc(allocator: *mut mm_allocator_t, bytes: usize) -> *mut c_void {
    // SAFETY: boundary rules.
    unsafe {
        match instance(allocator) {
            Some(tlsf) => malloc(tlsf, bytes),
            None => ptr::null_mut(),
        }
    }
}

/// # Safety
/// The instance is live.
#[inline(always)]
unsafe fn malloc(tlsf: Tlsf, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe {
        match tlsf.malloc(bytes) {
            #[cfg(not(memoman_debug))]
            Err(intercepted!()) => {
                watched::allocate(tlsf, bytes, false, &|tlsf| tlsf.malloc(bytes))
            }
            result => answer(tlsf, result),
        }
    }
}

/// # Safety
/// The instance is live.
#[inline(always)]
unsafe fn memalign(tlsf: Tlsf, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: live (caller).
    unsafe {
        match tlsf.memalign(align, bytes) {
            #[cfg(not(memoman_debug))]
            Err(intercepted!()) => {
                watched::allocate(tlsf, bytes, false, &|tlsf| tlsf.memalign(align, bytes))
            }
            result => answer(tlsf, result),
        }
    }
}

/// Allocates `count` objects of `size` bytes, all bytes zero. Returns NULL if
/// either is 0, if their product is beyond SIZE_MAX, or if no free block is
/// large enough. O(1), and the clearing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_calloc(
    allocator: *mut mm_allocator_t,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: boundary rules.
    unsafe {
        match instance(allocator) {
            Some(tlsf) => match tlsf.calloc(count, size) {
                #[cfg(not(memoman_debug))]
                Err(intercepted!()) => {
                    let bytes = count.saturating_mul(size);
                    watched::allocate(tlsf, bytes, true, &|tlsf| tlsf.malloc(bytes))
                }
                result => answer(tlsf, result),
            },
            None => ptr::null_mut(),
        }
    }
}

/// Allocates at least `bytes` bytes, aligned to `align`, a power of two. Returns
/// NULL if `align` is 0 or no power of two, if `bytes` is 0, or if no free block
/// is large enough for the bytes and the worst gap in front of them. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_memalign(
    allocator: *mut mm_allocator_t,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: boundary rules.
    unsafe {
        match instance(allocator) {
            Some(tlsf) => memalign(tlsf, align, bytes),
            None => ptr::null_mut(),
        }
    }
}

/// Resizes a block to at least `bytes` bytes and keeps its contents up to the
/// smaller size: in place forward, then backward, then by moving. `ptr` NULL:
/// as mm_malloc. `bytes` 0: frees the block and returns NULL. Returns NULL, and
/// leaves the block as it was, if there is no room. An alignment beyond
/// mm_align_size() is lost when the block moves: see mm_realloc_aligned. O(1),
/// and the copying.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc(
    allocator: *mut mm_allocator_t,
    ptr: *mut c_void,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: boundary rules.
    unsafe {
        let Some(tlsf) = instance(allocator) else {
            return ptr::null_mut();
        };
        match NonNull::new(ptr.cast()) {
            Some(block) if bytes == 0 => {
                release(tlsf, block);
                ptr::null_mut()
            }
            Some(block) => match tlsf.realloc(block, bytes) {
                #[cfg(not(memoman_debug))]
                Err(intercepted!()) => watched::realloc(tlsf, block, Tlsf::ALIGN, bytes),
                result => answer(tlsf, result),
            },
            None => malloc(tlsf, bytes),
        }
    }
}

/// As mm_realloc, with a result that is aligned to `align`, a power of two,
/// whether the block moves or not. `ptr` NULL: as mm_memalign. Returns NULL, and
/// leaves the block as it was, if `align` is 0 or no power of two. O(1), and the
/// copying.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc_aligned(
    allocator: *mut mm_allocator_t,
    ptr: *mut c_void,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: boundary rules.
    unsafe {
        let Some(tlsf) = instance(allocator) else {
            return ptr::null_mut();
        };
        match NonNull::new(ptr.cast()) {
            _ if !align.is_power_of_two() => ptr::null_mut(),
            Some(block) if bytes == 0 => {
                release(tlsf, block);
                ptr::null_mut()
            }
            Some(block) => match tlsf.realloc_aligned(block, align, bytes) {
                #[cfg(not(memoman_debug))]
                Err(intercepted!()) => watched::realloc(tlsf, block, align, bytes),
                result => answer(tlsf, result),
            },
            None => memalign(tlsf, align, bytes),
        }
    }
}

/// Frees a block and joins it with its free neighbours at once. `ptr` NULL:
/// nothing. Misuse that the headers show goes to the error handler. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_free(allocator: *mut mm_allocator_t, ptr: *mut c_void) {
    // SAFETY: boundary rules.
    unsafe {
        if let (Some(tlsf), Some(block)) = (instance(allocator), NonNull::new(ptr.cast())) {
            release(tlsf, block);
        }
    }
}

/// Frees a block, or reports why not.
///
/// # Safety
/// As for [`Tlsf::free`].
#[inline(always)]
unsafe fn release(tlsf: Tlsf, block: NonNull<u8>) {
    // SAFETY: the same duties.
    unsafe {
        if let Err(what) = tlsf.free(block) {
            match what {
                #[cfg(not(memoman_debug))]
                Misuse::Intercepted => watched::free(tlsf, block),
                what => misuse(tlsf, what, block.as_ptr()),
            }
        }
    }
}

/// The usable bytes of a block in use: at least what was asked for, and all of
/// them may be written. 0 for NULL, and where the header shows that no block is in
/// use. O(1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_block_size(ptr: *const c_void) -> usize {
    // SAFETY: NULL or a block (documented).
    unsafe {
        #[cfg(not(memoman_debug))]
        if watch::is_watched() {
            return watched::block_size(ptr.cast());
        }
        Tlsf::block_size(ptr.cast())
    }
}
