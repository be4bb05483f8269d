//! Dispatch of the hot calls. `malloc`, `free` and `realloc` are each written once, generic over a
//! [`Front`], which decides what they return: a `Result` to Rust callers, a pointer or nothing to
//! C.
//!
//! The fast path of a call is compiled into its caller and needs no stack frame. Every other path
//! is a function of its own, never inlined, whose arguments are in the registers where the fast
//! path has them, so that the fast path reaches it by a jump.

use core::ptr::NonNull;

use crate::block::{Block, FreeBlock};
use crate::config::QUANTUM;
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::returned::explain;

/// What the hot calls return, and what they do when they find no block, no room, or misuse.
pub trait Front {
    /// The result of `malloc` and `realloc`.
    type Allocated;
    /// The result of `free`.
    type Freed;

    /// True: one function searches for every size and alignment, and one merges a freed block with
    /// free neighbours of every kind. False: each kind has its own function, which is faster and
    /// takes more code.
    const COMPACT: bool;

    /// Ends a call that allocates or resizes.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn allocated(tlsf: Tlsf, result: Result<NonNull<u8>, Refusal>) -> Self::Allocated;

    /// Ends `malloc` without a search: the request is zero or beyond the instance's largest, or
    /// the instance is intercepted.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn not_searched(tlsf: Tlsf, bytes: usize) -> Self::Allocated;

    /// Ends `memalign` without a search: the alignment is invalid, the request is zero or beyond
    /// the instance's largest, or the instance is intercepted.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn not_aligned(
        tlsf: Tlsf,
        align: usize,
        bytes: usize,
        refusal: Refusal,
    ) -> Self::Allocated;

    /// Ends `realloc` with nothing changed: the pointer is null or misused, the request is zero or
    /// beyond the instance's largest, or the instance is intercepted.
    ///
    /// # Safety
    /// The instance is live. On success `ptr`, unless null, is given up.
    unsafe fn not_resized(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> Self::Allocated;

    /// Ends `free` of a live block.
    fn freed(block: FreeBlock) -> Self::Freed;

    /// Ends `free` of an address outside the pools' bounds, null among them, or the instance is
    /// intercepted.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    unsafe fn not_inside(tlsf: Tlsf, ptr: *mut u8) -> Self::Freed {
        // SAFETY: the duties of the caller.
        unsafe { Self::not_freed(tlsf, ptr, None) }
    }

    /// Ends `free` with nothing changed: the pointer is null or misused, or the instance is
    /// intercepted. `misuse` is the misuse found; None leaves that to [`Tlsf::free_refused`].
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn not_freed(tlsf: Tlsf, ptr: *mut u8, misuse: Option<Misuse>) -> Self::Freed;
}

/// The front of Rust callers: every result and every error is returned.
pub(crate) struct Returned;

impl Front for Returned {
    type Allocated = Result<NonNull<u8>, Refusal>;
    type Freed = Result<FreeBlock, Misuse>;

    const COMPACT: bool = true;

    #[inline(always)]
    unsafe fn allocated(_: Tlsf, result: Self::Allocated) -> Self::Allocated {
        result
    }

    #[inline(always)]
    unsafe fn not_searched(tlsf: Tlsf, bytes: usize) -> Self::Allocated {
        // SAFETY: live (caller).
        Err(unsafe { tlsf.refusal(bytes) })
    }

    #[inline(always)]
    unsafe fn not_aligned(_: Tlsf, _: usize, _: usize, refusal: Refusal) -> Self::Allocated {
        Err(refusal)
    }

    #[inline(always)]
    unsafe fn not_resized(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> Self::Allocated {
        // SAFETY: the instance is live and `ptr` given up on success (caller); `Tlsf::realloc`, the
        // only path here, takes a pointer that is not null.
        unsafe { tlsf.realloc_aligned(NonNull::new_unchecked(ptr), QUANTUM, bytes) }
    }

    #[inline(always)]
    fn freed(block: FreeBlock) -> Self::Freed {
        Ok(block)
    }

    #[inline(always)]
    unsafe fn not_freed(tlsf: Tlsf, ptr: *mut u8, misuse: Option<Misuse>) -> Self::Freed {
        // SAFETY: the instance is live, and memory between its pools may be read (caller).
        Err(misuse.unwrap_or_else(|| unsafe { explain(tlsf.control(), Block::returned(ptr)) }))
    }
}
