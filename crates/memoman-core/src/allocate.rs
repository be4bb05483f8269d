//! Allocating: `malloc`, and what [`mod@crate::aligned`] shares with it. A call runs `size_class` →
//! `control` (bitmaps) → `free_list` → split → `free_list`, without a loop. [`crate::front`] says
//! how its paths are divided.

use core::hint::{assert_unchecked, black_box};
use core::ptr::{self, NonNull};

use crate::aligned::search_any;
use crate::block::{Block, Header};
use crate::config::{BINS_MAX, BLOCK_MIN, QUANTUM, QUANTUM_LOG2};
use crate::control::{Control, WILDERNESS};
use crate::free::form_free;
use crate::free_list;
use crate::front::{Front, Returned};
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::size_class::{LINEAR_BELOW, cut_and_bin, cut_size, large_bin, quanta_for};

impl Tlsf {
    /// Allocates at least `bytes` bytes, aligned to the quantum; O(1).
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn malloc(self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance (caller).
        unsafe { self.malloc_for::<Returned>(bytes) }
    }

    /// [`Tlsf::malloc`] for callers that are not hot: the search alone, compiled once.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(never)]
    pub unsafe fn malloc_outlined(self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        let control = self.control();
        // SAFETY: live instance (caller); a request within its limit.
        unsafe {
            if bytes.wrapping_sub(1) >= (*control).limit {
                return Err(refuse(control, bytes));
            }
            let quanta = quanta_for(bytes);
            let size = quanta << QUANTUM_LOG2;
            let (wanted, own) = if quanta < LINEAR_BELOW >> QUANTUM_LOG2 {
                (size, quanta)
            } else {
                (cut_size(size), large_bin(size))
            };
            search_any(self, size, wanted, own, QUANTUM)
        }
    }

    /// The refusal of [`Front::not_searched`].
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn refusal(self, bytes: usize) -> Refusal {
        // SAFETY: live instance (caller).
        unsafe { refuse(self.control(), bytes) }
    }

    /// [`Tlsf::malloc`] for a front. The fast path takes the head of the request's bin when that
    /// has exactly the size that a block for the request is cut to.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn malloc_for<F: Front>(self, bytes: usize) -> F::Allocated {
        let control = self.control();
        // SAFETY: live instance (caller).
        unsafe {
            // One compare for "zero" and "too large".
            if bytes.wrapping_sub(1) >= (*control).limit {
                return not_searched::<F>(self, bytes);
            }
            let quanta = quanta_for(bytes);
            let size = quanta << QUANTUM_LOG2;
            let hit = if quanta < LINEAR_BELOW >> QUANTUM_LOG2 {
                match pop_exact(control, size, quanta, true) {
                    Some(payload) => payload,
                    None if F::COMPACT => return self.search_compact::<F>(size, size, quanta),
                    None => return search_small::<F>(self, size),
                }
            } else {
                let (wanted, bin) = cut_and_bin(size);
                match pop_exact(control, wanted, bin, false) {
                    Some(payload) => payload,
                    None if F::COMPACT => return self.search_compact::<F>(size, wanted, bin),
                    None => return search_large::<F>(self, size, wanted, bin),
                }
            };
            F::allocated(self, Ok(hit))
        }
    }
}

impl Tlsf {
    /// The search of a compact front, after a head that was no hit.
    ///
    /// # Safety
    /// The duties of [`search_large`].
    #[inline(always)]
    unsafe fn search_compact<F: Front>(
        self,
        size: usize,
        wanted: usize,
        bin: usize,
    ) -> F::Allocated {
        // The bin of `size` itself: the one below `bin`, unless the cut rounds nothing up.
        let own = bin - usize::from(wanted != size);
        // SAFETY: the caller's duties; an address of any quantum has no gap.
        unsafe { F::allocated(self, search_any(self, size, wanted, own, QUANTUM)) }
    }
}

/// Ends an allocating call.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn finish<F: Front>(
    tlsf: Tlsf,
    result: Result<NonNull<u8>, Refusal>,
) -> F::Allocated {
    // SAFETY: live instance (caller).
    unsafe {
        match result {
            Ok(payload) => F::allocated(tlsf, Ok(payload)),
            Err(refusal) => unserved::<F>(tlsf, refusal),
        }
    }
}

/// Ends an allocating call without a block. Misuse is reported by a function that is reached by a
/// jump, so that the searches need no stack frame for it.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn unserved<F: Front>(tlsf: Tlsf, refusal: Refusal) -> F::Allocated {
    // SAFETY: live instance (caller).
    unsafe {
        match refusal {
            Refusal::Misuse(misuse, address) => smashed::<F>(tlsf, misuse, address),
            refusal => F::allocated(tlsf, Err(refusal)),
        }
    }
}

/// Ends an allocating call that has found misuse.
///
/// # Safety
/// The instance is live.
#[cold]
#[inline(never)]
unsafe fn smashed<F: Front>(tlsf: Tlsf, misuse: Misuse, address: *const u8) -> F::Allocated {
    // A result that the compiler knew to be null would turn the jump into a call.
    // SAFETY: live instance (caller).
    black_box(unsafe { F::allocated(tlsf, Err(Refusal::Misuse(misuse, address))) })
}

/// Allocates a block of `size` bytes, whose bin holds no other size, after the bin's head was no
/// hit.
///
/// # Safety
/// The instance is live; `size` is below [`LINEAR_BELOW`] and that of a request within the
/// instance's limit.
#[inline(never)]
unsafe fn search_small<F: Front>(tlsf: Tlsf, size: usize) -> F::Allocated {
    let control = tlsf.control();
    // SAFETY: live instance (caller); the block that `find_small` returns is free and has at least
    // `size` bytes.
    unsafe {
        match find_small(control, size) {
            Ok(found) => finish::<F>(tlsf, serve::<false, true>(control, found, 0, size)),
            Err(refusal) => unserved::<F>(tlsf, refusal),
        }
    }
}

/// Allocates a block of at least `size` bytes, cut to `wanted` where there is room. `bin` is the
/// bin of `wanted`.
///
/// # Safety
/// The instance is live; `size` is that of a request within the instance's limit, and `wanted` is
/// its [`crate::size_class::cut_size`].
#[inline(never)]
pub(crate) unsafe fn search_large<F: Front>(
    tlsf: Tlsf,
    size: usize,
    wanted: usize,
    bin: usize,
) -> F::Allocated {
    let control = tlsf.control();
    // The bin of `size` itself: the one below `bin`, unless the cut rounds nothing up.
    let own = bin - usize::from(wanted != size);
    // SAFETY: live instance (caller); the block that `find_from` returns is free and has at least
    // `size` bytes. Every request's bin is at most `top_bin`, and the one above still has a bit in
    // the bitmap (`layout_asserts`).
    unsafe {
        assert_unchecked(own < BINS_MAX - 1);
        match find_from(control, size, own) {
            Ok(found) => {
                let wanted = wanted.min(found.size);
                finish::<F>(tlsf, serve::<false, true>(control, found, 0, wanted))
            }
            Err(refusal) => unserved::<F>(tlsf, refusal),
        }
    }
}

/// Ends `malloc` without a search.
///
/// # Safety
/// The instance is live.
#[inline(never)]
unsafe fn not_searched<F: Front>(tlsf: Tlsf, bytes: usize) -> F::Allocated {
    // SAFETY: live instance (caller).
    unsafe { F::not_searched(tlsf, bytes) }
}

/// Takes the head of `bin` into use, if it is a sound block of exactly `size` bytes.
///
/// # Safety
/// The instance is live; `bin` is that of `size`; `only` is true when it holds no other size.
#[inline(always)]
pub(crate) unsafe fn pop_exact(
    control: *mut Control,
    size: usize,
    bin: usize,
    only: bool,
) -> Option<NonNull<u8>> {
    // SAFETY: live instance (caller): a head is a free block of a pool or the list's end. The
    // header is tested before it is trusted. `ends_after` reads inside the bounds even when the
    // header has been overwritten: the true sizes in a bin other than the wilderness's are at most
    // a quantum below `size`, and a pool lies above.
    unsafe {
        let block = Control::head(control, bin).read();
        // One compare tests size, flags and seal. That the size is the true one follows from the
        // bin if it holds only one size, else from the `prev_phys` at the block's end.
        if block == Control::list_end(control)
            || !block.header((*control).cookie).is_free_of(size)
            || !(only || block.ends_after(size))
            || !free_list::pop(control, bin, block)
        {
            return None;
        }
        block.offset(size).clear_prev_free();
        block.set_used();
        (*control).count_taken(size);
        Some(NonNull::new_unchecked(block.payload()))
    }
}

/// The result of a search: the head of a bin, free and large enough, and its size.
pub(crate) struct Found {
    pub(crate) block: Block,
    pub(crate) size: usize,
    pub(crate) bin: usize,
}

/// Takes `wanted` bytes of a found block into use, from `gap` bytes on. Gap and remainder become
/// free blocks. `HOT`: what lists them is compiled in.
///
/// # Safety
/// The instance is live; `found` comes from a search of it and has at least `gap + wanted` bytes;
/// the gap is 0 or at least the smallest block.
#[inline(always)]
pub(crate) unsafe fn serve<const ALIGNED: bool, const HOT: bool>(
    control: *mut Control,
    found: Found,
    gap: usize,
    wanted: usize,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: the search has tested the block (caller). It is free, so its header, its `prev_phys`
    // and the next header are the instance's to write.
    unsafe {
        let head = found.block;
        let block = head.offset(gap);
        let room = found.size - gap;
        debug_assert!(wanted <= room);
        let smashed = Refusal::Misuse(Misuse::SmashedLink, head.payload());
        let rest = room - wanted;
        let mut taken = wanted;
        if found.bin == WILDERNESS {
            if head.next_free() != Control::list_end(control) {
                return Err(smashed);
            }
            if rest >= BLOCK_MIN {
                // The remainder is the wilderness: no bit changes.
                let remainder = form_free((*control).cookie, block.offset(wanted), rest);
                free_list::set_wilderness(control, remainder);
            } else {
                Control::head(control, WILDERNESS).write(Control::list_end(control));
                (*control).unmark(WILDERNESS);
                block.offset(room).clear_prev_free();
                taken = room;
            }
        } else {
            if !free_list::pop(control, found.bin, head) {
                return Err(smashed);
            }
            if rest >= BLOCK_MIN {
                // The remainder is not the wilderness, since the block was not.
                let remainder = form_free((*control).cookie, block.offset(wanted), rest);
                if !HOT {
                    free_list::push_outlined(control, remainder, rest);
                } else if ALIGNED {
                    free_list::push_any(control, remainder, rest);
                } else {
                    free_list::push_sized(control, remainder, rest);
                }
            } else {
                block.offset(room).clear_prev_free();
                taken = room;
            }
        }
        let mut header = Header::used(taken);
        if ALIGNED && gap != 0 {
            header = header.with_prev_free();
            form_free((*control).cookie, head, gap);
            if HOT {
                free_list::push_any(control, head, gap);
            } else {
                free_list::push_outlined(control, head, gap);
            }
        }
        block.set_header((*control).cookie, header);
        (*control).count_taken(taken);
        Ok(NonNull::new_unchecked(block.payload()))
    }
}

/// A head of at least `size` bytes; the bin of `size` holds no other size.
///
/// # Safety
/// The instance is live, and `size` is below [`LINEAR_BELOW`].
#[inline(always)]
unsafe fn find_small(control: *mut Control, size: usize) -> Result<Found, Refusal> {
    // SAFETY: live instance (caller): a marked bin's head is a listed block (I1, I2). Its header is
    // tested before it is trusted.
    unsafe {
        assert_unchecked(size < LINEAR_BELOW);
        let Some(bin) = (*control).first_nonempty(size >> QUANTUM_LOG2) else {
            return find_wilderness(control, size);
        };
        let block = Control::head(control, bin).read();
        let found = size_of(control, block)?;
        if found < size {
            return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
        }
        Ok(Found {
            block,
            size: found,
            bin,
        })
    }
}

/// A head of at least `size` bytes. The search reads at most three heads: the request's own bin,
/// the next non-empty bin, the wilderness.
///
/// # Safety
/// The instance is live; `size` is that of a request within the instance's limit, and `own` is its
/// bin.
#[inline(always)]
pub(crate) unsafe fn find_from(
    control: *mut Control,
    size: usize,
    own: usize,
) -> Result<Found, Refusal> {
    // SAFETY: live instance (caller): a marked bin's head is a listed block (I1, I2). Its header is
    // tested before it is trusted.
    unsafe {
        if let Some(mut bin) = (*control).first_nonempty(own) {
            let mut block = Control::head(control, bin).read();
            let mut found = size_of(control, block)?;
            if found >= size {
                return Ok(Found {
                    block,
                    size: found,
                    bin,
                });
            }
            // Any block of a higher bin is large enough.
            if bin != own {
                return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
            }
            if let Some(above) = (*control).first_nonempty(own + 1) {
                bin = above;
                block = Control::head(control, bin).read();
                found = size_of(control, block)?;
                if found < size {
                    return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
                }
                return Ok(Found {
                    block,
                    size: found,
                    bin,
                });
            }
        }
        find_wilderness(control, size)
    }
}

/// The wilderness, if it has at least `size` bytes.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn find_wilderness(control: *mut Control, size: usize) -> Result<Found, Refusal> {
    // SAFETY: live instance (caller): the head is a free block of a pool or the list's end. Its
    // header is tested before it is trusted.
    unsafe {
        let block = Control::head(control, WILDERNESS).read();
        if block == Control::list_end(control) {
            return Err(exhausted(control));
        }
        // The wilderness ends where the highest pool does: its true size is known.
        let room = (*control).high.wrapping_sub(block.addr());
        if block.header((*control).cookie) != Header::free(room) {
            return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
        }
        if room < size {
            return Err(exhausted(control));
        }
        Ok(Found {
            block,
            size: room,
            bin: WILDERNESS,
        })
    }
}

/// The size of a bin's head, confirmed by the `prev_phys` at its end.
///
/// # Safety
/// The instance is live; `block` is a head that is not the list's end.
#[inline(always)]
pub(crate) unsafe fn size_of(control: *mut Control, block: Block) -> Result<usize, Refusal> {
    // SAFETY: live instance, a head that is not the list's end (caller).
    unsafe { free_list::size_of_head(control, block) }
        .ok_or(Refusal::Misuse(Misuse::NotABlock, block.payload()))
}

/// The refusal of a request without a search: zero, beyond this instance, or intercepted.
///
/// # Safety
/// The instance is live.
#[cold]
#[inline(never)]
pub(crate) unsafe fn refuse(control: *mut Control, bytes: usize) -> Refusal {
    // SAFETY: live instance (caller).
    unsafe {
        if (*control).is_intercepted() {
            return Refusal::Misuse(Misuse::Intercepted, ptr::null());
        }
        if bytes == 0 {
            return Refusal::Invalid;
        }
        exhausted(control)
    }
}

/// Counts a request refused for lack of memory and returns its refusal.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(crate) unsafe fn exhausted(control: *mut Control) -> Refusal {
    // SAFETY: live instance (caller).
    unsafe { (*control).failed_requests = (*control).failed_requests.wrapping_add(1) };
    Refusal::Exhausted
}
