//! Free and usable size of a block of another thread's heap, or of a heap without an owner.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::allocator::{ALIGN, HEADER, Misuse};
use crate::process::heap::try_with_heap;
use crate::process::segments::Segment;
use crate::process::{core_calls, later, misuse};
use crate::thread::entry::enter_to_put;
use crate::thread::heap::{REQUEST_MAX, ThreadHeap};
use crate::thread::idleness::add_pending;
use crate::thread::{cache, gate, reclaim};

/// Frees a block of the heap `owner`: the steps of a small sound block whose chain has room, and
/// [`free`] for the others.
///
/// # Safety
/// The block lies in a segment of `owner`, which is not the calling thread's heap, and is not used
/// any more. `heap` is the calling thread's.
#[inline(always)]
pub(crate) unsafe fn free_quickly(
    heap: *mut ThreadHeap,
    owner: *mut ThreadHeap,
    block: NonNull<u8>,
) {
    // SAFETY: the block lies in a segment of `owner` (caller), and is aligned when it is read; the
    // calling thread's heap (caller), inside its gate.
    unsafe {
        let shared = &(*owner).shared;
        let key = shared.key;
        if !block.as_ptr().addr().is_multiple_of(ALIGN)
            || !shared.owned.load(Ordering::Relaxed)
            || cache::has_mark_of(key, block)
        {
            return free(heap, owner, block);
        }
        // (0, of a block that is not live, wraps.)
        let bytes = core_calls::usable_size_inlined(block);
        if bytes.wrapping_sub(1) >= 2 * REQUEST_MAX || !(*heap).gate.try_enter(gate::PUTTING) {
            return free(heap, owner, block);
        }
        if !ThreadHeap::add_to_chain(heap, owner, key, block, bytes + HEADER) {
            return send_and_leave(heap, owner, block, bytes);
        }
        ThreadHeap::leave(heap);
    }
}

/// Sends a tested block, leaves the heap, and looks at other heaps if it is time.
///
/// # Safety
/// The duties of [`free_quickly`]; the thread is in its heap to put.
#[inline(never)]
unsafe fn send_and_leave(
    heap: *mut ThreadHeap,
    owner: *mut ThreadHeap,
    block: NonNull<u8>,
    bytes: usize,
) {
    // SAFETY: the owner, inside its gate (caller), which it leaves here; a block of another heap
    // (caller).
    unsafe {
        ThreadHeap::send(heap, owner, block, bytes + HEADER);
        let is_to_look = reclaim::is_to_look(heap);
        ThreadHeap::leave(heap);
        if is_to_look {
            reclaim::look(heap, owner);
        }
    }
}

/// Frees a block of the heap `owner`.
///
/// # Safety
/// The block lies in a segment of `owner`, which is not the calling thread's heap, and is not used
/// any more. `heap` is the calling thread's, or null.
#[inline(never)]
pub(crate) unsafe fn free(heap: *mut ThreadHeap, owner: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the block lies in a segment of `owner` (caller), and is tested first.
    unsafe {
        let bytes = match tested(owner, block) {
            Ok(bytes) => bytes,
            Err(misuse) => return misuse::report_global(misuse, block.as_ptr()),
        };
        if heap.is_null() || !(*owner).shared.owned.load(Ordering::Relaxed) {
            // Blocks of the same heap may wait: this call takes some of them out of its inbox.
            reclaim::send_waiting(heap);
            free_under_lock(owner, block);
        } else if enter_to_put(heap) {
            // Inside its own gate: a fork waits for it, and so does not come between exchange and
            // link.
            // (A chain that has room may be there: it goes.)
            send_and_leave(heap, owner, block, bytes);
        } else if !later::free(block) {
            // The fork is over.
            free(heap, owner, block);
        }
    }
}

/// [`free`] without a look at other heaps, which may sleep and release pages: the next call of
/// [`free`] looks.
///
/// # Safety
/// The duties of [`free`].
pub(crate) unsafe fn free_without_look(
    heap: *mut ThreadHeap,
    owner: *mut ThreadHeap,
    block: NonNull<u8>,
) {
    // SAFETY: the caller's duties; the block is tested before it is sent, inside the own gate.
    unsafe {
        if (*owner).shared.owned.load(Ordering::Relaxed)
            && let Ok(bytes) = tested(owner, block)
            && enter_to_put(heap)
        {
            ThreadHeap::send(heap, owner, block, bytes + HEADER);
            ThreadHeap::leave(heap);
        } else {
            free(heap, owner, block);
        }
    }
}

/// Frees a block of the heap `owner` without entering the calling thread's own heap.
///
/// # Safety
/// The block lies in a segment of `owner` and is not used any more.
pub(crate) unsafe fn free_without_heap(owner: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the block lies in a segment of `owner` (caller), and is tested first.
    unsafe {
        match tested(owner, block) {
            Ok(_) => free_under_lock(owner, block),
            Err(misuse) => misuse::report_global(misuse, block.as_ptr()),
        }
    }
}

/// For a heap that seems to have no owner, and for a calling thread that has no heap.
///
/// # Safety
/// A tested block in a segment of `owner`, not used any more.
#[cold]
unsafe fn free_under_lock(owner: *mut ThreadHeap, block: NonNull<u8>) {
    let mut segments = [None; 2];
    let done = try_with_heap(|state, _| {
        // SAFETY: under the lock no heap changes its owner, and one without an owner is a claimed
        // gate's, since its last owner gave it up under the lock.
        unsafe {
            let gate = &(*owner).gate;
            if (*owner).shared.owned.load(Ordering::Relaxed) || !gate.claim() {
                if !gate.is_left_behind() {
                    add_pending(core_calls::usable_size_meanwhile(block) + HEADER);
                }
                ThreadHeap::put(owner, block);
                return;
            }
            if let Err(misuse) = ThreadHeap::release(owner, block) {
                state.defer((misuse, block.as_ptr()));
            }
            // Two of the blocks that were put in before: a bounded part of the work.
            if let Err(found) = ThreadHeap::collect(owner, 2, None) {
                state.defer(found);
            }
            reclaim::note_fall(owner);
            // A heap without an owner keeps no spare.
            for place in &mut segments {
                if let Some(pool) = ThreadHeap::take_emptied(owner) {
                    *place = Segment::take_from(owner, pool);
                }
            }
            gate.dismiss(false);
        }
    });
    for segment in segments.into_iter().flatten() {
        // SAFETY: taken from the heap above; the calling thread is outside its gate.
        unsafe { segment.give_back() };
    }
    if done.is_err() && !later::free(block) {
        // The fork is over.
        // SAFETY: the caller's duties.
        return unsafe { free_under_lock(owner, block) };
    }
    misuse::report_deferred();
}

/// The tests that another thread can make without a race: alignment, the mark, the block's own
/// header. Returns the usable bytes.
///
/// # Safety
/// The block lies in a segment of `owner`.
unsafe fn tested(owner: *mut ThreadHeap, block: NonNull<u8>) -> Result<usize, Misuse> {
    // SAFETY: the address lies in a segment (caller), and is aligned when it is read.
    unsafe {
        if !block.as_ptr().addr().is_multiple_of(ALIGN) {
            return Err(Misuse::Misaligned);
        }
        if cache::has_mark_of((*owner).shared.key, block) {
            return Err(Misuse::DoubleFree);
        }
        let usable = core_calls::usable_size_meanwhile(block);
        if usable == 0 || usable > 2 * REQUEST_MAX {
            // Misuse: the core finds which. (It is misuse in any case, so these tests may race with
            // the owner.)
            return ThreadHeap::tlsf(owner).probe(block).map(|()| usable);
        }
        Ok(usable)
    }
}

/// Usable bytes of a block of the heap `owner`; 0 if it is not a live one, which is reported.
///
/// # Safety
/// The block lies in a segment of `owner`.
pub(crate) unsafe fn usable_size(owner: *mut ThreadHeap, block: NonNull<u8>) -> usize {
    // SAFETY: the block lies in a segment (caller), and is tested first.
    unsafe {
        match tested(owner, block) {
            Ok(usable) => usable,
            Err(misuse) => {
                misuse::report_global(misuse, block.as_ptr());
                0
            }
        }
    }
}
