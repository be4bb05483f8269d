//! The small build has no observers and no cache: what `observe.rs` and `cache.rs` provide does
//! nothing.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::hooks::EventKind;
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::rust::heap::Heap;

impl Heap<'_> {
    pub(super) fn suspended<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }

    pub(super) fn changed(&self, _: EventKind, _: *mut u8, _: usize) {}

    pub(super) fn allocated(&self, refusal: Refusal, _: Layout) -> Result<NonNull<u8>, Refusal> {
        Err(refusal)
    }

    /// # Safety
    /// None: unsafe as that of `observe.rs`.
    pub(super) unsafe fn reallocated(
        &self,
        refusal: Refusal,
        _: NonNull<u8>,
        _: Layout,
    ) -> Result<NonNull<u8>, Refusal> {
        Err(refusal)
    }

    /// # Safety
    /// None: unsafe as that of `observe.rs`.
    pub(super) unsafe fn freed(
        &self,
        misuse: Misuse,
        _: NonNull<u8>,
        _: Layout,
    ) -> Result<(), Misuse> {
        Err(misuse)
    }
}

/// # Safety
/// None: unsafe as that of `cache.rs`.
pub(super) unsafe fn flush(_: Tlsf) {}

/// # Safety
/// None: unsafe as that of `cache.rs`.
pub(super) unsafe fn forget_cached(_: Tlsf) {}
