//! Validation: proves the invariants of the crate's documentation on a heap whose every word may
//! have been overwritten.
//!
//! Nothing is followed before it is proved: the control structure by its hash, each pool by its
//! header's hash, each block by the walk that reaches it from its pool's start, the links by the
//! sums of `lists.rs`. So validation reads nothing outside the pools and the control structure, and
//! ends within blocks + bins + pools steps; a broken link takes a constant number of further
//! passes.

use core::ffi::CStr;
use core::ptr;

use crate::block::{Block, Header};
use crate::config::{BINS_MAX, BLOCK_MIN, QUANTUM, SIZE_LIMIT};
use crate::control::Control;
use crate::lists::{self, check_links};
use crate::pool::{POOL_COST, POOL_MIN, Pool};
use crate::tlsf::Tlsf;

/// The invariants by number.
///
/// ```
/// use memoman_core::Invariant;
/// assert_eq!(Invariant::Counters as u8, 8);
/// ```
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// I1: the bitmaps match the lists.
    Bitmap = 1,
    /// I2: listed blocks are free and in the right bin; links are mutual, without a cycle.
    List = 2,
    /// I3: every free block is listed exactly once.
    Listed = 3,
    /// I4: no two physical neighbours are both free.
    Coalesced = 4,
    /// I5: PREV_FREE and `prev_phys` match the previous block.
    PrevPhys = 5,
    /// I6: sizes are valid and tile the pool up to its sentinel.
    Tiling = 6,
    /// I7: the control structure and the pools' headers are intact; they do not overlap.
    Placement = 7,
    /// I8: the counters equal what a walk finds.
    Counters = 8,
}

impl Invariant {
    /// The number in the list of the crate's documentation, 1 to 8.
    ///
    /// ```
    /// use memoman_core::Invariant;
    /// assert_eq!(Invariant::Bitmap.number(), 1);
    /// ```
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What is broken, in a few words.
    ///
    /// ```
    /// use memoman_core::Invariant;
    /// assert_eq!(Invariant::Coalesced.name(), c"I4: adjacent free blocks");
    /// ```
    pub const fn name(self) -> &'static CStr {
        match self {
            Invariant::Bitmap => c"I1: bitmap does not match the free lists",
            Invariant::List => c"I2: free-list link or listed block overwritten",
            Invariant::Listed => c"I3: free block in no list",
            Invariant::Coalesced => c"I4: adjacent free blocks",
            Invariant::PrevPhys => c"I5: PREV_FREE or prev_phys does not match the previous block",
            Invariant::Tiling => c"I6: block header or sentinel overwritten",
            Invariant::Placement => c"I7: control structure or pool header overwritten",
            Invariant::Counters => c"I8: counters do not match the blocks",
        }
    }
}

/// The first broken invariant that validation found.
///
/// ```
/// # use memoman_core::{Heap, Invariant};
/// # use std::{alloc::Layout, mem::MaybeUninit};
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let heap = Heap::new(&mut memory).unwrap();
/// let block = heap.allocate(Layout::new::<[u8; 24]>()).unwrap();
/// // What a bug would do. SAFETY: the heap's own memory; its next call tests the word.
/// unsafe { block.cast::<usize>().sub(1).write(0) };
/// let violation = heap.validate().unwrap_err();
/// assert_eq!(violation.invariant, Invariant::Tiling);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The broken invariant.
    pub invariant: Invariant,
    /// Where it shows: a payload, a bitmap word, a bin's head, a pool, or the control structure.
    pub address: *const u8,
    /// The pool in which it shows, if any.
    pub pool: Option<Pool>,
}

/// The result of a check, which ends at the first violation.
pub(crate) type Checked<T = ()> = Result<T, Violation>;

pub(crate) fn broken<T>(
    invariant: Invariant,
    address: *const u8,
    pool: Option<Pool>,
) -> Checked<T> {
    Err(Violation {
        invariant,
        address,
        pool,
    })
}

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

impl Tlsf {
    /// The first broken invariant, None when the heap is sound; O(blocks). Changes nothing.
    ///
    /// # Safety
    /// The memory of the control structure and the pools may be read; its contents may be anything.
    pub unsafe fn diagnose(self) -> Option<Violation> {
        // SAFETY: the instance's memory may be read (caller).
        unsafe { diagnose(self.control()).err() }
    }

    /// [`Tlsf::diagnose`] limited to one pool's blocks and their links; O(blocks of the pool ·
    /// pools).
    ///
    /// # Safety
    /// The memory of the pool and its instance may be read; its contents may be anything.
    pub unsafe fn diagnose_pool(pool: Pool) -> Option<Violation> {
        // SAFETY: the pool's memory may be read (caller); its header is tested before its instance
        // is followed.
        unsafe {
            let control = pool.control();
            let result = if control.is_null() || !pool.is_sound(control) {
                broken(Invariant::Placement, pool.as_raw().cast(), Some(pool))
            } else {
                diagnose_links(control, pool)
            };
            result.err()
        }
    }
}

unsafe fn diagnose(control: *mut Control) -> Checked {
    // SAFETY: readable memory (caller); each step proves what the next one follows.
    unsafe {
        check_control(control)?;
        check_pools(control)?;
        check_bitmaps(control)?;
        let sums = lists::check(control)?;
        check_counters(control, sums.used, sums.live_blocks)
    }
}

unsafe fn diagnose_links(control: *mut Control, pool: Pool) -> Checked {
    // SAFETY: readable memory (caller); each step proves what the next one follows.
    unsafe {
        check_control(control)?;
        check_pools(control)?;
        check_bitmaps(control)?;
        walk_pool(control, pool, |block, header| {
            if header.is_free() {
                check_links(control, pool, block, header)
            } else {
                Ok(())
            }
        })
    }
}

/// I7 of the control structure: the words that only control-plane calls change pass their hash.
#[inline(never)]
pub(crate) unsafe fn check_control(control: *mut Control) -> Checked {
    // SAFETY: the fixed part of the control structure may be read (caller).
    let this = unsafe { &*control };
    if this.check == this.checksum() && this.top_bin < BINS_MAX {
        Ok(())
    } else {
        broken(Invariant::Placement, control.cast_const().cast(), None)
    }
}

/// I7 of the pools: headers are sound, pools lie in address order and apart, their sums match.
#[inline(never)]
pub(crate) unsafe fn check_pools(control: *mut Control) -> Checked {
    // SAFETY: the control structure is proved; each pool is proved before it is followed.
    unsafe {
        let at_control = || broken(Invariant::Placement, control.cast_const().cast(), None);
        let mut bytes = 0usize;
        let mut count = 0usize;
        let mut last: Option<Pool> = None;
        let mut pool = Pool::new((*control).first_pool);
        let (low, high) = (control.addr(), control.addr() + (*control).bytes());
        while let Some(this) = pool {
            turn();
            // The hash is tested first: before that, `end` means nothing.
            if !this.is_sound(control)
                || !(POOL_MIN..=SIZE_LIMIT).contains(&this.end().saturating_sub(this.start()))
                || this.prev() != last
                || last.is_some_and(|last| last.end() > this.start())
                || this.start() < high && low < this.end()
            {
                return broken(Invariant::Placement, this.as_raw().cast(), Some(this));
            }
            bytes = bytes.wrapping_add(this.end() - this.start());
            count += 1;
            last = Some(this);
            pool = this.next();
        }
        if last != Pool::new((*control).last_pool)
            || bytes != (*control).pool_bytes
            || count.wrapping_mul(POOL_COST) != (*control).overhead
        {
            return at_control();
        }
        Ok(())
    }
}

/// I1 in both levels: the bits follow from the heads.
#[inline(never)]
pub(crate) unsafe fn check_bitmaps(control: *mut Control) -> Checked {
    // SAFETY: the control structure is proved, so `top_bin` bounds the heads.
    unsafe {
        let this = &*control;
        let mut words = 0usize;
        let mut heads = 0..=this.top_bin;
        for (word, bits) in this.sl_bitmap.iter().enumerate() {
            let mut filled = 0usize;
            for (bit, bin) in (0..usize::BITS).zip(&mut heads) {
                turn();
                let empty = Control::head(control, bin).read() == Control::list_end(control);
                filled |= usize::from(!empty) << bit;
            }
            if *bits != filled {
                return broken(Invariant::Bitmap, ptr::from_ref(bits).cast(), None);
            }
            words |= usize::from(filled != 0) << word;
        }
        if this.fl_bitmap != words {
            return broken(
                Invariant::Bitmap,
                ptr::from_ref(&this.fl_bitmap).cast(),
                None,
            );
        }
        Ok(())
    }
}

/// I4, I5, I6 and I7 at one block; gives its header.
///
/// # Safety
/// `pool` is proved, and the walk from its start reaches `block`.
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
            !header.is_sentinel() && size >= BLOCK_MIN && size <= left
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
/// The control structure and the pool are proved.
pub(crate) unsafe fn walk_pool(
    control: *mut Control,
    pool: Pool,
    mut visit: impl FnMut(Block, Header) -> Checked,
) -> Checked {
    // SAFETY: the pool is proved (caller); each block is reached through proved sizes.
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

/// I8. The free bytes follow from those in use, since blocks tile the pools (I6).
unsafe fn check_counters(control: *mut Control, used: usize, live_blocks: usize) -> Checked {
    // SAFETY: the control structure is proved (caller).
    let this = unsafe { &*control };
    let fail = |counter: &usize| broken(Invariant::Counters, ptr::from_ref(counter).cast(), None);
    if this.used != used {
        return fail(&this.used);
    }
    if this.live_blocks != live_blocks {
        return fail(&this.live_blocks);
    }
    // A walk cannot find the peak; it is at least the present `used`, in whole quanta.
    if this.peak < used || !this.peak.is_multiple_of(QUANTUM) {
        return fail(&this.peak);
    }
    Ok(())
}
