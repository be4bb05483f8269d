//! Walks over a cache: its contents, and whether it is sound.

use core::ptr::NonNull;

use crate::thread::cache::{CLASSES, Cache, bytes_of, words};

/// The duties of [`Cache`].
impl Cache {
    /// The most bytes of blocks of one class.
    #[cfg(feature = "late-checks")]
    pub(crate) unsafe fn most_bytes(this: *mut Cache) -> usize {
        let mut most = 0;
        // SAFETY: the caller's duties.
        unsafe {
            Cache::each_open(this, |class, count| {
                most = most.max(bytes_of(class) * count)
            })
        };
        most
    }

    /// Bytes (headers included) and number of the cached blocks.
    pub(crate) unsafe fn contents(this: *mut Cache) -> (usize, usize) {
        let (mut bytes, mut blocks) = (0, 0);
        // SAFETY: the caller's duties.
        unsafe {
            Cache::each_open(this, |class, count| {
                bytes += bytes_of(class) * count;
                blocks += count;
            });
        }
        (bytes, blocks)
    }

    /// Every class holds as many blocks as it counts, each marked, and `is_sound` for its class.
    pub(crate) unsafe fn is_sound(
        this: *mut Cache,
        is_sound: impl Fn(NonNull<u8>, usize) -> bool,
    ) -> bool {
        for class in 0..CLASSES {
            // SAFETY: this thread's cache (caller); a link is followed only from a block with its
            // mark.
            unsafe {
                let mut next = (*Cache::class(this, class)).head;
                for _ in 0..Cache::count(this, class) {
                    let Some(block) = NonNull::new(next) else {
                        return false;
                    };
                    // `is_sound` comes first: it reads nothing outside the heap.
                    if !is_sound(block, class) || !Cache::has_mark(this, block) {
                        return false;
                    }
                    let Some(link) = Cache::link(this, words(block).read()) else {
                        return false;
                    };
                    next = link;
                }
                if !next.is_null() {
                    return false;
                }
            }
        }
        true
    }
}
