//! The bins' lists of the small build: each step is one function, called from wherever it is needed.

use crate::block::{Block, Header, Link};
use crate::control::Control;
use crate::misuse::Misuse;

/// Enters `block` into `bin` as its head.
///
/// # Safety
/// `this` is a live instance, `bin` at most its last one, `block` a block of one of its pools that is in no list.
#[inline(never)]
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
            // As `mark`, without the test that mostly spares the second one.
            let word = bin / usize::BITS as usize;
            *(*this).sl_bitmap.get_unchecked_mut(word) |= 1 << (bin % usize::BITS as usize);
            (*this).fl_bitmap |= 1 << word;
        } else {
            old.set_prev_link(block.next_link());
        }
    }
}

/// Makes `size` bytes a listed free block: header, ghost, the next block's PREV_FREE, the list.
///
/// # Safety
/// The bytes are unlinked and nobody's; a block or sentinel lies behind them.
#[inline(never)]
pub(crate) unsafe fn list(this: *mut Control, block: Block, size: usize) {
    // SAFETY: the caller's duties.
    unsafe {
        block.set_header((*this).cookie, Header::free(size));
        let next = block.offset(size);
        next.set_prev_phys(block);
        next.set_prev_free();
        push(this, (*this).bin_of_block(block, size), block);
    }
}

/// The checked unlink, first half: both neighbours in the list point back at `block`. Nothing is followed that lies
/// outside the instance's outer bounds.
///
/// # Safety
/// `this` is a live instance and `block` lies in one of its pools.
#[inline(never)]
pub(crate) unsafe fn links_sound(this: *mut Control, block: Block) -> bool {
    // SAFETY: live (caller); the payload of any block holds two words; a link is followed when it is aligned and inside
    // the bounds.
    unsafe {
        let control = &*this;
        let (link, next) = (block.prev_link(), block.next_free());
        control.may_be_link(link.addr())
            && link.read() == block
            && (next == Control::list_end(this)
                || control.may_be_payload(next.addr()) && next.prev_link() == block.next_link())
    }
}

/// [`links_sound`] has been asked.
#[derive(Clone, Copy)]
pub(crate) struct Links;

/// [`links_sound`], where the normal build goes on with the links.
///
/// # Safety
/// As for it.
#[inline(always)]
pub(crate) unsafe fn links_of(this: *mut Control, block: Block) -> Option<Links> {
    // SAFETY: the same duties.
    unsafe { links_sound(this, block) }.then_some(Links)
}

/// Unlinks a block from wherever it is in its list.
///
/// # Safety
/// `block` is listed, and [`links_sound`].
#[inline(never)]
pub(crate) unsafe fn unlink(this: *mut Control, block: Block) {
    // SAFETY: the caller's duties: both neighbours point back at `block`.
    unsafe {
        let link: Link = block.prev_link();
        let next = block.next_free();
        link.write(next);
        if next != Control::list_end(this) {
            next.set_prev_link(link);
        } else if let Some(bin) = Control::bin_of_head(this, link, (*this).top_bin) {
            // The list was this block alone.
            (*this).unmark(bin);
        }
    }
}

/// The size of a free block, when its header says free and the ghost at its end confirms the size; else 0.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read. `block` may be anything.
#[inline(never)]
pub(crate) unsafe fn free_size(this: *mut Control, block: Block) -> usize {
    // SAFETY: live (caller); what is read lies inside the bounds.
    unsafe {
        let control = &*this;
        if control.may_be_payload(block.addr())
            && let Some(size) = block.header(control.cookie).free_size()
            && size <= control.high - block.addr()
            && block.ends_after(size)
        {
            size
        } else {
            0
        }
    }
}

/// The same for a bin's head.
///
/// # Safety
/// As for [`free_size`].
pub(crate) unsafe fn size_of_head(this: *mut Control, block: Block) -> Option<usize> {
    // SAFETY: the same duties.
    let size = unsafe { free_size(this, block) };
    (size != 0).then_some(size)
}

/// May the free block behind a block in use be merged with it? Its header, with the next block's ghost as witness of
/// its size, and its links.
///
/// # Safety
/// `this` is a live instance, and `next` lies in one of its pools.
#[inline(never)]
pub(crate) unsafe fn next_sound_to_merge(this: *mut Control, next: Block) -> Option<Misuse> {
    // SAFETY: the same duties.
    unsafe {
        if free_size(this, next) == 0 {
            Some(Misuse::SmashedNext)
        } else if links_sound(this, next) {
            None
        } else {
            Some(Misuse::SmashedLink)
        }
    }
}
