//! A thread's heap: a core allocator over segments, with the cache in front and the inbox beside it. The calls here are the
//! owner's own, without a lock; what needs the lock is in `supply.rs`.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicBool;

use memoman_debug::allocator::{Misuse, Pool, Refusal, Tlsf};

use crate::cache::{CLASSES, Cache, Taken};
use crate::default::LOCK;
use crate::gate::Gate;
use crate::remote::{self, Inbox};
use crate::{core_calls, segment};

/// Alignment of every payload.
pub(crate) const ALIGN: usize = Tlsf::ALIGN;
pub(crate) const HEADER: usize = Tlsf::ALLOC_OVERHEAD;
/// Greatest request that a thread heap serves; greater ones go to the process-wide instance.
pub(crate) const REQUEST_MAX: usize = 32 << 10;
const CONTROL_BYTES: usize = Tlsf::control_size(REQUEST_MAX);
/// Blocks that one call takes out of the inbox before it asks the core.
pub(crate) const TAKEN_AT_ONCE: usize = 16;
/// Having found less than that, it looks no more for so many times.
const DRAIN_PAUSE: u8 = 15;
/// Most bytes of a heap that keeps its cache and its empty segments when its thread ends.
const WARM_MOST: usize = 256 << 10;
/// Blocks of the inbox, and as many cached ones, that one call gives to the core before it asks for a segment.
pub(crate) const GIVEN_AT_ONCE: usize = 64;

/// What other threads read when they free a block of the heap: in a cache line that hardly ever changes.
#[repr(C, align(64))]
pub(crate) struct Shared {
    /// The key of marks and links.
    pub(crate) key: usize,
    /// Some thread owns the heap. Changes under the lock only; who looks without it must look again.
    pub(crate) owned: AtomicBool,
}

/// All-zero is what [`ThreadHeap::open`] expects. Its memory is never given back.
#[repr(C, align(64))]
pub(crate) struct ThreadHeap {
    pub(crate) gate: Gate,
    tlsf: MaybeUninit<Tlsf>,
    /// Successful allocations.
    allocations: usize,
    /// A pool without a block in use, kept to go on with.
    spare: Option<Pool>,
    /// Another one, to be given back as soon as the owner is out.
    surplus: Option<Pool>,
    pub(crate) cache: Cache,
    pub(crate) inbox: Inbox,
    pub(crate) shared: Shared,
    // Behind the shared line there is room for what changes rarely.
    /// The heap made before this one. Under the lock.
    pub(crate) next: *mut ThreadHeap,
    /// The next heap without an owner. Under the lock.
    pub(crate) next_idle: *mut ThreadHeap,
    control: [MaybeUninit<usize>; CONTROL_BYTES.div_ceil(size_of::<usize>())],
}

/// The safety of these functions, unless they say otherwise: `heap` is an open heap. The caller is its owner and inside
/// its gate, or has the lock while the heap is the caller's, nobody's, or behind a closed gate.
impl ThreadHeap {
    /// Makes an empty heap of zeroed memory that nobody else knows.
    pub(crate) unsafe fn open(heap: *mut ThreadHeap) {
        // Not an aligned address, and no address of user memory: links and marks can be told from both.
        let key =
            heap.addr().wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize) | 1 << (usize::BITS - 1);
        // SAFETY: the memory is the caller's to give; the control structure's is large enough, and aligned for words.
        unsafe {
            let control = (&raw mut (*heap).control).cast();
            if let Some(tlsf) = Tlsf::create(control, REQUEST_MAX) {
                (*heap).tlsf.write(tlsf);
            }
            Cache::open(&raw mut (*heap).cache, key | 5);
            (*heap).shared.key = key | 5;
            (*heap).inbox.open();
        }
    }

    /// The heap's core instance.
    #[inline(always)]
    pub(crate) unsafe fn tlsf(heap: *mut ThreadHeap) -> Tlsf {
        // SAFETY: open, so it is written: creation fails for wrong arguments only.
        unsafe { (*heap).tlsf.assume_init() }
    }

    /// The owner comes in.
    #[inline(never)]
    pub(crate) unsafe fn enter(heap: *mut ThreadHeap) {
        // A guest has the lock.
        // SAFETY: the gate is shared.
        unsafe { (*heap).gate.enter(|| LOCK.with(|| ())) }
    }

    /// The owner comes in, unless a guest is there.
    #[inline(always)]
    #[must_use]
    pub(crate) unsafe fn try_enter(heap: *mut ThreadHeap) -> bool {
        // SAFETY: the gate is shared.
        unsafe { (*heap).gate.try_enter() }
    }

    /// The owner goes out.
    #[inline(always)]
    pub(crate) unsafe fn leave(heap: *mut ThreadHeap) {
        // SAFETY: the gate is shared.
        unsafe { (*heap).gate.leave() }
    }

    /// The cache.
    #[inline(always)]
    pub(crate) fn cache(heap: *mut ThreadHeap) -> *mut Cache {
        // SAFETY: the address of a field; nothing is read.
        unsafe { &raw mut (*heap).cache }
    }

    /// Takes what a cold path has got out of the core: counted, and without a mark that could be read in it.
    #[inline(always)]
    pub(crate) unsafe fn hand_out(heap: *mut ThreadHeap, block: NonNull<u8>) -> *mut u8 {
        // SAFETY: the caller is in the heap.
        unsafe { (*heap).allocations = (*heap).allocations.wrapping_add(1) };
        block.as_ptr()
    }

    /// Successful allocations of this heap.
    pub(crate) unsafe fn allocations(heap: *mut ThreadHeap) -> usize {
        // SAFETY: the caller is in the heap.
        unsafe { (*heap).allocations }
    }

    /// The core's answer; exhaustion does not count as a refused request yet.
    pub(crate) unsafe fn ask(
        heap: *mut ThreadHeap,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the caller is in the heap.
        unsafe {
            let result = core_calls::allocate(ThreadHeap::tlsf(heap), align, bytes);
            if let Ok(block) = result {
                if (*heap).cache.seal == 0 {
                    (*heap).cache.seal = Tlsf::seal_of(block);
                }
                ThreadHeap::hand_out(heap, block);
            }
            result
        }
    }

    /// Gives a tested block, which has no mark, to the core, and looks whether that leaves its pool empty.
    pub(crate) unsafe fn release(heap: *mut ThreadHeap, block: NonNull<u8>) -> Result<(), Misuse> {
        // SAFETY: the caller is in the heap; whether the block is one is tested by the core.
        unsafe {
            if let Some(pool) = core_calls::free(ThreadHeap::tlsf(heap), block)? {
                ThreadHeap::emptied(heap, pool);
            }
            Ok(())
        }
    }

    /// A thread's heap is asked for this; what it is never asked for, it must not grow for.
    #[inline(always)]
    pub(crate) const fn serves(align: usize, bytes: usize) -> bool {
        if align <= ALIGN {
            bytes <= REQUEST_MAX
        } else {
            bytes <= REQUEST_MAX / 2 && align <= REQUEST_MAX / 2
        }
    }

    /// A pool has been added, and perhaps not been needed.
    pub(crate) unsafe fn unused(heap: *mut ThreadHeap, pool: Pool) {
        // SAFETY: the caller is in the heap.
        unsafe {
            if pool.is_empty() {
                ThreadHeap::emptied(heap, pool);
            }
        }
    }

    /// One empty pool is kept; of two, one goes.
    #[cold]
    unsafe fn emptied(heap: *mut ThreadHeap, pool: Pool) {
        // SAFETY: the caller is in the heap; a spare is a pool of it, and is entered here only.
        unsafe {
            match (*heap).spare {
                Some(spare) if spare != pool && spare.is_empty() => (*heap).surplus = Some(pool),
                _ => (*heap).spare = Some(pool),
            }
        }
    }

    /// The pool that is to go, if there is one.
    pub(crate) unsafe fn take_surplus(heap: *mut ThreadHeap) -> Option<Pool> {
        // SAFETY: the caller is in the heap.
        unsafe { (*heap).surplus.take() }
    }

    /// An empty pool, if there is one: the surplus, or the spare.
    pub(crate) unsafe fn take_emptied(heap: *mut ThreadHeap) -> Option<Pool> {
        // SAFETY: the caller is in the heap; the spare is a pool of it.
        unsafe {
            if let Some(pool) = (*heap).surplus.take() {
                return Some(pool);
            }
            (*heap).spare.take().filter(|spare| spare.is_empty())
        }
    }

    /// A pool goes: it is no spare any more.
    pub(crate) unsafe fn forget(heap: *mut ThreadHeap, pool: Pool) {
        // SAFETY: the caller is in the heap.
        unsafe {
            for kept in [&mut (*heap).spare, &mut (*heap).surplus] {
                if *kept == Some(pool) {
                    *kept = None;
                }
            }
        }
    }

    /// Takes up to `most` blocks out of the inbox, to the cache or to the core, and ends early when a pool is to be given
    /// back. The misuse that it meets is the answer.
    #[inline(never)]
    pub(crate) unsafe fn collect(
        heap: *mut ThreadHeap,
        most: usize,
        to_cache: bool,
    ) -> Result<usize, (Misuse, *const u8)> {
        let mut taken = 0;
        // SAFETY: the caller is in the heap, so it is the only one that takes out; what is taken out is tested.
        unsafe {
            while taken < most && (*heap).surplus.is_none() {
                match (*heap)
                    .inbox
                    .take((*heap).shared.key, |address| belongs(heap, address))
                {
                    remote::Taken::Nothing => break,
                    remote::Taken::Broken(address) => {
                        return Err((Misuse::SmashedLink, ptr::with_exposed_provenance(address)));
                    }
                    remote::Taken::Block(address) => {
                        let Some(block) =
                            NonNull::new(ptr::with_exposed_provenance_mut::<u8>(address))
                        else {
                            break;
                        };
                        taken += 1;
                        if !Cache::has_mark(ThreadHeap::cache(heap), block) {
                            return Err((Misuse::SmashedLink, block.as_ptr()));
                        }
                        Cache::clear_mark(block);
                        if !to_cache {
                            ThreadHeap::release(heap, block)
                                .map_err(|misuse| (misuse, block.as_ptr().cast_const()))?;
                        } else if !ThreadHeap::keep(heap, block) {
                            ThreadHeap::turn_away(heap, block)?;
                        }
                    }
                }
            }
        }
        Ok(taken)
    }

    /// The class of a block that the cache may hold. What is no live block has none.
    #[inline(always)]
    unsafe fn class_of(heap: *mut ThreadHeap, block: NonNull<u8>) -> Option<usize> {
        // SAFETY: the caller is in the heap; the block lies in one of its segments and is aligned.
        unsafe {
            let seal = (*heap).cache.seal;
            let most = CLASSES * ALIGN;
            ThreadHeap::tlsf(heap)
                .live_bytes_below(seal, block, most)
                .map(|size| size / ALIGN)
        }
    }

    /// Puts an aligned block into the cache, if it has no mark yet, the core's tests find nothing wrong, and its class has room.
    #[inline(always)]
    pub(crate) unsafe fn keep(heap: *mut ThreadHeap, block: NonNull<u8>) -> bool {
        // SAFETY: as for `class_of`.
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

    /// Gives a block to the core that the cache has no room for, or that is none. A cache that is too large for what is asked for
    /// gives one of its own as well. The misuse that it meets is the answer.
    pub(crate) unsafe fn turn_away(
        heap: *mut ThreadHeap,
        block: NonNull<u8>,
    ) -> Result<(), (Misuse, *const u8)> {
        // SAFETY: as for `class_of`, when it is read; the core tests the address itself.
        unsafe {
            let aligned = block.as_ptr().addr().is_multiple_of(ALIGN);
            let class = if aligned {
                ThreadHeap::class_of(heap, block)
            } else {
                None
            };
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

    /// Gives up to `most` blocks of a class to the core, and their room up; ends early when a pool is to be given back. (What is
    /// smashed stays, and is told when it is asked for.)
    unsafe fn shrink(
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

    /// Gives up to [`GIVEN_AT_ONCE`] cached blocks to the core, half of what each class has, one class after the other, and tells
    /// how many. The misuse that it meets is the answer.
    pub(crate) unsafe fn drain(heap: *mut ThreadHeap) -> Result<usize, (Misuse, *const u8)> {
        let mut drained = 0;
        // SAFETY: the caller is in the heap.
        unsafe {
            if (*heap).cache.pause > 0 {
                (*heap).cache.pause -= 1;
                return Ok(0);
            }
        }
        for _ in 0..CLASSES {
            if drained == GIVEN_AT_ONCE {
                break;
            }
            // SAFETY: the caller is in the heap.
            unsafe {
                let (class, half) = Cache::next_to_shrink(ThreadHeap::cache(heap));
                drained += ThreadHeap::shrink(heap, class, half.min(GIVEN_AT_ONCE - drained))?;
            }
        }
        // SAFETY: as above.
        unsafe {
            // (A pool that is to go ends it early, and says nothing about the cache.)
            if drained < GIVEN_AT_ONCE && (*heap).surplus.is_none() {
                (*heap).cache.pause = DRAIN_PAUSE;
            }
        }
        Ok(drained)
    }

    /// What lies in the cache is as it was put in, and in use for the core.
    pub(crate) unsafe fn is_cache_sound(heap: *mut ThreadHeap) -> bool {
        // SAFETY: the caller is in the heap; a cached block is tested by the core.
        unsafe {
            Cache::is_sound(ThreadHeap::cache(heap), |block, class| {
                belongs(heap, block.as_ptr().addr())
                    && ThreadHeap::tlsf(heap).live_bytes(block) == class * ALIGN
            })
        }
    }

    /// The heap has more than is kept for a thread that may come.
    pub(crate) unsafe fn is_heavy(heap: *mut ThreadHeap) -> bool {
        // SAFETY: the caller is in the heap.
        unsafe { ThreadHeap::tlsf(heap).stats().pool_bytes > WARM_MOST }
    }

    /// Empties the cache into the core. The misuse that it meets is the answer; the rest is emptied all the same.
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

/// The address may be that of a block of this heap: followed, it leads nowhere else.
fn belongs(heap: *mut ThreadHeap, address: usize) -> bool {
    address.is_multiple_of(ALIGN) && segment::owner(address) == heap
}

#[cfg(test)]
mod tests;
