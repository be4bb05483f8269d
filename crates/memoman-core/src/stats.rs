//! What the counters say; all of it O(1).

use crate::control::Control;
use crate::instance::Tlsf;

/// An instance's figures, in bytes unless the name says otherwise. Always `used + free + overhead == pool_bytes`.
///
/// ```
/// # use memoman_core::Heap;
/// # use std::{alloc::Layout, mem::MaybeUninit};
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// # let heap = Heap::new(&mut memory).unwrap();
/// let largest = heap.stats().largest;
/// // No more than that fits, and that fits.
/// assert!(heap.allocate(Layout::array::<u8>(largest + 1).unwrap()).is_err());
/// assert!(heap.allocate(Layout::array::<u8>(largest).unwrap()).is_ok());
/// assert_eq!(heap.stats().failed_requests, 1);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// All pools, each between its rounded bounds.
    pub pool_bytes: usize,
    /// What live blocks take, headers included.
    pub used: usize,
    /// What free blocks take, headers included.
    pub free: usize,
    /// What the pools take for themselves.
    pub overhead: usize,
    /// The highest `used` since creation or reset.
    pub peak: usize,
    /// The greatest request that can succeed now.
    pub largest: usize,
    /// Blocks in use.
    pub live_blocks: usize,
    /// Requests refused for want of memory.
    pub failed_requests: usize,
}

impl Tlsf {
    /// The figures of now; O(1).
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn stats(self) -> Stats {
        // SAFETY: live (caller).
        let (control, largest) = unsafe { (&*self.control(), Control::largest(self.control())) };
        Stats {
            pool_bytes: control.pool_bytes,
            used: control.used,
            free: control.free_bytes(),
            overhead: control.overhead,
            peak: control.peak,
            largest,
            live_blocks: control.live_blocks,
            failed_requests: control.failed_requests,
        }
    }
}
