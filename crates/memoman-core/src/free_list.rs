//! The bins' lists: doubly linked, last in first out, each end tested before it is followed.
//!
//! ```text
//!   heads[bin] ──► A.next_free ──► B.next_free ──► NULL
//!       ▲──────────A.prev_link  ▲──B.prev_link
//!                               └ &A.next_free, which is A's payload address
//! ```

use crate::block::{Block, Link};
use crate::control::Control;

/// Enters `block` into `bin` as its head.
///
/// # Safety
/// `this` is a live instance, `bin` at most its last one, `block` a block of one of its pools that is in no list.
#[inline(always)]
pub(crate) unsafe fn push(this: *mut Control, bin: usize, block: Block) {
    let head = Control::head(this, bin);
    // SAFETY: the head exists; the block's payload starts with its two links; a non-null head is
    // a listed free block (I2), whose links may be written.
    unsafe {
        let old = head.read();
        block.set_next_free(old);
        block.set_prev_link(head);
        head.write(block);
        if old.is_null() {
            (*this).mark(bin);
        } else {
            old.set_prev_link(block.next_link());
        }
    }
}

/// The checked unlink, first half: both neighbours in the list point back at `block`.
///
/// A block's links lie where the user's data was, so a write after free lands on them. Nothing is
/// followed that lies outside the instance's outer bounds (control structure to highest pool).
///
/// # Safety
/// `this` is a live instance and `block` lies in one of its pools.
#[inline(always)]
pub(crate) unsafe fn links_sound(this: *mut Control, block: Block) -> bool {
    // SAFETY: live (caller); shared access for the bounds only.
    let control = unsafe { &*this };
    // SAFETY: the payload of any block holds two words.
    let (link, next) = unsafe { (block.prev_link(), block.next_free()) };
    if !control.may_be_link(link.addr()) {
        return false;
    }
    // SAFETY: `link` is a head of this instance or an aligned word between its bounds.
    if unsafe { link.read() } != block {
        return false;
    }
    next_sound(control, block, next)
}

/// The block behind in the list is none, or a block that points back.
#[inline(always)]
fn next_sound(control: &Control, block: Block, next: Block) -> bool {
    if next.is_null() {
        return true;
    }
    if !control.may_be_payload(next.addr()) {
        return false;
    }
    // SAFETY: an aligned payload address inside the bounds has two words behind it.
    unsafe { next.prev_link() == block.next_link() }
}

/// The checked pop: may the head of a bin be unlinked? Its `prev_link` is not needed, so not looked at.
///
/// # Safety
/// As for [`links_sound`].
#[inline(always)]
pub(crate) unsafe fn head_sound(this: *mut Control, block: Block) -> bool {
    // SAFETY: live (caller), and the payload of any block holds its links.
    unsafe { next_sound(&*this, block, block.next_free()) }
}

/// Unlinks the head of `bin`.
///
/// # Safety
/// `block` is the head of `bin`, and [`head_sound`].
#[inline(always)]
pub(crate) unsafe fn pop(this: *mut Control, bin: usize, block: Block) {
    // SAFETY: the caller's duties.
    unsafe {
        let head = Control::head(this, bin);
        let next = block.next_free();
        head.write(next);
        if next.is_null() {
            (*this).unmark(bin);
        } else {
            next.set_prev_link(head);
        }
    }
}

/// Unlinks a block from wherever it is in its list.
///
/// # Safety
/// `block` is listed, and [`links_sound`].
#[inline(always)]
pub(crate) unsafe fn unlink(this: *mut Control, block: Block) {
    // SAFETY: the caller's duties: both neighbours point back at `block`.
    unsafe {
        let link: Link = block.prev_link();
        let next = block.next_free();
        link.write(next);
        if !next.is_null() {
            next.set_prev_link(link);
        } else if let Some(bin) = Control::bin_of_head(this, link, (*this).top_bin) {
            // The list was this block alone.
            (*this).unmark(bin);
        }
    }
}
