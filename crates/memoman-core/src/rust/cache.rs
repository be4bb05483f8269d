//! The cache of a [`Heap`]: setting it, and the calls that it serves.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use crate::config::QUANTUM;
use crate::hooks::EventKind;
use crate::instance::Tlsf;
use crate::misuse::Refusal;
use crate::rust::heap::{Heap, Memory};

impl<'pool> Heap<'pool> {
    /// Puts a cache in front of the heap: up to `blocks` freed blocks of each size, 1 to 15. Its
    /// table lies in `memory`, a word for a size: 2,144 bytes reach to requests of 64 KiB, 592 to
    /// 1,000 bytes, beside up to 15 for alignment. A request that finds no memory frees cached
    /// blocks until it does. An observer, which sees each call, ends the cache. False, and nothing
    /// changed, when `memory` is too small for a size, when `blocks` is 0 or too large, while an
    /// observer is set, and on 32-bit targets; false, too, when a block of the cache before has
    /// been overwritten, which stays with that cache. O(pools + cached blocks).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// let mut table = [const { MaybeUninit::uninit() }; 2160];
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut heap = Heap::new(&mut memory).unwrap();
    /// if heap.set_cache(&mut table, 8) {
    ///     drop(heap.boxed([0u8; 100]));
    ///     assert!(heap.stats().cached > 100);
    ///     assert!(heap.remove_cache());
    /// }
    /// assert_eq!(heap.stats().used, 0);
    /// ```
    pub fn set_cache(&mut self, memory: &'pool mut Memory, blocks: usize) -> bool {
        // SAFETY: the memory is borrowed exclusively for as long as the heap lives.
        unsafe { self.exchange_cache(memory.as_mut_ptr().cast(), memory.len(), blocks) }
    }

    /// Frees all cached blocks and ends [`Heap::set_cache`]. False when one has been overwritten:
    /// it stays, with the cache. O(cached blocks).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut heap = Heap::new(&mut memory).unwrap();
    /// assert!(heap.remove_cache());
    /// ```
    pub fn remove_cache(&mut self) -> bool {
        // SAFETY: no memory is given.
        unsafe { self.exchange_cache(ptr::null_mut(), 0, 0) }
    }

    /// # Safety
    /// The duties of [`Tlsf::set_cache`] for the memory.
    unsafe fn exchange_cache(&mut self, mem: *mut u8, bytes: usize, blocks: usize) -> bool {
        let mut done = false;
        // SAFETY: live; borrowed exclusively, so none of its functions runs. The memory is the
        // cache's (caller).
        unsafe {
            self.set(|tlsf| done = tlsf.set_cache(mem, bytes, blocks) == Ok(true));
        }
        done
    }
}

/// The result of a call for a block on a heap whose cache serves calls. None for other heaps, and
/// for a request that finds no memory.
///
/// # Safety
/// The instance is live and intercepted. On success, `old` is given up.
#[inline(always)]
pub(super) unsafe fn from_cache(
    tlsf: Tlsf,
    kind: EventKind,
    old: *mut u8,
    layout: Layout,
) -> Option<Result<*mut u8, Refusal>> {
    // SAFETY: live, with this cache; `old` is given up on success (caller).
    unsafe {
        let cached = tlsf.cached()?;
        let (align, bytes) = (layout.align(), layout.size());
        let result = match (kind, NonNull::new(old)) {
            (EventKind::Free, Some(block)) => {
                if cached.put(old) {
                    return Some(Ok(ptr::null_mut()));
                }
                let freed = cached.free(block).map(|()| ptr::null_mut());
                freed.map_err(|misuse| Refusal::Misuse(misuse, old))
            }
            (EventKind::Realloc, Some(block)) => {
                let peak = cached.peak();
                match cached.grown(block, align, bytes) {
                    Ok(Some(new)) => {
                        if !cached.put(old)
                            && let Err(misuse) = cached.free(block)
                        {
                            // A neighbour of the old block is overwritten: undo the call.
                            cached.retract(new, peak);
                            return Some(Err(Refusal::Misuse(misuse, old)));
                        }
                        Ok(new.as_ptr())
                    }
                    Ok(None) => cached.resize(block, align, bytes).map(NonNull::as_ptr),
                    Err(refusal) => Err(refusal),
                }
            }
            _ => {
                if align <= QUANTUM
                    && let Some(block) = cached.take(bytes)
                {
                    return Some(Ok(block.as_ptr()));
                }
                cached.allocate(align, bytes).map(NonNull::as_ptr)
            }
        };
        if result == Err(Refusal::Exhausted) {
            tlsf.withdraw_refusal();
            return None;
        }
        Some(result)
    }
}

/// Frees the cached blocks; an overwritten one stays in use.
///
/// # Safety
/// The instance is live and not intercepted.
pub(super) unsafe fn flush(tlsf: Tlsf) {
    // SAFETY: live, not intercepted (caller).
    let _ = unsafe { tlsf.flush_cache() };
}

/// Empties the cache after a reset.
///
/// # Safety
/// The instance is live, and none of its blocks is in use.
pub(super) unsafe fn forget_cached(tlsf: Tlsf) {
    // SAFETY: live, no block in use (caller).
    unsafe { tlsf.forget_cached() };
}
