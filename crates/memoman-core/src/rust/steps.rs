//! [`Steps`]: validation of a heap in bounded steps.

use core::fmt;

use super::heap::Heap;
use crate::validate::{Cursor, Step};

/// A validation of a heap in bounded steps, between which the heap may be used. It borrows the
/// heap, so it cannot continue in another one in the same memory.
///
/// ```
/// # use memoman_core::{Heap, Step};
/// # use std::mem::MaybeUninit;
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let heap = Heap::new(&mut memory).unwrap();
/// let mut steps = heap.steps();
/// while steps.step(10) == Step::More {
///     heap.boxed([0; 4]).unwrap();
/// }
/// ```
///
/// The heap cannot be reset, moved or dropped while it is validated:
///
/// ```compile_fail,E0502
/// # use memoman_core::{Heap, Step};
/// # use std::mem::MaybeUninit;
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let mut heap = Heap::new(&mut memory).unwrap();
/// let mut steps = heap.steps();
/// heap.reset();
/// steps.step(10);
/// ```
pub struct Steps<'heap> {
    heap: &'heap Heap<'heap>,
    cursor: Cursor,
}

impl Heap<'_> {
    /// Begins a validation in steps ([`Steps`]). O(1).
    ///
    /// ```
    /// # use memoman_core::{Heap, Step};
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let heap = Heap::new(&mut memory).unwrap();
    /// assert_eq!(heap.steps().step(1000), Step::Sound);
    /// ```
    pub fn steps(&self) -> Steps<'_> {
        Steps {
            heap: self,
            cursor: Cursor::START,
        }
    }
}

impl Steps<'_> {
    /// Validates up to `max_blocks` blocks (at least one) from where the last step ended; after the
    /// last block of the heap, the next step begins again. O(bins + max_blocks · pools).
    /// `Tlsf::validate_step` names what steps cannot find.
    ///
    /// ```
    /// # use memoman_core::{Heap, Step};
    /// # use std::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let heap = Heap::new(&mut memory).unwrap();
    /// for _ in 0..10 {
    ///     heap.allocate(Layout::new::<u64>()).unwrap();
    /// }
    /// assert_eq!(heap.steps().step(3), Step::More);
    /// ```
    pub fn step(&mut self, max_blocks: usize) -> Step {
        let heap = self.heap;
        // SAFETY: the heap is live (borrowed), and the cursor is its own.
        heap.suspended(|| unsafe { heap.raw().validate_step(&mut self.cursor, max_blocks) })
    }
}

impl fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Steps").field(&self.cursor).finish()
    }
}
