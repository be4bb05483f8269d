//! A global allocator for microcontrollers: a [`Heap`] in a static, guarded by the critical section
//! of the [`critical-section`](critical_section) crate, whose implementation the program chooses
//! for its chip (single-core or multi-core).
//!
//! ```no_run
//! extern crate alloc;
//! use core::mem::MaybeUninit;
//! use memoman_core::embedded::Heap;
//!
//! #[global_allocator]
//! static HEAP: Heap = Heap::empty();
//!
//! fn main() {
//!     const SIZE: usize = 256 * 1024;
//!     static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
//!     // SAFETY: the memory is given away once, here, before the first allocation.
//!     unsafe { HEAP.init(&raw mut MEMORY as usize, SIZE) }
//!
//!     let numbers: alloc::vec::Vec<u32> = (0..10).collect();
//!     assert!(HEAP.used() >= 40);
//! }
//! ```
//!
//! The names are those of the crate embedded-alloc. Interrupts are off for the constant time of one
//! call of the core: clearing, and copying a block that moves, run outside the critical section,
//! but for a block that grows backward over its free neighbour.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::{self, NonNull};

use critical_section::{CriticalSection, Mutex};

use super::heap::Memory;
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::stats::Stats;

/// The instance, once there is memory.
struct Instance(Cell<Option<Tlsf>>);

// SAFETY: the instance owns its memory exclusively, and nothing in it is bound to a thread.
unsafe impl Send for Instance {}

/// A heap in a static, for `#[global_allocator]`; the [module](self) shows a program.
///
/// ```
/// use memoman_core::embedded::Heap;
/// static HEAP: Heap = Heap::empty();
/// assert!(HEAP.add(Box::leak(Box::new([core::mem::MaybeUninit::uninit(); 4096]))));
/// ```
pub struct Heap {
    instance: Mutex<Instance>,
}

impl Heap {
    /// A heap without memory: it allocates nothing until [`Heap::init`] or [`Heap::add`].
    ///
    /// ```
    /// use memoman_core::embedded::Heap;
    /// static HEAP: Heap = Heap::empty();
    /// assert_eq!((HEAP.used(), HEAP.free()), (0, 0));
    /// ```
    pub const fn empty() -> Heap {
        Heap {
            instance: Mutex::new(Instance(Cell::new(None))),
        }
    }

    /// Gives the `size` bytes at `start_addr` to the heap; O(1).
    ///
    /// # Safety
    /// `start_addr` is the exposed address (`as usize`) of memory of `size` bytes that may be read
    /// and written, and that nothing else uses from now on.
    ///
    /// # Panics
    /// When the heap has memory already, or when `size` bytes are too few: 1 KiB holds a heap.
    ///
    /// ```
    /// use core::mem::MaybeUninit;
    /// use memoman_core::embedded::Heap;
    /// static HEAP: Heap = Heap::empty();
    /// static mut MEMORY: [MaybeUninit<u8>; 4096] = [MaybeUninit::uninit(); 4096];
    /// // SAFETY: the memory is given away once.
    /// unsafe { HEAP.init(&raw mut MEMORY as usize, 4096) }
    /// assert!(HEAP.free() > 2500);
    /// ```
    pub unsafe fn init(&self, start_addr: usize, size: usize) {
        let memory = ptr::with_exposed_provenance_mut(start_addr);
        let done = critical_section::with(|token| {
            // SAFETY: the memory is the caller's to give.
            self.get(token).is_none() && unsafe { self.give(token, memory, size) }
        });
        assert!(
            done,
            "embedded::Heap::init: a second call, or too little memory"
        );
    }

    /// Gives memory to the heap: the first creates it, each further one becomes a pool. The largest
    /// request is the block that fills the first. False, and nothing changed, when the memory
    /// is too small. O(pools).
    ///
    /// ```
    /// use memoman_core::{Memory, embedded::Heap};
    /// use std::mem::MaybeUninit;
    ///
    /// static HEAP: Heap = Heap::empty();
    /// let memory: &'static mut Memory = Box::leak(Box::new([MaybeUninit::uninit(); 8192]));
    /// assert!(HEAP.add(memory));
    /// let before = HEAP.free();
    /// assert!(HEAP.add(Box::leak(Box::new([MaybeUninit::uninit(); 4096]))));
    /// assert!(HEAP.free() > before + 4000);
    /// ```
    pub fn add(&self, memory: &'static mut Memory) -> bool {
        let (start, size) = (memory.as_mut_ptr().cast(), memory.len());
        // SAFETY: the memory is borrowed exclusively and for ever.
        critical_section::with(|token| unsafe { self.give(token, start, size) })
    }

    /// Bytes of live blocks, their headers included; O(1).
    ///
    /// ```
    /// # use memoman_core::embedded::Heap;
    /// assert_eq!(Heap::empty().used(), 0);
    /// ```
    pub fn used(&self) -> usize {
        self.stats().used
    }

    /// Bytes of free blocks, their headers included; O(1).
    ///
    /// ```
    /// # use memoman_core::embedded::Heap;
    /// assert_eq!(Heap::empty().free(), 0);
    /// ```
    pub fn free(&self) -> usize {
        self.stats().free
    }

    /// The heap's figures, all 0 without memory; O(1).
    ///
    /// ```
    /// # use memoman_core::embedded::Heap;
    /// assert_eq!(Heap::empty().stats().largest, 0);
    /// ```
    pub fn stats(&self) -> Stats {
        // SAFETY: live; the critical section excludes other calls.
        self.with(|tlsf| unsafe { tlsf.stats() })
            .unwrap_or_default()
    }

    fn get(&self, token: CriticalSection<'_>) -> Option<Tlsf> {
        self.instance.borrow(token).0.get()
    }

    /// A call on the instance, in a critical section.
    fn with<R>(&self, call: impl FnOnce(Tlsf) -> R) -> Option<R> {
        critical_section::with(|token| self.get(token).map(call))
    }

    /// Creates the instance in this memory, or adds it as a pool.
    ///
    /// # Safety
    /// `size` bytes at `start` may be read and written, and are the heap's from now on.
    unsafe fn give(&self, token: CriticalSection<'_>, start: *mut u8, size: usize) -> bool {
        // SAFETY: the memory is the caller's to give; a live instance, if there is one, whose other
        // calls the critical section excludes.
        unsafe {
            match self.get(token) {
                Some(tlsf) => tlsf.add_pool(start, size).is_some(),
                None => {
                    let tlsf = Tlsf::create_with_pool(start, size);
                    self.instance.borrow(token).0.set(tlsf);
                    tlsf.is_some()
                }
            }
        }
    }
}

/// Ends the program: a global allocator must not unwind, and a panic does not leave an
/// `extern "C"` function.
#[cold]
extern "C" fn stop(misuse: Misuse) -> ! {
    misuse.panic()
}

/// The block as `GlobalAlloc` returns it: null when memory is short.
fn answer(result: Option<Result<NonNull<u8>, Refusal>>) -> *mut u8 {
    match result {
        Some(Ok(block)) => block.as_ptr(),
        Some(Err(Refusal::Misuse(misuse, _))) => stop(misuse),
        Some(Err(Refusal::Exhausted | Refusal::Invalid)) | None => ptr::null_mut(),
    }
}

// SAFETY: blocks are those of the instance, valid until they are freed; the critical section
// serialises its calls; no call unwinds (`stop`).
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: live; the critical section excludes other calls.
        answer(self.with(|tlsf| unsafe { tlsf.memalign(layout.align(), layout.size()) }))
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        let freed = NonNull::new(block).and_then(|block| {
            // SAFETY: live; the critical section excludes other calls; a block that is given up
            // (caller).
            self.with(|tlsf| unsafe { tlsf.free(block) })
        });
        if let Some(Err(misuse)) = freed {
            stop(misuse);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let Some(old) = NonNull::new(block) else {
            return ptr::null_mut();
        };
        // SAFETY: live; the critical section excludes other calls; a block of this heap (caller).
        let resized = self.with(|tlsf| unsafe {
            tlsf.realloc_in_place(old, layout.align().max(Tlsf::ALIGN), bytes)
        });
        match resized {
            Some(Ok(Some(same))) => same.as_ptr(),
            Some(Err(refusal)) => answer(Some(Err(refusal))),
            None => ptr::null_mut(),
            // The copy is as long as the block: interrupts are on.
            Some(Ok(None)) => {
                // SAFETY: the layout is that of the old block with another size, which its caller
                // has checked; both blocks hold the bytes that are copied.
                unsafe {
                    let new = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
                    if !new.is_null() {
                        ptr::copy_nonoverlapping(block, new, layout.size().min(bytes));
                        self.dealloc(block, layout);
                    }
                    new
                }
            }
        }
    }
}
