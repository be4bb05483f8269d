//! Blocks that are not in the calling thread's heap: another thread's, nobody's, the process-wide instance's, or none at all.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use memoman_debug::allocator::{Misuse, Tlsf};

use crate::default::with_heap;
use crate::thread_heap::{ALIGN, HEADER, REQUEST_MAX, ThreadHeap};
use crate::{cache, locked, supply, tell};

/// Frees a block of another thread's heap or of nobody's.
///
/// # Safety
/// The block lies in a segment of `owner` and is given up. `heap` is the calling thread's, or null.
#[inline(never)]
pub(crate) unsafe fn free(heap: *mut ThreadHeap, owner: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: as above.
    unsafe {
        if let Err(misuse) = tested(owner, block) {
            tell::misuse(misuse, block.as_ptr());
        } else if heap.is_null() || !(*owner).shared.owned.load(Ordering::Relaxed) {
            free_under_lock(owner, block);
        } else {
            // Inside the own gate, so that no fork comes between exchange and link.
            ThreadHeap::enter(heap);
            put(owner, block);
            ThreadHeap::leave(heap);
        }
    }
}

/// Puts a tested block into its heap's inbox.
///
/// # Safety
/// The block is one of `owner`'s, and given up.
pub(crate) unsafe fn put(owner: *mut ThreadHeap, block: NonNull<u8>) {
    // SAFETY: the block is given up (caller).
    unsafe {
        let key = (*owner).shared.key;
        cache::set_mark_of(key, block);
        (*owner).inbox.put(block.as_ptr().expose_provenance(), key);
    }
}

/// The owner is gone, it seems, or the calling thread has no heap to be in.
#[cold]
unsafe fn free_under_lock(owner: *mut ThreadHeap, block: NonNull<u8>) {
    with_heap(|state, tlsf| {
        // SAFETY: under the lock no heap changes hands; one without an owner is the caller's.
        unsafe {
            if (*owner).shared.owned.load(Ordering::Relaxed) {
                put(owner, block);
                return;
            }
            if let Err(misuse) = ThreadHeap::release(owner, block) {
                state.note((misuse, block.as_ptr()));
            }
            // What was put in meanwhile, a bounded part of it.
            if let Err(met) = ThreadHeap::collect(owner, 2, false) {
                state.note(met);
            }
            // No spares for nobody.
            while let Some(pool) = ThreadHeap::take_emptied(owner) {
                supply::give_back_locked(state, tlsf, owner, pool);
            }
        }
    });
    tell::noted();
}

/// The tests that another thread can make without a race: alignment, the mark, and the block's own header.
unsafe fn tested(owner: *mut ThreadHeap, block: NonNull<u8>) -> Result<(), Misuse> {
    // SAFETY: the address lies in a segment, and is aligned when it is read.
    unsafe {
        if !block.as_ptr().addr().is_multiple_of(ALIGN) {
            return Err(Misuse::Misaligned);
        }
        if cache::has_mark_of((*owner).shared.key, block) {
            return Err(Misuse::DoubleFree);
        }
        let usable = usable_from_header(block);
        if usable == 0 || usable > 2 * REQUEST_MAX {
            // It is misuse: the core tells which. (Nothing is lost by a race with the owner now.)
            return ThreadHeap::tlsf(owner).probe(block);
        }
        Ok(())
    }
}

/// Usable bytes of a live block of another thread's heap. Its owner may be writing the flag that tells of the block before, so
/// the header is read whole, once, as the processor reads a word, and the copy is looked at.
unsafe fn usable_from_header(block: NonNull<u8>) -> usize {
    #[repr(C, align(16))]
    struct Copy([usize; 6]);
    const WORD: usize = size_of::<usize>();
    // The payload of the copied block lies at a multiple of the alignment behind its header.
    const PAYLOAD: usize = ALIGN / WORD;
    let mut copy = Copy([0; 6]);
    // SAFETY: the word before the payload, in the same segment or in the word before it, which is the default instance's.
    let word = unsafe { read_whole(block.as_ptr().wrapping_sub(HEADER).cast()) };
    if let Some(place) = copy.0.get_mut(PAYLOAD - 1) {
        *place = word;
    }
    let payload = (&raw const copy).cast::<u8>().wrapping_add(ALIGN);
    // SAFETY: the word before is the header's copy, and nothing else is read.
    unsafe { Tlsf::block_size(payload) }
}

/// Reads a word that another thread may write at the same time.
///
/// # Safety
/// It may be read.
#[inline(always)]
unsafe fn read_whole(word: *const usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let value;
        // SAFETY: an aligned load, which x86-64 makes at once.
        unsafe {
            core::arch::asm!("mov {0}, qword ptr [{1}]", out(reg) value, in(reg) word,
                options(nostack, readonly, preserves_flags));
        }
        value
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: aligned, and readable (caller).
    unsafe {
        core::sync::atomic::AtomicUsize::from_ptr(word.cast_mut()).load(Ordering::Relaxed)
    }
}

/// Usable bytes of a block that is not in the calling thread's heap; 0 when it is none, which is told.
///
/// # Safety
/// `owner` is what the map says of the block: null for the process-wide instance's.
pub(crate) unsafe fn usable_size(owner: *mut ThreadHeap, block: NonNull<u8>) -> usize {
    // SAFETY: the caller's duties.
    unsafe {
        if owner.is_null() {
            return locked::usable_size(block);
        }
        match tested(owner, block) {
            Ok(()) => usable_from_header(block),
            Err(misuse) => {
                tell::misuse(misuse, block.as_ptr());
                0
            }
        }
    }
}
