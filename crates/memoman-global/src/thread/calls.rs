//! The owner's calls on its heap. None of them waits, unless a guest is there; what the heap cannot serve goes to `supply.rs`.

use core::ptr::{self, NonNull};

use memoman_debug::allocator::{Misuse, Refusal, Tlsf};

use crate::cache::{CLASSES, Cache, Taken};
use crate::thread_heap::{ALIGN, GIVEN_AT_ONCE, HEADER, TAKEN_AT_ONCE, ThreadHeap};
use crate::{supply, tell};

/// Greatest request that the cache serves.
pub(crate) const CACHED_MAX: usize = (CLASSES - 1) * ALIGN - HEADER;

/// The class whose blocks serve a request that the cache may serve.
#[inline(always)]
fn class_of(bytes: usize) -> usize {
    (bytes.max(Tlsf::BLOCK_SIZE_MIN) + (HEADER + ALIGN - 1)) / ALIGN
}

/// `malloc` of at most [`CACHED_MAX`] bytes. Whatever is not the plain way ends in a call of something else: then nothing has to be
/// kept across one.
///
/// # Safety
/// `heap` is the calling thread's heap.
#[inline(always)]
pub(crate) unsafe fn malloc_small(heap: *mut ThreadHeap, bytes: usize) -> *mut u8 {
    // SAFETY: the owner's (caller), and inside the gate.
    unsafe {
        if !ThreadHeap::try_enter(heap) {
            return malloc(heap, bytes);
        }
        match Cache::take(ThreadHeap::cache(heap), class_of(bytes)) {
            Taken::Block(block) => {
                let block = ThreadHeap::hand_out(heap, block);
                ThreadHeap::leave(heap);
                block
            }
            Taken::Nothing => missed(heap, bytes),
            Taken::Smashed(_) => smashed(heap, bytes),
        }
    }
}

/// `malloc`, waiting for a guest.
///
/// # Safety
/// As for [`malloc_small`].
#[inline(never)]
pub(crate) unsafe fn malloc(heap: *mut ThreadHeap, bytes: usize) -> *mut u8 {
    // SAFETY: the owner's (caller), and inside the gate.
    unsafe {
        ThreadHeap::enter(heap);
        if bytes <= CACHED_MAX {
            match Cache::take(ThreadHeap::cache(heap), class_of(bytes)) {
                Taken::Block(block) => {
                    let block = ThreadHeap::hand_out(heap, block);
                    leave(heap);
                    return block;
                }
                Taken::Nothing => {}
                Taken::Smashed(_) => return smashed(heap, bytes),
            }
        }
        missed(heap, bytes)
    }
}

/// What the cache has for this request has been written to since it was freed: told, and not handed out.
#[cold]
#[inline(never)]
unsafe fn smashed(heap: *mut ThreadHeap, bytes: usize) -> *mut u8 {
    // SAFETY: the owner's (caller), who is inside until here.
    unsafe {
        let class = class_of(bytes);
        let taken = Cache::take(ThreadHeap::cache(heap), class);
        Cache::give_up(ThreadHeap::cache(heap), class);
        ThreadHeap::leave(heap);
        if let Taken::Smashed(block) = taken {
            tell::misuse(Misuse::SmashedLink, block.as_ptr());
        }
    }
    ptr::null_mut()
}

/// The rest of `malloc`, inside the gate: the cache does not have it, or is not asked.
///
/// # Safety
/// As for [`malloc_small`].
#[inline(never)]
unsafe fn missed(heap: *mut ThreadHeap, bytes: usize) -> *mut u8 {
    let bytes = bytes.max(1); // Of the same class; the core would refuse zero.
    // SAFETY: the owner's (caller), and inside the gate.
    unsafe {
        let mut collected = Ok(0);
        let mut result = Err(Refusal::Exhausted);
        let small = bytes <= CACHED_MAX;
        if (*heap).inbox.is_worth_a_look() {
            collected = ThreadHeap::collect(heap, TAKEN_AT_ONCE, true);
            if small
                && let Taken::Block(block) = Cache::take(ThreadHeap::cache(heap), class_of(bytes))
            {
                ThreadHeap::hand_out(heap, block);
                result = Ok(block);
            }
        }
        if result.is_err() {
            if small {
                let has = || ThreadHeap::tlsf(heap).stats().pool_bytes;
                Cache::missed(ThreadHeap::cache(heap), class_of(bytes), has);
            }
            result = ThreadHeap::ask(heap, ALIGN, bytes);
            if result == Err(Refusal::Exhausted) {
                result = ask_again(heap, ALIGN, bytes, &mut collected);
            }
        }
        finish(heap, collected.err(), ALIGN, bytes, result)
    }
}

/// The core has nothing: asks it again when it has got what lies in the inbox, and then in the cache, so much of each as one
/// call may give. After a misuse nothing more is looked at in this call, which tells of one.
///
/// # Safety
/// As for [`missed`].
#[inline(never)]
pub(crate) unsafe fn ask_again(
    heap: *mut ThreadHeap,
    align: usize,
    bytes: usize,
    met: &mut Result<usize, (Misuse, *const u8)>,
) -> Result<NonNull<u8>, Refusal> {
    let mut result = Err(Refusal::Exhausted);
    // SAFETY: the owner's (caller), and inside the gate.
    unsafe {
        if met.is_ok() && (*heap).inbox.is_worth_a_look() {
            *met = ThreadHeap::collect(heap, GIVEN_AT_ONCE, false);
            if *met != Ok(0) {
                result = ThreadHeap::ask(heap, align, bytes);
            }
        }
        if met.is_ok() && result == Err(Refusal::Exhausted) {
            *met = ThreadHeap::drain(heap);
            // Less is too little to last.
            if *met == Ok(GIVEN_AT_ONCE) {
                result = ThreadHeap::ask(heap, align, bytes);
            }
        }
    }
    result
}

/// `memalign`. `align` is a power of two, `bytes` at least 1.
///
/// # Safety
/// As for [`malloc_small`].
pub(crate) unsafe fn memalign(heap: *mut ThreadHeap, align: usize, bytes: usize) -> *mut u8 {
    // SAFETY: the owner's (caller), and inside the gate.
    unsafe {
        ThreadHeap::enter(heap);
        let mut collected = Ok(0);
        let mut result = ThreadHeap::ask(heap, align, bytes);
        if result == Err(Refusal::Exhausted) {
            result = ask_again(heap, align, bytes, &mut collected);
        }
        finish(heap, collected.err(), align, bytes, result)
    }
}

/// Goes out of the heap and does what is to be done without it.
unsafe fn finish(
    heap: *mut ThreadHeap,
    met: Option<(Misuse, *const u8)>,
    align: usize,
    bytes: usize,
    result: Result<NonNull<u8>, Refusal>,
) -> *mut u8 {
    // SAFETY: the owner's (caller), who is inside until here.
    unsafe {
        leave(heap);
        if let Some((misuse, address)) = met {
            tell::misuse(misuse, address);
        }
        match result {
            Ok(block) => block.as_ptr(),
            Err(Refusal::Misuse(misuse, address)) => {
                tell::misuse(misuse, address);
                ptr::null_mut()
            }
            Err(_) => supply::allocate(heap, align, bytes),
        }
    }
}

/// Goes out, and gives back the pool that the call has emptied.
#[inline(always)]
unsafe fn leave(heap: *mut ThreadHeap) {
    // SAFETY: the owner's (caller), who is inside until here.
    unsafe {
        let surplus = ThreadHeap::take_surplus(heap);
        ThreadHeap::leave(heap);
        if let Some(pool) = surplus {
            supply::give_back(heap, pool);
        }
    }
}

/// `free` of a block in one of the heap's segments.
///
/// # Safety
/// As for [`malloc_small`]; the block is given up.
#[inline(always)]
pub(crate) unsafe fn free(heap: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the owner's (caller), and inside the gate; the address lies in a segment, so it may be read.
    unsafe {
        if !ThreadHeap::try_enter(heap) {
            return free_later(heap, block);
        }
        if block.as_ptr().addr().is_multiple_of(ALIGN) && ThreadHeap::keep(heap, block) {
            ThreadHeap::leave(heap);
            return;
        }
        free_to_core(heap, block)
    }
}

/// `free`, waiting for a guest.
#[cold]
#[inline(never)]
unsafe fn free_later(heap: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: as for `free`.
    unsafe {
        ThreadHeap::enter(heap);
        free_to_core(heap, block)
    }
}

/// The rest of `free`, inside the gate: there is no room in the cache, or something is wrong.
#[inline(never)]
unsafe fn free_to_core(heap: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: as for `free`.
    unsafe {
        let result = match tested(heap, block) {
            Ok(()) => ThreadHeap::turn_away(heap, block),
            Err(misuse) => Err((misuse, block.as_ptr().cast_const())),
        };
        leave(heap);
        if let Err((misuse, address)) = result {
            tell::misuse(misuse, address);
        }
    }
}

/// Is the block in the cache or in the inbox? (That it is none at all is for the core to find.)
#[inline(always)]
unsafe fn tested(heap: *mut ThreadHeap, block: NonNull<u8>) -> Result<(), Misuse> {
    let aligned = block.as_ptr().addr().is_multiple_of(ALIGN);
    // SAFETY: the address lies in a segment, and is aligned when it is read.
    if aligned && unsafe { Cache::has_mark(ThreadHeap::cache(heap), block) } {
        return Err(Misuse::DoubleFree);
    }
    Ok(())
}

/// Usable bytes of a block in one of the heap's segments; 0 when it is none, which is told.
///
/// # Safety
/// As for [`malloc_small`].
pub(crate) unsafe fn usable_size(heap: *mut ThreadHeap, block: NonNull<u8>) -> usize {
    // SAFETY: the owner's (caller), and inside the gate.
    let result = unsafe {
        ThreadHeap::enter(heap);
        let result = tested(heap, block).and_then(|()| ThreadHeap::tlsf(heap).usable_size(block));
        ThreadHeap::leave(heap);
        result
    };
    result.unwrap_or_else(|misuse| {
        tell::misuse(misuse, block.as_ptr());
        0
    })
}

/// `realloc` in place. An error: there is no room, and the block is as it was, of so many usable bytes.
///
/// # Safety
/// As for [`free`]; the block is given up if it is resized.
pub(crate) unsafe fn realloc(
    heap: *mut ThreadHeap,
    block: NonNull<u8>,
    bytes: usize,
) -> Result<*mut u8, usize> {
    // SAFETY: the owner's (caller), and inside the gate.
    unsafe {
        ThreadHeap::enter(heap);
        let tlsf: Tlsf = ThreadHeap::tlsf(heap);
        let result = match tested(heap, block) {
            Ok(()) => tlsf.realloc_in_place(block, ALIGN, bytes),
            Err(misuse) => Err(Refusal::Misuse(misuse, block.as_ptr())),
        };
        let mut usable = 0;
        match result {
            Ok(Some(resized)) => {
                ThreadHeap::hand_out(heap, resized);
            }
            Ok(None) => usable = Tlsf::block_size(block.as_ptr()),
            Err(Refusal::Exhausted) => {
                tlsf.withdraw_refusal();
                usable = Tlsf::block_size(block.as_ptr());
            }
            Err(_) => {}
        }
        ThreadHeap::leave(heap);
        match result {
            Ok(Some(resized)) => Ok(resized.as_ptr()),
            Err(Refusal::Misuse(misuse, address)) => {
                tell::misuse(misuse, address);
                Ok(ptr::null_mut())
            }
            _ => Err(usable),
        }
    }
}
