//! The optional cache of an instance: freed blocks, by size, last in, first out, in front of the
//! bins. For 64-bit targets, whose headers have seals.
//!
//! ```text
//!  entries[c]: A + left ──► A ──► B ──► list end: a false block in the table
//!
//!  cached block: │ seal│size│SENTINEL │ next entry │ guard │ … │
//! ```
//!
//! For the core a cached block is in use, so that nothing merges with it. Its header has the
//! sentinel's flag as well, which no block in use has: each call that tests a header finds that it
//! has been freed. Its neighbours' calls accept such a header, as they accept a sentinel's.
//!
//! An entry is a block's address plus the number of blocks that its list has room for, which is
//! below the quantum: taking the head restores the number with the address. The guard is the XOR of
//! all that must not change while the block is cached: its address, its entry's, its header but for
//! PREV_FREE, the next entry. One compare tests them. The list's end fails it, and so does one word
//! written over header, entry and guard.
//!
//! An instance with a cache is intercepted ([`crate::intercept`]): the hot calls' ordinary tests
//! send them to the layer above, which calls [`Cached`] first. An instance without one executes no
//! instruction more. The table lies in memory of its own, which the caller supplies.
//!
//! | file | what |
//! |---|---|
//! | `calls.rs` | what a hit does not serve: the core's calls, and blocks that leave the cache |
//! | `control.rs` | setting a cache, its figures, its validation |

mod calls;
mod control;

use core::ptr::NonNull;

use crate::block::{Block, PREV_FREE};
use crate::config::{BINS_MAX, HEADER, LINEAR_LOG2, QUANTUM, QUANTUM_LOG2, SL_LOG2, WORD};
use crate::control::Control;
use crate::instance::Tlsf;
use crate::size_class::any_bin;

pub(crate) use control::check;

/// The head of a class, or the next entry in a cached block: a block's address plus the number of
/// blocks that there is room for.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(*mut u8);

impl Entry {
    #[inline(always)]
    fn block(self) -> Block {
        Block::at(self.0.map_addr(|address| address & !(QUANTUM - 1)))
    }

    /// How many more blocks may be put in.
    #[inline(always)]
    fn room(self) -> usize {
        self.0.addr() & (QUANTUM - 1)
    }
}

/// The fixed part of the table; the classes' entries follow, one for each bin. Its three words from
/// `end_header` on have the form of a cached block.
#[repr(C, align(16))]
pub(crate) struct Cache {
    /// Quanta between the outer bounds of the instance's pools.
    pub(crate) inside: usize,
    /// The largest request that has a class.
    most: usize,
    /// Blocks from this size on, in quanta, have no class.
    below: usize,
    end_header: usize,
    end: [usize; 3],
    /// The number of classes.
    classes: usize,
    /// Blocks of a class at most.
    room: usize,
    /// Hash of the words from `most` on.
    check: usize,
}

/// The cache of an instance.
///
/// # Safety of the methods
/// The instance is live and intercepted, and this is its cache ([`Tlsf::cached`]); no call has
/// changed that since.
#[derive(Clone, Copy)]
pub struct Cached {
    control: *mut Control,
    cache: *mut Cache,
}

impl Tlsf {
    /// The cache of the instance, if it has one. O(1).
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn cached(self) -> Option<Cached> {
        let control = self.control();
        // SAFETY: live (caller).
        let cache = unsafe { (*control).hooks.cache };
        (!cache.is_null()).then_some(Cached { control, cache })
    }
}

impl Cache {
    /// The entry of the class with this number, which is below `classes`.
    #[inline(always)]
    fn entry(this: *mut Cache, class: usize) -> *mut Entry {
        debug_assert!(class < BINS_MAX);
        this.wrapping_add(1).cast::<Entry>().wrapping_add(class)
    }
}

/// Between an entry and what its address is computed from, the table and the bits of a size.
const BIAS: usize = (((LINEAR_LOG2 - 1) as usize) << SL_LOG2) * WORD - size_of::<Cache>();
const _: () = assert!(BIAS & PREV_FREE == 0);

/// The class whose every block has room for `bytes` bytes, which are not 0.
#[inline(always)]
fn class_for(bytes: usize) -> usize {
    // One quantum is too small for a block. An addition with carry, no move.
    any_bin(bytes + (HEADER - 1)) + 1 + usize::from(bytes <= QUANTUM - HEADER)
}

/// The guard of a block. The entry stands for its class: it is in a register, less a constant that
/// the hit then need not add. PREV_FREE, which may change meanwhile, counts as set. No address has
/// that bit, so that three equal words, for example zeros, are no header, next entry and guard.
#[inline(always)]
fn guard_of(entry: *mut Entry, block: Block, header: usize, next: Entry) -> usize {
    place_of(entry, block, next) ^ (header | PREV_FREE)
}

/// The guard but for the header.
#[inline(always)]
fn place_of(entry: *mut Entry, block: Block, next: Entry) -> usize {
    block.addr() ^ entry.addr().wrapping_add(BIAS) ^ next.0.addr()
}

impl Cached {
    /// Takes out a block for `bytes` bytes; O(1). None, and nothing changed, when the cache has
    /// none, or when the block has been overwritten.
    ///
    /// # Safety
    /// See [`Cached`].
    #[inline(always)]
    pub unsafe fn take(self, bytes: usize) -> Option<NonNull<u8>> {
        // SAFETY: live instance with this cache (caller); a request up to `most` has a class.
        unsafe {
            // One compare for zero and for all requests beyond.
            let last = bytes.wrapping_sub(1);
            if last >= (*self.cache).most {
                return None;
            }
            self.pop(Cache::entry(self.cache, class_for(bytes)))
        }
    }

    /// Takes out the block of a class that was put in last, if it is sound.
    ///
    /// # Safety
    /// See [`Cached`]; the entry is one of the table.
    #[inline(always)]
    unsafe fn pop(self, entry: *mut Entry) -> Option<NonNull<u8>> {
        // SAFETY: live instance with this cache (caller). A head is a block that `put` or a pop has
        // written, in a pool of the instance, or the list's end: its header and first two words may
        // be read.
        unsafe {
            let block = (*entry).block();
            let header = block.word();
            let (next, guard) = (block.cached_next(), block.cached_guard());
            // In this order the compiler saves no register.
            if guard ^ place_of(entry, block, next) != header | PREV_FREE {
                return None;
            }
            *entry = next;
            block.toggle_cached(header);
            Some(NonNull::new_unchecked(block.payload()))
        }
    }

    /// Puts a freed block in; O(1). False, and nothing changed, when it has no class or that has no
    /// room, and when its header or the next one shows that it is no block in use.
    ///
    /// # Safety
    /// See [`Cached`]. The contents of the block are given up. Memory between the instance's lowest
    /// and highest pool may be read.
    #[inline(always)]
    pub unsafe fn put(self, ptr: *mut u8) -> bool {
        let Cached { control, cache } = self;
        let block = Block::returned(ptr);
        // SAFETY: live instance with this cache, contents given up (caller); a header is read only
        // at an aligned address inside the bounds.
        unsafe {
            let offset = block.addr().wrapping_sub((*control).low);
            if offset.rotate_right(QUANTUM_LOG2) >= (*cache).inside {
                return false;
            }
            let header = block.header((*control).cookie);
            if !header.is_used_below_quanta((*cache).below) {
                return false;
            }
            let size = header.size();
            let next = block.offset(size);
            if next.addr() > (*control).high || !next.header((*control).cookie).may_follow_used() {
                return false;
            }
            let entry = Cache::entry(cache, any_bin(size));
            let head = *entry;
            if head.room() == 0 {
                return false;
            }
            self.push(entry, head, block);
        }
        true
    }

    /// Makes a block in use the head of its class.
    ///
    /// # Safety
    /// See [`Cached`]; the block is one of the class's sizes, in use, its contents given up; the
    /// entry is that of the class, `head` is its value and has room.
    #[inline(always)]
    unsafe fn push(self, entry: *mut Entry, head: Entry, block: Block) {
        // SAFETY: a block in use, given up (caller): its header and first two words may be written.
        unsafe {
            let header = block.toggle_cached(block.word());
            block.set_cached(head, guard_of(entry, block, header, head));
            *entry = Entry(block.payload().wrapping_add(head.room()).wrapping_sub(1));
        }
    }
}
