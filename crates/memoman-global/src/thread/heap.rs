//! A thread's heap: an instance of the core over segments, with the cache in front and the inbox
//! beside it. Nothing here takes the lock: `process/segments.rs` brings segments and takes them
//! back.

use core::mem::{MaybeUninit, offset_of};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::allocator::{ALIGN, Misuse, Pool, Refusal, Tlsf};
use crate::process::{core_calls, map};
use crate::system::key;
use crate::thread::cache::{CACHED_BELOW, CLASSES, Cache, SMALL, Taken, class_of_size};
use crate::thread::gate::{self, Gate};
use crate::thread::idleness::{Idleness, Moved};
use crate::thread::inbox::Inbox;
use crate::thread::outbox::{Outbox, Rest};

/// Largest request that a thread heap takes; a larger one gets a mapping of its own.
pub(crate) const REQUEST_MAX: usize = 256 << 10;
const CONTROL_BYTES: usize = Tlsf::control_size(REQUEST_MAX);
/// Blocks that one call takes out of the inbox before it calls the core, and as many more at most,
/// to the end of a chain.
pub(crate) const TAKEN_AT_ONCE: usize = 16;
/// Blocks of a long inbox that go to the core before it hands out one. More than one: so the blocks
/// handed out become fewer, and the inbox shorter, however few calls miss the cache.
pub(crate) const GIVEN_FOR_ONE: usize = 2;
/// A pool of up to this size is kept when it is empty; a greater one while the spares of all heaps
/// have no more than [`SPARES_MOST`] beyond.
const SPARE_FREELY: usize = 64 << 10;
const SPARES_MOST: usize = 8 << 20;
/// Bytes of all heaps' spares beyond [`SPARE_FREELY`] each.
static SPARES: AtomicUsize = AtomicUsize::new(0);
/// A heap keeps what it does not use when its thread ends, while the heaps of ended threads keep no
/// more than so many bytes.
pub(crate) const WARM_MOST: usize = 2 << 20;
/// The bytes that they keep.
static WARM: AtomicUsize = AtomicUsize::new(0);
/// Blocks of the inbox, and as many cached ones, that one call gives to the core before it needs a
/// segment.
pub(crate) const GIVEN_AT_ONCE: usize = 64;

/// What other threads read when they free a block of the heap, in a cache line that hardly ever
/// changes.
#[repr(C, align(64))]
pub(crate) struct Shared {
    /// The key of marks and links.
    pub(crate) key: usize,
    /// A thread owns the heap. Changes under the lock only; a value read without the lock may be
    /// stale.
    pub(crate) owned: AtomicBool,
}

/// [`ThreadHeap::open`] expects it all-zero. Its memory is never returned.
#[repr(C, align(64))]
pub(crate) struct ThreadHeap {
    pub(crate) gate: Gate,
    tlsf: MaybeUninit<Tlsf>,
    /// Successful allocations. Written inside the heap; other threads read it.
    allocations: AtomicUsize,
    /// A pool without a live block, kept for the next allocations.
    pub(crate) spare: Option<Pool>,
    /// A second one, to be returned as soon as the owner is outside.
    pub(crate) surplus: Option<Pool>,
    pub(crate) cache: Cache,
    pub(crate) inbox: Inbox,
    /// What the inbox has given out, and the heap has yet to take.
    pub(crate) rest: Rest,
    /// Freed blocks of other heaps since this thread looked at an owner.
    pub(crate) sent: Moved,
    /// Bytes taken out of the inbox.
    pub(crate) received: usize,
    pub(crate) shared: Shared,
    pub(crate) idleness: Idleness,
    // The rest of the shared cache line holds what changes rarely.
    /// The spare's part of [`SPARES`].
    spare_charge: usize,
    /// The heap's part of [`WARM`].
    warm: AtomicUsize,
    /// The most bytes that the core has had in use since `reclaim::fall` last emptied the cache, or
    /// a visit left nothing but live blocks.
    pub(crate) high: usize,
    /// The heap made before this one. Accessed under the lock.
    pub(crate) next: *mut ThreadHeap,
    /// The next heap without an owner. Accessed under the lock.
    pub(crate) next_idle: *mut ThreadHeap,
    /// Rounds of destructors in which the owner has kept the heap. Accessed by the owner.
    rounds: u8,
    pub(crate) outbox: Outbox,
    control: [MaybeUninit<usize>; CONTROL_BYTES.div_ceil(size_of::<usize>())],
}

/// Offsets for readers outside.
pub(crate) const CACHE_AT: usize = offset_of!(ThreadHeap, cache);
pub(crate) const CONTROL_AT: usize = offset_of!(ThreadHeap, control);

/// The core's fast path is compiled into the shim only: the library has one function for all that
/// is not hot.
const INLINED: bool = cfg!(feature = "announced-threads");

/// The duties of the unsafe functions, unless they say otherwise: `heap` is open, and the caller is
/// *in* it. The caller is in a heap as its owner, inside its gate; as a visitor, which has claimed
/// the gate and then seen the owner outside; or as the holder of the lock, which has claimed the
/// gate of a heap without an owner, or has stopped all threads, or those of this heap.
impl ThreadHeap {
    /// Makes an empty heap of zeroed memory that no other thread knows.
    pub(crate) unsafe fn open(heap: *mut ThreadHeap) {
        // Neither an aligned address nor one of user memory: links and marks differ from both.
        let key =
            heap.addr().wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize) | 1 << (usize::BITS - 1);
        // SAFETY: no other thread knows the memory (caller); the control structure's part is large
        // enough, and aligned for words.
        unsafe {
            let control = (&raw mut (*heap).control).cast();
            if let Some(tlsf) = Tlsf::create(control, REQUEST_MAX) {
                (*heap).tlsf.write(tlsf);
            }
            Cache::open(&raw mut (*heap).cache, key | 5);
            (*heap).shared.key = key | 5;
        }
    }

    /// The heap's core instance.
    #[inline(always)]
    pub(crate) unsafe fn tlsf(heap: *mut ThreadHeap) -> Tlsf {
        // SAFETY: `open` has written it: creation fails for invalid arguments only.
        unsafe { (*heap).tlsf.assume_init() }
    }

    /// The map's word for this address: the heap whose segment has it, null, or odd.
    #[inline(always)]
    pub(crate) fn of(address: usize) -> *mut ThreadHeap {
        map::owner(address).cast()
    }

    /// [`ThreadHeap::of`] in the fewest steps: null also for an address beyond the map's first
    /// root.
    #[inline(always)]
    pub(crate) fn near(address: usize) -> *mut ThreadHeap {
        map::near_owner(address).cast()
    }

    /// The owner enters, unless the gate is closed.
    #[inline(always)]
    #[must_use]
    pub(crate) unsafe fn try_enter(heap: *mut ThreadHeap) -> bool {
        // SAFETY: the heap is open (caller), and any thread may access the gate.
        unsafe { (*heap).gate.try_enter(gate::INSIDE) }
    }

    /// The owner leaves.
    #[inline(always)]
    pub(crate) unsafe fn leave(heap: *mut ThreadHeap) {
        // SAFETY: the heap is open (caller), and any thread may access the gate.
        unsafe { (*heap).gate.leave() }
    }

    /// The heap's cache.
    #[inline(always)]
    pub(crate) fn cache(heap: *mut ThreadHeap) -> *mut Cache {
        // SAFETY: the address of a field of an open heap; nothing is read.
        unsafe { &raw mut (*heap).cache }
    }

    /// Counts a successful allocation. Returns its address.
    #[inline(always)]
    pub(crate) unsafe fn hand_out(heap: *mut ThreadHeap, block: NonNull<u8>) -> *mut u8 {
        // SAFETY: the caller is in the heap, so no other thread writes the count.
        unsafe {
            let count = (*heap).allocations.load(Ordering::Relaxed);
            (*heap)
                .allocations
                .store(count.wrapping_add(1), Ordering::Relaxed);
        }
        block.as_ptr()
    }

    /// Successful allocations of this heap. Any thread may call it.
    pub(crate) unsafe fn allocations(heap: *mut ThreadHeap) -> usize {
        // SAFETY: the heap is open (caller).
        unsafe { (*heap).allocations.load(Ordering::Relaxed) }
    }

    /// Allocates from the core. Exhaustion is not counted as a refused request.
    #[inline(never)]
    pub(crate) unsafe fn allocate(
        heap: *mut ThreadHeap,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the caller is in the heap.
        unsafe {
            let tlsf = ThreadHeap::tlsf(heap);
            let result = core_calls::allocate_inlined::<INLINED>(tlsf, align, bytes);
            if let Ok(block) = result {
                if (*heap).cache.seal == 0 {
                    (*heap).cache.seal = Tlsf::seal_of(block);
                }
                ThreadHeap::hand_out(heap, block);
            }
            result
        }
    }

    /// Frees a block without a mark to the core, and keeps its pool if that leaves it empty.
    pub(crate) unsafe fn release(heap: *mut ThreadHeap, block: NonNull<u8>) -> Result<(), Misuse> {
        // SAFETY: the caller is in the heap; the core tests the block.
        unsafe {
            if let Some(pool) = core_calls::free(ThreadHeap::tlsf(heap), block)? {
                ThreadHeap::emptied(heap, pool);
            }
            Ok(())
        }
    }

    /// A thread heap serves this request: only for such requests may it grow.
    #[inline(always)]
    pub(crate) const fn serves(align: usize, bytes: usize) -> bool {
        if align <= ALIGN {
            bytes <= REQUEST_MAX
        } else {
            bytes <= REQUEST_MAX / 2 && align <= REQUEST_MAX / 2
        }
    }

    /// Keeps a pool that was added and not needed, if it is empty.
    pub(crate) unsafe fn keep_if_empty(heap: *mut ThreadHeap, pool: Pool) {
        // SAFETY: the caller is in the heap.
        unsafe {
            if pool.is_empty() {
                ThreadHeap::emptied(heap, pool);
            }
        }
    }

    /// An empty pool becomes the spare; a second one is surplus, and so is a large one where the
    /// heaps' spares have enough.
    #[cold]
    unsafe fn emptied(heap: *mut ThreadHeap, pool: Pool) {
        // SAFETY: the caller is in the heap; the spare is one of its pools: `forget` strikes a pool
        // that goes.
        unsafe {
            match (*heap).spare {
                Some(spare) if spare == pool => {}
                Some(spare) if spare.is_empty() => (*heap).surplus = Some(pool),
                _ => {
                    let _ = ThreadHeap::take_spare(heap);
                    let charge = pool.memory().1.saturating_sub(SPARE_FREELY);
                    let before = SPARES.fetch_add(charge, Ordering::Relaxed);
                    if charge > 0 && before + charge > SPARES_MOST {
                        SPARES.fetch_sub(charge, Ordering::Relaxed);
                        (*heap).surplus = Some(pool);
                    } else {
                        (*heap).spare = Some(pool);
                        (*heap).spare_charge = charge;
                    }
                }
            }
        }
    }

    /// Takes the spare, with its part of [`SPARES`].
    unsafe fn take_spare(heap: *mut ThreadHeap) -> Option<Pool> {
        // SAFETY: the caller is in the heap.
        unsafe {
            SPARES.fetch_sub((*heap).spare_charge, Ordering::Relaxed);
            (*heap).spare_charge = 0;
            (*heap).spare.take()
        }
    }

    /// The surplus pool, if there is one.
    pub(crate) unsafe fn take_surplus(heap: *mut ThreadHeap) -> Option<Pool> {
        // SAFETY: the caller is in the heap.
        unsafe { (*heap).surplus.take() }
    }

    /// An empty pool, if there is one: the surplus, or the spare.
    pub(crate) unsafe fn take_emptied(heap: *mut ThreadHeap) -> Option<Pool> {
        // SAFETY: the caller is in the heap; the spare is one of its pools.
        unsafe {
            if let Some(pool) = (*heap).surplus.take() {
                return Some(pool);
            }
            ThreadHeap::take_spare(heap).filter(|spare| spare.is_empty())
        }
    }

    /// The heap loses this pool: it is neither spare nor surplus any more.
    pub(crate) unsafe fn forget(heap: *mut ThreadHeap, pool: Pool) {
        // SAFETY: the caller is in the heap.
        unsafe {
            if (*heap).spare == Some(pool) {
                let _ = ThreadHeap::take_spare(heap);
            }
            if (*heap).surplus == Some(pool) {
                (*heap).surplus = None;
            }
            (*heap).idleness.pass.lose_place();
        }
    }

    /// The class of a small block, in the fewest steps. None for a larger block, and for one that
    /// is not live.
    ///
    /// # Safety
    /// The duties of [`ThreadHeap`]; `block` is aligned and lies in one of the heap's segments.
    #[inline(always)]
    pub(crate) unsafe fn class_of(heap: *mut ThreadHeap, block: NonNull<u8>) -> Option<usize> {
        // SAFETY: the caller is in the heap, and the word before an aligned address in a segment
        // may be read (caller).
        unsafe {
            let seal = (*heap).cache.seal;
            let most = SMALL * ALIGN;
            ThreadHeap::tlsf(heap)
                .live_bytes_below(seal, block, most)
                .map(|size| size / ALIGN)
        }
    }

    /// Puts a small block into the cache, if it has no mark, the core's tests find nothing wrong,
    /// and its class has room.
    ///
    /// # Safety
    /// The duties of [`ThreadHeap`]; `block` is aligned and lies in one of the heap's segments.
    #[inline(always)]
    pub(crate) unsafe fn keep(heap: *mut ThreadHeap, block: NonNull<u8>) -> bool {
        // SAFETY: the caller is in the heap; the block is aligned and in one of its segments
        // (caller).
        unsafe {
            let cache = ThreadHeap::cache(heap);
            let mark = Cache::mark(cache, block);
            if Cache::second_word(block) == mark {
                return false;
            }
            match ThreadHeap::class_of(heap, block) {
                Some(class) => Cache::put(cache, class, block, mark),
                None => false,
            }
        }
    }

    /// The cached blocks are as they were put in, and live for the core.
    pub(crate) unsafe fn is_cache_sound(heap: *mut ThreadHeap) -> bool {
        // SAFETY: the caller is in the heap; the core tests a cached block.
        unsafe {
            Cache::is_sound(ThreadHeap::cache(heap), |block, class| {
                belongs(heap, block.as_ptr().addr())
                    && matches!(ThreadHeap::tlsf(heap).live_bytes(block),
                        size if size != 0 && size < CACHED_BELOW && class_of_size(size) == class)
            })
        }
    }

    /// Counts a round of destructors at the owner's end. True in the last one.
    pub(crate) unsafe fn is_last_round(heap: *mut ThreadHeap) -> bool {
        // SAFETY: the heap is open (caller), and the calling thread owns it.
        unsafe {
            (*heap).rounds = ((*heap).rounds + 1) % key::ROUNDS;
            (*heap).rounds == 0
        }
    }

    /// Before its thread ends: the heap may keep what it does not use for the next thread.
    pub(crate) unsafe fn keep_warm(heap: *mut ThreadHeap) -> bool {
        // SAFETY: the caller is in the heap.
        unsafe {
            ThreadHeap::cool(heap);
            let core = ThreadHeap::tlsf(heap);
            let cached = (*ThreadHeap::cache(heap)).room_bytes;
            let charge = core.pool_bytes() - core.used_bytes() + cached;
            // The sum is raised first: a fork between the two leaves it too large, never too small.
            let is_warm = WARM.fetch_add(charge, Ordering::Relaxed) + charge <= WARM_MOST;
            (*heap).warm.store(charge, Ordering::Relaxed);
            if !is_warm {
                ThreadHeap::cool(heap);
            }
            is_warm
        }
    }

    /// The heap keeps nothing for the next thread, or has its next thread. Any thread may call it.
    #[inline(never)]
    pub(crate) unsafe fn cool(heap: *mut ThreadHeap) {
        // SAFETY: the heap is open (caller); its word is atomic.
        let charge = unsafe { (*heap).warm.swap(0, Ordering::Relaxed) };
        WARM.fetch_sub(charge, Ordering::Relaxed);
    }

    /// Empties the cache into the core. Returns the last misuse it finds; the rest is emptied all
    /// the same.
    pub(crate) unsafe fn flush(heap: *mut ThreadHeap) -> Result<(), (Misuse, *const u8)> {
        let mut result = Ok(());
        for class in 0..CLASSES {
            // SAFETY: the caller is in the heap.
            unsafe {
                let cache = ThreadHeap::cache(heap);
                loop {
                    match Cache::take(cache, class) {
                        Taken::Nothing => break,
                        Taken::Block(block) => {
                            if let Err(misuse) = ThreadHeap::release(heap, block) {
                                result = Err((misuse, block.as_ptr().cast_const()));
                            }
                        }
                        Taken::Smashed(block) => {
                            Cache::give_up(cache, class);
                            result = Err((Misuse::SmashedLink, block.as_ptr().cast_const()));
                        }
                    }
                }
            }
        }
        result
    }
}

/// The address may be that of a block of this heap: it is aligned, and lies in one of the heap's
/// segments.
#[inline(never)]
pub(crate) fn belongs(heap: *mut ThreadHeap, address: usize) -> bool {
    address.is_multiple_of(ALIGN) && ThreadHeap::of(address) == heap
}
