//! The bins' lists: doubly linked, last in first out, each end tested before it is followed.
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
use crate::size_class::LINEAR_BELOW;

/// Enters `block` into `bin` as its head.
///
/// # Safety
/// `this` is a live instance, `bin` at most its last one, `block` a block of one of its pools that is in no list.
#[inline(always)]
pub(crate) unsafe fn push(this: *mut Control, bin: usize, block: Block) {
    let head = Control::head(this, bin);
    // SAFETY: the head exists; the block's payload starts with its two links; a head that is not the list's end is
    // a listed free block (I2), whose links may be written.
    unsafe {
        let old = head.read();
        block.set_next_free(old);
        block.set_prev_link(head);
        head.write(block);
        if old == Control::list_end(this) {
            (*this).mark(bin);
        } else {
            old.set_prev_link(block.next_link());
        }
    }
}

/// Enters a free block of `size` bytes that is not the wilderness into its bin.
///
/// # Safety
/// As for [`push`].
#[inline(always)]
pub(crate) unsafe fn push_sized(this: *mut Control, block: Block, size: usize) {
    // SAFETY: the same duties. Two copies: where the bin is below one word's bits, half of the marking falls away.
    unsafe {
        if size < LINEAR_BELOW {
            push(this, size >> QUANTUM_LOG2, block);
        } else {
            push(this, (*this).bin_of_large(size), block);
        }
    }
}

/// Enters any free block of `size` bytes into its bin.
///
/// # Safety
/// As for [`push`].
#[inline(always)]
pub(crate) unsafe fn push_freed(this: *mut Control, block: Block, size: usize) {
    // SAFETY: the same duties.
    unsafe {
        if (*this).is_wilderness(block, size) {
            set_wilderness(this, block);
            (*this).mark(WILDERNESS);
        } else {
            push_sized(this, block, size);
        }
    }
}

/// Makes `block` the wilderness in the place of the present one, or of none.
///
/// # Safety
/// As for [`push`]; the block ends the highest pool.
#[inline(always)]
pub(crate) unsafe fn set_wilderness(this: *mut Control, block: Block) {
    let head = Control::head(this, WILDERNESS);
    // SAFETY: as for `push`.
    unsafe {
        block.set_next_free(Control::list_end(this));
        block.set_prev_link(head);
        head.write(block);
    }
}

/// What points at a free block, and what it points at. Given by [`links_of`], both have been tested.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    link: Link,
    next: Block,
}

/// The checked unlink, first half: both neighbours in the list point back at `block`.
///
/// A block's links lie where the user's data was, so a write after free lands on them. Nothing is
/// followed that lies outside the instance's outer bounds (control structure to highest pool).
///
/// # Safety
/// `this` is a live instance and `block` lies in one of its pools.
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

/// `next`, which is not the list's end, may be a block, and points back at `block`.
#[inline(always)]
fn points_back(control: &Control, block: Block, next: Block) -> bool {
    if !control.may_be_payload(next.addr()) {
        return false;
    }
    // SAFETY: an aligned payload address inside the bounds has two words behind it.
    unsafe { next.prev_link() == block.next_link() }
}

/// May the free block behind a block in use be merged with it? What lies behind it, as witness of its size, and its links,
/// which are given.
///
/// # Safety
/// `this` is a live instance; the header of `next` says that it is a plain free block of `size` bytes, which end inside the outer bounds.
#[inline(always)]
pub(crate) unsafe fn next_sound_to_merge(
    this: *mut Control,
    next: Block,
    size: usize,
) -> Result<Links, Misuse> {
    // SAFETY: what lies at the block's end is inside the bounds (caller).
    unsafe {
        if !next.ends_after(size) {
            return Err(Misuse::SmashedNext);
        }
        links_of(this, next).ok_or(Misuse::SmashedLink)
    }
}

/// The same for the wilderness, whose links can have one value only.
///
/// # Safety
/// As for [`next_sound_to_merge`]; the block ends at the instance's outer bound.
#[inline(always)]
pub(crate) unsafe fn wilderness_sound_to_merge(
    this: *mut Control,
    next: Block,
    size: usize,
) -> Result<(), Misuse> {
    // SAFETY: as for `next_sound_to_merge`.
    unsafe {
        if !next.ends_after(size) {
            return Err(Misuse::SmashedNext);
        }
        // The head too: a block in use may still have the links in it that were there when it was the wilderness.
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

/// The checked pop: unlinks the head of `bin`, unless the block behind it does not point back; then nothing is changed.
/// The head's own `prev_link` is not needed, so not looked at.
///
/// # Safety
/// `this` is a live instance and `block` is the head of `bin`.
#[inline(always)]
pub(crate) unsafe fn pop(this: *mut Control, bin: usize, block: Block) -> bool {
    let head = Control::head(this, bin);
    // SAFETY: live (caller), and the payload of any block holds its links; `next` is written only when it points back.
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

/// The checked pop of the wilderness.
///
/// # Safety
/// `this` is a live instance and `block` is its wilderness.
#[inline(always)]
pub(crate) unsafe fn pop_wilderness(this: *mut Control, block: Block) -> bool {
    // SAFETY: live (caller), and the payload of any block holds its links.
    unsafe {
        let end = Control::list_end(this);
        if block.next_free() != end {
            return false;
        }
        Control::head(this, WILDERNESS).write(end);
        (*this).unmark(WILDERNESS);
    }
    true
}

/// The size of a bin's head, when its header says free and the ghost at its end confirms the size.
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
    /// [`links_of`] has just given them, and no list has changed since.
    #[inline(always)]
    pub(crate) unsafe fn unlink(self, this: *mut Control) {
        // SAFETY: the caller's duties: both neighbours point back at the block.
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

/// Unlinks a block from wherever it is in its list.
///
/// # Safety
/// `block` is listed, and [`links_of`] would give its links.
#[inline(always)]
pub(crate) unsafe fn unlink(this: *mut Control, block: Block) {
    // SAFETY: the caller's duties.
    unsafe {
        Links {
            link: block.prev_link(),
            next: block.next_free(),
        }
        .unlink(this);
    }
}
