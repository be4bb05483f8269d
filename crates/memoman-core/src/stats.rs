//! An instance's figures.

/// An instance's figures, in bytes except the two counts before the last. Always
/// `used + free + overhead == pool_bytes`.
///
/// ```
/// # use memoman_core::Heap;
/// # use std::{alloc::Layout, mem::MaybeUninit};
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// # let heap = Heap::new(&mut memory).unwrap();
/// let largest = heap.stats().largest;
/// // One byte more is refused; this size is allocated.
/// assert!(heap.allocate(Layout::array::<u8>(largest + 1).unwrap()).is_err());
/// assert!(heap.allocate(Layout::array::<u8>(largest).unwrap()).is_ok());
/// assert_eq!(heap.stats().failed_requests, 1);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sum of all pools, each between its rounded bounds.
    pub pool_bytes: usize,
    /// Bytes of live blocks, headers included.
    pub used: usize,
    /// Bytes of free blocks, headers included.
    pub free: usize,
    /// Bytes of the pools' own headers and sentinels.
    pub overhead: usize,
    /// Highest `used` since creation or reset.
    pub peak: usize,
    /// Largest request that would succeed. With a cache, a larger one may succeed, after cached
    /// blocks have been freed for it.
    pub largest: usize,
    /// Number of blocks in use.
    pub live_blocks: usize,
    /// Number of requests refused for lack of memory.
    pub failed_requests: usize,
    /// Bytes of `used` that are cached blocks, headers included; these count as blocks in use in
    /// `peak` and `live_blocks`, too. 0 without a cache.
    pub cached: usize,
}

impl Stats {
    /// The members in their order.
    pub(crate) fn as_numbers(&self) -> &[usize] {
        const MEMBERS: usize = size_of::<Stats>() / size_of::<usize>();
        // SAFETY: a `repr(C)` struct of so many `usize`, and nothing else.
        unsafe { &*core::ptr::from_ref(self).cast::<[usize; MEMBERS]>() }
    }
}
