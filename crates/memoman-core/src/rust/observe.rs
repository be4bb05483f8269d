//! Observers of a [`Heap`], and its function for exhausted requests.
//!
//! A heap with one is intercepted: its hot calls are refused in the core and made here.

use core::alloc::Layout;
use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};

use crate::config::QUANTUM;
use crate::hooks::{Access, Event, EventKind};
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::rust::cache::from_cache;
use crate::rust::heap::{Heap, Memory};
use crate::stats::Stats;

/// A request that found no memory.
///
/// ```
/// # use memoman_core::{Heap, Shortage};
/// # use std::{alloc::Layout, mem::MaybeUninit, sync::Mutex};
/// let refused = Mutex::new(Vec::new());
/// let mut note = |shortage: &Shortage| {
///     refused.lock().unwrap().push(shortage.bytes);
///     None
/// };
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let mut heap = Heap::with_max_block(&mut memory, 64 * 1024).unwrap();
/// heap.set_exhausted_handler(&mut note);
/// assert!(heap.allocate(Layout::new::<[u8; 40_000]>()).is_err());
/// assert_eq!(*refused.lock().unwrap(), [40_000]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shortage {
    /// Requested bytes.
    pub bytes: usize,
    /// Requested alignment; 0 for at most the quantum.
    pub align: usize,
    /// The heap's figures.
    pub stats: Stats,
}

unsafe extern "C" fn tell<F: FnMut(&Event)>(event: *const Event, observer: *mut c_void) {
    // SAFETY: the heap passes the closure that it has borrowed exclusively; no call is nested in
    // this one, since the heap refuses calls from it.
    unsafe { (*observer.cast::<F>())(&*event) }
}

unsafe extern "C" fn ask<'pool, F: FnMut(&Shortage) -> Option<&'pool mut Memory>>(
    heap: *mut c_void,
    bytes: usize,
    align: usize,
    stats: *const Stats,
    handler: *mut c_void,
) -> c_int {
    // SAFETY: the heap passes its own handle and figures, and the closure that it has borrowed
    // exclusively; no call is nested in this one, since the heap refuses calls from it. The memory
    // is borrowed exclusively for as long as the heap lives.
    unsafe {
        let shortage = Shortage {
            bytes,
            align,
            stats: *stats,
        };
        let (Some(tlsf), Some(memory)) = (Tlsf::from_raw(heap), (*handler.cast::<F>())(&shortage))
        else {
            return 0;
        };
        let (start, length) = (memory.as_mut_ptr().cast(), memory.len());
        let Some(pool) = suspended(tlsf, || tlsf.add_pool(start, length)) else {
            return 0;
        };
        let (start, length) = pool.memory();
        tell_change(tlsf, EventKind::PoolAdded, start, length);
        1
    }
}

/// Notifies the observer of a change that is no call for a block.
///
/// # Safety
/// The instance is live, and its words are cleared.
unsafe fn tell_change(tlsf: Tlsf, kind: EventKind, pointer: *mut u8, bytes: usize) {
    // SAFETY: live, cleared words (caller).
    unsafe {
        tlsf.notify(&Event {
            allocator: tlsf.as_raw(),
            kind,
            pointer: pointer.cast(),
            old: ptr::null_mut(),
            requested: bytes,
            block: 0,
            align: 0,
        });
    }
}

/// Runs `work` on an instance that is not intercepted meanwhile.
///
/// # Safety
/// The instance is live.
unsafe fn suspended<R>(tlsf: Tlsf, work: impl FnOnce() -> R) -> R {
    // SAFETY: live (caller).
    unsafe {
        if !tlsf.is_intercepted() {
            return work();
        }
        tlsf.end_interception();
        let result = work();
        tlsf.intercept();
        result
    }
}

impl<'pool> Heap<'pool> {
    /// Calls `observer` after each call that changes the heap, and after each request that finds no
    /// memory. The heap refuses calls from it, with [`Misuse::Reentered`]. While it is set, calls
    /// take longer, in constant time. A panic in it ends the program. False, with neither observer
    /// nor cache changed, when a cached block or the cache's table has been overwritten.
    /// O(cached blocks).
    ///
    /// ```
    /// # use memoman_core::{Event, EventKind, Heap};
    /// # use std::mem::MaybeUninit;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let frees = AtomicUsize::new(0);
    /// let mut count = |event: &Event| {
    ///     frees.fetch_add(usize::from(event.kind == EventKind::Free), Ordering::Relaxed);
    /// };
    /// let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut heap = Heap::new(&mut memory).unwrap();
    /// heap.set_observer(&mut count);
    /// drop(heap.boxed(1));
    /// assert_eq!(frees.load(Ordering::Relaxed), 1);
    /// heap.remove_observer();
    /// drop(heap.boxed(1));
    /// assert_eq!(frees.load(Ordering::Relaxed), 1);
    /// ```
    pub fn set_observer<F: FnMut(&Event) + Send>(&mut self, observer: &'pool mut F) -> bool {
        let (observer, mut done) = (ptr::from_mut(observer).cast(), false);
        // SAFETY: live; borrowed exclusively, so none of its functions runs. The closure is
        // borrowed exclusively for as long as the heap lives, and may go with it to another thread.
        unsafe {
            self.set(|tlsf| done = tlsf.set_observer(Some(tell::<F>), observer) == Ok(()));
        }
        done
    }

    /// Ends [`Heap::set_observer`]. O(1).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut heap = Heap::new(&mut memory).unwrap();
    /// heap.remove_observer();
    /// ```
    pub fn remove_observer(&mut self) {
        // SAFETY: live; borrowed exclusively, so none of its functions runs.
        unsafe {
            self.set(|tlsf| {
                let _ = tlsf.set_observer(None, ptr::null_mut());
            });
        }
    }

    /// Calls `handler` when a request finds no memory, before it is refused. Memory that the
    /// handler returns becomes a pool, and the request is tried once more; a request that is then
    /// served is not counted as failed. The heap refuses calls from the handler. While it is set,
    /// calls take longer, in constant time. A panic in it ends the program. O(1).
    ///
    /// ```
    /// # use memoman_core::{Heap, Shortage};
    /// # use std::{alloc::Layout, mem::MaybeUninit};
    /// let mut more = [const { MaybeUninit::uninit() }; 64 * 1024];
    /// let mut spare = Some(&mut more[..]);
    /// let mut grow = |_: &Shortage| spare.take();
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut heap = Heap::with_max_block(&mut memory, 64 * 1024).unwrap();
    /// heap.set_exhausted_handler(&mut grow);
    /// assert!(heap.allocate(Layout::new::<[u8; 40_000]>()).is_ok());
    /// assert!(heap.allocate(Layout::new::<[u8; 40_000]>()).is_err());
    /// assert_eq!(heap.stats().failed_requests, 1);
    /// ```
    pub fn set_exhausted_handler<F>(&mut self, handler: &'pool mut F)
    where
        F: FnMut(&Shortage) -> Option<&'pool mut Memory> + Send,
    {
        // SAFETY: live; borrowed exclusively, so none of its functions runs. The closure is
        // borrowed exclusively for as long as the heap lives, and may go with it to another thread.
        unsafe {
            self.set(|tlsf| {
                tlsf.set_exhausted_handler(Some(ask::<F>), ptr::from_mut(handler).cast());
            });
        }
    }

    /// Ends [`Heap::set_exhausted_handler`]. O(1).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut heap = Heap::new(&mut memory).unwrap();
    /// heap.remove_exhausted_handler();
    /// ```
    pub fn remove_exhausted_handler(&mut self) {
        // SAFETY: live; borrowed exclusively, so none of its functions runs.
        unsafe { self.set(|tlsf| tlsf.set_exhausted_handler(None, ptr::null_mut())) };
    }

    /// # Safety
    /// None of the heap's functions runs.
    pub(super) unsafe fn set(&mut self, set: impl FnOnce(Tlsf)) {
        let tlsf = self.raw();
        // SAFETY: live; its words are cleared before their first use. `set` sets one of them.
        unsafe {
            if tlsf.is_intercepted() {
                tlsf.end_interception();
            } else {
                tlsf.clear_hooks();
            }
            set(tlsf);
            if tlsf.has_hooks() == Ok(true) {
                tlsf.intercept();
            }
        }
    }

    /// Runs `work` on the heap, not intercepted meanwhile.
    pub(super) fn suspended<R>(&self, work: impl FnOnce() -> R) -> R {
        // SAFETY: live (borrowed).
        unsafe { suspended(self.raw(), work) }
    }

    /// [`Heap::allocate`] of an intercepted heap; else `refusal`.
    pub(super) fn allocated(
        &self,
        refusal: Refusal,
        layout: Layout,
    ) -> Result<NonNull<u8>, Refusal> {
        let kind = if layout.align() <= QUANTUM {
            EventKind::Malloc
        } else {
            EventKind::Memalign
        };
        // SAFETY: no block is given up.
        let block = unsafe { self.observed(refusal, kind, ptr::null_mut(), layout)? };
        NonNull::new(block).ok_or(Refusal::Invalid)
    }

    /// [`Heap::reallocate`] of an intercepted heap; else `refusal`.
    ///
    /// # Safety
    /// On success, the old pointer is given up.
    pub(super) unsafe fn reallocated(
        &self,
        refusal: Refusal,
        old: NonNull<u8>,
        layout: Layout,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the old pointer is given up on success (caller).
        let block = unsafe { self.observed(refusal, EventKind::Realloc, old.as_ptr(), layout)? };
        NonNull::new(block).ok_or(Refusal::Invalid)
    }

    /// [`Heap::deallocate`] of an intercepted heap; else `misuse`.
    ///
    /// # Safety
    /// The block is given up.
    pub(super) unsafe fn freed(
        &self,
        misuse: Misuse,
        block: NonNull<u8>,
        layout: Layout,
    ) -> Result<(), Misuse> {
        let (refusal, old) = (Refusal::Misuse(misuse, block.as_ptr()), block.as_ptr());
        // SAFETY: the block is given up (caller).
        match unsafe { self.observed(refusal, EventKind::Free, old, layout) } {
            Ok(_) => Ok(()),
            Err(Refusal::Misuse(misuse, _)) => Err(misuse),
            Err(_) => Err(misuse),
        }
    }

    /// Notifies the observer of a change that is no call for a block.
    pub(super) fn changed(&self, kind: EventKind, pointer: *mut u8, bytes: usize) {
        let tlsf = self.raw();
        // SAFETY: live (borrowed); its words are cleared if it is intercepted.
        unsafe {
            if tlsf.is_intercepted() && tlsf.has_hooks() == Ok(true) {
                tell_change(tlsf, kind, pointer, bytes);
            }
        }
    }

    /// The result of a call for a block: `refusal`, or that of the call made here, if the heap is
    /// intercepted. Null is the result of a `free`.
    ///
    /// # Safety
    /// On success, `old` is given up.
    #[cold]
    #[inline(never)]
    unsafe fn observed(
        &self,
        refusal: Refusal,
        kind: EventKind,
        old: *mut u8,
        layout: Layout,
    ) -> Result<*mut u8, Refusal> {
        if !matches!(refusal, Refusal::Misuse(Misuse::Intercepted, _)) {
            return Err(refusal);
        }
        let tlsf = self.raw();
        // SAFETY: live (borrowed); `old` is given up on success (caller).
        if let Some(result) = unsafe { from_cache(tlsf, kind, old, layout) } {
            return result;
        }
        let requested = match kind {
            EventKind::Free => 0,
            _ => layout.size(),
        };
        let align = if layout.align() <= QUANTUM || kind == EventKind::Free {
            0
        } else {
            layout.align()
        };
        // SAFETY: live (borrowed), its words cleared since it is intercepted; `old` is given up on
        // success (caller).
        unsafe {
            let access = match kind {
                EventKind::Free => Access::Release,
                _ => Access::Allocate,
            };
            if let Err(misuse) = tlsf.enter_hooks(access) {
                return Err(Refusal::Misuse(misuse, old));
            }
            let before = match (kind, NonNull::new(old)) {
                // Tested: `free` has yet to find that it is no block.
                (EventKind::Free, Some(block)) => {
                    suspended(tlsf, || tlsf.usable_size(block).unwrap_or(0))
                }
                _ => 0,
            };
            let perform = || {
                suspended(tlsf, || match (kind, NonNull::new(old)) {
                    (EventKind::Free, Some(block)) => match tlsf.free(block) {
                        Ok(_) => Ok(ptr::null_mut()),
                        Err(misuse) => Err(Refusal::Misuse(misuse, old)),
                    },
                    (EventKind::Realloc, Some(block)) => tlsf
                        .realloc_aligned(block, layout.align(), layout.size())
                        .map(NonNull::as_ptr),
                    _ => tlsf
                        .memalign(layout.align(), layout.size())
                        .map(NonNull::as_ptr),
                })
            };
            let mut result = perform();
            if result == Err(Refusal::Exhausted)
                && tlsf.ask_for_memory(tlsf.as_raw(), requested, align, &tlsf.stats())
            {
                tlsf.withdraw_refusal();
                result = perform();
            }
            let (kind, pointer, old, block) = match result {
                Ok(_) if kind == EventKind::Free => (kind, old, ptr::null_mut(), before),
                Ok(block) => (kind, block, old, Tlsf::block_size(block)),
                Err(Refusal::Exhausted) => (EventKind::Failed, ptr::null_mut(), old, 0),
                Err(_) => return result,
            };
            tlsf.notify(&Event {
                allocator: tlsf.as_raw(),
                kind,
                pointer: pointer.cast(),
                old: old.cast(),
                requested,
                block,
                align,
            });
            result
        }
    }
}
