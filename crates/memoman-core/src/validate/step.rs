//! Validation in bounded steps; the allocator may be used between them.

use core::ffi::c_void;
use core::ptr;

use super::check::{check_bitmaps, check_control, check_pools};
use super::links::{check_head, check_links};
use super::violation::Violation;
use super::walk::{Before, check_block, turn};
use crate::block::Block;
use crate::config::{BLOCK_MIN, QUANTUM};
use crate::control::Control;
use crate::instance::Tlsf;
use crate::pool::Pool;

/// Where stepwise validation resumes. All zero: at the start.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    /// The pool; null at the start.
    pool: *mut c_void,
    /// A block that was in use when the last step ended, or the pool's first one.
    block: *mut c_void,
    /// Zero until all blocks have been seen; then one more than the bin whose head comes next.
    heads: usize,
    /// The number of the instance's life: in another one, nothing above means anything.
    life: usize,
}

impl Cursor {
    /// The start of the heap.
    pub const START: Cursor = Cursor {
        pool: ptr::null_mut(),
        block: ptr::null_mut(),
        heads: 0,
        life: 0,
    };
}

/// The result of one step.
///
/// ```
/// # use memoman_core::{Heap, Step};
/// # use std::{alloc::Layout, mem::MaybeUninit};
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// # let heap = Heap::new(&mut memory).unwrap();
/// for _ in 0..10 {
///     heap.allocate(Layout::new::<u64>()).unwrap();
/// }
/// let mut steps = heap.steps();
/// assert_eq!(steps.step(3), Step::More);
/// assert_eq!(steps.step(1000), Step::Sound);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sound so far; part of the heap is left.
    More,
    /// Sound, and the whole heap has been covered. The cursor is at the start again.
    Sound,
    /// Broken. The cursor is at the start again.
    Broken(Violation),
}

impl Tlsf {
    /// Checks the control structure, the bitmaps, the pools' headers and up to `max_blocks` blocks
    /// (at least one) with their links, and saves in `cursor` where to resume; after the last
    /// block, up to `max_blocks` heads a step. O(bins + max_blocks · pools).
    ///
    /// The allocator may be used between two steps. The cursor rests on a block in use; if that is
    /// freed, the next step begins its pool again. Steps cannot detect three faults, which only
    /// [`Tlsf::diagnose`] finds: wrong counters (I8), a ring that no head leads to (I3), and an
    /// overwritten header in use that covers whole blocks after it. A cursor from before a reset,
    /// or of another instance on the same memory, begins again.
    ///
    /// # Safety
    /// The memory of the control structure and the pools may be read; its contents may be anything.
    /// `cursor` is all zero or was written by this method for this instance.
    #[inline(never)]
    pub unsafe fn validate_step(self, cursor: &mut Cursor, max_blocks: usize) -> Step {
        // SAFETY: the instance's memory may be read (caller).
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
        // SAFETY: readable memory (caller); each check validates what the next one follows.
        unsafe {
            check_control(control)?;
            check_pools(control)?;
            check_bitmaps(control)?;
            let cookie = (*control).cookie;
            let mut left = max_blocks;
            if cursor.life != (*control).life {
                *cursor = Cursor::START;
                cursor.life = (*control).life;
            }
            if cursor.heads > 0 {
                return self.step_heads(cursor, left);
            }
            let Some((mut pool, mut block, mut before)) = self.resume(cursor) else {
                return self.step_heads(cursor, left);
            };
            loop {
                turn();
                let header = check_block(cookie, pool, block, before)?;
                if block.addr() == pool.end() {
                    let Some(next) = pool.next() else {
                        return self.step_heads(cursor, left);
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
                // Rest before a block in use, a sentinel or a pool's first block: only these can be
                // recognised again. It is checked here, so that the next step does not mistake a
                // broken header for a freed block.
                let header = check_block(cookie, pool, block, before)?;
                if block == pool.first_block() || !header.is_free() {
                    cursor.pool = pool.as_raw();
                    cursor.block = block.payload().cast();
                    return Ok(false);
                }
            }
        }
    }

    /// Checks up to `left` non-empty heads from the cursor on. True when no head is left.
    unsafe fn step_heads(self, cursor: &mut Cursor, mut left: usize) -> Result<bool, Violation> {
        let control = self.control();
        // SAFETY: control structure and pools are validated (caller); `top_bin` bounds the heads.
        unsafe {
            let end = Control::list_end(control);
            for bin in cursor.heads.saturating_sub(1)..=(*control).top_bin {
                turn();
                if Control::head(control, bin).read() == end {
                    continue;
                }
                if left == 0 {
                    cursor.heads = bin + 1;
                    return Ok(false);
                }
                check_head(control, bin)?;
                left -= 1;
            }
        }
        Ok(true)
    }

    /// The place to resume at: the saved block while it is in use, else its pool's start; for a
    /// removed pool, the next higher one's. None when no pool is left.
    unsafe fn resume(self, cursor: &Cursor) -> Option<(Pool, Block, Before)> {
        // SAFETY: the pools are validated (caller). The saved place is read only inside a pool.
        unsafe {
            let mut pool = self.first_pool()?;
            while pool.start() < cursor.pool.addr() {
                turn();
                pool = pool.next()?;
            }
            let first = pool.first_block();
            let saved = cursor.block.addr().wrapping_sub(first.addr());
            let room = pool.end() - first.addr();
            if pool.as_raw() != cursor.pool
                || saved == 0
                || saved > room
                || !saved.is_multiple_of(QUANTUM)
            {
                return Some((pool, first, Before::Used));
            }
            let block = first.offset(saved);
            let header = block.header((*self.control()).cookie);
            let sentinel = saved == room && header.is_sentinel();
            let cached = header.is_cached() && (*self.control()).has_cache();
            let used = (header.is_plain_used() || cached)
                && header.size() >= BLOCK_MIN
                && header.size() <= room - saved;
            if sentinel || used {
                Some((pool, block, Before::Unseen))
            } else {
                Some((pool, first, Before::Used))
            }
        }
    }
}
