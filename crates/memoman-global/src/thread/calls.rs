//! The owner's calls on its heap. None of them waits, unless a holder of the lock has the heap.
//! `process/supply.rs` serves what the heap cannot, `process/side.rs` while another thread forks.

#[cfg(target_arch = "x86_64")]
use core::arch::asm;
use core::ptr::{self, NonNull};

use memoman_core::size_class::cut_size;

use crate::allocator::{ALIGN, HEADER, Misuse, Refusal, Tlsf};
use crate::process::segments::Segment;
use crate::process::{empty, later, misuse, side, supply};
use crate::system::errno::{ENOMEM, set_errno};
use crate::thread::cache::{CLASSES, Cache, SMALL, Taken, bytes_of, class_of_size};
use crate::thread::entry::enter;
use crate::thread::heap::{GIVEN_AT_ONCE, GIVEN_FOR_ONE, TAKEN_AT_ONCE, ThreadHeap};
use crate::thread::reclaim;

/// Largest request of a small block.
pub(crate) const SMALL_MAX: usize = (SMALL - 1) * ALIGN - HEADER;
/// Largest request that the cache serves.
pub(crate) const CACHED_MAX: usize = bytes_of(CLASSES - 1) - HEADER;

/// The class whose blocks serve a request of at most [`SMALL_MAX`] bytes.
#[inline(always)]
fn small_class(bytes: usize) -> usize {
    (bytes.max(Tlsf::BLOCK_SIZE_MIN) + (HEADER + ALIGN - 1)) / ALIGN
}

/// A request's bytes, less [`Less::LEAST`]: so one comparison tells whether [`malloc_small`] serves
/// it.
#[derive(Clone, Copy)]
pub(crate) struct Less(usize);

impl Less {
    /// Blocks of 0 bytes may be [apart](empty).
    const LEAST: usize = empty::APART as usize;

    #[inline(always)]
    pub(crate) fn of(bytes: usize) -> Less {
        // The compiler does not see the subtraction: it would keep both values, by an instruction
        // more.
        #[cfg(target_arch = "x86_64")]
        if empty::APART {
            let less;
            // SAFETY: one instruction, which writes to one register.
            unsafe {
                asm!("lea {0}, [{1} - 1]", lateout(reg) less, in(reg) bytes,
                    options(pure, nomem, nostack, preserves_flags));
            }
            return Less(less);
        }
        Less(bytes.wrapping_sub(Less::LEAST))
    }

    #[inline(always)]
    pub(crate) fn bytes(self) -> usize {
        self.0.wrapping_add(Less::LEAST)
    }

    #[inline(always)]
    pub(crate) fn is_small(self) -> bool {
        self.0 <= SMALL_MAX - Less::LEAST
    }

    /// [`small_class`] of a small request.
    #[inline(always)]
    fn class(self) -> usize {
        (self.0.max(Tlsf::BLOCK_SIZE_MIN - Less::LEAST) + (HEADER + ALIGN - 1 + Less::LEAST))
            / ALIGN
    }
}

/// The class whose blocks serve a request of at most [`CACHED_MAX`] bytes.
pub(crate) fn class_of(bytes: usize) -> usize {
    if bytes <= SMALL_MAX {
        small_class(bytes)
    } else {
        class_of_size(cut_size(small_class(bytes) * ALIGN))
    }
}

/// `malloc` of at most [`SMALL_MAX`] bytes. Every case but a cached block ends in a tail call, so
/// that no register has to be saved.
///
/// # Safety
/// `heap` is the calling thread's heap.
#[inline(always)]
pub(crate) unsafe fn malloc_small(heap: *mut ThreadHeap, less: Less) -> *mut u8 {
    // SAFETY: the owner (caller), inside its gate.
    unsafe {
        if !ThreadHeap::try_enter(heap) {
            return malloc(heap, less.bytes());
        }
        let class = less.class();
        match Cache::take(ThreadHeap::cache(heap), class) {
            Taken::Block(block) => {
                let block = ThreadHeap::hand_out(heap, block);
                ThreadHeap::leave(heap);
                block
            }
            Taken::Nothing => missed(heap, less.bytes(), class),
            Taken::Smashed(_) => smashed(heap, less.bytes()),
        }
    }
}

/// `malloc`, waiting while the gate is closed.
///
/// # Safety
/// `heap` is the calling thread's heap.
#[inline(never)]
pub(crate) unsafe fn malloc(heap: *mut ThreadHeap, bytes: usize) -> *mut u8 {
    // SAFETY: the owner (caller), inside its gate.
    unsafe {
        if !enter(heap) {
            return beside(ALIGN, bytes);
        }
        let mut class = NO_CLASS;
        if bytes <= CACHED_MAX {
            class = class_of(bytes);
            match Cache::take(ThreadHeap::cache(heap), class) {
                Taken::Block(block) => {
                    let block = ThreadHeap::hand_out(heap, block);
                    leave(heap);
                    return block;
                }
                Taken::Nothing => {}
                Taken::Smashed(_) => return smashed(heap, bytes),
            }
        }
        missed(heap, bytes, class)
    }
}

/// The class of a request that is too large for the cache.
const NO_CLASS: usize = usize::MAX;

/// Serves a request while another thread forks.
#[cold]
fn beside(align: usize, bytes: usize) -> *mut u8 {
    match side::allocate(align, bytes.max(1)) {
        Some(block) => block.as_ptr(),
        None => {
            set_errno(ENOMEM);
            ptr::null_mut()
        }
    }
}

/// The cached block for this request has been written to since it was freed: reported, and not
/// handed out.
///
/// # Safety
/// `heap` is the calling thread's heap, and the thread is in it.
#[cold]
#[inline(never)]
unsafe fn smashed(heap: *mut ThreadHeap, bytes: usize) -> *mut u8 {
    // SAFETY: the owner, inside its gate (caller), which it leaves here.
    unsafe {
        let class = class_of(bytes);
        let taken = Cache::take(ThreadHeap::cache(heap), class);
        Cache::give_up(ThreadHeap::cache(heap), class);
        ThreadHeap::leave(heap);
        if let Taken::Smashed(block) = taken {
            misuse::report_global(Misuse::SmashedLink, block.as_ptr());
        }
    }
    ptr::null_mut()
}

/// The rest of `malloc`, inside the gate: the cache has no block, or is too small for the request.
///
/// # Safety
/// `heap` is the calling thread's heap, and the thread is in it. `class` is the request's, or
/// [`NO_CLASS`].
#[inline(never)]
unsafe fn missed(heap: *mut ThreadHeap, bytes: usize, class: usize) -> *mut u8 {
    let bytes = bytes.max(1); // Of the same class; the core would refuse zero.
    // SAFETY: the owner (caller), inside its gate.
    unsafe {
        let mut collected = Ok(0);
        let mut result = Err(Refusal::Exhausted);
        let class = (class != NO_CLASS).then_some(class);
        if ThreadHeap::is_worth_a_look(heap) {
            let wanted = class.unwrap_or(CLASSES);
            collected = ThreadHeap::collect(heap, 2 * TAKEN_AT_ONCE, Some(wanted));
            if let Some(class) = class
                && let Taken::Block(block) = Cache::take(ThreadHeap::cache(heap), class)
            {
                ThreadHeap::hand_out(heap, block);
                result = Ok(block);
            } else if matches!(collected, Ok(TAKEN_AT_ONCE..)) {
                // The core hands out one more, and the inbox holds more.
                collected = ThreadHeap::collect(heap, GIVEN_FOR_ONE, None);
            }
        }
        if result.is_err() {
            if let Some(class) = class {
                let pool_bytes = || ThreadHeap::tlsf(heap).pool_bytes();
                Cache::missed(ThreadHeap::cache(heap), class, pool_bytes);
            }
            result = ThreadHeap::allocate(heap, ALIGN, bytes);
            if matches!(result, Err(Refusal::Exhausted)) {
                result = retry(heap, ALIGN, bytes, &mut collected);
            } else if let Some(class) = class
                && collected.is_ok()
                && Cache::is_time_to_age(ThreadHeap::cache(heap), class)
            {
                collected = ThreadHeap::age(heap);
            }
        }
        finish(heap, collected.err(), ALIGN, bytes, result)
    }
}

/// The core is exhausted: calls it again after giving it the blocks of the inbox, and then those of
/// the cache, at most [`GIVEN_AT_ONCE`] of each. After a misuse the call goes no further: it
/// reports one.
///
/// # Safety
/// `heap` is the calling thread's heap, and the thread is in it.
#[inline(never)]
pub(crate) unsafe fn retry(
    heap: *mut ThreadHeap,
    align: usize,
    bytes: usize,
    found: &mut Result<usize, (Misuse, *const u8)>,
) -> Result<NonNull<u8>, Refusal> {
    let mut result = Err(Refusal::Exhausted);
    // SAFETY: the owner (caller), inside its gate.
    unsafe {
        if found.is_ok() && ThreadHeap::is_worth_a_look(heap) {
            *found = ThreadHeap::collect(heap, GIVEN_AT_ONCE, None);
            if !matches!(*found, Ok(0)) {
                result = ThreadHeap::allocate(heap, align, bytes);
            }
        }
        if found.is_ok() && matches!(result, Err(Refusal::Exhausted)) {
            *found = ThreadHeap::drain(heap);
            // Fewer would not last for the next calls.
            if matches!(*found, Ok(GIVEN_AT_ONCE)) {
                result = ThreadHeap::allocate(heap, align, bytes);
            }
        }
    }
    result
}

/// `memalign`. `align` is a power of two, `bytes` at least 1.
///
/// # Safety
/// `heap` is the calling thread's heap.
pub(crate) unsafe fn memalign(heap: *mut ThreadHeap, align: usize, bytes: usize) -> *mut u8 {
    // SAFETY: the owner (caller), inside its gate.
    unsafe {
        if !enter(heap) {
            return beside(align, bytes);
        }
        let mut collected = Ok(0);
        let mut result = ThreadHeap::allocate(heap, align, bytes);
        if matches!(result, Err(Refusal::Exhausted)) {
            result = retry(heap, align, bytes, &mut collected);
        }
        finish(heap, collected.err(), align, bytes, result)
    }
}

/// Leaves the heap, reports misuse, and has a request that the heap cannot serve served under the
/// lock.
///
/// # Safety
/// `heap` is the calling thread's heap, and the thread is in it.
unsafe fn finish(
    heap: *mut ThreadHeap,
    found: Option<(Misuse, *const u8)>,
    align: usize,
    bytes: usize,
    result: Result<NonNull<u8>, Refusal>,
) -> *mut u8 {
    // SAFETY: the owner, inside its gate (caller), which it leaves here.
    unsafe {
        leave(heap);
        if let Some((misuse, address)) = found {
            misuse::report_global(misuse, address);
        }
        match result {
            Ok(block) => block.as_ptr(),
            Err(Refusal::Misuse(misuse, address)) => {
                misuse::report_global(misuse, address);
                ptr::null_mut()
            }
            Err(_) => {
                reclaim::send_waiting(heap);
                reclaim::sweep(heap, 1);
                supply::allocate(heap, align, bytes)
            }
        }
    }
}

/// Leaves the heap, and returns a surplus pool.
///
/// # Safety
/// `heap` is the calling thread's heap, and the thread is in it.
#[inline(always)]
unsafe fn leave(heap: *mut ThreadHeap) {
    // SAFETY: the owner, inside its gate (caller), which it leaves here.
    unsafe {
        if (*heap).surplus.is_some() {
            return leave_with_surplus(heap);
        }
        ThreadHeap::leave(heap);
    }
}

/// # Safety
/// The duties of [`leave`].
#[cold]
#[inline(never)]
unsafe fn leave_with_surplus(heap: *mut ThreadHeap) {
    // SAFETY: the owner, inside its gate (caller), which it leaves here; after that the segment is
    // this thread's.
    unsafe {
        let pool = ThreadHeap::take_surplus(heap);
        let segment = pool.and_then(|pool| Segment::take_from(heap, pool));
        ThreadHeap::leave(heap);
        if let Some(segment) = segment {
            segment.give_back();
        }
        reclaim::sweep(heap, 1);
    }
}

/// [`free`], one copy for where it is not hot.
///
/// # Safety
/// The duties of [`free`].
#[inline(never)]
pub(crate) unsafe fn free_outlined(heap: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the caller's duties.
    unsafe { free(heap, block) }
}

/// `free`.
///
/// # Safety
/// `heap` is the calling thread's heap; `block` lies in one of its segments and is not used any
/// more.
#[inline(always)]
pub(crate) unsafe fn free(heap: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the owner (caller), inside its gate; the address lies in a segment (caller), so it
    // may be read.
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

/// `free`, when the gate is not simply open: the owner waits, has to fence, or puts the block
/// aside.
///
/// # Safety
/// The duties of [`free`].
#[cold]
#[inline(never)]
unsafe fn free_later(heap: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the owner (caller), inside its gate; the block is in one of its segments (caller).
    unsafe {
        while !enter(heap) {
            if later::free(block) {
                return;
            }
        }
        if block.as_ptr().addr().is_multiple_of(ALIGN) && ThreadHeap::keep(heap, block) {
            ThreadHeap::leave(heap);
            return;
        }
        free_to_core(heap, block)
    }
}

/// The rest of `free`, inside the gate: the cache has no room, or the block fails a test.
///
/// # Safety
/// The duties of [`free`], and the thread is in the heap.
#[inline(never)]
unsafe fn free_to_core(heap: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the owner, inside its gate; the block is in one of its segments (caller).
    unsafe {
        let result = match tested(heap, block) {
            Ok(()) => ThreadHeap::turn_away(heap, block).and_then(|()| reclaim::fall(heap)),
            Err(misuse) => Err((misuse, block.as_ptr().cast_const())),
        };
        leave(heap);
        if let Err((misuse, address)) = result {
            misuse::report_global(misuse, address);
        }
    }
}

/// An error if the block has a mark: it is in the cache or in the inbox. (The core tests whether it
/// is a block.)
///
/// # Safety
/// `heap` is the calling thread's heap, and the thread is in it; `block` lies in one of its
/// segments.
#[inline(always)]
unsafe fn tested(heap: *mut ThreadHeap, block: NonNull<u8>) -> Result<(), Misuse> {
    let aligned = block.as_ptr().addr().is_multiple_of(ALIGN);
    // SAFETY: in the heap; the address lies in a segment (caller), and is aligned when its words
    // are read.
    if aligned && unsafe { Cache::has_mark(ThreadHeap::cache(heap), block) } {
        return Err(Misuse::DoubleFree);
    }
    Ok(())
}

/// Usable bytes of a block; 0 if it is not a live one, which is reported.
///
/// # Safety
/// `heap` is the calling thread's heap; `block` lies in one of its segments.
pub(crate) unsafe fn usable_size(heap: *mut ThreadHeap, block: NonNull<u8>) -> usize {
    // SAFETY: the owner (caller), inside its gate, or while another thread forks, which leaves the
    // heap as it is.
    let result = unsafe {
        let entered = enter(heap);
        let result = tested(heap, block).and_then(|()| ThreadHeap::tlsf(heap).usable_size(block));
        if entered {
            ThreadHeap::leave(heap);
        }
        result
    };
    result.unwrap_or_else(|misuse| {
        misuse::report_global(misuse, block.as_ptr());
        0
    })
}

/// Resizes a block in place to `bytes`, not 0. Null after misuse, which is reported. An error when
/// there is no room: the block's usable bytes; it is unchanged.
///
/// # Safety
/// `heap` is the calling thread's heap; `block` lies in one of its segments; on success its former
/// pointer is not used any more.
pub(crate) unsafe fn realloc(
    heap: *mut ThreadHeap,
    block: NonNull<u8>,
    bytes: usize,
) -> Result<*mut u8, usize> {
    // SAFETY: the owner (caller), inside its gate.
    unsafe {
        if !enter(heap) {
            return match usable_size(heap, block) {
                0 => Ok(ptr::null_mut()),
                usable => Err(usable),
            };
        }
        let tlsf = ThreadHeap::tlsf(heap);
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
                misuse::report_global(misuse, address);
                Ok(ptr::null_mut())
            }
            _ => Err(usable),
        }
    }
}
