//! Free and usable size of a block of another thread's heap, or of a heap without an owner.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::allocator::{ALIGN, HEADER, Misuse, Tlsf};
use crate::process::heap::with_heap;
use crate::process::{misuse, segments};
use crate::thread::heap::{REQUEST_MAX, ThreadHeap};
use crate::thread::{cache, calls};

/// Frees a block of the heap `owner`.
///
/// # Safety
/// The block lies in a segment of `owner`, which is not the calling thread's heap, and is not used
/// any more. `heap` is the calling thread's, or null.
#[inline(never)]
pub(crate) unsafe fn free(heap: *mut ThreadHeap, owner: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the block lies in a segment of `owner` (caller), and is tested first.
    unsafe {
        if let Err(misuse) = tested(owner, block) {
            misuse::report_global(misuse, block.as_ptr());
        } else if heap.is_null() || !(*owner).shared.owned.load(Ordering::Relaxed) {
            free_under_lock(owner, block);
        } else {
            // Inside the own gate: a fork waits for it, and so does not come between exchange and
            // link.
            calls::enter(heap);
            put(owner, block);
            ThreadHeap::leave(heap);
        }
    }
}

/// Puts a tested block into its heap's inbox.
///
/// # Safety
/// The block is one of `owner`'s, and not used any more.
pub(crate) unsafe fn put(owner: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: a block in a segment of `owner`, not used any more (caller): its first two words may
    // be written.
    unsafe {
        let key = (*owner).shared.key;
        cache::set_mark_of(key, block);
        (*owner).inbox.put(block.as_ptr().expose_provenance(), key);
    }
}

/// For a heap that seems to have no owner, and for a calling thread that has no heap.
///
/// # Safety
/// A tested block in a segment of `owner`, not used any more.
#[cold]
unsafe fn free_under_lock(owner: *mut ThreadHeap, block: NonNull<u8>) {
    with_heap(|state, tlsf| {
        // SAFETY: under the lock no heap changes its owner, and one without an owner is the lock
        // holder's.
        unsafe {
            if (*owner).shared.owned.load(Ordering::Relaxed) {
                put(owner, block);
                return;
            }
            if let Err(misuse) = ThreadHeap::release(owner, block) {
                state.defer((misuse, block.as_ptr()));
            }
            // Two of the blocks that were put in before: a bounded part of the work.
            if let Err(found) = ThreadHeap::collect(owner, 2, false) {
                state.defer(found);
            }
            // A heap without an owner keeps no spare.
            while let Some(pool) = ThreadHeap::take_emptied(owner) {
                segments::give_back_locked(state, tlsf, owner, pool);
            }
        }
    });
    misuse::report_deferred();
}

/// The tests that another thread can make without a race: alignment, the mark, the block's own
/// header.
///
/// # Safety
/// The block lies in a segment of `owner`.
unsafe fn tested(owner: *mut ThreadHeap, block: NonNull<u8>) -> Result<(), Misuse> {
    // SAFETY: the address lies in a segment (caller), and is aligned when it is read.
    unsafe {
        if !block.as_ptr().addr().is_multiple_of(ALIGN) {
            return Err(Misuse::Misaligned);
        }
        if cache::has_mark_of((*owner).shared.key, block) {
            return Err(Misuse::DoubleFree);
        }
        let usable = usable_from_header(block);
        if usable == 0 || usable > 2 * REQUEST_MAX {
            // Misuse: the core finds which. (It is misuse in any case, so these tests may race with
            // the owner.)
            return ThreadHeap::tlsf(owner).probe(block);
        }
        Ok(())
    }
}

/// Usable bytes of a live block of another thread's heap. Its owner may be writing the flag that
/// says whether the block before is free, so the header is loaded once, as one word, and the copy
/// is read.
///
/// # Safety
/// The block is aligned and lies in a segment.
unsafe fn usable_from_header(block: NonNull<u8>) -> usize {
    #[repr(C, align(16))]
    struct Copy([usize; 6]);
    const WORD: usize = size_of::<usize>();
    // The copy's payload is aligned, and directly behind the copied header.
    const PAYLOAD: usize = ALIGN / WORD;
    let mut copy = Copy([0; 6]);
    // SAFETY: the word before the payload lies in the segment, or in the header of the process-wide
    // instance before it.
    let word = unsafe { read_whole(block.as_ptr().wrapping_sub(HEADER).cast()) };
    if let Some(place) = copy.0.get_mut(PAYLOAD - 1) {
        *place = word;
    }
    let payload = (&raw const copy).cast::<u8>().wrapping_add(ALIGN);
    // SAFETY: the word before `payload` is the header's copy, and nothing else is read.
    unsafe { Tlsf::block_size(payload) }
}

/// Reads a word that another thread may write at the same time.
///
/// # Safety
/// It is aligned, and may be read.
#[inline(always)]
unsafe fn read_whole(word: *const usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let value;
        // SAFETY: an aligned load of a readable word (caller), which x86-64 makes in one access.
        unsafe {
            core::arch::asm!("mov {0}, qword ptr [{1}]", out(reg) value, in(reg) word,
                options(nostack, readonly, preserves_flags));
        }
        value
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: an aligned, readable word (caller).
    unsafe {
        core::sync::atomic::AtomicUsize::from_ptr(word.cast_mut()).load(Ordering::Relaxed)
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
            Ok(()) => usable_from_header(block),
            Err(misuse) => {
                misuse::report_global(misuse, block.as_ptr());
                0
            }
        }
    }
}
