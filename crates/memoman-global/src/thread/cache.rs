//! The blocks that a thread has freed last, by size: what `malloc` looks at first and `free` last puts in.
//!
//! A cached block is in use for the core, so the core's invariants hold unchanged. It is marked: its second word is its address
//! under the heap's key, its first word is the link to the next one under that key, whose upper bits no address has. So a second
//! free of it is seen at once, and a write after the free when it comes out again. (The second free is told by the second word
//! alone: the first one is what programs have most often written last, in part, and a processor reads such a word late.)
//!
//! A class has no room at first. It gets some when `malloc` misses it after a `free` had found no room: as much as was turned
//! away, half as much again at most. So a program that does not need the cache does not pay for it in memory, and its blocks
//! go to the core at once, where a write after free shows earliest. It loses room, down to [`CLASS_LEAST`], as blocks are turned
//! away and none is asked for, and when the heap needs memory: what lies here is used before a segment is asked for.

use core::ptr::{self, NonNull};

use crate::segment;
use crate::thread_heap::ALIGN;

/// A class for each block size up to 64 quanta: class `c` has the blocks of `c` quanta, header included.
pub(crate) const CLASSES: usize = 129;
/// Most bytes of a class: this part of what the heap has, within these bounds.
const CLASS_PART: usize = 8;
const CLASS_LEAST: usize = 8 << 10;
const CLASS_MOST: usize = 512 << 10;
/// Misses before a class has room.
const COLD: u8 = 16;

/// The bits that a block's address may have.
const ADDRESS: usize = segment::ADDRESS_MAX & !(ALIGN - 1);

/// The blocks of a class that `bytes` have room for. (Classes 0 and 1 have no blocks.)
#[inline(always)]
fn blocks_in(bytes: usize, class: usize) -> usize {
    bytes / ALIGN / class.max(1)
}

/// One size.
#[repr(C)]
struct Class {
    /// The block that comes out next; null: none.
    head: *mut u8,
    /// How many more may be put in.
    left: usize,
}

/// All-zero but for the key is an empty one without room.
#[repr(C)]
pub(crate) struct Cache {
    /// What hides links and makes marks.
    key: usize,
    /// The seal of the core's headers, once it is known.
    pub(crate) seal: usize,
    classes: [Class; CLASSES],
    /// How many of each class there may be now, cached or left.
    rooms: [u16; CLASSES],
    /// Blocks that found no room since `malloc` missed their class.
    turned_away: [u16; CLASSES],
    /// Misses of each class, until it may have room.
    misses: [u8; CLASSES],
    /// Where [`Cache::next_to_shrink`] goes on.
    cursor: u8,
    /// So many times the cache is not worth draining.
    pub(crate) pause: u8,
}

const _: () = assert!(CLASS_MOST / (2 * ALIGN) <= u16::MAX as usize);

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
    unsafe fn class(this: *mut Cache, class: usize) -> *mut Class {
        // SAFETY: the duty above.
        unsafe { (&raw mut (*this).classes).cast::<Class>().add(class) }
    }

    #[inline(always)]
    unsafe fn room(this: *mut Cache, class: usize) -> *mut u16 {
        // SAFETY: the duty above.
        unsafe { (&raw mut (*this).rooms).cast::<u16>().add(class) }
    }

    #[inline(always)]
    unsafe fn turned(this: *mut Cache, class: usize) -> *mut u16 {
        // SAFETY: the duty above.
        unsafe { (&raw mut (*this).turned_away).cast::<u16>().add(class) }
    }

    /// Cached blocks of a class.
    #[inline(always)]
    pub(crate) unsafe fn count(this: *mut Cache, class: usize) -> usize {
        // SAFETY: the duty above.
        unsafe {
            usize::from(*Cache::room(this, class)).wrapping_sub((*Cache::class(this, class)).left)
        }
    }

    /// The second word of a marked block.
    #[inline(always)]
    pub(crate) unsafe fn mark(this: *const Cache, block: NonNull<u8>) -> usize {
        // SAFETY: the duty above.
        mark(unsafe { (*this).key }, block)
    }

    /// The block lies in this cache, or in the inbox beside it.
    #[inline(always)]
    pub(crate) unsafe fn has_mark(this: *const Cache, block: NonNull<u8>) -> bool {
        // SAFETY: the duty above. Another thread may write this word only if it misuses the block.
        unsafe { Cache::second_word(block) == Cache::mark(this, block) }
    }

    /// Where a marked block has its mark.
    #[inline(always)]
    pub(crate) unsafe fn second_word(block: NonNull<u8>) -> usize {
        // SAFETY: the duty above.
        unsafe { words(block).add(1).read() }
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

    /// Puts a block in, if there is room: its words are written, the second one with its mark.
    #[inline(always)]
    pub(crate) unsafe fn put(
        this: *mut Cache,
        class: usize,
        block: NonNull<u8>,
        mark: usize,
    ) -> bool {
        // SAFETY: the duty above.
        unsafe {
            let entry = Cache::class(this, class);
            let Some(left) = (*entry).left.checked_sub(1) else {
                return false;
            };
            let link = (*entry).head.expose_provenance() ^ (*this).key;
            (*entry).left = left;
            (*entry).head = block.as_ptr();
            words(block).write(link);
            words(block).add(1).write(mark);
        }
        true
    }

    /// Takes the block out that was put in last.
    #[inline(always)]
    pub(crate) unsafe fn take(this: *mut Cache, class: usize) -> Taken {
        // SAFETY: the duty above; a cached block's words may be read, and its link is followed only when it is sound.
        unsafe {
            let entry = Cache::class(this, class);
            let Some(block) = NonNull::new((*entry).head) else {
                return Taken::Nothing;
            };
            if !Cache::has_mark(this, block) {
                return Taken::Smashed(block);
            }
            let Some(next) = Cache::link(this, words(block).read()) else {
                return Taken::Smashed(block);
            };
            (*entry).head = next;
            (*entry).left = (*entry).left.wrapping_add(1);
            Cache::clear_mark(block);
            Taken::Block(block)
        }
    }

    /// Gives a class up whose first block is smashed: what hangs behind it cannot be found any more.
    #[cold]
    pub(crate) unsafe fn give_up(this: *mut Cache, class: usize) {
        // SAFETY: the duty above.
        unsafe {
            (*Cache::class(this, class)).head = ptr::null_mut();
            (*Cache::class(this, class)).left = usize::from(*Cache::room(this, class));
        }
    }

    /// `malloc` has found nothing in this class, which may get room for what was turned away. `bytes` tells what the heap has.
    #[inline(always)]
    pub(crate) unsafe fn missed(this: *mut Cache, class: usize, bytes: impl FnOnce() -> usize) {
        // SAFETY: the duty above.
        unsafe {
            let misses = (&raw mut (*this).misses).cast::<u8>().add(class);
            if *misses < COLD {
                *misses += 1;
                return;
            }
            let (room, turned) = (Cache::room(this, class), Cache::turned(this, class));
            if *turned == 0 {
                return;
            }
            let most = (bytes() / CLASS_PART).clamp(CLASS_LEAST, CLASS_MOST);
            let most = blocks_in(most, class).saturating_sub(usize::from(*room)) as u16;
            let more = (*turned).min(*room / 2 + 1).min(most);
            *room += more;
            *turned -= more;
            (*Cache::class(this, class)).left += usize::from(more);
        }
    }

    /// A block of this class has found no room. True: more have than the class holds, none was asked for meanwhile, and the
    /// class has room beyond the least: [`Cache::shrink`] it.
    pub(crate) unsafe fn turned_away(this: *mut Cache, class: usize) -> bool {
        // SAFETY: the duty above.
        unsafe {
            let (room, turned) = (Cache::room(this, class), Cache::turned(this, class));
            *turned = (*turned).saturating_add(1);
            *turned > *room && usize::from(*room) > blocks_in(CLASS_LEAST, class)
        }
    }

    /// Takes the room away that the last [`Cache::take`] has left.
    pub(crate) unsafe fn shrink(this: *mut Cache, class: usize) {
        // SAFETY: the duty above.
        unsafe {
            *Cache::room(this, class) -= 1;
            (*Cache::class(this, class)).left -= 1;
        }
    }

    /// The next class, of all in turn, and half of what it holds.
    pub(crate) unsafe fn next_to_shrink(this: *mut Cache) -> (usize, usize) {
        // SAFETY: the duty above.
        unsafe {
            let class = (usize::from((*this).cursor) + 1) % CLASSES;
            (*this).cursor = class as u8;
            (class, Cache::count(this, class).div_ceil(2))
        }
    }

    /// Bytes, headers included, and number of the cached blocks.
    pub(crate) unsafe fn contents(this: *mut Cache) -> (usize, usize) {
        let (mut bytes, mut blocks) = (0, 0);
        for class in 0..CLASSES {
            // SAFETY: the duty above.
            let count = unsafe { Cache::count(this, class) };
            bytes += class * ALIGN * count;
            blocks += count;
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
                let mut next = (*Cache::class(this, class)).head;
                for _ in 0..Cache::count(this, class) {
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

#[cfg(test)]
mod tests;
