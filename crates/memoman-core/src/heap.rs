//! [`Heap`]: the allocator as a Rust value that borrows its memory, so that most of it needs no unsafe code.
//!
//! A thin layer over [`Tlsf`], the raw handle that the C library uses: the same memory, the same constant time.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crate::check::Violation;
use crate::misuse::{Misuse, Refusal};
use crate::pool::Pool as RawPool;
use crate::stats::Stats;
use crate::step::{Cursor, Step};
use crate::tlsf::Tlsf;

/// Memory for a heap: bytes that nobody has a value in.
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
/// It can be moved, and sent to another thread; its blocks stay where they are. It is not `Sync`: one heap, one thread
/// at a time. Dropping it gives the memory back and costs nothing.
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
/// The memory cannot be used, or go away, while the heap lives:
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
/// and two threads cannot use one heap:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<memoman_core::Heap<'static>>();
/// ```
pub struct Heap<'pool> {
    tlsf: Tlsf,
    memory: PhantomData<&'pool mut Memory>,
}

// SAFETY: the control structure and the pools are borrowed exclusively by this value, and nothing in them belongs to a
// thread. Blocks that are borrowed from it (`&Heap`) keep it from being sent.
unsafe impl Send for Heap<'_> {}

/// A pool that was added to a heap: what [`Heap::remove_pool`] takes.
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
    /// Bytes of the memory that was added.
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
    /// A heap in `memory`: the control structure (8.4 KiB on 64-bit targets), and the rest as its first pool. It serves
    /// requests up to 1 TiB (32-bit: 1 GiB). None when there is no room for both. O(1).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// let mut memory = [const { MaybeUninit::uninit() }; 64 * 1024];
    /// assert!(Heap::new(&mut memory).is_some());
    /// let mut little = [const { MaybeUninit::uninit() }; 1024];
    /// assert!(Heap::new(&mut little).is_none());
    /// ```
    pub fn new(memory: &'pool mut Memory) -> Option<Heap<'pool>> {
        // SAFETY: the bytes are borrowed for as long as the heap lives.
        let tlsf = unsafe { Tlsf::create_with_pool(memory.as_mut_ptr().cast(), memory.len()) }?;
        Some(Heap {
            tlsf,
            memory: PhantomData,
        })
    }

    /// A heap in `memory` for requests up to `max_block` bytes, with a smaller control structure
    /// ([`Heap::control_size`]), and the rest as its first pool. None when there is no room for both. O(1).
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
        let control_bytes = Tlsf::control_size(max_block);
        let start: *mut u8 = memory.as_mut_ptr().cast();
        let skip = start.align_offset(align_of::<usize>());
        let rest = memory.len().checked_sub(skip)?.checked_sub(control_bytes)?;
        // SAFETY: the control structure lies inside the memory, which is borrowed for as long as the heap lives, and what
        // is behind it is the rest of that memory.
        unsafe {
            let control = start.add(skip);
            let tlsf = Tlsf::create(control, max_block)?;
            tlsf.add_pool(control.add(control_bytes), rest)?;
            Some(Heap {
                tlsf,
                memory: PhantomData,
            })
        }
    }

    /// Bytes of control structure for requests up to `max_block` bytes; 0 when that is beyond any heap. O(1).
    ///
    /// ```
    /// use memoman_core::Heap;
    /// assert!(Heap::control_size(1024) < Heap::control_size(1 << 20));
    /// assert_eq!(Heap::control_size(usize::MAX), 0);
    /// ```
    pub const fn control_size(max_block: usize) -> usize {
        Tlsf::control_size(max_block)
    }

    /// Gives more memory to the heap. None, and nothing changed, when it is too small for a pool. O(pools).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let mut fast = [const { MaybeUninit::uninit() }; 32 * 1024];
    /// let mut heap = Heap::new(&mut memory).unwrap();
    /// let before = heap.stats().largest;
    /// heap.add_pool(&mut fast).expect("32 KiB hold a pool");
    /// assert!(heap.stats().largest > before);
    /// ```
    pub fn add_pool(&mut self, memory: &'pool mut Memory) -> Option<AddedPool<'pool>> {
        let bytes = memory.len();
        let mem: NonNull<MaybeUninit<u8>> = NonNull::from(memory).cast();
        // SAFETY: live; the memory is borrowed for as long as the heap lives.
        let pool = unsafe { self.tlsf.add_pool(mem.as_ptr().cast(), bytes) }?;
        Some(AddedPool {
            pool,
            heap: self.tlsf,
            mem,
            bytes,
            memory: PhantomData,
        })
    }

    /// Takes a pool back: its memory is the caller's again. The pool itself comes back, and nothing is changed, while a
    /// block of it is in use, or when it is another heap's. O(1).
    ///
    /// ```
    /// # use memoman_core::Heap;
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// # let mut more = [const { MaybeUninit::uninit() }; 64 * 1024];
    /// let mut heap = Heap::new(&mut memory).unwrap();
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
        // The memory of another heap's pool may be in use on another thread: it is not looked at.
        if pool.heap != self.tlsf {
            return Err(pool);
        }
        // SAFETY: live; the pool was added to this heap and has not been removed, for that would have consumed it. Removed, its
        // memory is nobody's, for the rest of `'pool`.
        unsafe {
            if self.tlsf.remove_pool(pool.pool.as_raw().cast()) {
                Ok(&mut *ptr::slice_from_raw_parts_mut(
                    pool.mem.as_ptr(),
                    pool.bytes,
                ))
            } else {
                Err(pool)
            }
        }
    }

    /// Allocates memory for `layout`. A layout of size 0 takes none. O(1).
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
        // SAFETY: live, and no other call is in progress: the heap is not Sync, and calls nobody.
        unsafe { self.tlsf.memalign(layout.align(), layout.size()) }
    }

    /// Frees a block and joins it with its free neighbours. O(1).
    ///
    /// # Safety
    /// The block came from this heap with this layout and has not been freed. What breaks this is found, and refused
    /// with nothing changed, as far as the headers show it.
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
        // SAFETY: live; the block is the caller's duty.
        unsafe { self.tlsf.free(block) }.map(|_| ())
    }

    /// Resizes a block: in place forward, then backward, then by moving; its contents come along up to the smaller size.
    /// When it is refused the block is as it was. O(1), and the copying.
    ///
    /// # Safety
    /// As for [`Heap::deallocate`], with `old`; on success the block is given up.
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
        // SAFETY: live; the block is the caller's duty.
        unsafe {
            if new.size() == 0 {
                let freed = self.tlsf.free(block);
                return match freed {
                    Ok(_) => Ok(nowhere(new)),
                    Err(misuse) => Err(Refusal::Misuse(misuse, block.as_ptr())),
                };
            }
            self.tlsf.realloc_aligned(block, new.align(), new.size())
        }
    }

    /// The usable bytes of a block, at least those that were asked for. O(1).
    ///
    /// # Safety
    /// As for [`Heap::deallocate`], with a size that is not 0; nothing is given up.
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
        // SAFETY: live; the block is the caller's duty.
        unsafe { self.tlsf.usable_size(block) }
    }

    /// Gives up all blocks at once: every pool is one free block again, the counters start anew. False, and nothing changed,
    /// when the list of pools has been overwritten. O(pools).
    ///
    /// Nothing that was borrowed from the heap is left when this can be called. Values are not dropped.
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
        unsafe { self.tlsf.reset() }
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

    /// Proves every invariant; the first that is broken is the error. O(blocks).
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
        match unsafe { self.tlsf.diagnose() } {
            None => Ok(()),
            Some(violation) => Err(violation),
        }
    }

    /// Validates up to `max_blocks` blocks and remembers in `cursor` where to go on; the heap may be used between two
    /// steps. O(max_blocks · pools).
    ///
    /// ```
    /// # use memoman_core::{Cursor, Heap, Step};
    /// # use std::mem::MaybeUninit;
    /// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
    /// let heap = Heap::new(&mut memory).unwrap();
    /// let mut cursor = Cursor::START;
    /// while heap.validate_step(&mut cursor, 10) == Step::More {}
    /// ```
    pub fn validate_step(&self, cursor: &mut Cursor, max_blocks: usize) -> Step {
        // SAFETY: live. A cursor is private: it is that of a start or of a step, and a step tests what it leads to.
        unsafe { self.tlsf.validate_step(cursor, max_blocks) }
    }

    /// Calls `f` with the address, the usable bytes and "in use" of each block of each pool, by address. O(blocks).
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
        // SAFETY: live; borrowed exclusively, so `f` cannot reach it.
        unsafe {
            let mut next = self.tlsf.first_pool();
            while let Some(pool) = next {
                pool.walk(&mut f);
                next = self.tlsf.next_pool(pool);
            }
        }
    }

    /// The raw handle, for what is not here: C's functions take it as `mm_allocator_t *` (`Tlsf::as_raw`).
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

/// A well-aligned address for what has no bytes.
pub(crate) fn nowhere(layout: Layout) -> NonNull<u8> {
    NonNull::new(ptr::without_provenance_mut(layout.align())).unwrap_or(NonNull::dangling())
}
