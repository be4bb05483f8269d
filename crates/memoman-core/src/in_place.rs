//! Resizing a block within itself and its free neighbours.

use core::ptr;

use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, HEADER};
use crate::control::Control;
use crate::free::{form_free, list_free};
use crate::free_list::{self, Links};
use crate::misuse::Misuse;
use crate::returned::{Live, prev_free_block};
use crate::size_class::cut_size;

/// Tests that the free block after `old` can be merged with it, and returns its links.
///
/// # Safety
/// The instance is live; `old` is a tested live block of it; the block after it is free.
#[inline(always)]
unsafe fn mergeable_next(control: *mut Control, old: &Live) -> Result<Links, Misuse> {
    // SAFETY: live instance; the free block after a tested one (caller).
    unsafe { free_list::next_sound_to_merge(control, old.next, old.next_header.size()) }
}

/// Cuts the tail off a block in use; the tail becomes a free block or merges with the free one
/// after it.
///
/// # Safety
/// The instance is live; `old` is a tested live block of it with at least `size` bytes.
#[inline(always)]
pub(crate) unsafe fn shrink(control: *mut Control, old: &Live, size: usize) -> Result<(), Misuse> {
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
pub(crate) unsafe fn grow_forward(
    control: *mut Control,
    old: &Live,
    size: usize,
) -> Result<(), Misuse> {
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
        settle::<true>(control, old.block, old.header, total, size, have);
    }
    Ok(())
}

/// The misuse found, and the payload of a block resized in place; null: no room.
pub(crate) type InPlace = (Option<Misuse>, *mut u8);

/// [`shrink`] or [`grow_forward`], for callers that are not hot: one copy of what both do.
///
/// # Safety
/// The instance is live; the block is a tested live one of it, whose header and next header these
/// are. It has `size` bytes itself, or together with the block after it, which is free then.
#[inline(never)]
pub(crate) unsafe fn resize_forward(
    control: *mut Control,
    block: Block,
    header: Header,
    next_header: Header,
    size: usize,
) -> InPlace {
    let have = header.size();
    let next = block.offset(have);
    let mut next_size = 0;
    if next_header.is_free() {
        next_size = next_header.size();
    }
    let total = have + next_size;
    let most = if size <= have { have } else { total };
    let size = cut_size(size).min(most);
    let rest = total - size;
    // Of the whole block: the caller's pointer may have been narrowed to a part of the old one.
    let same = (None, block.payload());
    // SAFETY: live instance, tested block (caller); a free block after it is tested before anything
    // is written.
    unsafe {
        if size == have || rest < BLOCK_MIN && next_size == 0 {
            return same;
        }
        if next_size == 0 {
            next.set_prev_free();
        } else {
            let links = match free_list::next_sound_to_merge(control, next, next_size) {
                Ok(links) => links,
                Err(misuse) => return (Some(misuse), ptr::null_mut()),
            };
            if (*control).is_wilderness(next, next_size) && rest >= BLOCK_MIN {
                // The wilderness begins elsewhere: no bit changes.
                let cookie = (*control).cookie;
                let remainder = form_free(cookie, block.offset(size), rest);
                free_list::set_wilderness(control, remainder);
                block.set_header(cookie, header.resized(size));
                (*control).count_grown(size.wrapping_sub(have));
                return same;
            }
            links.unlink(control);
        }
        settle::<false>(control, block, header, total, size, have);
    }
    same
}

/// Grows a block into the free one before it, and the one after if that is free too. Null when the
/// room is too small or its start is not aligned.
///
/// # Safety
/// The instance is live; the block is a tested live one of it with PREV_FREE set, whose header and
/// next header these are.
#[inline(never)]
pub(crate) unsafe fn grow_backward(
    control: *mut Control,
    block: Block,
    header: Header,
    next_header: Header,
    align: usize,
    size: usize,
) -> InPlace {
    let no_room = (None, ptr::null_mut());
    let have = header.size();
    let next = block.offset(have);
    // SAFETY: live instance, tested block (caller); the free neighbours are tested before anything
    // is written.
    unsafe {
        let Some((prev, prev_size, _)) = prev_free_block(control, block) else {
            return (Some(Misuse::SmashedPrev), ptr::null_mut());
        };
        let mut total = prev_size + have;
        if next_header.is_free() {
            total += next_header.size();
        }
        if total < size || prev.addr() & (align - 1) != 0 {
            return no_room;
        }
        let size = cut_size(size).min(total);
        if next_header.is_free() {
            match free_list::next_sound_to_merge(control, next, next_header.size()) {
                Ok(links) => links.unlink(control),
                Err(misuse) => return (Some(misuse), ptr::null_mut()),
            }
        } else if total - size >= BLOCK_MIN {
            // A remainder will lie before the next block; `settle` expects its PREV_FREE set.
            next.set_prev_free();
        }
        free_list::unlink_outlined(control, prev);
        let cookie = (*control).cookie;
        // Source and destination may overlap. The old header, unless the contents have just moved
        // over it, would look like a live block: a tombstone replaces it.
        let kept = (have - HEADER).min(size - HEADER);
        ptr::copy(block.payload(), prev.payload(), kept);
        if prev_size >= kept + HEADER {
            block.set_header(cookie, Header::tombstone());
        }
        settle::<false>(control, prev, Header::used(0), total, size, have);
        (None, prev.payload())
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
unsafe fn settle<const HOT: bool>(
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
            if HOT {
                list_remainder(control, block.offset(size), rest);
            } else {
                list_free(control, block.offset(size), rest);
            }
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
