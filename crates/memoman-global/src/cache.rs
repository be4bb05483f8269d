//! The blocks that a thread has freed last, by size: what `malloc` looks at first and `free` last puts in.
//!
//! A cached block is in use for the core, so the core's invariants hold unchanged. It is marked: its second word is its address
//! under the heap's key, its first word is the link to the next one under that key, whose upper bits no address has. So a second
//! free of it is seen at once, and a write after the free when it comes out again. (The second free is told by the second word
//! alone: the first one is what programs have most often written last, in part, and a processor reads such a word late.)
//!
//! A class has no room at first. It gets some as `malloc` misses it: a program that does not need the cache does not pay for it in
//! memory, and its blocks go to the core at once, where a write after free shows earliest.

use core::ptr::{self, NonNull};

use crate::segment;
use crate::thread_heap::ALIGN;

/// A class for each block size up to 64 quanta: class `c` has the blocks of `c` quanta, header included.
pub(crate) const CLASSES: usize = 65;
/// Most blocks of a class, and most bytes.
const CLASS_BLOCKS: usize = 64;
const CLASS_BYTES: usize = 8 << 10;
/// Misses before a class has room.
const COLD: u8 = 16;

/// The bits that a block's address may have.
const ADDRESS: usize = segment::ADDRESS_MAX & !(ALIGN - 1);

/// The most blocks that a class may ever hold.
const fn limit(class: usize) -> usize {
    let blocks = CLASS_BYTES / (class * ALIGN);
    if blocks < CLASS_BLOCKS {
        blocks
    } else {
        CLASS_BLOCKS
    }
}

/// All-zero but for the key is an empty one without room.
#[repr(C)]
pub(crate) struct Cache {
    /// What hides links and makes marks.
    key: usize,
    /// The block of each class that comes out next; null: none.
    heads: [*mut u8; CLASSES],
    /// Cached blocks of each class.
    counts: [u8; CLASSES],
    /// How many of each class there may be now.
    rooms: [u8; CLASSES],
    /// Misses of each class, until it has some room.
    misses: [u8; CLASSES],
}

/// What [`Cache::take`] finds.
pub(crate) enum Taken {
    Nothing,
    Block(NonNull<u8>),
    /// This block has been written to since it was freed. What hung behind it is lost.
    Smashed(NonNull<u8>),
}

/// A block's first two words.
#[inline(always)]
fn words(block: NonNull<u8>) -> *mut usize {
    block.as_ptr().cast()
}

/// The second word of a marked block, under its heap's key.
#[inline(always)]
fn mark(key: usize, block: NonNull<u8>) -> usize {
    block.as_ptr().addr() ^ key
}

/// [`Cache::has_mark`], for other threads, which must not touch the owner's cache lines.
///
/// # Safety
/// The block's first two words may be read.
#[inline(always)]
pub(crate) unsafe fn has_mark_of(key: usize, block: NonNull<u8>) -> bool {
    // SAFETY: the caller's duty.
    unsafe { words(block).add(1).read() == mark(key, block) }
}

/// Marks a block that another thread frees.
///
/// # Safety
/// The block is given up; its first two words may be written.
#[inline(always)]
pub(crate) unsafe fn set_mark_of(key: usize, block: NonNull<u8>) {
    // SAFETY: the caller's duty.
    unsafe { words(block).add(1).write(mark(key, block)) }
}

/// The unsafe methods share one duty: `this` is a cache that only the caller uses, `class` is below [`CLASSES`], and the
/// first two words of `block` may be read, and written where that is said.
impl Cache {
    /// Makes an empty one of zeroed memory.
    pub(crate) unsafe fn open(this: *mut Cache, key: usize) {
        // SAFETY: the duty above.
        unsafe { (*this).key = key };
    }

    #[inline(always)]
    unsafe fn head(this: *mut Cache, class: usize) -> *mut *mut u8 {
        // SAFETY: the duty above.
        unsafe { (&raw mut (*this).heads).cast::<*mut u8>().add(class) }
    }

    #[inline(always)]
    unsafe fn count(this: *mut Cache, class: usize) -> *mut u8 {
        // SAFETY: the duty above.
        unsafe { (&raw mut (*this).counts).cast::<u8>().add(class) }
    }

    #[inline(always)]
    unsafe fn room(this: *mut Cache, class: usize) -> *mut u8 {
        // SAFETY: the duty above.
        unsafe { (&raw mut (*this).rooms).cast::<u8>().add(class) }
    }

    /// The second word of a marked block.
    #[inline(always)]
    unsafe fn mark(this: *const Cache, block: NonNull<u8>) -> usize {
        // SAFETY: the duty above.
        mark(unsafe { (*this).key }, block)
    }

    /// The block lies in this cache, or in the inbox beside it.
    #[inline(always)]
    pub(crate) unsafe fn has_mark(this: *const Cache, block: NonNull<u8>) -> bool {
        // SAFETY: the duty above. Another thread may write this word only if it misuses the block.
        unsafe { words(block).add(1).read() == Cache::mark(this, block) }
    }

    /// The block behind, if this word is the link of a sound one. Null is sound: none.
    #[inline(always)]
    unsafe fn link(this: *const Cache, word: usize) -> Option<*mut u8> {
        // SAFETY: the duty above.
        let next = word ^ unsafe { (*this).key };
        (next & !ADDRESS == 0).then(|| ptr::with_exposed_provenance_mut(next))
    }

    /// Takes a mark away: a block that leaves cache or inbox has none, wherever it goes.
    #[inline(always)]
    pub(crate) unsafe fn clear_mark(block: NonNull<u8>) {
        // SAFETY: the duty above; written.
        unsafe { words(block).add(1).write(0) }
    }

    /// One more block of this class may be put in.
    #[inline(always)]
    pub(crate) unsafe fn has_room(this: *mut Cache, class: usize) -> bool {
        // SAFETY: the duty above.
        unsafe { *Cache::count(this, class) < *Cache::room(this, class) }
    }

    /// Puts a block in, whose words are written. There is room.
    #[inline(always)]
    pub(crate) unsafe fn put(this: *mut Cache, class: usize, block: NonNull<u8>) {
        // SAFETY: the duty above.
        unsafe {
            let head = Cache::head(this, class);
            let (link, mark) = (
                (*head).expose_provenance() ^ (*this).key,
                Cache::mark(this, block),
            );
            head.write(block.as_ptr());
            *Cache::count(this, class) += 1;
            words(block).write(link);
            words(block).add(1).write(mark);
        }
    }

    /// Takes the block out that was put in last.
    #[inline(always)]
    pub(crate) unsafe fn take(this: *mut Cache, class: usize) -> Taken {
        // SAFETY: the duty above; a cached block's words may be read, and its link is followed only when it is sound.
        unsafe {
            let head = Cache::head(this, class);
            let Some(block) = NonNull::new(*head) else {
                return Taken::Nothing;
            };
            if !Cache::has_mark(this, block) {
                return Taken::Smashed(block);
            }
            let Some(next) = Cache::link(this, words(block).read()) else {
                return Taken::Smashed(block);
            };
            head.write(next);
            *Cache::count(this, class) = (*Cache::count(this, class)).wrapping_sub(1);
            Cache::clear_mark(block);
            Taken::Block(block)
        }
    }

    /// Gives a class up whose first block is smashed: what hangs behind it cannot be found any more.
    #[cold]
    pub(crate) unsafe fn give_up(this: *mut Cache, class: usize) {
        // SAFETY: the duty above.
        unsafe {
            Cache::head(this, class).write(ptr::null_mut());
            Cache::count(this, class).write(0);
        }
    }

    /// `malloc` has found nothing in this class: it may get a place more.
    #[inline(always)]
    pub(crate) unsafe fn missed(this: *mut Cache, class: usize) {
        // SAFETY: the duty above.
        unsafe {
            let misses = (&raw mut (*this).misses).cast::<u8>().add(class);
            let room = Cache::room(this, class);
            if *misses < COLD {
                *misses += 1;
            } else if usize::from(*room) < limit(class) {
                *room += 1;
            }
        }
    }

    /// Bytes, headers included, and number of the cached blocks.
    pub(crate) unsafe fn contents(this: *const Cache) -> (usize, usize) {
        let (mut bytes, mut blocks) = (0, 0);
        // SAFETY: the duty above.
        let counts = unsafe { &(*this).counts };
        for (class, &count) in counts.iter().enumerate() {
            bytes += class * ALIGN * usize::from(count);
            blocks += usize::from(count);
        }
        (bytes, blocks)
    }

    /// Every class holds as many blocks as it says, each marked, and each as `is_sound` would have it.
    pub(crate) unsafe fn is_sound(
        this: *mut Cache,
        is_sound: impl Fn(NonNull<u8>, usize) -> bool,
    ) -> bool {
        for class in 0..CLASSES {
            // SAFETY: the duty above; a link is followed only when the mark vouches for it.
            unsafe {
                let mut next = *Cache::head(this, class);
                for _ in 0..*Cache::count(this, class) {
                    let Some(block) = NonNull::new(next) else {
                        return false;
                    };
                    // Asked first: it follows nothing outside the heap.
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
