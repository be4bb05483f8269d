//! Blocks on their way between heaps: from a thread that frees them through its outbox into an
//! inbox, and out of that.
//!
//! ```text
//!  inbox ─▶ third word ─▶ third word ─▶ …          of the last block of each chain
//!           first word of the last block ─▶ first block ─▶ block ─▶ … ─▶ last block
//! ```
//!
//! Every block of a chain has its mark; its first word is a link as in the cache, but for the last
//! block's, which leads back to the first one. So the owner tests the blocks of a chain and makes
//! it a part of the cache by writing that word.

use core::ptr::{self, NonNull};

use crate::allocator::{ALIGN, HEADER, Misuse, Tlsf};
use crate::process::map::UNIT;
use crate::thread::cache::{self, CLASSES, Cache, words};
use crate::thread::heap::{TAKEN_AT_ONCE, ThreadHeap, belongs};
use crate::thread::idleness;
use crate::thread::inbox::Taken;
use crate::thread::outbox::{Chain, QUANTA_MOST, Rest};

/// From a block to its third word.
const NODE: usize = 2 * size_of::<usize>();

const _: () =
    assert!(NODE.is_multiple_of(ALIGN) && Tlsf::BLOCK_SIZE_MIN >= NODE + size_of::<usize>());

/// A call takes no further chain after one that has given so many blocks of the size it needs: the
/// next chain would lie above what is left of this one, and after many rounds neighbours would be
/// scattered over the heap.
const LONG: usize = 8;

type Found = (Misuse, *const u8);

/// Puts a chain of marked blocks into its heap's inbox.
///
/// # Safety
/// `owner` is a heap, the blocks are its own and not used any more, and no other thread uses them.
unsafe fn deliver(chain: Chain) {
    let owner: *mut ThreadHeap = ptr::with_exposed_provenance_mut(chain.owner);
    // SAFETY: heaps are never given back; a block in use has three words (the assertion above),
    // which are this thread's (caller).
    unsafe {
        let key = (*owner).shared.key;
        words_at(chain.last).write(chain.first ^ key);
        (*owner).inbox.put(chain.last + NODE, key);
    }
}

/// Bytes of a chain's blocks, headers included.
fn bytes(chain: Chain) -> usize {
    usize::from(chain.blocks) * chain.quanta as usize * ALIGN
}

/// The first two words of the block at this address.
fn words_at(address: usize) -> *mut usize {
    ptr::with_exposed_provenance_mut(address)
}

/// The duties of [`ThreadHeap`], unless they say otherwise.
impl ThreadHeap {
    /// Puts a tested block into the inbox of its heap `owner`.
    ///
    /// # Safety
    /// The block is one of `owner`'s, and not used any more.
    pub(crate) unsafe fn put(owner: *mut ThreadHeap, block: NonNull<u8>) {
        let address = block.as_ptr().expose_provenance();
        // SAFETY: a block in a segment of `owner`, not used any more (caller): its words may be
        // written.
        unsafe {
            cache::set_mark_of((*owner).shared.key, block);
            deliver(Chain::of(owner.expose_provenance(), address, 0));
        }
    }

    /// Adds a small block to a chain in the outbox of `heap`, for its heap `owner`. False if none
    /// of its size has room.
    ///
    /// # Safety
    /// The duties of [`ThreadHeap`], inside its owner's gate to put. The block is one of `owner`'s,
    /// whose key is `key`, and not used any more; `size` is its size with the header, or 0.
    #[inline(always)]
    #[must_use]
    pub(crate) unsafe fn add_to_chain(
        heap: *mut ThreadHeap,
        owner: *mut ThreadHeap,
        key: usize,
        block: NonNull<u8>,
        size: usize,
    ) -> bool {
        let quanta = size / ALIGN;
        if quanta.wrapping_sub(1) >= QUANTA_MOST {
            return false;
        }
        let link = |first: usize, next: usize| {
            // SAFETY: the block's first two words may be written (caller).
            unsafe {
                words_at(first).write(next ^ key);
                words_at(first).add(1).write(first ^ key);
            }
        };
        let block = block.as_ptr().expose_provenance();
        // SAFETY: the caller is in the heap.
        unsafe {
            (*heap)
                .outbox
                .add(owner.expose_provenance(), quanta, block, link)
        }
    }

    /// Sends a tested block of `size` bytes, header included, to its heap `owner`: a small one, to
    /// which [`ThreadHeap::add_to_chain`] has found no chain, begins one in the outbox of `heap`,
    /// which may send another one for it.
    ///
    /// # Safety
    /// The duties of [`ThreadHeap`], inside its owner's gate to put. The block is one of `owner`'s,
    /// and not used any more.
    pub(crate) unsafe fn send(
        heap: *mut ThreadHeap,
        owner: *mut ThreadHeap,
        block: NonNull<u8>,
        size: usize,
    ) {
        // SAFETY: the caller is in the heap; the block's words may be written, and those of the
        // blocks of a chain (caller).
        unsafe {
            let key = (*owner).shared.key;
            let sent = &mut (*heap).sent;
            if size > QUANTA_MOST * ALIGN {
                sent.blocks += 1;
                sent.bytes += size;
                return ThreadHeap::put(owner, block);
            }
            cache::set_mark_of(key, block);
            let address = block.as_ptr().expose_provenance();
            let outbox = &mut (*heap).outbox;
            if let Some(chain) = outbox.open(owner.expose_provenance(), size / ALIGN, address) {
                sent.blocks += usize::from(chain.blocks);
                sent.bytes += bytes(chain);
                deliver(chain);
            }
        }
    }

    /// Sends all that the outbox holds: as many chains as it has slots at most.
    ///
    /// # Safety
    /// The duties of [`ThreadHeap`]. No thread forks before the call ends: the caller has the lock,
    /// or is inside its own gate to put.
    #[inline(never)]
    pub(crate) unsafe fn send_all(heap: *mut ThreadHeap) {
        let mut sent = 0;
        // SAFETY: the caller is in the heap; the blocks of its outbox are not used any more.
        unsafe {
            (*heap).outbox.empty(|chain| {
                sent += bytes(chain);
                deliver(chain);
            });
        }
        if sent > 0 {
            idleness::add_pending(sent);
        }
    }

    /// The inbox may hold a block, or the owner has yet to take a part of a chain.
    #[inline(always)]
    pub(crate) unsafe fn is_worth_a_look(heap: *mut ThreadHeap) -> bool {
        // SAFETY: the caller is in the heap, so no other thread takes out.
        unsafe { (*heap).rest.next != 0 || !(*heap).inbox.is_empty() }
    }

    /// Moves up to `most` blocks from the inbox to the core or, for a request of the class
    /// `wanted`, to the cache, and returns how many; ends early when a pool becomes surplus, and
    /// when the cache has enough. Returns the first misuse it finds as an error.
    #[inline(never)]
    pub(crate) unsafe fn collect(
        heap: *mut ThreadHeap,
        most: usize,
        wanted: Option<usize>,
    ) -> Result<usize, Found> {
        let mut taken = 0;
        // SAFETY: the caller is in the heap.
        unsafe {
            while taken < most && (*heap).surplus.is_none() {
                if (*heap).rest.next == 0 && !open_chain(heap)? {
                    break;
                }
                if let Some(wanted) = wanted {
                    let spliced = splice(heap, most - taken);
                    taken += spliced;
                    if taken >= TAKEN_AT_ONCE || spliced >= LONG && has_block(heap, wanted) {
                        break;
                    }
                }
                if (*heap).rest.next != 0 && taken < most {
                    unchain(heap, wanted.is_some())?;
                    taken += 1;
                }
            }
            if (*heap).rest.next != 0 {
                // No other thread sees that there is more.
                (*heap).idleness.outdate(ThreadHeap::allocations(heap));
            }
            if (*heap).received > idleness::UNCOUNTED_MOST {
                idleness::subtract_pending((*heap).received);
                (*heap).received = 0;
            }
        }
        Ok(taken)
    }
}

/// The cache has a block of the class, which may be [`CLASSES`], for none.
unsafe fn has_block(heap: *mut ThreadHeap, class: usize) -> bool {
    // SAFETY: the caller is in the heap; `class` is tested.
    class < CLASSES
        && unsafe {
            !(*Cache::class(ThreadHeap::cache(heap), class))
                .head
                .is_null()
        }
}

/// Takes the next chain out of the inbox. False if there is none.
///
/// # Safety
/// The duties of [`ThreadHeap`]; there is no rest of another chain.
unsafe fn open_chain(heap: *mut ThreadHeap) -> Result<bool, Found> {
    let smashed = |last: usize| Err((Misuse::SmashedLink, words_at(last).cast_const().cast()));
    // SAFETY: the caller is in the heap, so no other thread takes out; a block whose third word
    // lies in a segment of the heap has its first two there.
    unsafe {
        let key = (*heap).shared.key;
        let last = match (*heap).inbox.take(key, |node| belongs(heap, node)) {
            Taken::Nothing => return Ok(false),
            Taken::Broken(node) => return smashed(node.wrapping_sub(NODE)),
            Taken::Block(node) => node - NODE,
        };
        let next = words_at(last).read() ^ key;
        if words_at(last).add(1).read() != last ^ key || !belongs(heap, next) {
            return smashed(last);
        }
        (*heap).rest = Rest { next, last };
        Ok(true)
    }
}

/// Makes up to `most` blocks of the opened chain a part of the cache, as far as their class has
/// room, and returns how many. Stops before a block that fails a test.
///
/// # Safety
/// The duties of [`ThreadHeap`]; a chain is open.
unsafe fn splice(heap: *mut ThreadHeap, most: usize) -> usize {
    let mut taken = 0;
    // SAFETY: the caller is in the heap; the address of a block lies in one of its segments, and is
    // aligned: `rest` has such an address, and others are tested. (`NonNull`: so it is not 0.)
    unsafe {
        let Rest { next: first, last } = (*heap).rest;
        let cache = ThreadHeap::cache(heap);
        let key = (*heap).shared.key;
        let block = |address| NonNull::new_unchecked(words_at(address).cast());
        let Some(class) = ThreadHeap::class_of(heap, block(first)) else {
            return 0;
        };
        let entry = Cache::class(cache, class);
        let most = most.min((*entry).left);
        let (mut next, mut end) = (first, 0);
        while taken < most
            && Cache::has_mark(cache, block(next))
            && ThreadHeap::class_of(heap, block(next)) == Some(class)
        {
            let mut after = 0;
            if next != last {
                after = words_at(next).read() ^ key;
                if !is_in(heap, next, after) {
                    break;
                }
            }
            taken += 1;
            end = next;
            next = after;
            if next == 0 {
                break;
            }
        }
        if taken > 0 {
            words_at(end).write((*entry).head.expose_provenance() ^ key);
            (*entry).head = words_at(first).cast();
            (*entry).left -= taken;
            (*heap).received += taken * (Tlsf::block_size(words_at(first).cast()) + HEADER);
            (*heap).rest.next = next;
        }
    }
    taken
}

/// [`belongs`], in fewer steps where `other` lies in the same unit of the map as the block before.
#[inline(always)]
fn is_in(heap: *mut ThreadHeap, block: usize, other: usize) -> bool {
    (block ^ other) & !(UNIT - 1) == 0 && other.is_multiple_of(ALIGN) || belongs(heap, other)
}

/// Moves the first block of the opened chain, for which the cache has no room, to the core; if
/// `to_cache`, as a block that is turned away.
///
/// # Safety
/// The duties of [`ThreadHeap`]; a chain is open.
unsafe fn unchain(heap: *mut ThreadHeap, to_cache: bool) -> Result<(), Found> {
    // SAFETY: the caller is in the heap; the block lies in one of its segments: `rest` has such an
    // address. The cache and the core test it.
    unsafe {
        let Rest { next, last } = (*heap).rest;
        let block = NonNull::new_unchecked(words_at(next).cast::<u8>());
        let after = if next == last {
            0
        } else {
            words(block).read() ^ (*heap).shared.key
        };
        let sound = Cache::has_mark(ThreadHeap::cache(heap), block)
            && (next == last || belongs(heap, after));
        (*heap).rest.next = if sound { after } else { 0 };
        if !sound {
            return Err((Misuse::SmashedLink, block.as_ptr()));
        }
        Cache::clear_mark(block);
        (*heap).received += Tlsf::block_size(block.as_ptr()) + HEADER;
        if to_cache {
            ThreadHeap::turn_away(heap, block)
        } else {
            ThreadHeap::release(heap, block).map_err(|misuse| (misuse, block.as_ptr().cast_const()))
        }
    }
}
