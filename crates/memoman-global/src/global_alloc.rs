//! [`Memoman`]: the process-wide allocator as Rust's global one.

use core::alloc::{GlobalAlloc, Layout};

use crate::allocator::{ALIGN, Stats};
use crate::{imp, inspect};

/// The process-wide allocator, for `#[global_allocator]`.
///
/// All values are the same allocator: what one allocates, another may free.
///
/// ```
/// use memoman_global::Memoman;
///
/// #[global_allocator]
/// static ALLOCATOR: Memoman = Memoman;
///
/// let words: Vec<String> = "every one of these is in it".split(' ').map(String::from).collect();
/// assert!(ALLOCATOR.stats().live_blocks > words.len());
/// assert!(ALLOCATOR.validate());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Memoman;

// SAFETY: any thread may call the functions of the process-wide allocator at any time; they never
// unwind, and return blocks of at least the requested size and alignment, which stay in place until
// they are freed.
unsafe impl GlobalAlloc for Memoman {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGN {
            imp::malloc(layout.size())
        } else {
            imp::memalign(layout.align(), layout.size())
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: a live block of this allocator (caller).
        unsafe { imp::free(block) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGN {
            return imp::calloc(1, layout.size());
        }
        imp::memalign_zeroed(layout.align(), layout.size())
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `block` is live and of this allocator (caller), and `new` has the new size; the
        // new size rounded up to the alignment does not overflow (caller), so the layout is valid.
        unsafe {
            // `realloc` keeps no alignment beyond the quantum when it moves a block.
            if layout.align() <= ALIGN {
                return imp::realloc(block, new_size);
            }
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size().min(new_size));
                imp::free(block);
            }
            new
        }
    }
}

impl Memoman {
    /// The allocator's figures. O(thread heaps + blocks in their inboxes), under the lock.
    ///
    /// ```
    /// use memoman_global::Memoman;
    /// let stats = Memoman.stats();
    /// assert_eq!(stats.used + stats.free + stats.overhead, stats.pool_bytes);
    /// ```
    pub fn stats(&self) -> Stats {
        inspect::stats()
    }

    /// The heap is sound. O(blocks), under the lock.
    ///
    /// ```
    /// assert!(memoman_global::Memoman.validate());
    /// ```
    pub fn validate(&self) -> bool {
        inspect::validate()
    }

    /// Gives memory back to the system: empty regions, and whole pages inside free blocks. True if
    /// any was returned. O(blocks), under the lock.
    ///
    /// ```
    /// # #[global_allocator]
    /// # static ALLOCATOR: memoman_global::Memoman = memoman_global::Memoman;
    /// let large = vec![1u8; 700 << 10];
    /// drop(large);
    /// memoman_global::Memoman.trim();
    /// assert!(memoman_global::Memoman.validate());
    /// ```
    pub fn trim(&self) -> bool {
        inspect::trim(0)
    }
}
