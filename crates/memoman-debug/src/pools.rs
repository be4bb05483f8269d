//! An instance's pools, and reset.

use memoman_core::Pool;
use memoman_core::config::QUANTUM;

use crate::block::{Block, FREED, State};
use crate::heap::DebugTlsf;
use crate::ledger::{LEDGER, Queue};

impl DebugTlsf {
    /// `Tlsf::first_pool`.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn first_pool(self) -> Option<Pool> {
        // SAFETY: live (caller).
        unsafe { self.inner().first_pool() }
    }

    /// `Tlsf::next_pool`.
    ///
    /// # Safety
    /// The instance is live, and `pool` is a pool of it.
    pub unsafe fn next_pool(self, pool: Pool) -> Option<Pool> {
        // SAFETY: live instance and pool (caller).
        unsafe { self.inner().next_pool(pool) }
    }

    /// `Tlsf::pool_of`.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn pool_of(self, ptr: *const u8) -> Option<Pool> {
        // SAFETY: live (caller).
        unsafe { self.inner().pool_of(ptr) }
    }

    /// `Tlsf::add_pool`; None too when the region does not hold one block of this
    /// layer.
    ///
    /// # Safety
    /// The duties of `Tlsf::add_pool`.
    pub unsafe fn add_pool(self, mem: *mut u8, bytes: usize) -> Option<Pool> {
        let end = mem.addr().checked_add(bytes)?;
        let skip = mem.addr().wrapping_neg() & (QUANTUM - 1);
        let region = (end & !(QUANTUM - 1)).checked_sub(mem.addr().checked_add(skip)?)?;
        if region < Self::POOL_OVERHEAD + Self::BLOCK_SIZE_MIN
            || self.overlaps_ledger(mem.addr(), end)
        {
            return None;
        }
        // SAFETY: live instance; the region may be written and is given to it (caller).
        unsafe { self.inner().add_pool(mem, bytes) }
    }

    fn overlaps_ledger(self, start: usize, end: usize) -> bool {
        let ledger = self.ledger.as_ptr().addr();
        start < ledger + LEDGER && ledger < end
    }

    /// `Tlsf::extend_pool`.
    ///
    /// # Safety
    /// The duties of `Tlsf::extend_pool`.
    pub unsafe fn extend_pool(self, pool: Pool, more: usize) -> bool {
        // SAFETY: live instance and pool (caller). `end` is the pool's end rounded down by less
        // than a quantum.
        unsafe {
            let (start, bytes) = pool.memory();
            let end = start.addr().wrapping_add(bytes);
            let Some(new_end) = end.checked_add(more) else {
                return false;
            };
            !self.overlaps_ledger(end, new_end) && self.inner().extend_pool(pool, more)
        }
    }

    /// `Tlsf::remove_pool`. Drain the quarantine first: its blocks are in use for
    /// the core.
    ///
    /// # Safety
    /// The duties of `Tlsf::remove_pool`.
    pub unsafe fn remove_pool(self, mem_or_pool: *mut u8) -> bool {
        // SAFETY: live (caller).
        unsafe { self.inner().remove_pool(mem_or_pool) }
    }

    /// `Tlsf::reset`; fills all blocks with [`FREED`]. It does not test the
    /// quarantine: drain that first. O(blocks).
    ///
    /// # Safety
    /// The duties of `Tlsf::reset`.
    pub unsafe fn reset(self) -> bool {
        // SAFETY: live; its blocks are given up (caller). A walk stays inside the pools, whose
        // headers are validated.
        unsafe {
            if let Some(found) = self.inner().diagnose()
                && found.invariant == memoman_core::Invariant::Placement
            {
                return false;
            }
            let calls = self.calls();
            let mut next = self.first_pool();
            while let Some(pool) = next {
                pool.walk(&mut |base, usable, used| {
                    let block = Block::inside(base.as_ptr(), usable);
                    if used && block.state().is_some() && block.fits(base.as_ptr(), usable) {
                        block.fill(FREED);
                        block.set_freed(State::Released, Some(&calls));
                    }
                });
                next = self.next_pool(pool);
            }
            let ledger = &mut *self.ledger();
            ledger.queue = Queue::EMPTY;
            (ledger.live, ledger.used, ledger.peak) = (0, 0, 0);
            self.inner().reset()
        }
    }
}
