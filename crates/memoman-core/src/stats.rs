//! What the counters say; all of it O(1).

use crate::control::Control;
use crate::tlsf::Tlsf;

/// An instance's figures, in bytes unless the name says otherwise. Always `used + free + overhead == pool_bytes`.
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
