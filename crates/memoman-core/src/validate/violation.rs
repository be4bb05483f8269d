//! What validation reports: the invariants by number, and the first one that it found broken.

use core::ffi::CStr;

use crate::pool::Pool;

/// The invariants by number.
///
/// ```
/// use memoman_core::Invariant;
/// assert_eq!(Invariant::Counters as u8, 8);
/// ```
#[repr(usize)]
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
    #[inline(never)]
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
    /// The address of the fault: a payload, a bitmap word, a bin's head, a pool, or the control
    /// structure.
    pub address: *const u8,
    /// The pool that contains the fault, if any.
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
