//! Resizing: in place forward, then backward, where the neighbours allow it, then by moving.
//! [`crate::front`] says how the paths are divided.
//!
//! ```text
//!  shrink     [ block       ] next        →  [ block ][ remainder ] next   (joins a free next)
//!  forward    [ block ][ free next ]      →  [ block        ][ remainder ]
//!  backward   [ free prev ][ block ] next →  [ block, contents moved down ][ remainder ]
//! ```

use core::ptr::{self, NonNull};

use crate::allocate::exhausted;
use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, HEADER, QUANTUM};
use crate::control::Control;
use crate::free::form_free;
use crate::free_list::{self, Links};
use crate::front::{Front, Returned};
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::returned::{Live, has_size, live, prev_free_block, with_next};
use crate::size_class::{block_size_for, cut_size};

impl Tlsf {
    /// Resizes a block to at least `bytes` bytes and keeps its contents up to the smaller size: in
    /// place forward, then backward, then by moving; O(1) and the copying. On failure the block is
    /// as it was.
    ///
    /// # Safety
    /// The instance is live. On success the old pointer is given up. (A pointer that is no live
    /// block is detected as [`Tlsf::free`] detects it.)
    #[inline]
    pub unsafe fn realloc(self, ptr: NonNull<u8>, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance, pointer given up on success (caller).
        unsafe { self.realloc_for::<Returned>(ptr.as_ptr(), bytes) }
    }

    /// [`Tlsf::realloc`] for a front. On the fast path the block has the request's size already.
    ///
    /// # Safety
    /// The instance is live, and on success the old pointer is given up. `ptr` may be null, which
    /// lies outside every instance's bounds.
    #[inline(always)]
    pub unsafe fn realloc_for<F: Front>(self, ptr: *mut u8, bytes: usize) -> F::Allocated {
        // SAFETY: live instance, pointer given up on success (caller); null is no block of any
        // size.
        unsafe {
            if self.realloc_same(ptr, bytes) {
                let block = Block::returned(ptr);
                F::allocated(self, Ok(NonNull::new_unchecked(block.payload())))
            } else {
                resize::<F>(self, ptr, bytes)
            }
        }
    }

    /// [`Tlsf::realloc`] with a result aligned to `align`, a power of two, whether the block moves
    /// or not.
    ///
    /// # Safety
    /// The instance is live, and on success the old pointer is given up.
    pub unsafe fn realloc_aligned(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        // SAFETY: live instance, pointer given up on success (caller); `resize_in_place` has tested
        // the block that it returns as not resized.
        unsafe {
            match self.resize_in_place(ptr, align.max(QUANTUM), bytes)? {
                Resized::InPlace(resized) => Ok(resized),
                Resized::Not(size) => self.relocate(ptr, size, align, bytes),
            }
        }
    }

    /// Whether `ptr` is a live block of exactly the size for `bytes` bytes; O(1).
    ///
    /// # Safety
    /// The instance is live. `ptr` may be null.
    #[inline(always)]
    pub unsafe fn realloc_same(self, ptr: *mut u8, bytes: usize) -> bool {
        // SAFETY: live instance (caller); `has_size` takes any pointer.
        unsafe {
            bytes.wrapping_sub(1) < (*self.control()).limit
                && has_size(
                    self.control(),
                    Block::returned(ptr),
                    cut_size(block_size_for(bytes)),
                )
        }
    }

    /// Resizes a block in place, or returns the size of the tested block that would have to move.
    ///
    /// # Safety
    /// The instance is live, and when the block is resized the old pointer is given up. `align` is
    /// a power of two.
    #[inline(never)]
    pub(crate) unsafe fn resize_in_place(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<Resized, Refusal> {
        let control = self.control();
        // SAFETY: live instance (caller); the block is tested before it is trusted.
        unsafe {
            let old = live(control, ptr).map_err(|misuse| Refusal::Misuse(misuse, ptr.as_ptr()))?;
            if bytes == 0 {
                return Err(Refusal::Invalid);
            }
            // Bytes that the block has already are not refused: a block taken whole may have a few
            // more than the largest request.
            if bytes > (*control).limit && bytes > old.header.size() - HEADER {
                return Err(exhausted(control));
            }
            let size = block_size_for(bytes);
            if old.block.addr() & (align - 1) == 0 {
                // Of the whole block: `ptr` may have been narrowed to a part of the old one.
                let same = NonNull::new_unchecked(old.block.payload());
                if size <= old.header.size() {
                    return shrink(control, &old, size).map(|()| Resized::InPlace(same));
                }
                if old.next_header.is_free() && old.header.size() + old.next_header.size() >= size {
                    return grow_forward(control, &old, size).map(|()| Resized::InPlace(same));
                }
            }
            if old.header.is_prev_free()
                && let Some(moved) = grow_backward(control, &old, align, size)?
            {
                return Ok(Resized::InPlace(moved));
            }
            Ok(Resized::Not(old.header.size()))
        }
    }

    /// Allocates another block, copies the contents, frees the old block.
    ///
    /// # Safety
    /// The instance is live; `ptr` is a tested block in use of `size` bytes, header included, and
    /// on success it is given up.
    #[inline(never)]
    unsafe fn relocate(
        self,
        ptr: NonNull<u8>,
        size: usize,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance, tested block (caller); the new block is another one and has at
        // least the bytes that are copied.
        unsafe {
            let peak = (*self.control()).peak;
            let new = if align <= QUANTUM {
                self.malloc_outlined(bytes)
            } else {
                self.memalign(align, bytes)
            }?;
            let kept = (size - HEADER).min(bytes);
            let old = Block::returned(ptr.as_ptr()).payload();
            ptr::copy_nonoverlapping(old, new.as_ptr(), kept);
            if let Err(misuse) = self.free_outlined(ptr) {
                // A neighbour of the old block is overwritten: undo the call.
                let _ = self.free_outlined(new);
                (*self.control()).peak = peak;
                return Err(Refusal::Misuse(misuse, ptr.as_ptr()));
            }
            Ok(new)
        }
    }
}

/// Shrinks a block, grows it into the free one after it, or continues with another path.
///
/// # Safety
/// The instance is live, and on success the old pointer, which may be null, is given up.
#[inline(never)]
unsafe fn resize<F: Front>(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> F::Allocated {
    let control = tlsf.control();
    let block = Block::returned(ptr);
    // SAFETY: live instance (caller); the block is tested before it is trusted. Null is outside
    // the instance's bounds.
    unsafe {
        if bytes.wrapping_sub(1) >= (*control).limit || !(*control).may_be_payload(block.addr()) {
            return not_resized::<F>(tlsf, ptr, bytes);
        }
        let Some(old) = with_next(control, block, block.header((*control).cookie)) else {
            return not_resized::<F>(tlsf, ptr, bytes);
        };
        let size = block_size_for(bytes);
        let result = if size <= old.header.size() {
            shrink(control, &old, size)
        } else if old.next_header.is_free() && old.header.size() + old.next_header.size() >= size {
            grow_forward(control, &old, size)
        } else if old.header.is_prev_free() {
            return resize_backward::<F>(tlsf, ptr, bytes, old.header, old.next_header);
        } else {
            return resize_elsewhere::<F>(tlsf, ptr, bytes, old.header.size());
        };
        match result {
            Ok(()) => F::allocated(tlsf, Ok(NonNull::new_unchecked(block.payload()))),
            Err(_) => not_resized::<F>(tlsf, ptr, bytes),
        }
    }
}

/// Grows a block into the free one before it, or moves it.
///
/// # Safety
/// The instance is live, and on success the old pointer is given up. [`resize`] has tested the
/// block, whose header and next header these are.
#[inline(never)]
unsafe fn resize_backward<F: Front>(
    tlsf: Tlsf,
    ptr: *mut u8,
    bytes: usize,
    header: Header,
    next_header: Header,
) -> F::Allocated {
    let block = Block::returned(ptr);
    let old = Live {
        block,
        header,
        next: block.offset(header.size()),
        next_header,
    };
    // SAFETY: live instance; the block is tested (caller), so it is not null.
    unsafe {
        let result = match grow_backward(tlsf.control(), &old, QUANTUM, block_size_for(bytes)) {
            Ok(Some(moved)) => Ok(moved),
            Ok(None) => tlsf.relocate(NonNull::new_unchecked(ptr), header.size(), QUANTUM, bytes),
            Err(refusal) => Err(refusal),
        };
        F::allocated(tlsf, result)
    }
}

/// Moves a block of `size` bytes, header included.
///
/// # Safety
/// The instance is live, and on success the old pointer is given up. [`resize`] has tested the
/// block.
#[inline(never)]
unsafe fn resize_elsewhere<F: Front>(
    tlsf: Tlsf,
    ptr: *mut u8,
    bytes: usize,
    size: usize,
) -> F::Allocated {
    // SAFETY: live instance; the block is tested (caller), so it is not null.
    unsafe {
        let result = tlsf.relocate(NonNull::new_unchecked(ptr), size, QUANTUM, bytes);
        F::allocated(tlsf, result)
    }
}

/// Ends a call that resizes nothing.
///
/// # Safety
/// The instance is live, and on success the old pointer, which may be null, is given up.
#[cold]
#[inline(never)]
unsafe fn not_resized<F: Front>(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> F::Allocated {
    // SAFETY: live instance, pointer given up on success (caller).
    unsafe { F::not_resized(tlsf, ptr, bytes) }
}

/// The result of resizing a block in place.
pub(crate) enum Resized {
    InPlace(NonNull<u8>),
    /// No room: the block is as it was. Its bytes, header included.
    Not(usize),
}

/// Tests that the free block after `old` can be merged with it, and returns its links.
///
/// # Safety
/// The instance is live; `old` is a tested live block of it; the block after it is free.
#[inline(always)]
unsafe fn mergeable_next(control: *mut Control, old: &Live) -> Result<Links, Refusal> {
    // SAFETY: live instance; the free block after a tested one (caller).
    let result =
        unsafe { free_list::next_sound_to_merge(control, old.next, old.next_header.size()) };
    result.map_err(|misuse| {
        let at = match misuse {
            Misuse::SmashedLink => old.next,
            _ => old.block,
        };
        Refusal::Misuse(misuse, at.payload())
    })
}

/// Cuts the tail off a block in use; the tail becomes a free block or merges with the free one
/// after it.
///
/// # Safety
/// The instance is live; `old` is a tested live block of it with at least `size` bytes.
#[inline(always)]
unsafe fn shrink(control: *mut Control, old: &Live, size: usize) -> Result<(), Refusal> {
    let have = old.header.size();
    let size = cut_size(size).min(have);
    let mut rest = have - size;
    // SAFETY: live instance, tested block (caller); only the block's header, its tail and the next
    // header are written, and a free next block after its own test.
    unsafe {
        if rest == 0 {
            return Ok(());
        }
        if old.next_header.is_free() {
            mergeable_next(control, old)?.unlink(control);
            rest += old.next_header.size();
        } else if rest < BLOCK_MIN {
            return Ok(());
        } else {
            old.next.set_prev_free();
        }
        let cookie = (*control).cookie;
        old.block.set_header(cookie, old.header.resized(size));
        list_remainder(control, old.block.offset(size), rest);
        (*control).used = (*control).used.wrapping_sub(have - size);
    }
    Ok(())
}

/// Grows a block into the free one after it.
///
/// # Safety
/// The instance is live; `old` is a tested live block of it; the block after it is free and large
/// enough.
#[inline(always)]
unsafe fn grow_forward(control: *mut Control, old: &Live, size: usize) -> Result<(), Refusal> {
    // SAFETY: live instance, tested block (caller); the free block after it is tested before
    // anything is written.
    unsafe {
        let links = mergeable_next(control, old)?;
        let have = old.header.size();
        let next_size = old.next_header.size();
        let total = have + next_size;
        let size = cut_size(size).min(total);
        if (*control).is_wilderness(old.next, next_size) && total - size >= BLOCK_MIN {
            // The wilderness shrinks upward: no bit changes.
            let remainder = form_free((*control).cookie, old.block.offset(size), total - size);
            free_list::set_wilderness(control, remainder);
            old.block
                .set_header((*control).cookie, old.header.resized(size));
            (*control).count_grown(size - have);
            return Ok(());
        }
        links.unlink(control);
        settle(control, old.block, old.header, total, size, have);
    }
    Ok(())
}

/// Grows a block into the free one before it, and the one after if that is free too. None when the
/// room is too small or its start is not aligned.
///
/// # Safety
/// The instance is live; `old` is a tested live block of it with PREV_FREE set.
#[inline(never)]
unsafe fn grow_backward(
    control: *mut Control,
    old: &Live,
    align: usize,
    size: usize,
) -> Result<Option<NonNull<u8>>, Refusal> {
    // SAFETY: live instance, tested block (caller); the free neighbours are tested before anything
    // is written.
    unsafe {
        let ptr = old.block.payload();
        let Some((prev, prev_size, _)) = prev_free_block(control, old.block) else {
            return Err(Refusal::Misuse(Misuse::SmashedPrev, ptr));
        };
        let have = old.header.size();
        let mut total = prev_size + have;
        if old.next_header.is_free() {
            total += old.next_header.size();
        }
        if total < size || prev.addr() & (align - 1) != 0 {
            return Ok(None);
        }
        let size = cut_size(size).min(total);
        if old.next_header.is_free() {
            mergeable_next(control, old)?.unlink(control);
        } else if total - size >= BLOCK_MIN {
            // A remainder will lie before the next block; `settle` expects its PREV_FREE set.
            old.next.set_prev_free();
        }
        free_list::unlink(control, prev);
        let cookie = (*control).cookie;
        // Source and destination may overlap. The old header, unless the contents have just moved
        // over it, would look like a live block: a tombstone replaces it.
        let kept = (have - HEADER).min(size - HEADER);
        ptr::copy(ptr, prev.payload(), kept);
        if prev_size >= kept + HEADER {
            old.block.set_header(cookie, Header::tombstone());
        }
        settle(control, prev, Header::used(0), total, size, have);
        Ok(NonNull::new(prev.payload()))
    }
}

/// Makes `total` bytes at `block` one block in use of `size` bytes and a listed remainder, if that
/// is large enough to be a block.
///
/// # Safety
/// The instance is live. The bytes are those of one block in use and of its unlinked neighbours;
/// `had` of them were in use; `before` carries the PREV_FREE to keep; the next block has PREV_FREE
/// set if a remainder will be left.
#[inline(always)]
unsafe fn settle(
    control: *mut Control,
    block: Block,
    before: Header,
    total: usize,
    size: usize,
    had: usize,
) {
    // SAFETY: live instance; the bytes are one block's and its unlinked neighbours' (caller), so
    // they and the next header's PREV_FREE may be written.
    unsafe {
        let rest = total - size;
        let taken = if rest >= BLOCK_MIN {
            list_remainder(control, block.offset(size), rest);
            size
        } else {
            block.offset(total).clear_prev_free();
            total
        };
        block.set_header((*control).cookie, before.resized(taken));
        (*control).count_grown(taken.wrapping_sub(had));
    }
}

/// Forms and lists a free block whose next neighbour has PREV_FREE set already.
///
/// # Safety
/// The instance is live; `rest` bytes at `block` lie in one of its pools, unlisted, are at least
/// the smallest block, and their contents are given up.
#[inline(always)]
unsafe fn list_remainder(control: *mut Control, block: Block, rest: usize) {
    // SAFETY: live instance; unlisted bytes whose contents are given up (caller).
    unsafe {
        form_free((*control).cookie, block, rest);
        free_list::push_freed(control, block, rest);
    }
}
