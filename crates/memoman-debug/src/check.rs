//! The tests of a pointer that the program returns, and validation.

use core::ptr::NonNull;

use memoman_core::config::QUANTUM;
use memoman_core::{Cursor, Misuse, Pool, Step as CoreStep, Tlsf};

use crate::block::{Block, By, GUARD, PREFIX, State};
use crate::fault::{Fault, Kind, Step, Violation};
use crate::heap::DebugTlsf;

impl DebugTlsf {
    /// The live block at a pointer that the program returns; O(pools), and O(blocks) when there is
    /// none.
    pub(crate) unsafe fn live(self, ptr: *mut u8) -> Result<Block, Fault> {
        let block = Block::at(ptr);
        // SAFETY: live instance (caller).
        unsafe {
            self.holds(block, State::Live)?;
            block.intact()?;
            // The core's tests: the block's header and the next one.
            let probed = NonNull::new(block.base()).map(|base| self.inner().probe(base));
            if let Some(Err(misuse)) = probed {
                return Err(Fault::new(Kind::Core(misuse), ptr, block.known()));
            }
            // The next header is where this size leads.
            block.slack_intact(Tlsf::block_size(block.base()))?;
        }
        Ok(block)
    }

    /// [`DebugTlsf::live`] for a function that is named.
    pub(crate) unsafe fn live_for(self, ptr: *mut u8, by: By) -> Result<Block, Fault> {
        // SAFETY: live instance (caller); the record of a live block may be read.
        unsafe {
            let block = self.live(ptr)?;
            match block.mismatch(by) {
                None => Ok(block),
                Some(kind) => Err(Fault::new(kind, ptr, block.known())),
            }
        }
    }

    /// A block in this state lies here; its record is sealed and fits its pool. Reads only the
    /// pools.
    pub(crate) unsafe fn holds(self, block: Block, wanted: State) -> Result<(), Fault> {
        let ptr = block.payload();
        // SAFETY: live instance (caller); every word read lies in a pool.
        unsafe {
            let Some(pool) = self.pool_of(ptr) else {
                // The cause may be an overwritten list of pools.
                return Err(match self.inner().diagnose().map(Violation::from) {
                    Some(found) if found.invariant.number() == 7 => found.fault,
                    _ => Fault::new(Kind::Core(Misuse::Foreign), ptr, None),
                });
            };
            let (start, bytes) = pool.memory();
            let offset = ptr.addr() - start.addr();
            if !ptr.addr().is_multiple_of(QUANTUM) {
                let known = self.owner(pool, ptr).and_then(|owner| owner.known());
                return Err(Fault::new(Kind::Core(Misuse::Misaligned), ptr, known));
            }
            if offset < PREFIX + memoman_core::config::HEADER {
                return Err(Fault::new(Kind::Core(Misuse::NotABlock), ptr, None));
            }
            let Some(state) = block.state() else {
                return Err(self.explain(pool, ptr));
            };
            // A sealed record lies in its pool, unless the memory has been reused since.
            if state == wanted
                && block.lead() <= offset
                && block.size() <= bytes - offset
                && bytes - offset - block.size() >= GUARD
            {
                return Ok(());
            }
            let kind = Kind::Core(if state == State::Live {
                Misuse::NotABlock
            } else {
                Misuse::DoubleFree
            });
            Err(Fault::new(kind, ptr, block.known()))
        }
    }

    /// The fault of a pointer into a pool that has no sealed record before it.
    unsafe fn explain(self, pool: Pool, ptr: *mut u8) -> Fault {
        // SAFETY: live instance and pool (caller).
        unsafe {
            match self.owner(pool, ptr) {
                Some(owner) if owner.payload() == ptr => Fault::new(Kind::Record, ptr, None),
                Some(owner) => Fault::new(Kind::Core(Misuse::NotABlock), ptr, owner.known()),
                None => {
                    // Free memory: the core's header may still show that a block was freed here.
                    let base = NonNull::new(ptr.wrapping_sub(PREFIX));
                    let said = base.map(|base| self.inner().probe(base));
                    let misuse = match said {
                        Some(Err(Misuse::DoubleFree)) => Misuse::DoubleFree,
                        _ => Misuse::NotABlock,
                    };
                    Fault::new(Kind::Core(misuse), ptr, None)
                }
            }
        }
    }

    /// The block whose block of the core contains `ptr`.
    unsafe fn owner(self, pool: Pool, ptr: *const u8) -> Option<Block> {
        let mut found = None;
        // SAFETY: a live pool (caller); the walk ends at a broken header.
        unsafe {
            pool.walk(&mut |base, usable, used| {
                if used
                    && (base.as_ptr().addr()..base.as_ptr().addr() + usable).contains(&ptr.addr())
                {
                    found = Some(Block::inside(base.as_ptr(), usable));
                }
            });
        }
        found
    }

    /// The first broken invariant: of guards, fill and records, then of the core. O(blocks) and the
    /// bytes in quarantine. This layer's come first because they name a block: an overflow breaks
    /// headers too.
    ///
    /// # Safety
    /// The duties of `Tlsf::diagnose`.
    pub unsafe fn diagnose(self) -> Option<Violation> {
        // SAFETY: the instance's memory may be read (caller); pools are walked after the core has
        // validated them.
        unsafe {
            let core = self.inner().diagnose();
            let core = core.map(Violation::from);
            if core.is_some_and(|found| found.invariant.number() == 7) {
                return core;
            }
            let (mut live, mut used) = (0, 0);
            let mut pool = self.first_pool();
            while let Some(this) = pool {
                let found = check_blocks(this, &mut |block| {
                    live += 1;
                    used += Self::taken(block);
                });
                if found.is_some() {
                    return found;
                }
                pool = self.next_pool(this);
            }
            let ledger = &*self.ledger();
            if core.is_none() && (ledger.live, ledger.used) != (live, used) {
                return Some(Violation::from(memoman_core::Violation {
                    invariant: memoman_core::Invariant::Counters,
                    address: self.ledger().cast_const().cast(),
                    pool: None,
                }));
            }
            core
        }
    }

    /// [`DebugTlsf::diagnose`] for one pool.
    ///
    /// # Safety
    /// The duties of `Tlsf::diagnose_pool`.
    pub unsafe fn diagnose_pool(pool: Pool) -> Option<Violation> {
        // SAFETY: the pool's memory may be read (caller); it is walked after the core has validated
        // it.
        unsafe {
            let core = Tlsf::diagnose_pool(pool).map(Violation::from);
            if core.is_some_and(|found| found.invariant.number() == 7) {
                return core;
            }
            check_blocks(pool, &mut |_| {}).or(core)
        }
    }

    /// `Tlsf::validate_step`: the core's invariants only. [`DebugTlsf::diagnose`] tests guards
    /// and fill.
    ///
    /// # Safety
    /// The duties of `Tlsf::validate_step`.
    pub unsafe fn validate_step(self, cursor: &mut Cursor, max_blocks: usize) -> Step {
        // SAFETY: readable memory, a cursor of this instance (caller).
        match unsafe { self.inner().validate_step(cursor, max_blocks) } {
            CoreStep::More => Step::More,
            CoreStep::Sound => Step::Sound,
            CoreStep::Broken(found) => Step::Broken(found.into()),
        }
    }

    /// Calls `f` with the record of each live block; O(blocks).
    ///
    /// # Safety
    /// The instance is live, and `f` makes no call on it.
    pub unsafe fn live_blocks(self, f: &mut dyn FnMut(crate::Known)) {
        // SAFETY: live (caller).
        unsafe {
            let mut pool = self.first_pool();
            while let Some(this) = pool {
                this.walk(&mut |base, usable, used| {
                    let block = Block::inside(base.as_ptr(), usable);
                    if used
                        && let Some(known) = block.known()
                        && !known.is_freed
                    {
                        f(known);
                    }
                });
                pool = self.next_pool(this);
            }
        }
    }
}

/// Tests the records, guards and fills of a pool's blocks; calls `live` with each live one.
unsafe fn check_blocks(pool: Pool, live: &mut dyn FnMut(Block)) -> Option<Violation> {
    let mut fault = None;
    // SAFETY: a validated pool (caller); the walk ends at a broken header, and a block is read only
    // inside its block of the core.
    unsafe {
        pool.walk(&mut |base, usable, used| {
            if !used || fault.is_some() {
                return;
            }
            let block = Block::inside(base.as_ptr(), usable);
            let state = block.state();
            if state == Some(State::Released) {
                // Freed beside a broken neighbour: the core refused it.
                return;
            }
            if state == Some(State::Live) {
                live(block);
            }
            fault = if state.is_some() && block.fits(base.as_ptr(), usable) {
                let slack = match state {
                    Some(State::Live) => block.slack_intact(usable),
                    _ => Ok(()),
                };
                block.intact().and(slack).err()
            } else {
                Some(Fault::new(Kind::Record, block.payload(), None))
            };
        });
    }
    fault.map(|fault| Violation::of(fault, pool))
}
