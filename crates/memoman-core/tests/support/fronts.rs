//! Both fronts of `free`: the compact one of Rust callers, and the separate functions of C.

use memoman_core::{FreeBlock, Misuse, Tlsf};
use std::ptr::NonNull;

/// [`Tlsf::free`] for tests.
pub(crate) trait Free {
    /// Frees through the compact front or the separate functions, chosen by the block's address. On
    /// misuse, both are called and must report the same error.
    ///
    /// # Safety
    /// The duties of [`Tlsf::free`].
    unsafe fn free_by_turns(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse>;
}

impl Free for Tlsf {
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

/// The small build has one path only.
///
/// # Safety
/// The duties of [`Tlsf::free`].
#[cfg(memoman_small)]
unsafe fn free_separate(tlsf: Tlsf, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
    // SAFETY: the duties of `free` (caller).
    unsafe { tlsf.free(ptr) }
}

#[cfg(not(memoman_small))]
use separate::free_separate;

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

        unsafe fn not_searched(_: Tlsf, _: usize, refusal: Refusal) -> Self::Allocated {
            Err(refusal)
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
}
