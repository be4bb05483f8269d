//! Blocks that the cache has no room for, or too many of: to the core.

use core::ptr::NonNull;

use crate::allocator::{ALIGN, Misuse};
use crate::thread::cache::{CACHED_BELOW, Cache, SMALL, Taken, class_of_size};
use crate::thread::heap::{GIVEN_AT_ONCE, ThreadHeap};

/// Drains that are skipped after one that gave fewer than [`GIVEN_AT_ONCE`] blocks.
const DRAIN_PAUSE: u8 = 15;
/// A cache that ages may have one part in so many of what its heap has in use, cached blocks
/// included, and [`CACHED_LEAST`] bytes.
#[cfg(feature = "late-checks")]
const CACHED_PART: usize = 16;
#[cfg(feature = "late-checks")]
const CACHED_LEAST: usize = 16 << 10;
/// Classes that age at once.
const AGED_AT_ONCE: usize = 8;

/// The duties of [`ThreadHeap`].
impl ThreadHeap {
    /// Frees a block without a mark: one that is not small to the cache, if its class has room, and
    /// otherwise to the core. A class that holds more than `malloc` takes from it gives up one
    /// block as well. Returns the first misuse it finds.
    pub(crate) unsafe fn turn_away(
        heap: *mut ThreadHeap,
        block: NonNull<u8>,
    ) -> Result<(), (Misuse, *const u8)> {
        // SAFETY: the caller is in the heap; the block lies in one of its segments, is aligned
        // where its class is read, and is tested by the core.
        unsafe {
            let mut class = None;
            if block.as_ptr().addr().is_multiple_of(ALIGN) {
                class = ThreadHeap::class_of(heap, block);
                // 0 if it is no live block.
                let size = match class {
                    None => ThreadHeap::tlsf(heap).live_bytes(block),
                    Some(_) => 0,
                };
                if (SMALL * ALIGN..CACHED_BELOW).contains(&size) {
                    let cache = ThreadHeap::cache(heap);
                    class = Some(class_of_size(size));
                    if Cache::put(cache, class_of_size(size), block, Cache::mark(cache, block)) {
                        return Ok(());
                    }
                }
            }
            ThreadHeap::release(heap, block)
                .map_err(|misuse| (misuse, block.as_ptr().cast_const()))?;
            if let Some(class) = class
                && Cache::turned_away(ThreadHeap::cache(heap), class)
            {
                ThreadHeap::shrink(heap, class, 1)?;
            }
            Ok(())
        }
    }

    /// Moves up to `most` blocks of a class to the core and removes their room; ends early when a
    /// pool becomes surplus. (A smashed block stays; `malloc` reports it when it comes to it.)
    pub(crate) unsafe fn shrink(
        heap: *mut ThreadHeap,
        class: usize,
        most: usize,
    ) -> Result<usize, (Misuse, *const u8)> {
        let mut given = 0;
        // SAFETY: the caller is in the heap.
        unsafe {
            let cache = ThreadHeap::cache(heap);
            while given < most
                && (*heap).surplus.is_none()
                && let Taken::Block(block) = Cache::take(cache, class)
            {
                Cache::shrink(cache, class);
                given += 1;
                ThreadHeap::release(heap, block)
                    .map_err(|misuse| (misuse, block.as_ptr().cast_const()))?;
            }
        }
        Ok(given)
    }

    /// Moves up to [`GIVEN_AT_ONCE`] cached blocks to the core, half of each class in turn, and
    /// returns how many. Returns the first misuse it finds as an error.
    pub(crate) unsafe fn drain(heap: *mut ThreadHeap) -> Result<usize, (Misuse, *const u8)> {
        // SAFETY: the caller is in the heap.
        unsafe {
            if (*heap).cache.pause > 0 {
                (*heap).cache.pause -= 1;
                return Ok(0);
            }
        }
        // SAFETY: the caller is in the heap.
        let drained = unsafe { ThreadHeap::shrink_classes(heap, 0)? };
        // SAFETY: the caller is in the heap.
        unsafe {
            // A surplus pool ends a drain early; that says nothing about the cache.
            if drained < GIVEN_AT_ONCE && (*heap).surplus.is_none() {
                (*heap).cache.pause = DRAIN_PAUSE;
            }
        }
        Ok(drained)
    }

    /// Moves up to [`GIVEN_AT_ONCE`] blocks to the core: half of each class of at least `least`
    /// bytes, in turn.
    #[inline(always)]
    unsafe fn shrink_classes(
        heap: *mut ThreadHeap,
        least: usize,
    ) -> Result<usize, (Misuse, *const u8)> {
        let mut given = 0;
        // SAFETY: the caller is in the heap.
        for _ in 0..unsafe { Cache::open_classes(ThreadHeap::cache(heap)) } {
            if given == GIVEN_AT_ONCE {
                break;
            }
            // SAFETY: the caller is in the heap.
            unsafe {
                let (class, half) = Cache::next_to_shrink(ThreadHeap::cache(heap), least);
                given += ThreadHeap::shrink(heap, class, half.min(GIVEN_AT_ONCE - given))?;
            }
        }
        Ok(given)
    }

    /// Moves half of the blocks of each of the next classes to the core, unless `malloc` has found
    /// the class empty since it was their turn: at most [`GIVEN_AT_ONCE`] blocks. In the shim,
    /// those of the classes with the most bytes, while the cache has more than its part.
    #[inline(never)]
    pub(crate) unsafe fn age(heap: *mut ThreadHeap) -> Result<usize, (Misuse, *const u8)> {
        // SAFETY: the caller is in the heap.
        #[cfg(feature = "late-checks")]
        unsafe {
            let cache = ThreadHeap::cache(heap);
            let most = ThreadHeap::tlsf(heap).used_bytes() / CACHED_PART + CACHED_LEAST;
            if Cache::contents(cache).0 > most {
                return ThreadHeap::shrink_classes(heap, Cache::most_bytes(cache) / 2);
            }
        }
        let mut given = 0;
        for _ in 0..AGED_AT_ONCE {
            // SAFETY: the caller is in the heap.
            unsafe {
                let (class, half) = Cache::next_to_age(ThreadHeap::cache(heap));
                given += ThreadHeap::shrink(heap, class, half.min(GIVEN_AT_ONCE - given))?;
            }
        }
        Ok(given)
    }
}
