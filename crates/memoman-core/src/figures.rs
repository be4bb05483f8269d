//! An instance's figures, read from its counters, and its free blocks, counted.

use crate::control::Control;
use crate::instance::Tlsf;
use crate::stats::Stats;

impl Stats {
    /// The counters of an instance, with its largest request.
    #[inline(always)]
    pub(crate) fn of(control: &Control, largest: usize, cached: usize) -> Stats {
        Stats {
            pool_bytes: control.pool_bytes,
            used: control.used,
            free: control.free_bytes(),
            overhead: control.overhead,
            peak: control.peak,
            largest,
            live_blocks: control.live_blocks,
            failed_requests: control.failed_requests,
            cached,
        }
    }
}

/// Bytes of the cached blocks.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn cached(_tlsf: Tlsf) -> usize {
    #[cfg(not(memoman_small))]
    // SAFETY: live (caller).
    unsafe {
        _tlsf.cached_bytes()
    }
    #[cfg(memoman_small)]
    0
}

impl Tlsf {
    /// The present figures; O(1), with a cache O(cached blocks · pools).
    ///
    /// # Safety
    /// The instance is live.
    #[inline]
    pub unsafe fn stats(self) -> Stats {
        // SAFETY: live (caller).
        unsafe {
            let control = self.control();
            Stats::of(&*control, Control::largest(control), cached(self))
        }
    }

    /// [`Stats::pool_bytes`] alone.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn pool_bytes(self) -> usize {
        // SAFETY: live (caller).
        unsafe { (*self.control()).pool_bytes }
    }

    /// [`Stats::used`] alone.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn used_bytes(self) -> usize {
        // SAFETY: live (caller).
        unsafe { (*self.control()).used }
    }

    /// Number of free blocks, counted up to `limit`; O(limit + bins).
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn free_blocks(self, limit: usize) -> usize {
        let control = self.control();
        let mut count = 0;
        // SAFETY: live (caller): `top_bin` bounds the heads, and each link leads to a free block of
        // the instance or to the list's end (I2). A link that an overflow has overwritten is
        // followed only inside the instance's bounds.
        unsafe {
            for bin in 0..=(*control).top_bin {
                let mut block = Control::head(control, bin).read();
                // The end, the control structure, may lie between two pools.
                while count < limit
                    && block != Control::list_end(control)
                    && (*control).may_be_payload(block.addr())
                {
                    count += 1;
                    block = block.next_free();
                }
            }
        }
        count
    }
}
