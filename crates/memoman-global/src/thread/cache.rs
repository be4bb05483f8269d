//! The blocks that a thread has freed, by size, last in, first out: `malloc` takes from here first,
//! and `free` puts here last.
//!
//! A cached block is live for the core, so the core's invariants hold unchanged. It is marked: its
//! second word is its address under the heap's key; its first word is the link to the next block
//! under that key, with upper bits that no address has. So a second free of it is found at once,
//! and a write after the free when it is taken out. (A second free is recognised by the second word
//! alone: programs often write the first one last, and in part, and a processor loads such a word
//! late.)
//!
//! A class starts without room; docs/concurrency.md states how it gets and loses room. So a program
//! that does not need the cache does not pay for it in memory, and its blocks go to the core at
//! once, where a write after free shows earliest. Cached blocks are used before a new segment.

use core::mem::offset_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::allocator::ALIGN;
use crate::process::map;

/// The small classes, one for each block size up to 128 quanta: class `c` has the blocks of `c`
/// quanta, header included.
pub(crate) const SMALL: usize = 129;
/// All classes. From 128 quanta on, the core cuts blocks at the edges of its bins, which are four
/// quanta apart, and eight from 256 quanta on: a class has the blocks from one edge to the next.
pub(crate) const CLASSES: usize = 192;
/// Bytes of the smallest block that no class has.
pub(crate) const CACHED_BELOW: usize = 512 * ALIGN;

/// Bytes of a class at most: those of its heap, within these bounds.
pub(crate) const CLASS_LEAST: usize = 8 << 10;
pub(crate) const CLASS_MOST: usize = 8 << 20;
/// A class shrinks when more blocks are turned away than this many times its room.
const SURPLUS: usize = 8;
/// Bytes of room that every cache may have; a cache has more while the rooms of all caches have no
/// more than so many bytes beyond.
const ROOM_FREELY: usize = 64 << 10;
const ROOMS_MOST: usize = 16 << 20;
/// Bytes of all caches' room beyond [`ROOM_FREELY`] each.
static ROOMS: AtomicUsize = AtomicUsize::new(0);
/// Misses before a class gets room.
pub(crate) const COLD: u8 = 4;
/// Flag in a class's misses: `malloc` has found it empty since [`Cache::next_to_age`] came by.
const EMPTIED: u8 = 0x80;
/// Bytes that the core hands out between two times when classes age.
const AGE_BYTES: usize = 64 << 10;

/// The class of the blocks of this size, which is below [`CACHED_BELOW`].
#[inline(always)]
pub(crate) const fn class_of_size(size: usize) -> usize {
    let quanta = size / ALIGN;
    if quanta < SMALL {
        quanta
    } else if quanta < 256 {
        128 + (quanta - 128) / 4
    } else {
        160 + (quanta - 256) / 8
    }
}

/// The least bytes of a block of this class, header included.
#[inline(always)]
pub(crate) const fn bytes_of(class: usize) -> usize {
    let quanta = if class < SMALL {
        class
    } else if class < 160 {
        128 + (class - 128) * 4
    } else {
        256 + (class - 160) * 8
    };
    quanta * ALIGN
}

/// The bits that a block's address may have.
const ADDRESS: usize = map::ADDRESS_MAX & !(ALIGN - 1);

/// The blocks of a class that fit into `bytes`. (Class 0 has none.)
#[inline(always)]
fn blocks_in(bytes: usize, class: usize) -> usize {
    bytes.checked_div(bytes_of(class)).unwrap_or(0)
}

/// The blocks of one size.
#[repr(C)]
pub(crate) struct Class {
    /// The block that is taken out next, or null.
    pub(crate) head: *mut u8,
    /// How many more may be put in.
    pub(crate) left: usize,
}

/// All-zero but for the key: an empty cache without room.
#[repr(C)]
pub(crate) struct Cache {
    /// Hides links and makes marks.
    key: usize,
    /// The seal of the core's headers, once a block has shown it.
    pub(crate) seal: usize,
    classes: [Class; CLASSES],
    /// Room of each class: its cached blocks and `left`.
    rooms: [u32; CLASSES],
    /// Blocks that found no room, less the room their class has got for them.
    turned_away: [u32; CLASSES],
    /// Misses of each class, until it may have room.
    misses: [u8; CLASSES],
    /// The class that [`Cache::next_to_shrink`] returned last.
    cursor: u16,
    /// The class that [`Cache::next_to_age`] returned last.
    aged: u16,
    /// Bytes that the core has handed out since classes aged.
    handed_out: u32,
    /// A bit for each class: it has room.
    open: [u64; CLASSES / 64],
    /// The next drains to skip: the last one gave too little.
    pub(crate) pause: u8,
    /// Bytes of room of all classes.
    pub(crate) room_bytes: usize,
}

/// Offsets and a size, for readers outside.
pub(crate) const CLASSES_AT: usize = offset_of!(Cache, classes);
pub(crate) const ROOMS_AT: usize = offset_of!(Cache, rooms);
pub(crate) const CLASS_BYTES: usize = size_of::<Class>();
pub(crate) const LEFT_AT: usize = offset_of!(Class, left);

const _: () = assert!(class_of_size(CACHED_BELOW - ALIGN) + 1 == CLASSES);

/// The result of [`Cache::take`].
pub(crate) enum Taken {
    Nothing,
    Block(NonNull<u8>),
    /// This block has been written to since it was freed. The blocks after it are lost.
    Smashed(NonNull<u8>),
}

/// A block's first two words.
#[inline(always)]
pub(crate) fn words(block: NonNull<u8>) -> *mut usize {
    block.as_ptr().cast()
}

/// The second word of a marked block, under its heap's key.
#[inline(always)]
pub(crate) fn mark(key: usize, block: NonNull<u8>) -> usize {
    block.as_ptr().addr() ^ key
}

/// [`Cache::has_mark`] for other threads, which must not touch the owner's cache lines.
///
/// # Safety
/// The block's first two words may be read.
#[inline(always)]
pub(crate) unsafe fn has_mark_of(key: usize, block: NonNull<u8>) -> bool {
    // SAFETY: the second word may be read (caller).
    unsafe { words(block).add(1).read() == mark(key, block) }
}

/// Marks a block that another thread frees.
///
/// # Safety
/// The block is freed and in no queue; its first two words may be written.
#[inline(always)]
pub(crate) unsafe fn set_mark_of(key: usize, block: NonNull<u8>) {
    // SAFETY: the second word may be written (caller).
    unsafe { words(block).add(1).write(mark(key, block)) }
}

/// The duties of all unsafe methods: `this` is a cache that only the caller uses, `class` is below
/// [`CLASSES`], and the first two words of `block` may be read, and written where the method writes
/// them.
impl Cache {
    /// Makes an empty cache of zeroed memory.
    pub(crate) unsafe fn open(this: *mut Cache, key: usize) {
        // SAFETY: the cache is this thread's (caller).
        unsafe { (*this).key = key };
    }

    #[inline(always)]
    pub(crate) unsafe fn class(this: *mut Cache, class: usize) -> *mut Class {
        debug_assert!(class < CLASSES);
        // SAFETY: an element of the array: `class` is below [`CLASSES`] (caller).
        unsafe { (&raw mut (*this).classes).cast::<Class>().add(class) }
    }

    #[inline(always)]
    pub(crate) unsafe fn room(this: *mut Cache, class: usize) -> *mut u32 {
        // SAFETY: an element of the array: `class` is below [`CLASSES`] (caller).
        unsafe { (&raw mut (*this).rooms).cast::<u32>().add(class) }
    }

    #[inline(always)]
    pub(crate) unsafe fn turned(this: *mut Cache, class: usize) -> *mut u32 {
        // SAFETY: an element of the array: `class` is below [`CLASSES`] (caller).
        unsafe { (&raw mut (*this).turned_away).cast::<u32>().add(class) }
    }

    /// Cached blocks of a class.
    #[inline(always)]
    pub(crate) unsafe fn count(this: *mut Cache, class: usize) -> usize {
        // SAFETY: the cache is this thread's (caller).
        unsafe {
            (*Cache::room(this, class) as usize).wrapping_sub((*Cache::class(this, class)).left)
        }
    }

    /// The second word of a marked block.
    #[inline(always)]
    pub(crate) unsafe fn mark(this: *const Cache, block: NonNull<u8>) -> usize {
        // SAFETY: the cache is this thread's (caller).
        mark(unsafe { (*this).key }, block)
    }

    /// The block lies in this cache, or in the heap's inbox.
    #[inline(always)]
    pub(crate) unsafe fn has_mark(this: *const Cache, block: NonNull<u8>) -> bool {
        // SAFETY: the second word may be read (caller). Another thread writes it only in misuse.
        unsafe { Cache::second_word(block) == Cache::mark(this, block) }
    }

    /// The word in which a marked block has its mark.
    #[inline(always)]
    pub(crate) unsafe fn second_word(block: NonNull<u8>) -> usize {
        // SAFETY: the second word may be read (caller).
        unsafe { words(block).add(1).read() }
    }

    /// The next block, if `word` is a sound link. A null one is sound: none.
    #[inline(always)]
    pub(crate) unsafe fn link(this: *const Cache, word: usize) -> Option<*mut u8> {
        // SAFETY: the cache is this thread's (caller).
        let next = word ^ unsafe { (*this).key };
        (next & !ADDRESS == 0).then(|| ptr::with_exposed_provenance_mut(next))
    }

    /// Removes a mark: a block that leaves cache or inbox has none.
    #[inline(always)]
    pub(crate) unsafe fn clear_mark(block: NonNull<u8>) {
        // SAFETY: the second word may be written (caller).
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
        // SAFETY: the cache is this thread's (caller).
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

    /// Takes out the block put in last.
    #[inline(always)]
    pub(crate) unsafe fn take(this: *mut Cache, class: usize) -> Taken {
        // SAFETY: this thread's cache (caller); the words of a cached block may be read and
        // written, and a link is followed only when it is sound.
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

    /// Empties a class whose first block is smashed: the blocks after it are out of reach.
    #[cold]
    pub(crate) unsafe fn give_up(this: *mut Cache, class: usize) {
        // SAFETY: the cache is this thread's (caller).
        unsafe {
            (*Cache::class(this, class)).head = ptr::null_mut();
            (*Cache::class(this, class)).left = *Cache::room(this, class) as usize;
        }
    }

    /// `malloc` has found nothing in this class, which may get room for what was turned away.
    /// `bytes` returns the heap's bytes.
    #[inline(always)]
    pub(crate) unsafe fn missed(this: *mut Cache, class: usize, bytes: impl FnOnce() -> usize) {
        // SAFETY: an element of the array: `class` is below [`CLASSES`] (caller).
        unsafe {
            let misses = (&raw mut (*this).misses).cast::<u8>().add(class);
            *misses |= EMPTIED;
            if *misses < EMPTIED + COLD {
                *misses += 1;
                return;
            }
            let (room, turned) = (Cache::room(this, class), Cache::turned(this, class));
            if *turned == 0 {
                return;
            }
            let most = blocks_in(bytes().clamp(CLASS_LEAST, CLASS_MOST), class);
            let beyond = (most as u32).saturating_sub(*room);
            let mut more = (*turned).min(*room / 2 + 1).min(beyond);
            if (*this).room_bytes >= ROOM_FREELY && ROOMS.load(Ordering::Relaxed) >= ROOMS_MOST {
                more = 0;
            }
            *turned -= more;
            (*Cache::class(this, class)).left += more as usize;
            Cache::resize(this, class, *room + more);
        }
    }

    /// Sets a class's room.
    unsafe fn resize(this: *mut Cache, class: usize, blocks: u32) {
        // SAFETY: the cache is this thread's (caller); `open` has a bit for each class.
        unsafe {
            let room = Cache::room(this, class);
            let before = (*this).room_bytes;
            let bytes = |blocks: u32| blocks as usize * bytes_of(class);
            let after = before + bytes(blocks) - bytes(*room);
            *room = blocks;
            (*this).room_bytes = after;
            let beyond = |bytes: usize| bytes.saturating_sub(ROOM_FREELY);
            if beyond(before) != beyond(after) {
                let change = beyond(after).wrapping_sub(beyond(before));
                ROOMS.fetch_add(change, Ordering::Relaxed);
            }
            let open = (&raw mut (*this).open).cast::<u64>().add(class / 64);
            *open = *open & !(1 << (class % 64)) | u64::from(blocks > 0) << (class % 64);
        }
    }

    /// A block of this class has found no room. True if the class is to [`Cache::shrink`]: many
    /// more blocks were turned away than it has room for, `malloc` did not miss it meanwhile, and
    /// its room is beyond the least.
    pub(crate) unsafe fn turned_away(this: *mut Cache, class: usize) -> bool {
        // SAFETY: the cache is this thread's (caller).
        unsafe {
            let room = *Cache::room(this, class) as usize;
            let turned = Cache::turned(this, class);
            *turned = (*turned).saturating_add(1);
            *turned as usize > SURPLUS * room && room > blocks_in(CLASS_LEAST, class)
        }
    }

    /// Removes the room that the last [`Cache::take`] has left.
    pub(crate) unsafe fn shrink(this: *mut Cache, class: usize) {
        // SAFETY: the cache is this thread's (caller).
        unsafe {
            Cache::resize(this, class, *Cache::room(this, class) - 1);
            (*Cache::class(this, class)).left -= 1;
        }
    }

    /// Removes all room that no block takes.
    pub(crate) unsafe fn close(this: *mut Cache) {
        for class in 0..CLASSES {
            // SAFETY: the cache is this thread's (caller).
            unsafe {
                Cache::resize(this, class, Cache::count(this, class) as u32);
                (*Cache::class(this, class)).left = 0;
            }
        }
    }

    /// The number of classes with room.
    pub(crate) unsafe fn open_classes(this: *mut Cache) -> u32 {
        // SAFETY: the cache is this thread's (caller).
        unsafe { (*this).open.iter().map(|bits| bits.count_ones()).sum() }
    }

    /// The class with room that follows `class` in turn; `class` if there is no other.
    unsafe fn next_open(this: *mut Cache, class: usize) -> usize {
        // The bits above `class`, then whole words, then the word of `class` again.
        let first = (class + 1) % CLASSES;
        let mut mask = u64::MAX << (first % 64);
        for step in 0..=CLASSES / 64 {
            let word = (first / 64 + step) % (CLASSES / 64);
            // SAFETY: the cache is this thread's (caller).
            let bits = unsafe { (*this).open[word] } & mask;
            if bits != 0 {
                return word * 64 + bits.trailing_zeros() as usize;
            }
            mask = u64::MAX;
        }
        class
    }

    /// The next class with room in turn, and half the number of its blocks: 0 if they have fewer
    /// bytes than `least`.
    #[inline(always)]
    pub(crate) unsafe fn next_to_shrink(this: *mut Cache, least: usize) -> (usize, usize) {
        // SAFETY: the cache is this thread's (caller).
        unsafe {
            let class = Cache::next_open(this, usize::from((*this).cursor));
            (*this).cursor = class as u16;
            let count = Cache::count(this, class);
            let is_enough = least == 0 || count * bytes_of(class) >= least;
            (class, if is_enough { count.div_ceil(2) } else { 0 })
        }
    }

    /// The core has handed out a block of this class. True each time that classes are to age.
    #[inline(always)]
    pub(crate) unsafe fn is_time_to_age(this: *mut Cache, class: usize) -> bool {
        // SAFETY: the cache is this thread's (caller).
        unsafe {
            (*this).handed_out += bytes_of(class) as u32;
            let is_time = (*this).handed_out as usize >= AGE_BYTES;
            if is_time {
                (*this).handed_out = 0;
            }
            is_time
        }
    }

    /// The next class in turn, and half the number of its blocks; 0 if it has run empty since it
    /// was last returned. One that has not also loses half of the room that it does not use.
    pub(crate) unsafe fn next_to_age(this: *mut Cache) -> (usize, usize) {
        // SAFETY: the cache is this thread's (caller); `class` is below [`CLASSES`].
        unsafe {
            let class = (usize::from((*this).aged) + 1) % CLASSES;
            (*this).aged = class as u16;
            let misses = (&raw mut (*this).misses).cast::<u8>().add(class);
            if *misses & EMPTIED != 0 {
                *misses &= !EMPTIED;
                return (class, 0);
            }
            let left = &raw mut (*Cache::class(this, class)).left;
            let unused = *left / 2;
            *left -= unused;
            Cache::resize(this, class, *Cache::room(this, class) - unused as u32);
            (class, Cache::count(this, class).div_ceil(2))
        }
    }

    /// Calls `f` with each class that has room, and the number of its blocks. (A class without room
    /// has none.)
    #[inline(always)]
    pub(crate) unsafe fn each_open(this: *mut Cache, mut f: impl FnMut(usize, usize)) {
        // SAFETY: the cache is this thread's (caller).
        for (word, &open) in unsafe { (*this).open }.iter().enumerate() {
            let mut open = open;
            while open != 0 {
                let class = word * 64 + open.trailing_zeros() as usize;
                open &= open - 1;
                // SAFETY: the cache is this thread's (caller), and has the class.
                f(class, unsafe { Cache::count(this, class) });
            }
        }
    }
}
