//! How a hot call ends. `malloc`, `free` and `realloc` are written once, generic over a front: Rust
//! takes a `Result`, the C functions return at once what C expects.
//!
//! The first way of each call is compiled into its caller and has neither frame nor call. What it
//! does not serve goes on in a function that is never inlined and takes the same registers, so that
//! the first way ends in a jump.

use core::ptr::NonNull;

use crate::block::{Block, FreeBlock};
use crate::config::QUANTUM;
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::returned::explain;

/// What the hot calls return, and what they do where they find no block, no room, or misuse.
pub trait Front {
    /// The outcome of `malloc` and `realloc`.
    type Allocated;
    /// The outcome of `free`.
    type Freed;

    /// One function of `free` serves every kind of free neighbours. False: each kind has its own,
    /// which is faster and larger.
    const COMPACT: bool;

    /// The end of a call that allocates or resizes.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn allocated(tlsf: Tlsf, result: Result<NonNull<u8>, Refusal>) -> Self::Allocated;

    /// The end of `malloc` for a request that is zero, beyond the instance's greatest, or made while
    /// the instance is intercepted: nothing was searched.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn not_searched(tlsf: Tlsf, bytes: usize, refusal: Refusal) -> Self::Allocated;

    /// `realloc` of null, to zero or beyond the greatest request, of a misused pointer, or while the
    /// instance is intercepted. Nothing has been changed.
    ///
    /// # Safety
    /// As for [`Tlsf::realloc`]; `ptr` may be null.
    unsafe fn not_resized(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> Self::Allocated;

    /// The end of `free`.
    fn freed(block: FreeBlock) -> Self::Freed;

    /// `free` of null, of a misused pointer, or while the instance is intercepted. Nothing has been
    /// changed. `misuse` is what was found; None: [`Tlsf::free_refused`] finds it.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; `ptr` may be null.
    unsafe fn not_freed(tlsf: Tlsf, ptr: *mut u8, misuse: Option<Misuse>) -> Self::Freed;
}

/// The front of Rust callers: every outcome is returned.
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
    unsafe fn not_searched(_: Tlsf, _: usize, refusal: Refusal) -> Self::Allocated {
        Err(refusal)
    }

    #[inline(always)]
    unsafe fn not_resized(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> Self::Allocated {
        // SAFETY: the instance is live, and Rust callers pass no null (caller).
        unsafe { tlsf.realloc_aligned(NonNull::new_unchecked(ptr), QUANTUM, bytes) }
    }

    #[inline(always)]
    fn freed(block: FreeBlock) -> Self::Freed {
        Ok(block)
    }

    #[inline(always)]
    unsafe fn not_freed(tlsf: Tlsf, ptr: *mut u8, misuse: Option<Misuse>) -> Self::Freed {
        // SAFETY: the instance is live (caller).
        Err(misuse.unwrap_or_else(|| unsafe { explain(tlsf.control(), Block::at(ptr)) }))
    }
}
