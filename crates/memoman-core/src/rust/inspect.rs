//! Walks over a whole [`Heap`]: its blocks, measure, dump, validation in steps.

use core::ptr::NonNull;

use crate::dump::DumpFormat;
use crate::measure::Measure;
use crate::rust::heap::Heap;
use crate::validate::{Cursor, Step};

impl Heap<'_> {
    /// Figures of a walk over all blocks: numbers of blocks by size, the largest gaps, external
    /// fragmentation. None when the walk finds an overwritten header. O(blocks).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let heap = Heap::new(&mut memory).unwrap();
    /// let measure = heap.measure().unwrap();
    /// assert_eq!((measure.free_blocks, measure.fragmentation), (1, 0));
    /// ```
    pub fn measure(&self) -> Option<Measure> {
        // SAFETY: live.
        self.suspended(|| unsafe { self.raw().measure() })
    }

    /// Writes pools, blocks, free lists and counters through `write`, in pieces of at most 96
    /// bytes; `write` returns false to stop. False when damage was found, which the dump then names
    /// and places, or `write` stopped it. Allocates nothing. O(blocks · pools) in the worst case.
    ///
    /// ```
    /// # use memoman_core::{DumpFormat, Heap};
    /// # use std::mem::MaybeUninit;
    /// let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut heap = Heap::new(&mut memory).unwrap();
    /// let mut lines = Vec::new();
    /// assert!(heap.dump(DumpFormat::Json, |text| {
    ///     lines.extend_from_slice(text);
    ///     true
    /// }));
    /// assert!(lines.starts_with(br#"{"memoman_dump":1,"#));
    /// assert!(lines.ends_with(b"{\"end\":1,\"broken\":0}\n"));
    /// ```
    pub fn dump(&mut self, format: DumpFormat, mut write: impl FnMut(&[u8]) -> bool) -> bool {
        // SAFETY: live; borrowed exclusively, so `write` makes no call on it.
        self.suspended(|| unsafe { self.raw().dump(format, &mut write) })
    }

    /// Validates up to `max_blocks` blocks (at least one) and saves in `cursor` where to resume;
    /// the heap may be used between two steps. O(bins + max_blocks · pools).
    /// `Tlsf::validate_step` names what steps cannot find.
    /// Hidden, because [`Heap::steps`] keeps the cursor.
    #[doc(hidden)]
    pub fn validate_step(&self, cursor: &mut Cursor, max_blocks: usize) -> Step {
        // SAFETY: live (borrowed). A cursor's fields are private: a start or a step wrote it, and a
        // step tests what it leads to.
        self.suspended(|| unsafe { self.raw().validate_step(cursor, max_blocks) })
    }

    /// Calls `f` with address, usable bytes and "in use" of each block of each pool, in address
    /// order. O(blocks).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut heap = Heap::new(&mut memory).unwrap();
    /// let mut free = 0;
    /// heap.walk(|_, bytes, used| free += if used { 0 } else { bytes });
    /// assert_eq!(free, heap.stats().largest);
    /// ```
    pub fn walk(&mut self, mut f: impl FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: live; borrowed exclusively, so `f` makes no call on it.
        unsafe {
            let mut next = self.raw().first_pool();
            while let Some(pool) = next {
                pool.walk(&mut f);
                next = self.raw().next_pool(pool);
            }
        }
    }
}
