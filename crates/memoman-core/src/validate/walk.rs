//! The walk over the blocks of a pool: I4 to I7 at each block, from the pool's start to its
//! sentinel.

use super::violation::{Checked, Invariant, broken};
use crate::block::{Block, Header};
use crate::config::BLOCK_MIN;
use crate::control::Control;
use crate::pool::Pool;

/// What a walk knows of the previous block.
#[derive(Clone, Copy)]
pub(crate) enum Before {
    /// In use, or the pool's start.
    Used,
    /// Free, at this place.
    Free(Block),
    /// Not seen: the walk resumes at a saved place.
    Unseen,
}

#[cfg(test)]
std::thread_local! {
    /// Turns left for the loops of validation on this thread.
    pub(crate) static TURNS_LEFT: core::cell::Cell<usize> =
        const { core::cell::Cell::new(usize::MAX) };
}

/// Counts one turn of a loop in tests, which bound their number; nothing in other builds.
#[inline(always)]
pub(crate) fn turn() {
    #[cfg(test)]
    TURNS_LEFT.with(|left| left.set(left.get().checked_sub(1).expect("validation does not end")));
}

/// I4, I5, I6 and I7 at one block; returns its header.
///
/// # Safety
/// `pool` is validated, and the walk from its start reaches `block`.
#[inline(never)]
pub(crate) unsafe fn check_block(
    cookie: usize,
    pool: Pool,
    block: Block,
    before: Before,
) -> Checked<Header> {
    // SAFETY: `block` is between the pool's first block and its sentinel (caller), so its header is
    // inside the pool; the ghost is read only when PREV_FREE is set.
    unsafe {
        let fail = |invariant| broken(invariant, block.payload(), Some(pool));
        let header = block.header(cookie);
        let size = header.size();
        let left = pool.end() - block.addr();
        let tiles = if left == 0 {
            header.is_sentinel() && !header.is_free() && size == block.addr() - pool.start()
        } else {
            let marked = header.is_sentinel() && !(*pool.control()).has_cache();
            !marked && size >= BLOCK_MIN && size <= left
        };
        if !tiles || !header.is_sealed() || header.has_stray_bits() {
            return fail(Invariant::Tiling);
        }
        let prev_free = match before {
            Before::Used => false,
            Before::Free(_) => true,
            Before::Unseen => header.is_prev_free(),
        };
        if prev_free && header.is_free() {
            return fail(Invariant::Coalesced);
        }
        if header.is_prev_free() != prev_free {
            return fail(Invariant::PrevPhys);
        }
        if prev_free {
            let ghost = block.prev_phys();
            let truthful = match before {
                Before::Free(prev) => ghost == prev,
                _ => {
                    ghost.is_aligned()
                        && ghost.addr() >= pool.first_block().addr()
                        && ghost.addr() < block.addr()
                        && ghost.header(cookie) == Header::free(block.addr() - ghost.addr())
                }
            };
            if !truthful {
                return fail(Invariant::PrevPhys);
            }
        }
        Ok(header)
    }
}

/// Walks a pool from its start to its sentinel; checks each block and calls `visit` with it.
///
/// # Safety
/// The control structure and the pool are validated.
pub(crate) unsafe fn walk_pool(
    control: *mut Control,
    pool: Pool,
    mut visit: impl FnMut(Block, Header) -> Checked,
) -> Checked {
    // SAFETY: the pool is validated (caller); each block is reached through validated sizes.
    unsafe {
        let cookie = (*control).cookie;
        let end = pool.end();
        let mut block = pool.first_block();
        let mut before = Before::Used;
        loop {
            turn();
            let header = check_block(cookie, pool, block, before)?;
            if block.addr() == end {
                return Ok(());
            }
            visit(block, header)?;
            before = if header.is_free() {
                Before::Free(block)
            } else {
                Before::Used
            };
            block = block.offset(header.size());
        }
    }
}
