//! Validation in bounded steps, between which the allocator may go on working.

use core::ffi::c_void;
use core::ptr;

use crate::block::Block;
use crate::check::{
    Before, Violation, check_bitmaps, check_block, check_control, check_links, check_pools,
};
use crate::config::BLOCK_MIN;
use crate::pool::Pool;
use crate::tlsf::Tlsf;

/// Where stepwise validation goes on. All zero: at the start.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    /// The pool; null at the start.
    pool: *mut c_void,
    /// A block that was in use when the last step ended, or the pool's first one.
    block: *mut c_void,
    /// The instance's resets so far: a reset leaves headers of forgotten blocks behind, which look as if in use.
    resets: usize,
    /// For later use; zero.
    reserved: usize,
}

impl Cursor {
    /// The start of the heap.
    pub const START: Cursor = Cursor {
        pool: ptr::null_mut(),
        block: ptr::null_mut(),
        resets: 0,
        reserved: 0,
    };
}

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sound so far; the heap is not covered yet.
    More,
    /// Sound, and the last block has been seen. The cursor is at the start again.
    Sound,
    /// Broken. The cursor is at the start again.
    Broken(Violation),
}

impl Tlsf {
    /// Checks the control structure, the pools' headers and up to `max_blocks` blocks (at least one) with their links,
    /// and remembers in `cursor` where to go on; O(bins + max_blocks · pools).
    ///
    /// Between two steps the allocator may be used in any way. The cursor rests on a block that was in use; if that
    /// has been freed, its pool is begun again. I8 and unlisted rings need the whole heap at once: [`Tlsf::diagnose`].
    ///
    /// # Safety
    /// As for [`Tlsf::diagnose`]; `cursor` is all zero or was written by this method for this instance.
    pub unsafe fn validate_step(self, cursor: &mut Cursor, max_blocks: usize) -> Step {
        // SAFETY: the caller's duty.
        match unsafe { self.step(cursor, max_blocks.max(1)) } {
            Ok(false) => Step::More,
            Ok(true) => {
                *cursor = Cursor::START;
                Step::Sound
            }
            Err(violation) => {
                *cursor = Cursor::START;
                Step::Broken(violation)
            }
        }
    }

    /// True when the whole heap has been covered.
    unsafe fn step(self, cursor: &mut Cursor, max_blocks: usize) -> Result<bool, Violation> {
        let control = self.control();
        // SAFETY: each check proves what the next one follows.
        unsafe {
            check_control(control)?;
            check_pools(control)?;
            check_bitmaps(control)?;
            let cookie = (*control).cookie;
            let Some((mut pool, mut block, mut before)) = self.resume(cursor) else {
                return Ok(true);
            };
            let mut left = max_blocks;
            loop {
                let header = check_block(cookie, pool, block, before)?;
                if block.addr() == pool.end() {
                    let Some(next) = pool.next() else {
                        return Ok(true);
                    };
                    pool = next;
                    block = pool.first_block();
                    before = Before::Used;
                } else {
                    if header.is_free() {
                        check_links(control, pool, block, header)?;
                        before = Before::Free(block);
                    } else {
                        before = Before::Used;
                    }
                    block = block.offset(header.size());
                    left = left.saturating_sub(1);
                }
                if left > 0 {
                    continue;
                }
                // Rest before a block in use (or a sentinel, or a pool's first block): only such a one can be
                // recognised again. It is checked now, so that a broken header is not mistaken for a freed block later.
                let header = check_block(cookie, pool, block, before)?;
                if block == pool.first_block() || !header.is_free() {
                    cursor.pool = pool.as_raw();
                    cursor.block = block.payload().cast();
                    cursor.resets = (*control).resets;
                    return Ok(false);
                }
            }
        }
    }

    /// The place to go on from: the saved block while it is in use, else its pool's start; a pool
    /// that is gone is replaced by the next higher one.
    unsafe fn resume(self, cursor: &Cursor) -> Option<(Pool, Block, Before)> {
        // SAFETY: the pools are proved (caller). The saved place is read only inside a pool.
        unsafe {
            let mut pool = self.first_pool()?;
            if cursor.resets != (*self.control()).resets {
                return Some((pool, pool.first_block(), Before::Used));
            }
            while pool.start() < cursor.pool.addr() {
                pool = pool.next()?;
            }
            let first = pool.first_block();
            let saved = cursor.block.addr().wrapping_sub(first.addr());
            let room = pool.end() - first.addr();
            if pool.as_raw() != cursor.pool || saved == 0 || saved > room {
                return Some((pool, first, Before::Used));
            }
            let block = first.offset(saved);
            let header = block.header((*self.control()).cookie);
            let sentinel = saved == room && header.is_sentinel();
            let used = header.is_plain_used()
                && header.size() >= BLOCK_MIN
                && header.size() <= room - saved;
            if block.is_aligned() && (sentinel || used) {
                Some((pool, block, Before::Unseen))
            } else {
                Some((pool, first, Before::Used))
            }
        }
    }
}
