//! The bins' lists in the small build: each step is one function that is not inlined.

use crate::block::{Block, Header, Link};
use crate::control::Control;
use crate::misuse::Misuse;

/// Makes `block` the head of `bin`.
///
/// # Safety
/// The instance is live; `bin` is at most `top_bin`; `block` lies in its pools, unlisted.
#[inline(never)]
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
        (*this).absorber = 0;
        // `Control::mark` without the test that mostly spares the first-level word.
        let word = bin / usize::BITS as usize;
        *(*this).sl_bitmap.get_unchecked_mut(word) |= 1 << (bin % usize::BITS as usize);
        (*this).fl_bitmap |= 1 << word;
    }
}

/// Pushes a free block of `size` bytes to its bin.
///
/// # Safety
/// The instance is live; `block` lies in its pools, unlisted.
#[inline(always)]
pub(crate) unsafe fn push_outlined(this: *mut Control, block: Block, size: usize) {
    // SAFETY: the caller's duties; a block's bin is at most `top_bin`.
    unsafe { push(this, (*this).bin_of_block(block, size), block) }
}

/// Makes `size` bytes a listed free block: header, ghost, the next block's PREV_FREE, the list.
///
/// # Safety
/// The instance is live; the bytes are unlisted and not in use, followed by a block or sentinel.
#[inline(never)]
pub(crate) unsafe fn list(this: *mut Control, block: Block, size: usize) {
    // SAFETY: unused bytes of a live instance, followed by a header (caller).
    unsafe {
        block.set_header((*this).cookie, Header::free(size));
        let next = block.offset(size);
        next.set_prev_phys(block);
        next.set_prev_free();
        push(this, (*this).bin_of_block(block, size), block);
    }
}

/// The checked unlink, first half: both neighbours in the list point back at `block`. No link out
/// of the instance's outer bounds is followed.
///
/// # Safety
/// The instance is live; `block` lies in its pools.
#[inline(never)]
pub(crate) unsafe fn links_sound(this: *mut Control, block: Block) -> bool {
    // SAFETY: live (caller); the payload of any block holds two links, followed only when aligned
    // and inside the bounds.
    unsafe {
        let control = &*this;
        let (link, next) = (block.prev_link(), block.next_free());
        control.may_be_link(link.addr())
            && link.read() == block
            && (next == Control::list_end(this)
                || control.may_be_payload(next.addr()) && next.prev_link() == block.next_link())
    }
}

/// Proof that [`links_sound`] returned true.
#[derive(Clone, Copy)]
pub(crate) struct Links;

/// [`links_sound`], with the signature of the normal build, which returns the links.
///
/// # Safety
/// The instance is live; `block` lies in its pools.
#[inline(always)]
pub(crate) unsafe fn links_of(this: *mut Control, block: Block) -> Option<Links> {
    // SAFETY: live instance, a block of its pools (caller).
    unsafe { links_sound(this, block) }.then_some(Links)
}

pub(crate) use unlink as unlink_outlined;

/// Unlinks a block from wherever it is in its list.
///
/// # Safety
/// `block` is listed, and [`links_sound`].
#[inline(never)]
pub(crate) unsafe fn unlink(this: *mut Control, block: Block) {
    // SAFETY: both neighbours point back at `block` (`links_sound`, caller).
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

/// The size of a free block; 0 unless its header is plain free and its end confirms the size.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read. `block` may be
/// anything.
#[inline(never)]
pub(crate) unsafe fn free_size(this: *mut Control, block: Block) -> usize {
    // SAFETY: readable memory (caller); every word read lies inside the bounds.
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

/// [`free_size`] of a bin's head, with the signature of the normal build.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
pub(crate) unsafe fn size_of_head(this: *mut Control, block: Block) -> Option<usize> {
    // SAFETY: live instance, readable memory (caller).
    let size = unsafe { free_size(this, block) };
    (size != 0).then_some(size)
}

/// Tests size (at its end) and links of the free block after a block in use.
///
/// # Safety
/// The instance is live; `next` lies in its pools.
#[inline(never)]
pub(crate) unsafe fn next_sound_to_merge(this: *mut Control, next: Block) -> Option<Misuse> {
    // SAFETY: live instance, a block of its pools (caller).
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
