//! [`Heap`]: the allocator as a Rust value that borrows its memory, so that most calls are safe.
//!
//! A thin layer over [`Tlsf`], the raw handle that the C library uses too.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crate::hooks::EventKind;
use crate::instance::Tlsf;
use crate::life;
use crate::misuse::{Misuse, Refusal};
use crate::pool::Pool as RawPool;
#[cfg(not(memoman_small))]
use crate::rust::cache::{flush, forget_cached};
#[cfg(memoman_small)]
use crate::rust::unobserved::{flush, forget_cached};
use crate::stats::Stats;
use crate::validate::Violation;

/// Memory for a heap: bytes without values.
///
/// ```
/// use memoman_core::{Heap, Memory};
/// use std::mem::MaybeUninit;
///
/// let mut memory: Box<Memory> = vec![MaybeUninit::uninit(); 1 << 20].into_boxed_slice();
/// assert!(Heap::new(&mut memory).is_some());
/// ```
pub type Memory = [MaybeUninit<u8>];

/// A TLSF allocator over memory that is borrowed for `'pool`.
///
/// It can be moved, and sent to another thread; its blocks stay in place. It is not `Sync`: one
/// thread at a time uses a heap. Dropping it ends the borrow and runs no code.
///
/// ```
/// use memoman_core::Heap;
/// use std::mem::MaybeUninit;
///
/// let mut memory = [const { MaybeUninit::uninit() }; 64 * 1024];
/// let heap = Heap::new(&mut memory).expect("64 KiB hold a heap");
/// let answer = heap.boxed(42).expect("there is room");
/// assert_eq!(*answer, 42);
/// assert_eq!(heap.stats().live_blocks, 1);
/// drop(answer);
/// assert_eq!(heap.stats().live_blocks, 0);
/// ```
///
/// The memory can be neither used nor dropped while the heap lives:
///
/// ```compile_fail,E0597
/// use memoman_core::Heap;
/// use std::mem::MaybeUninit;
///
/// let heap = {
///     let mut memory = [const { MaybeUninit::uninit() }; 64 * 1024];
///     Heap::new(&mut memory).unwrap()
/// };
/// heap.stats();
/// ```
///
/// Two threads cannot share a heap:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<memoman_core::Heap<'static>>();
/// ```
pub struct Heap<'pool> {
    tlsf: Tlsf,
    memory: PhantomData<&'pool mut Memory>,
}

// SAFETY: this value borrows the control structure and the pools exclusively, and nothing in them
// is bound to a thread. Boxed values borrow it (`&Heap`) and so keep it from being sent.
unsafe impl Send for Heap<'_> {}

/// A pool added to a heap by [`Heap::add_pool`], for [`Heap::remove_pool`].
///
/// ```
/// use memoman_core::{Heap, Memory};
/// use std::mem::MaybeUninit;
///
/// let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let mut more = [const { MaybeUninit::uninit() }; 4096];
/// let mut heap = Heap::new(&mut memory).unwrap();
/// let pool = heap.add_pool(&mut more).expect("4 KiB hold a pool");
/// assert_eq!(pool.bytes(), 4096);
/// let back: &mut Memory = heap.remove_pool(pool).expect("nothing in it is in use");
/// assert_eq!(back.len(), 4096);
/// ```
#[derive(Debug)]
pub struct AddedPool<'pool> {
    pool: RawPool,
    heap: Tlsf,
    mem: NonNull<MaybeUninit<u8>>,
    bytes: usize,
    memory: PhantomData<&'pool mut Memory>,
}

impl AddedPool<'_> {
    /// Length of the added memory in bytes.
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// # let mut heap = Heap::new(&mut memory).unwrap();
    /// let mut more = [const { MaybeUninit::uninit() }; 1000];
    /// assert_eq!(heap.add_pool(&mut more).unwrap().bytes(), 1000);
    /// ```
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<'pool> Heap<'pool> {
    /// Creates a heap in `memory`: a control structure sized to it (12 % of 16 KiB, 4 % of 64 KiB
    /// on 64-bit targets), and the rest as its first pool. Its largest request is the block
    /// that fills `memory`: [`Heap::with_max_block`] is for heaps that get larger pools. None when
    /// `memory` does not hold both. O(1).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// let mut memory = [const { MaybeUninit::uninit() }; 64 * 1024];
    /// assert!(Heap::new(&mut memory).is_some());
    /// let mut little = [const { MaybeUninit::uninit() }; 512];
    /// assert!(Heap::new(&mut little).is_none());
    /// ```
    pub fn new(memory: &'pool mut Memory) -> Option<Heap<'pool>> {
        // SAFETY: the memory is borrowed exclusively for as long as the heap lives.
        let tlsf = unsafe { Tlsf::create_with_pool(memory.as_mut_ptr().cast(), memory.len()) }?;
        Some(Heap {
            tlsf,
            memory: PhantomData,
        })
    }

    /// Creates a heap in `memory` for requests up to `max_block` bytes: a control structure of
    /// [`Heap::control_size`] bytes, and the rest as its first pool. None when `memory` does not
    /// hold both, or `max_block` is beyond any heap. O(1).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// let mut memory = [const { MaybeUninit::uninit() }; 4096];
    /// let heap = Heap::with_max_block(&mut memory, 1024).expect("a small heap for small blocks");
    /// assert!(heap.boxed([0u8; 1024]).is_ok());
    /// assert!(heap.boxed([0u8; 1100]).is_err());
    /// ```
    pub fn with_max_block(memory: &'pool mut Memory, max_block: usize) -> Option<Heap<'pool>> {
        let start: *mut u8 = memory.as_mut_ptr().cast();
        Heap::seeded(memory, max_block, life::begin(start.addr()))
    }

    /// [`Heap::with_max_block`] with a number that the seal of the heap's headers follows from, for
    /// runs that must repeat exactly. Without it, the seal follows from the processor's time
    /// counter. Successive heaps in the same memory need successive seeds, of which each
    /// [`Heap::reset`] takes one: headers that an earlier heap with an equal seed left behind pass
    /// for those of this one.
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// let mut memory = [const { MaybeUninit::uninit() }; 4096];
    /// for run in 0..10 {
    ///     let heap = Heap::seeded(&mut memory, 1024, run).unwrap();
    ///     assert!(heap.boxed(run).is_ok());
    /// }
    /// ```
    pub fn seeded(memory: &'pool mut Memory, max_block: usize, seed: usize) -> Option<Heap<'pool>> {
        let (start, bytes) = (memory.as_mut_ptr().cast(), memory.len());
        // SAFETY: the memory is borrowed exclusively for as long as the heap lives.
        let tlsf = unsafe { Tlsf::create_seeded_with_pool(start, bytes, max_block, seed) }?;
        Some(Heap {
            tlsf,
            memory: PhantomData,
        })
    }

    /// Bytes of control structure for requests up to `max_block` bytes; 0 when that is beyond any
    /// heap. O(1).
    ///
    /// ```
    /// use memoman_core::Heap;
    /// assert!(Heap::control_size(1024) < Heap::control_size(1 << 20));
    /// assert_eq!(Heap::control_size(usize::MAX), 0);
    /// ```
    pub const fn control_size(max_block: usize) -> usize {
        Tlsf::control_size(max_block)
    }

    /// Adds `memory` as a pool. The heap's largest request stays as it was created. None, and
    /// nothing changed, when it is too small for a pool. O(pools).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut fast = [const { MaybeUninit::uninit() }; 32 * 1024];
    /// let mut heap = Heap::with_max_block(&mut memory, 32 * 1024).unwrap();
    /// let before = heap.stats().largest;
    /// heap.add_pool(&mut fast).expect("32 KiB hold a pool");
    /// assert!(heap.stats().largest > before);
    /// ```
    pub fn add_pool(&mut self, memory: &'pool mut Memory) -> Option<AddedPool<'pool>> {
        let bytes = memory.len();
        let mem: NonNull<MaybeUninit<u8>> = NonNull::from(memory).cast();
        let pool = self.suspended(|| {
            // SAFETY: live (borrowed); the memory is borrowed exclusively for as long as the heap
            // lives.
            unsafe { self.tlsf.add_pool(mem.as_ptr().cast(), bytes) }
        })?;
        // SAFETY: the pool has just been added.
        let (start, pool_bytes) = unsafe { pool.memory() };
        self.changed(EventKind::PoolAdded, start, pool_bytes);
        Some(AddedPool {
            pool,
            heap: self.tlsf,
            mem,
            bytes,
            memory: PhantomData,
        })
    }

    /// Removes a pool and returns its memory. The error is the pool, and nothing is changed, while
    /// one of its blocks is in use, or when it belongs to another heap. O(1).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// # let mut more = [const { MaybeUninit::uninit() }; 64 * 1024];
    /// let mut heap = Heap::with_max_block(&mut memory, 32 * 1024).unwrap();
    /// let pool = heap.add_pool(&mut more).unwrap();
    /// // Only the new pool has room for this.
    /// let layout = std::alloc::Layout::new::<[u8; 32 * 1024]>();
    /// let block = heap.allocate(layout).unwrap();
    /// let pool = heap.remove_pool(pool).expect_err("a block of it is in use");
    /// // SAFETY: the block came from this heap with this layout.
    /// unsafe { heap.deallocate(block, layout).unwrap() };
    /// assert!(heap.remove_pool(pool).is_ok());
    /// ```
    pub fn remove_pool(
        &mut self,
        pool: AddedPool<'pool>,
    ) -> Result<&'pool mut Memory, AddedPool<'pool>> {
        // Another heap's pool is not read: another thread may be using it.
        if pool.heap != self.tlsf {
            return Err(pool);
        }
        // SAFETY: live (borrowed); the pool was added to this heap (tested) and not removed, which
        // would have consumed it. Once it is removed, nothing else refers to its memory for the
        // rest of `'pool`.
        unsafe {
            let (start, bytes) = pool.pool.memory();
            if self.suspended(|| {
                flush(self.tlsf);
                self.tlsf.remove_pool(start)
            }) {
                self.changed(EventKind::PoolRemoved, start, bytes);
                Ok(&mut *ptr::slice_from_raw_parts_mut(
                    pool.mem.as_ptr(),
                    pool.bytes,
                ))
            } else {
                Err(pool)
            }
        }
    }

    /// Allocates memory for `layout`; size 0 takes none and cannot fail. O(1). Fails with
    /// [`Refusal::Exhausted`] when no free block is large enough, with [`Refusal::Misuse`] when the
    /// block found has been overwritten; nothing but `failed_requests` is changed then.
    ///
    /// ```
    /// # use memoman_core::{Heap, Refusal};
    /// # use std::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let heap = Heap::new(&mut memory).unwrap();
    /// let layout = Layout::from_size_align(100, 64).unwrap();
    /// let block = heap.allocate(layout)?;
    /// assert_eq!(block.addr().get() % 64, 0);
    /// // SAFETY: the block came from this heap with this layout.
    /// unsafe { heap.deallocate(block, layout).unwrap() };
    /// assert_eq!(heap.allocate(Layout::new::<[u8; 1 << 20]>()), Err(Refusal::Exhausted));
    /// # Ok::<(), Refusal>(())
    /// ```
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, Refusal> {
        if layout.size() == 0 {
            return Ok(nowhere(layout));
        }
        // SAFETY: live (borrowed); no other call is in progress: the heap is not Sync, and
        // refuses calls from its callbacks.
        unsafe {
            self.tlsf
                .memalign(layout.align(), layout.size())
                .or_else(|refusal| self.allocated(refusal, layout))
        }
    }

    /// Frees a block and merges it with its free neighbours. O(1). Misuse that the header checks
    /// detect is the error; nothing is changed then.
    ///
    /// # Safety
    /// The block came from this heap with this layout and has not been freed.
    ///
    /// ```
    /// # use memoman_core::{Heap, Misuse};
    /// # use std::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// # let heap = Heap::new(&mut memory).unwrap();
    /// let layout = Layout::new::<[u64; 8]>();
    /// let block = heap.allocate(layout).unwrap();
    /// // SAFETY: the first time it is a live block of this heap.
    /// unsafe {
    ///     assert_eq!(heap.deallocate(block, layout), Ok(()));
    ///     assert_eq!(heap.deallocate(block, layout), Err(Misuse::DoubleFree));
    /// }
    /// ```
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Misuse> {
        if layout.size() == 0 {
            return Ok(());
        }
        // SAFETY: live (borrowed); a block of this heap (caller).
        unsafe {
            match self.tlsf.free(block) {
                Ok(_) => Ok(()),
                Err(misuse) => self.freed(misuse, block, layout),
            }
        }
    }

    /// Resizes a block, in place forward, else backward, else by a move, and keeps its contents up
    /// to the smaller size. On failure the block is unchanged. O(1), apart from copying.
    ///
    /// # Safety
    /// The block came from this heap with layout `old` and has not been freed. On success, only the
    /// returned pointer is used.
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// # let heap = Heap::new(&mut memory).unwrap();
    /// let (small, large) = (Layout::new::<[u8; 100]>(), Layout::new::<[u8; 1000]>());
    /// let block = heap.allocate(small).unwrap();
    /// // SAFETY: a live block of this heap, whose bytes may be written.
    /// unsafe {
    ///     block.write_bytes(7, 100);
    ///     let grown = heap.reallocate(block, small, large).unwrap();
    ///     assert_eq!(grown.add(99).read(), 7);
    ///     heap.deallocate(grown, large).unwrap();
    /// }
    /// ```
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, Refusal> {
        if old.size() == 0 {
            return self.allocate(new);
        }
        // SAFETY: live (borrowed); a block of this heap (caller).
        unsafe {
            if new.size() == 0 {
                return match self.deallocate(block, old) {
                    Ok(()) => Ok(nowhere(new)),
                    Err(misuse) => Err(Refusal::Misuse(misuse, block.as_ptr())),
                };
            }
            self.tlsf
                .realloc_aligned(block, new.align(), new.size())
                .or_else(|refusal| self.reallocated(refusal, block, new))
        }
    }

    /// The usable bytes of a block, at least the size of its layout. O(1). Misuse that the header
    /// checks detect is the error.
    ///
    /// # Safety
    /// The block came from this heap with a size that is not 0 and has not been freed.
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// # let heap = Heap::new(&mut memory).unwrap();
    /// let block = heap.allocate(Layout::new::<[u8; 100]>()).unwrap();
    /// // SAFETY: a live block of this heap.
    /// assert!(unsafe { heap.usable_size(block) }.unwrap() >= 100);
    /// ```
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> Result<usize, Misuse> {
        // SAFETY: live (borrowed); a block of this heap (caller).
        self.suspended(|| unsafe { self.tlsf.usable_size(block) })
    }

    /// Frees all blocks at once: every pool becomes one free block, the counters start anew. False,
    /// and nothing changed, when the list of pools has been overwritten. O(pools).
    ///
    /// Values in blocks are not dropped; the exclusive borrow proves that no
    /// [`Boxed`](crate::Boxed) is left.
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::{alloc::Layout, mem::MaybeUninit};
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// # let mut heap = Heap::new(&mut memory).unwrap();
    /// heap.allocate(Layout::new::<[u8; 4000]>()).unwrap();
    /// assert!(heap.reset());
    /// assert_eq!(heap.stats().used, 0);
    /// ```
    pub fn reset(&mut self) -> bool {
        // SAFETY: live; borrowed exclusively, so no safe reference into a block is left.
        let done = self.suspended(|| unsafe {
            let done = self.tlsf.reset();
            if done {
                forget_cached(self.tlsf);
            }
            done
        });
        if done {
            self.changed(EventKind::Reset, ptr::null_mut(), 0);
        }
        done
    }

    /// The heap's figures. O(1).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let heap = Heap::new(&mut memory).unwrap();
    /// let stats = heap.stats();
    /// assert_eq!(stats.used + stats.free + stats.overhead, stats.pool_bytes);
    /// ```
    pub fn stats(&self) -> Stats {
        // SAFETY: live.
        unsafe { self.tlsf.stats() }
    }

    /// Proves every invariant of the crate's documentation; the first broken one is the error.
    /// O(blocks).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let heap = Heap::new(&mut memory).unwrap();
    /// assert_eq!(heap.validate(), Ok(()));
    /// ```
    pub fn validate(&self) -> Result<(), Violation> {
        // SAFETY: live.
        match self.suspended(|| unsafe { self.tlsf.diagnose() }) {
            None => Ok(()),
            Some(violation) => Err(violation),
        }
    }

    /// The raw handle, for methods that [`Heap`] lacks and for C, whose `mm_allocator_t *` is
    /// `Tlsf::as_raw`.
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let heap = Heap::new(&mut memory).unwrap();
    /// assert!(!heap.raw().as_raw().is_null());
    /// ```
    pub fn raw(&self) -> Tlsf {
        self.tlsf
    }
}

impl fmt::Debug for Heap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Heap").field(&self.stats()).finish()
    }
}

/// An aligned address for a layout of size 0.
pub(crate) fn nowhere(layout: Layout) -> NonNull<u8> {
    NonNull::new(ptr::without_provenance_mut(layout.align())).unwrap_or(NonNull::dangling())
}
