//! Both fronts of `malloc`, `memalign` and `free`: the compact one of Rust callers, and the
//! separate functions of C.

use memoman_core::{FreeBlock, Misuse, Refusal, Tlsf};
use std::ptr::NonNull;

/// The hot calls for tests.
pub(crate) trait ByTurns {
    /// Allocates through one of the fronts, chosen by the size.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn malloc_by_turns(self, bytes: usize) -> Result<NonNull<u8>, Refusal>;

    /// [`ByTurns::malloc_by_turns`] for `memalign`.
    ///
    /// # Safety
    /// The instance is live.
    unsafe fn memalign_by_turns(self, align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal>;

    /// Frees through the compact front or the separate functions, chosen by the block's address. On
    /// misuse, both are called and must report the same error.
    ///
    /// # Safety
    /// The duties of [`Tlsf::free`].
    unsafe fn free_by_turns(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse>;
}

impl ByTurns for Tlsf {
    unsafe fn malloc_by_turns(self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance (caller).
        unsafe {
            if bytes.is_multiple_of(2) {
                self.malloc(bytes)
            } else {
                malloc_separate(self, bytes)
            }
        }
    }

    unsafe fn memalign_by_turns(self, align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance (caller).
        unsafe {
            if bytes.is_multiple_of(2) {
                self.memalign(align, bytes)
            } else {
                memalign_separate(self, align, bytes)
            }
        }
    }

    #[track_caller]
    unsafe fn free_by_turns(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        let paths = if (ptr.addr().get() / Tlsf::ALIGN).is_multiple_of(2) {
            [free_compact, free_separate]
        } else {
            [free_separate, free_compact]
        };
        // SAFETY: the duties of `free` (caller); the second path runs only where the first has
        // changed nothing.
        unsafe {
            paths[0](self, ptr).inspect_err(|first| {
                let second = paths[1](self, ptr).err();
                assert_eq!(second, Some(*first), "the other path of free");
            })
        }
    }
}

/// # Safety
/// The duties of [`Tlsf::free`].
unsafe fn free_compact(tlsf: Tlsf, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
    // SAFETY: the duties of `free` (caller).
    unsafe { tlsf.free(ptr) }
}

#[cfg(memoman_small)]
use one_path::{free_separate, malloc_separate, memalign_separate};
#[cfg(not(memoman_small))]
use separate::{free_separate, malloc_separate, memalign_separate};

/// The small build has one path only.
#[cfg(memoman_small)]
mod one_path {
    use memoman_core::{FreeBlock, Misuse, Refusal, Tlsf};
    use std::ptr::NonNull;

    /// # Safety
    /// The duties of [`Tlsf::free`].
    pub(super) unsafe fn free_separate(tlsf: Tlsf, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        // SAFETY: the duties of `free` (caller).
        unsafe { tlsf.free(ptr) }
    }

    /// # Safety
    /// The instance is live.
    pub(super) unsafe fn malloc_separate(tlsf: Tlsf, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance (caller).
        unsafe { tlsf.malloc(bytes) }
    }

    /// # Safety
    /// The instance is live.
    pub(super) unsafe fn memalign_separate(
        tlsf: Tlsf,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance (caller).
        unsafe { tlsf.memalign(align, bytes) }
    }
}

#[cfg(not(memoman_small))]
mod separate {
    use memoman_core::{FreeBlock, Front, Misuse, Refusal, Tlsf};
    use std::ptr::NonNull;

    /// The front of the C functions, but for what it returns.
    struct Separate;

    impl Front for Separate {
        type Allocated = Result<NonNull<u8>, Refusal>;
        type Freed = Result<FreeBlock, Misuse>;

        const COMPACT: bool = false;

        unsafe fn allocated(_: Tlsf, result: Self::Allocated) -> Self::Allocated {
            result
        }

        unsafe fn not_searched(tlsf: Tlsf, bytes: usize) -> Self::Allocated {
            // SAFETY: live (caller).
            Err(unsafe { tlsf.refusal(bytes) })
        }

        unsafe fn not_aligned(_: Tlsf, _: usize, _: usize, refusal: Refusal) -> Self::Allocated {
            Err(refusal)
        }

        unsafe fn not_resized(_: Tlsf, _: *mut u8, _: usize) -> Self::Allocated {
            unreachable!("nothing is resized with this front")
        }

        fn freed(block: FreeBlock) -> Self::Freed {
            Ok(block)
        }

        unsafe fn not_freed(tlsf: Tlsf, ptr: *mut u8, misuse: Option<Misuse>) -> Self::Freed {
            let ptr = NonNull::new(ptr).expect("no test frees null");
            // SAFETY: the instance is live (caller).
            Err(misuse.unwrap_or_else(|| unsafe { tlsf.free_refused(ptr) }))
        }
    }

    /// # Safety
    /// The duties of [`Tlsf::free`].
    pub(super) unsafe fn free_separate(tlsf: Tlsf, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        // SAFETY: the duties of `free` (caller).
        unsafe { tlsf.free_for::<Separate>(ptr.as_ptr()) }
    }

    /// # Safety
    /// The instance is live.
    pub(super) unsafe fn malloc_separate(tlsf: Tlsf, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance (caller).
        unsafe { tlsf.malloc_for::<Separate>(bytes) }
    }

    /// # Safety
    /// The instance is live.
    pub(super) unsafe fn memalign_separate(
        tlsf: Tlsf,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance (caller).
        unsafe { tlsf.memalign_for::<Separate>(align, bytes) }
    }
}
