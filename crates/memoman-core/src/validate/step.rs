//! Validation in bounded steps, between which the allocator may go on working.

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

/// Where stepwise validation goes on. All zero: at the start.
///
/// ```
/// # use memoman_core::{Cursor, Heap, Step};
/// # use std::mem::MaybeUninit;
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// # let heap = Heap::new(&mut memory).unwrap();
/// let mut cursor = Cursor::START;
/// assert_eq!(heap.validate_step(&mut cursor, 1000), Step::Sound);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    /// The pool; null at the start.
    pool: *mut c_void,
    /// A block that was in use when the last step ended, or the pool's first one.
    block: *mut c_void,
    /// One more than the bin whose head comes next, once all blocks have been seen; zero before.
    heads: usize,
    /// The instance's seal: another one after a reset, when what the block's place looks like means nothing.
    cookie: usize,
}

impl Cursor {
    /// The start of the heap.
    ///
    /// ```
    /// let cursor = memoman_core::Cursor::START;
    /// ```
    pub const START: Cursor = Cursor {
        pool: ptr::null_mut(),
        block: ptr::null_mut(),
        heads: 0,
        cookie: 0,
    };
}

/// What one step found.
///
/// ```
/// # use memoman_core::{Cursor, Heap, Step};
/// # use std::{alloc::Layout, mem::MaybeUninit};
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// # let heap = Heap::new(&mut memory).unwrap();
/// for _ in 0..10 {
///     heap.allocate(Layout::new::<u64>()).unwrap();
/// }
/// let mut cursor = Cursor::START;
/// assert_eq!(heap.validate_step(&mut cursor, 3), Step::More);
/// ```
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
    /// Checks the control structure, the bitmaps, the pools' headers and up to `max_blocks` blocks (at least one) with
    /// their links, and remembers in `cursor` where to go on; when all blocks have been seen, the heads in the same way.
    /// O(bins + max_blocks · pools).
    ///
    /// Between two steps the allocator may be used in any way. The cursor rests on a block that was in use; if that
    /// has been freed, its pool is begun again. What needs the whole heap at once it cannot see: I8, a ring that no
    /// head leads to, a header in use that has grown over whole blocks. That is for [`Tlsf::diagnose`]. On 32-bit targets, whose
    /// headers have no seal, a header from before a reset may be taken for that block, and a sound heap for a broken one.
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
            let mut left = max_blocks;
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
                // Rest before a block in use (or a sentinel, or a pool's first block): only such a one can be
                // recognised again. It is checked now, so that a broken header is not mistaken for a freed block later.
                let header = check_block(cookie, pool, block, before)?;
                if block == pool.first_block() || !header.is_free() {
                    cursor.pool = pool.as_raw();
                    cursor.block = block.payload().cast();
                    cursor.cookie = cookie;
                    return Ok(false);
                }
            }
        }
    }

    /// Goes on with the heads: each one leads to a block that the blocks' own check has seen or will see. True when
    /// all have been looked at.
    unsafe fn step_heads(self, cursor: &mut Cursor, mut left: usize) -> Result<bool, Violation> {
        let control = self.control();
        // SAFETY: control structure and pools are proved (caller); `top_bin` bounds the heads.
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

    /// The place to go on from: the saved block while it is in use, else its pool's start; a pool
    /// that is gone is replaced by the next higher one.
    unsafe fn resume(self, cursor: &Cursor) -> Option<(Pool, Block, Before)> {
        // SAFETY: the pools are proved (caller). The saved place is read only inside a pool.
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
                || cursor.cookie != (*self.control()).cookie
                || saved == 0
                || saved > room
                || !saved.is_multiple_of(QUANTUM)
            {
                return Some((pool, first, Before::Used));
            }
            let block = first.offset(saved);
            let header = block.header((*self.control()).cookie);
            let sentinel = saved == room && header.is_sentinel();
            let used = header.is_plain_used()
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
