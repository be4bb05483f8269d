//! An instance's pools, and giving all of their blocks up.

use memoman_core::Pool;
use memoman_core::config::QUANTUM;

use crate::block::{Block, FREED, State};
use crate::heap::{DebugTlsf, LEDGER};
use crate::quarantine::Queue;

impl DebugTlsf {
    /// [`memoman_core::Tlsf::first_pool`].
    ///
    /// # Safety
    /// As for it.
    pub unsafe fn first_pool(self) -> Option<Pool> {
        // SAFETY: the same duties.
        unsafe { self.inner().first_pool() }
    }

    /// [`memoman_core::Tlsf::next_pool`].
    ///
    /// # Safety
    /// As for it.
    pub unsafe fn next_pool(self, pool: Pool) -> Option<Pool> {
        // SAFETY: the same duties.
        unsafe { self.inner().next_pool(pool) }
    }

    /// [`memoman_core::Tlsf::pool_of`].
    ///
    /// # Safety
    /// As for it.
    pub unsafe fn pool_of(self, ptr: *const u8) -> Option<Pool> {
        // SAFETY: the same duties.
        unsafe { self.inner().pool_of(ptr) }
    }

    /// [`memoman_core::Tlsf::add_pool`]; the region must hold one smallest block of this layer.
    ///
    /// # Safety
    /// As for it.
    pub unsafe fn add_pool(self, mem: *mut u8, bytes: usize) -> Option<Pool> {
        let end = mem.addr().checked_add(bytes)?;
        let skip = mem.addr().wrapping_neg() & (QUANTUM - 1);
        let region = (end & !(QUANTUM - 1)).checked_sub(mem.addr().checked_add(skip)?)?;
        if region < Self::POOL_OVERHEAD + Self::BLOCK_SIZE_MIN
            || self.overlaps_ledger(mem.addr(), end)
        {
            return None;
        }
        // SAFETY: the same duties.
        unsafe { self.inner().add_pool(mem, bytes) }
    }

    fn overlaps_ledger(self, start: usize, end: usize) -> bool {
        let ledger = self.ledger.as_ptr().addr();
        start < ledger + LEDGER && ledger < end
    }

    /// [`memoman_core::Tlsf::extend_pool`].
    ///
    /// # Safety
    /// As for it.
    pub unsafe fn extend_pool(self, pool: Pool, more: usize) -> bool {
        // SAFETY: a live pool (caller). Its end is known rounded down: up to a quantum is added.
        unsafe {
            let (start, bytes) = pool.memory();
            let end = start.addr().wrapping_add(bytes);
            let Some(new_end) = end.checked_add(more) else {
                return false;
            };
            !self.overlaps_ledger(end, new_end) && self.inner().extend_pool(pool, more)
        }
    }

    /// [`memoman_core::Tlsf::remove_pool`]. Drain the quarantine first: a block in it is in use for the core.
    ///
    /// # Safety
    /// As for it.
    pub unsafe fn remove_pool(self, mem_or_pool: *mut u8) -> bool {
        // SAFETY: the same duties.
        unsafe { self.inner().remove_pool(mem_or_pool) }
    }

    /// [`memoman_core::Tlsf::reset`]. Drain the quarantine first, to have it verified. All blocks are filled with [`FREED`]; O(blocks).
    ///
    /// # Safety
    /// As for it.
    pub unsafe fn reset(self) -> bool {
        // SAFETY: the same duties; with sound pools a walk stays inside them.
        unsafe {
            if let Some(found) = self.inner().diagnose()
                && found.invariant == memoman_core::Invariant::Placement
            {
                return false;
            }
            let mut next = self.first_pool();
            while let Some(pool) = next {
                pool.walk(&mut |base, usable, used| {
                    let block = Block::inside(base.as_ptr(), usable);
                    if used && block.state().is_some() && block.fits(base.as_ptr(), usable) {
                        block.fill(FREED);
                        block.set_freed(State::Released, self.site);
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
