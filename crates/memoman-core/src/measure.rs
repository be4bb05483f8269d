//! Figures of one walk over all blocks: how many there are of each size, and how far the free
//! memory is in pieces.

use core::ptr::NonNull;

use crate::block::{Block, Header};
use crate::control::Control;
use crate::instance::Tlsf;
use crate::pool::Pool;
use crate::validate::walk::walk_pool;
use crate::validate::{Checked, check_control, check_pools};

/// Entries of [`Measure::free_by_power`]: every block is smaller than 2 to this power.
pub const POWERS: usize = 48;
/// Entries of [`Measure::gaps`].
pub const GAPS: usize = 8;
/// [`Measure::fragmentation`] of free memory in infinitely many pieces.
const WHOLE: u64 = 1_000_000;

/// Figures of one walk over all blocks. Sizes are in bytes and include the block's header.
///
/// ```
/// # use memoman_core::Heap;
/// # use std::mem::MaybeUninit;
/// # let mut memory = [const { MaybeUninit::uninit() }; 64 * 1024];
/// let heap = Heap::new(&mut memory).unwrap();
/// let (first, between) = (heap.boxed([0u8; 500]).unwrap(), heap.boxed(0u64).unwrap());
/// drop(first);
/// let measure = heap.measure().unwrap();
/// assert_eq!((measure.free_blocks, measure.live_blocks), (2, 1));
/// assert!(measure.gaps[0] > measure.gaps[1] && measure.gaps[2] == 0);
/// assert!(measure.fragmentation > 0);
/// # drop(between);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Number of free blocks.
    pub free_blocks: usize,
    /// Number of blocks in use.
    pub live_blocks: usize,
    /// Bytes of all free blocks.
    pub free_bytes: usize,
    /// Bytes of all blocks in use.
    pub live_bytes: usize,
    /// External fragmentation, 1 − Σ size² / (Σ size)² over the free blocks, in millionths: 0 for
    /// one free block or none, 500,000 for two of one size.
    pub fragmentation: usize,
    /// The largest free blocks, the largest first; 0 where there are fewer.
    pub gaps: [usize; GAPS],
    /// Entry n: number of free blocks of 2^n bytes or more, but less than 2^(n+1).
    pub free_by_power: [usize; POWERS],
    /// The same for blocks in use.
    pub live_by_power: [usize; POWERS],
}

impl Measure {
    pub(crate) const ZERO: Measure = Measure {
        free_blocks: 0,
        live_blocks: 0,
        free_bytes: 0,
        live_bytes: 0,
        fragmentation: 0,
        gaps: [0; GAPS],
        free_by_power: [0; POWERS],
        live_by_power: [0; POWERS],
    };
}

/// What the layer above knows of a block in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// In use.
    Used,
    /// In use, with the program's pointer and the requested bytes.
    Holds(*const u8, usize),
    /// Freed by the program and held back, with the same two.
    HeldBack(*const u8, usize),
}

/// Looks at a block in use: its payload and usable bytes.
pub type Look = fn(NonNull<u8>, usize) -> Seen;

/// The look of the core, which knows no more of a block.
pub(crate) fn plain(_: NonNull<u8>, _: usize) -> Seen {
    Seen::Used
}

/// The figures so far.
pub(crate) struct Sums {
    measure: Measure,
    /// Sum of the squares of the free blocks' sizes: below (Σ size)², and so below 2^128.
    squares: u128,
}

impl Sums {
    pub(crate) const EMPTY: Sums = Sums {
        measure: Measure::ZERO,
        squares: 0,
    };

    /// Counts a block of `size` bytes.
    pub(crate) fn add(&mut self, size: usize, free: bool) {
        let measure = &mut self.measure;
        let power = (size.checked_ilog2().unwrap_or(0) as usize).min(POWERS - 1);
        if !free {
            measure.live_blocks += 1;
            measure.live_bytes = measure.live_bytes.wrapping_add(size);
            measure.live_by_power[power] += 1;
            return;
        }
        measure.free_blocks += 1;
        measure.free_bytes = measure.free_bytes.wrapping_add(size);
        measure.free_by_power[power] += 1;
        self.squares = self
            .squares
            .wrapping_add((size as u128).wrapping_mul(size as u128));
        let mut gap = size;
        for place in &mut measure.gaps {
            if gap > *place {
                core::mem::swap(&mut gap, place);
            }
        }
    }

    /// The figures.
    pub(crate) fn finish(&mut self) -> &Measure {
        self.measure.fragmentation = fragmentation(self.measure.free_bytes, self.squares);
        &self.measure
    }
}

/// 1 − `squares` / `sum`², in millionths, rounded up. The quotient is computed from the upper 40
/// bits of `sum`², which leaves an error below one millionth, and no 128-bit division.
pub(crate) fn fragmentation(sum: usize, squares: u128) -> usize {
    let whole = (sum as u128).wrapping_mul(sum as u128);
    if squares >= whole {
        return 0;
    }
    let shift = (u128::BITS - whole.leading_zeros()).saturating_sub(40);
    let (part, whole) = ((squares >> shift) as u64, (whole >> shift) as u64);
    (WHOLE - (part * WHOLE).checked_div(whole).unwrap_or(WHOLE)) as usize
}

/// Whether `look` finds a block to be in use by the program.
pub(crate) fn is_live(block: Block, header: Header, look: Look) -> bool {
    match NonNull::new(block.payload()) {
        Some(payload) if header.is_plain_used() => !matches!(
            look(payload, header.size() - crate::config::HEADER),
            Seen::HeldBack(..)
        ),
        _ => false,
    }
}

impl Tlsf {
    /// The figures of a walk over all blocks; O(blocks). None when the walk finds damage.
    ///
    /// # Safety
    /// The instance is live; the contents of its memory may be anything.
    pub unsafe fn measure(self) -> Option<Measure> {
        // SAFETY: live instance (caller).
        unsafe { self.measure_with(plain) }
    }

    /// [`Tlsf::measure`] for a layer above: blocks that it holds back count as free.
    ///
    /// # Safety
    /// The duties of [`Tlsf::measure`]. `look` may be called with each block in use.
    #[inline(never)]
    pub unsafe fn measure_with(self, look: Look) -> Option<Measure> {
        // SAFETY: the instance's memory may be read (caller); each step validates what the next one
        // follows.
        unsafe { sums(self.control(), look) }
            .ok()
            .map(|mut sums| *sums.finish())
    }
}

/// The sums over all blocks of all pools.
///
/// # Safety
/// The duties of [`Tlsf::measure_with`].
unsafe fn sums(control: *mut Control, look: Look) -> Checked<Sums> {
    let mut sums = Sums::EMPTY;
    // SAFETY: the instance's memory may be read (caller); control structure and pools are validated
    // before a pool is walked.
    unsafe {
        check_control(control)?;
        check_pools(control)?;
        let mut pool = Pool::new((*control).first_pool);
        while let Some(this) = pool {
            walk_pool(control, this, |block, header| {
                sums.add(header.size(), !is_live(block, header, look));
                Ok(())
            })?;
            pool = this.next();
        }
    }
    Ok(sums)
}
