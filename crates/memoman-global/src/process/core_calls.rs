//! The core's malloc and free for callers that need not inline them, one copy of each; a block's
//! size without its instance.

use core::ptr::NonNull;

use crate::allocator::{ALIGN, HEADER, Misuse, Pool, Refusal, Tlsf};

/// `malloc` or `memalign`. Exhaustion is not counted as a refused request: another heap may serve
/// it. With `HOT`, the core's fast path is inlined.
///
/// # Safety
/// The instance is live, and no other thread is in it.
#[inline(always)]
pub(crate) unsafe fn allocate_inlined<const HOT: bool>(
    tlsf: Tlsf,
    align: usize,
    bytes: usize,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: the instance is live, and this thread's for the call (caller).
    unsafe {
        let result = if align <= Tlsf::ALIGN {
            if HOT {
                tlsf.malloc(bytes)
            } else {
                tlsf.malloc_outlined(bytes)
            }
        } else {
            tlsf.memalign(align, bytes)
        };
        // Success apart: the result is made anew, in two stores, where a copy takes ten.
        match result {
            Ok(block) => Ok(block),
            Err(refusal) => {
                if matches!(refusal, Refusal::Exhausted) {
                    tlsf.withdraw_refusal();
                }
                Err(refusal)
            }
        }
    }
}

/// [`allocate_inlined`], one copy for where it is not hot.
///
/// # Safety
/// The instance is live, and no other thread is in it.
#[inline(never)]
pub(crate) unsafe fn allocate(
    tlsf: Tlsf,
    align: usize,
    bytes: usize,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: the instance is live, and this thread's for the call (caller).
    unsafe { allocate_inlined::<false>(tlsf, align, bytes) }
}

/// `free`. Returns the block's pool if it has no live block left.
///
/// # Safety
/// The instance is live, and no other thread is in it. The caller does not use the block any more;
/// the core tests whether it is a live one.
#[inline(always)]
pub(crate) unsafe fn free(tlsf: Tlsf, block: NonNull<u8>) -> Result<Option<Pool>, Misuse> {
    // SAFETY: the caller's duties.
    match unsafe { free_outlined(tlsf, block) } {
        (None, pool) => Ok(pool),
        (Some(misuse), _) => Err(misuse),
    }
}

/// [`free`], compiled once: the misuse or the pool, in two registers.
///
/// # Safety
/// The duties of [`free`].
#[inline(never)]
unsafe fn free_outlined(tlsf: Tlsf, block: NonNull<u8>) -> (Option<Misuse>, Option<Pool>) {
    // SAFETY: the instance is live, and this thread's for the call (caller).
    unsafe {
        match tlsf.free_outlined(block) {
            Ok(freed) => (None, tlsf.emptied_pool(freed)),
            Err(misuse) => (Some(misuse), None),
        }
    }
}

/// Usable bytes of a live block, while another thread may be in its instance: that thread may be
/// writing the flag that says whether the block before is free, so the header is loaded once, as
/// one word, and the copy is read.
///
/// # Safety
/// The block is aligned, and its header may be read.
#[inline(never)]
pub(crate) unsafe fn usable_size_meanwhile(block: NonNull<u8>) -> usize {
    // SAFETY: the caller's duties.
    unsafe { usable_size_inlined(block) }
}

/// [`usable_size_meanwhile`], compiled into its caller.
///
/// # Safety
/// The block is aligned, and its header may be read.
#[inline(always)]
pub(crate) unsafe fn usable_size_inlined(block: NonNull<u8>) -> usize {
    #[repr(C, align(16))]
    struct Copy([usize; 6]);
    const WORD: usize = size_of::<usize>();
    // The copy's payload is aligned, and directly after the copied header.
    const PAYLOAD: usize = ALIGN / WORD;
    let mut copy = Copy([0; 6]);
    // SAFETY: the header may be read (caller).
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
        core::sync::atomic::AtomicUsize::from_ptr(word.cast_mut())
            .load(core::sync::atomic::Ordering::Relaxed)
    }
}
