//! Quarantine: freed blocks are held back, first in first out, so that writes after free are
//! detected.
//!
//! The queue is linked through the blocks' records; its ends and sums are in the ledger. For the
//! core, a block is in use until it leaves.

use core::ptr;

use memoman_core::Pool;

use crate::block::{Block, FREED, State, non_null};
use crate::fault::{Fault, Kind};
use crate::heap::{DebugTlsf, Freed};
use crate::ledger::{QUARANTINE_BLOCKS, QUARANTINE_BYTES, QUARANTINE_ONE, Queue};

/// Without a layer above that adds pools, the quarantine holds at most this part of the pools.
const PART: usize = 4;

impl DebugTlsf {
    /// The most bytes in quarantine, and of one block there. Where pools are added, a part of them
    /// is no measure: a young process has few. One block does not evict all others.
    unsafe fn limits(self) -> (usize, usize) {
        // SAFETY: live (caller).
        unsafe {
            if (*self.ledger()).grows != 0 {
                (QUARANTINE_BYTES, QUARANTINE_ONE)
            } else {
                let limit = QUARANTINE_BYTES.min(self.inner().stats().pool_bytes / PART);
                (limit, limit.min(QUARANTINE_ONE))
            }
        }
    }

    /// The quarantine has a place for this block.
    pub(crate) unsafe fn quarantines(self, block: Block) -> bool {
        // SAFETY: live instance and block (caller).
        unsafe { Self::taken(block) <= self.limits().1 }
    }

    /// Puts a tested live block into quarantine or, when it is too large for that, frees it in the
    /// core.
    ///
    /// Older blocks leave first: a fault of one of them leaves this one unchanged.
    pub(crate) unsafe fn retire(self, block: Block) -> Result<Freed, Fault> {
        // SAFETY: live instance and block (caller).
        unsafe {
            let bytes = Self::taken(block);
            let (limit, most) = self.limits();
            if bytes > most {
                let freed = self.release(block)?;
                self.count(-1, bytes.wrapping_neg());
                return Ok(Freed(freed));
            }
            let queue = &raw mut (*self.ledger()).queue;
            let mut emptied = None;
            while emptied.is_none()
                && ((*queue).bytes + bytes > limit || (*queue).blocks >= QUARANTINE_BLOCKS)
            {
                emptied = self.evict()?;
            }
            block.fill(FREED);
            block.set_next(ptr::null_mut());
            block.set_freed(State::Quarantined, Some(&self.calls()));
            match (*queue).blocks {
                0 => (*queue).first = block.payload(),
                _ => Block::at((*queue).last).set_next(block.payload()),
            }
            (*queue).last = block.payload();
            (*queue).blocks += 1;
            (*queue).bytes += bytes;
            self.count(-1, bytes.wrapping_neg());
            Ok(Freed(emptied))
        }
    }

    /// Frees a block in the core; returns the pool if no block of it is in use any more.
    unsafe fn release(self, block: Block) -> Result<Option<Pool>, Fault> {
        // SAFETY: a tested block (caller). After the core's free, the record (except its first two
        // words) and the contents lie inside a free block, apart from its links and ghost.
        unsafe {
            let fault = |misuse| Fault::new(Kind::Core(misuse), block.payload(), block.known());
            let base = non_null(block.base()).ok_or(fault(memoman_core::Misuse::NotABlock))?;
            let freed = self.inner().free(base).map_err(fault)?;
            if block.state() == Some(State::Live) {
                block.fill(FREED);
                block.set_freed(State::Released, Some(&self.calls()));
            } else {
                block.set_freed(State::Released, None);
            }
            Ok(self.inner().emptied_pool(freed))
        }
    }

    /// Releases the oldest block. Returns its fault, if it was written to.
    unsafe fn evict(self) -> Result<Option<Pool>, Fault> {
        // SAFETY: live (caller); the block is tested before its link is followed.
        unsafe {
            let queue = &raw mut (*self.ledger()).queue;
            let block = Block::at((*queue).first);
            if let Err(fault) = self.holds(block, State::Quarantined) {
                // The rest of the queue cannot be found: its blocks stay out of use.
                (*queue) = Queue::EMPTY;
                return Err(fault);
            }
            let (bytes, fault) = (Self::taken(block), block.intact());
            (*queue).first = block.next();
            (*queue).blocks -= 1;
            (*queue).bytes = (*queue).bytes.saturating_sub(bytes);
            let emptied = self.release(block);
            fault.and(emptied)
        }
    }

    /// Releases all blocks; true if there was one. On a fault, those after the faulty one stay in
    /// quarantine.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn drain(self) -> Result<bool, Fault> {
        let mut any = false;
        // SAFETY: live (caller).
        unsafe {
            while (*self.ledger()).queue.blocks > 0 {
                self.evict()?;
                any = true;
            }
        }
        Ok(any)
    }
}
