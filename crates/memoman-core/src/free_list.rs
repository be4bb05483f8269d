//! The bins' lists: doubly linked, last in first out; each link is tested before it is followed.
//!
//! ```text
//!   heads[bin] ──► A.next_free ──► B.next_free ──► list end: the control structure
//!       ▲──────────A.prev_link  ▲──B.prev_link
//!                               └ &A.next_free, which is A's payload address
//! ```

use crate::block::{Block, Link};
use crate::config::QUANTUM_LOG2;
use crate::control::{Control, WILDERNESS};
use crate::misuse::Misuse;
use crate::size_class::{LINEAR_BELOW, any_bin};

/// Makes `block` the head of `bin`.
///
/// # Safety
/// The instance is live; `bin` is at most `top_bin`; `block` lies in its pools, unlisted.
#[inline(always)]
pub(crate) unsafe fn push(this: *mut Control, bin: usize, block: Block) {
    let head = Control::head(this, bin);
    // SAFETY: the head exists (`bin`, caller); the block's payload starts with its two links; the
    // old head is a listed free block (I2) or the list's end, and the second link of both may be
    // written.
    unsafe {
        let old = head.read();
        block.set_next_free(old);
        block.set_prev_link(head);
        head.write(block);
        // Without a branch: the list's end has a word for it.
        old.set_prev_link(block.next_link());
        (*this).mark(bin);
    }
}

/// Pushes a free block of `size` bytes that is not the wilderness to its bin.
///
/// # Safety
/// The instance is live; `block` lies in its pools, unlisted.
#[inline(always)]
pub(crate) unsafe fn push_sized(this: *mut Control, block: Block, size: usize) {
    // SAFETY: live instance, unlisted block (caller); both mappings give at most `top_bin`.
    // Two calls: where the bin is known to be below 64, half of the marking compiles away.
    unsafe {
        if size < LINEAR_BELOW {
            push(this, size >> QUANTUM_LOG2, block);
        } else {
            push(this, (*this).bin_of_large(size), block);
        }
    }
}

/// [`push_sized`] for `memalign`, whose gaps and remainders have sizes at random.
///
/// # Safety
/// The instance is live; `block` lies in its pools, unlisted.
#[inline(always)]
pub(crate) unsafe fn push_any(this: *mut Control, block: Block, size: usize) {
    // SAFETY: live instance, unlisted block (caller); the bin is at most `top_bin`.
    unsafe { push(this, any_bin(size).min((*this).top_bin), block) }
}

/// Pushes any free block of `size` bytes to its bin.
///
/// # Safety
/// The instance is live; `block` lies in its pools, unlisted.
#[inline(always)]
pub(crate) unsafe fn push_freed(this: *mut Control, block: Block, size: usize) {
    // SAFETY: live instance, unlisted block (caller); the wilderness ends the highest pool, as
    // tested.
    unsafe {
        if (*this).is_wilderness(block, size) {
            set_wilderness(this, block);
            (*this).mark(WILDERNESS);
        } else {
            push_sized(this, block, size);
        }
    }
}

/// [`push_freed`], compiled once for calls that are not hot.
///
/// # Safety
/// The duties of [`push_freed`].
#[inline(never)]
pub(crate) unsafe fn push_outlined(this: *mut Control, block: Block, size: usize) {
    // SAFETY: the caller's duties.
    unsafe { push_freed(this, block, size) }
}

/// Makes `block` the wilderness in place of any present one.
///
/// # Safety
/// The instance is live; `block` ends its highest pool, unlisted.
#[inline(always)]
pub(crate) unsafe fn set_wilderness(this: *mut Control, block: Block) {
    let head = Control::head(this, WILDERNESS);
    // SAFETY: every instance has the wilderness's head; the block's payload starts with its two
    // links.
    unsafe {
        block.set_next_free(Control::list_end(this));
        block.set_prev_link(head);
        head.write(block);
        // An emptied heap ends here, and then equals a new one bit by bit.
        (*this).absorber = 0;
    }
}

/// A free block's list neighbours, tested by [`links_of`]: the word that points at it, and its
/// `next_free`.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    link: Link,
    next: Block,
}

/// The checked unlink, first half: both neighbours in the list point back at `block`.
///
/// A block's links lie where the user's data was, so a write after free overwrites them. No link
/// out of the instance's outer bounds (control structure to highest pool) is followed.
///
/// # Safety
/// The instance is live; `block` lies in its pools.
#[inline(always)]
pub(crate) unsafe fn links_of(this: *mut Control, block: Block) -> Option<Links> {
    // SAFETY: live (caller); shared access for the bounds only.
    let control = unsafe { &*this };
    // SAFETY: the payload of any block holds two words.
    let (link, next) = unsafe { (block.prev_link(), block.next_free()) };
    if !control.may_be_link(link.addr()) {
        return None;
    }
    // SAFETY: `link` is a head of this instance or an aligned word between its bounds.
    if unsafe { link.read() } != block {
        return None;
    }
    if next != Control::list_end(this) && !points_back(control, block, next) {
        return None;
    }
    Some(Links { link, next })
}

/// `next`, which is not the list's end, is a possible block and points back at `block`.
#[inline(always)]
fn points_back(control: &Control, block: Block, next: Block) -> bool {
    if !control.may_be_payload(next.addr()) {
        return false;
    }
    // SAFETY: two words follow an aligned payload address inside the bounds.
    unsafe { next.prev_link() == block.next_link() }
}

/// Tests size (at its end) and links of the free block after a block in use; returns the links.
///
/// # Safety
/// The instance is live; `next` is plain free by its header, its `size` bytes inside the bounds.
#[inline(always)]
pub(crate) unsafe fn next_sound_to_merge(
    this: *mut Control,
    next: Block,
    size: usize,
) -> Result<Links, Misuse> {
    // SAFETY: the block's end, so its links too, lies inside the bounds (caller).
    unsafe {
        if !next.ends_after(size) {
            return Err(Misuse::SmashedNext);
        }
        links_of(this, next).ok_or(Misuse::SmashedLink)
    }
}

/// [`next_sound_to_merge`] of the wilderness, whose links can have one value only.
///
/// # Safety
/// The instance is live; `next` is plain free by its header, its `size` bytes end at the bounds.
#[inline(always)]
pub(crate) unsafe fn wilderness_sound_to_merge(
    this: *mut Control,
    next: Block,
    size: usize,
) -> Result<(), Misuse> {
    // SAFETY: the block's end, so its links too, lies inside the bounds (caller).
    unsafe {
        if !next.ends_after(size) {
            return Err(Misuse::SmashedNext);
        }
        // The head too: a block in use may still hold the links that it had as the wilderness.
        let head = Control::head(this, WILDERNESS);
        if head.read() != next
            || next.next_free() != Control::list_end(this)
            || next.prev_link() != head
        {
            return Err(Misuse::SmashedLink);
        }
    }
    Ok(())
}

/// The checked pop: unlinks the head of `bin`. False, and nothing changed, when the next block in
/// the list does not point back. The head's own `prev_link` is neither needed nor tested.
///
/// # Safety
/// The instance is live and `block` is the head of `bin`.
#[inline(always)]
pub(crate) unsafe fn pop(this: *mut Control, bin: usize, block: Block) -> bool {
    let head = Control::head(this, bin);
    // SAFETY: live (caller); the payload of any block holds two links; `next` is written only when
    // it points back.
    unsafe {
        let next = block.next_free();
        let end = Control::list_end(this);
        if next == end {
            head.write(end);
            (*this).unmark(bin);
            return true;
        }
        if !points_back(&*this, block, next) {
            return false;
        }
        head.write(next);
        next.set_prev_link(head);
    }
    true
}

/// The size of a head; None unless its header is plain free and its end confirms the size.
///
/// # Safety
/// The instance is live; `block` is a head that is not the list's end.
#[inline(always)]
pub(crate) unsafe fn size_of_head(this: *mut Control, block: Block) -> Option<usize> {
    // SAFETY: a listed block has a header (I2); the ghost is read only inside the bounds.
    unsafe {
        let size = block.header((*this).cookie).free_size()?;
        let room = (*this).high.wrapping_sub(block.addr());
        let sound = size <= room && block.ends_after(size);
        sound.then_some(size)
    }
}

impl Links {
    /// Unlinks the block from wherever it is in its list.
    ///
    /// # Safety
    /// [`links_of`] returned these links, and no list has changed since.
    #[inline(always)]
    pub(crate) unsafe fn unlink(self, this: *mut Control) {
        // SAFETY: both neighbours point back at the block (`links_of`, caller).
        unsafe {
            self.link.write(self.next);
            if self.next != Control::list_end(this) {
                self.next.set_prev_link(self.link);
            } else if let Some(bin) = Control::bin_of_head(this, self.link, (*this).top_bin) {
                // The list was this block alone.
                (*this).unmark(bin);
            }
        }
    }
}

/// [`unlink`], compiled once for calls on pools.
///
/// # Safety
/// The duties of [`unlink`].
#[inline(never)]
pub(crate) unsafe fn unlink_outlined(this: *mut Control, block: Block) {
    // SAFETY: the caller's duties.
    unsafe { unlink(this, block) }
}

/// Unlinks a block from wherever it is in its list.
///
/// # Safety
/// `block` is listed, and its links pass [`links_of`].
#[inline(always)]
pub(crate) unsafe fn unlink(this: *mut Control, block: Block) {
    // SAFETY: a listed block whose links are sound (caller).
    unsafe {
        Links {
            link: block.prev_link(),
            next: block.next_free(),
        }
        .unlink(this);
    }
}
