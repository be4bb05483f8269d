//! Large blocks: each is a mapping of its own, at the mapping's first byte. The map's word for the
//! unit in which it begins describes it, so nothing at a block's address is read, and a call for a
//! pointer from anywhere finds its report.
//!
//! No call takes a lock. A block changes hands by a compare-exchange of its word: the thread that
//! sets it to null may unmap, move or keep the mapping. A child forked meanwhile finds the word
//! null: that one mapping stays, known to no call.

use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use crate::allocator::{ALIGN, Misuse};
use crate::process::heap::LargeBlocks;
use crate::process::map::{self, Owner, UNIT};
use crate::process::mapping_changed as changed;
use crate::process::mapping_end as end;
use crate::process::mapping_word::{MAPPING_MOST, Mapping, Use};
use crate::process::regions::{keep_in_memory, map_aligned};
use crate::process::{mapping_spares as spares, misuse, side};
use crate::system::memory;
use crate::thread::heap::REQUEST_MAX;

/// A spare of at least this part of a request is grown for it: mapping pages elsewhere is cheaper
/// than having the system clear new ones.
const GROWN_PART: usize = 4;
/// A resized block gets this part of its bytes more, as addresses: the next resize finds them.
const HEADROOM_PART: usize = 8;
/// A block that realloc cuts by less than this part, or by less than [`CUT_LEAST`], stays as it is.
const CUT_PART: usize = 8;
const CUT_LEAST: usize = 64 << 10;
/// A request of at least [`WHOLE_LEAST`] takes a spare whole if it leaves less than this part of
/// it: cut into pieces, spares would fit fewer and fewer of such requests.
const SPLIT_PART: usize = 3;
/// The least bytes that are cut off a spare: shorter ones serve no request, and the next block of
/// the mapping would need them again.
const SPLIT_LEAST: usize = 128 << 10;
const WHOLE_LEAST: usize = 5 << 20;
/// A block that grows by at least this part moves into a spare that fits: copying a page takes less
/// than a sixth of the time of a page fault. By less, too few new pages are needed. (A buffer that
/// grows by halves has this part left after its headroom.)
const COPIED_PART: usize = 4;
/// The least bytes of which pages are looked for before a copy: eight system calls.
const LOOKED_AT_LEAST: usize = 512 << 10;
/// A block that is cut to at most this, and to half, becomes one of the thread's heap.
const MOVED_MOST: usize = REQUEST_MAX / 2;

/// Allocates a block of its own; with `zeroed`, all bytes zero. None when the system refuses.
///
/// `align` is a power of two.
pub(crate) fn allocate(
    settings: LargeBlocks,
    align: usize,
    bytes: usize,
    zeroed: bool,
) -> Option<NonNull<u8>> {
    let page = memory::page_size();
    let request = bytes;
    let bytes = whole(bytes, page)?;
    spares::count_wanted(bytes);
    let kept = if align <= page {
        reuse(bytes, zeroed, 1)
    } else if cfg!(feature = "late-checks") {
        reuse(bytes, zeroed, align)
    } else {
        None
    };
    let mapping = kept
        .or_else(|| fresh(settings, align, bytes, page, spares::gap()))
        .or_else(|| {
            // What is kept counts against the limits that the system may have reached.
            spares::release();
            fresh(settings, align, bytes, page, 0)
        })?;
    spares::count_block(mapping.bytes);
    if kept.is_none() {
        spares::release_beyond_limit();
    } else {
        // After the counts, whose atomic steps would wait for this write to a page long not used.
        // SAFETY: this thread's mapping, and no block yet.
        unsafe { end::clear(mapping, request) };
    }
    publish(mapping, end::word(mapping, request));
    NonNull::new(mapping.block())
}

/// The bytes of a mapping for a block. None beyond the address space.
fn whole(bytes: usize, page: usize) -> Option<usize> {
    let bytes = bytes.checked_add(end::LEAST)?;
    let bytes = bytes.max(UNIT).checked_next_multiple_of(page)?;
    (bytes <= MAPPING_MOST).then_some(bytes)
}

/// A spare of `bytes` that begins at a multiple of `align`, a power of two.
fn reuse(bytes: usize, zeroed: bool, align: usize) -> Option<Mapping> {
    // A spare that has to be cleared is not grown: fresh pages need no clearing. Nor is one where a
    // filter may end the process at `mremap`, which other allocators call in `realloc` only. Nor
    // is an aligned one, which may move.
    let is_grown = !zeroed && align == 1 && permits_remapping();
    let or_less = is_grown.then_some(bytes / GROWN_PART);
    let (mut mapping, clean) = spares::take(bytes, or_less, align)?;
    if mapping.bytes < bytes {
        return grown(mapping, bytes);
    }
    let part = part_to_cut(bytes);
    retire_tail(&mut mapping, bytes, part);
    if zeroed && !clean {
        // SAFETY: this thread's mapping, of at least `bytes`.
        unsafe { mapping.block().write_bytes(0, bytes) };
    }
    Some(mapping)
}

/// A call of `mremap` outside `realloc` does not end the process.
fn permits_remapping() -> bool {
    #[cfg(feature = "announced-threads")]
    return crate::system::sandbox::permits_remapping();
    #[cfg(not(feature = "announced-threads"))]
    true
}

/// A spare made larger. None when the system refuses.
fn grown(mapping: Mapping, bytes: usize) -> Option<Mapping> {
    spares::count_mapped(bytes - mapping.bytes);
    // Before the addresses may be another mapping's.
    spares::forget(mapping);
    let mut gap = 0;
    // SAFETY: this thread's mapping, which was just taken out and is no block.
    let remapped =
        |to, may_move| unsafe { memory::remap(mapping.block(), mapping.bytes, to, may_move) };
    // Where it is, rather than elsewhere.
    let start = remapped(bytes, false).or_else(|| {
        gap = spares::gap();
        remapped(bytes + gap, true)
    });
    let grown = start.map(|start| before_gap(start, bytes, gap));
    match grown {
        Some(mapping) if map::prepare(mapping.start, 1) => Some(mapping),
        _ => {
            // SAFETY: still this thread's, and no block.
            unsafe { spares::discard(grown.unwrap_or(mapping)) };
            None
        }
    }
}

/// A mapping from the system, before a gap.
fn fresh(
    settings: LargeBlocks,
    align: usize,
    bytes: usize,
    page: usize,
    gap: usize,
) -> Option<Mapping> {
    spares::count_mapped(bytes);
    let start = map_aligned(0, bytes + gap, align, page, false)?;
    let mapping = before_gap(start, bytes, gap);
    if !map::prepare(mapping.start, 1) {
        // SAFETY: this thread's mapping, not handed out.
        unsafe { memory::unmap(mapping.block(), bytes) };
        return None;
    }
    if settings.locked() {
        keep_in_memory(mapping.block(), bytes);
    }
    Some(mapping)
}

/// A new mapping of `bytes`; the addresses of the gap behind it are unmapped. (If the system
/// refuses, they are lost, without memory.)
fn before_gap(start: *mut u8, bytes: usize, gap: usize) -> Mapping {
    if gap > 0 {
        // SAFETY: the end of this thread's new mapping (callers), which nothing uses.
        unsafe { memory::unmap(start.wrapping_add(bytes), gap) };
    }
    Mapping {
        start: start.expose_provenance(),
        bytes,
    }
}

/// Cuts a mapping to `bytes`, if that leaves at least `least` and so large a part of it. Returns
/// what is cut off.
fn cut(mapping: &mut Mapping, bytes: usize, least: usize, part: usize) -> Option<Mapping> {
    let left = mapping.bytes - bytes;
    if left < least || left < mapping.bytes / part {
        return None;
    }
    mapping.bytes = bytes;
    Some(Mapping {
        start: mapping.end(),
        bytes: left,
    })
}

/// A spare for so many bytes is cut if that leaves this part of it.
fn part_to_cut(bytes: usize) -> usize {
    if bytes < WHOLE_LEAST {
        CUT_PART
    } else {
        SPLIT_PART
    }
}

/// [`cut`]s this thread's mapping, and keeps what is cut off.
fn retire_tail(mapping: &mut Mapping, bytes: usize, part: usize) {
    if let Some(tail) = cut(mapping, bytes, SPLIT_LEAST, part) {
        // SAFETY: the end of this thread's mapping (caller), which nothing uses.
        unsafe { spares::retire(tail) };
    }
}

/// Enters a block into the map. (The word exists.)
fn publish(mapping: Mapping, word: *mut Owner) {
    changed::cover(mapping);
    if let Some(entry) = map::entry(mapping.start) {
        // Release: another thread may free what this one has counted.
        entry.store(word, Ordering::Release);
    }
}

/// A block's mapping and its word in the map.
type Found = (Mapping, *mut Owner);

/// The large block at an address. None if the address is below the mapping that begins in its unit:
/// it belongs to no large block. (Inlined in the shim, which saves a copy of the result. The
/// library has no room for that.)
#[cfg_attr(feature = "late-checks", inline(always))]
fn find(block: NonNull<u8>) -> Option<Result<Found, Misuse>> {
    let address = block.as_ptr().addr();
    let word = map::owner_outlined(address);
    let (mapping, used) = Mapping::of_word(word, address)?;
    if address < mapping.start {
        return None;
    }
    // The word of a mapping that is gone, where the side heap may be now, which has no words.
    if cfg!(feature = "late-checks") && used == Use::Spare(true) && side::owns(block) {
        return None;
    }
    Some(if !address.is_multiple_of(ALIGN) {
        Err(Misuse::Misaligned)
    } else if address != mapping.start {
        Err(Misuse::NotABlock)
    } else if used == Use::Block {
        Ok((mapping, word))
    } else {
        Err(Misuse::DoubleFree)
    })
}

/// The large block at an address, if the word can be changed to `to`: then the caller owns it.
/// Its word may have been noted meanwhile. An error, too, if bytes after the request are
/// overwritten.
fn claim(block: NonNull<u8>, found: &mut Found, to: *mut Owner) -> Result<(), Misuse> {
    let (mapping, word) = found;
    let entry = map::entry(block.as_ptr().addr()).ok_or(Misuse::Foreign)?;
    // Acquire: all that others did to the block, they did before.
    let (set, seen) = (Ordering::AcqRel, Ordering::Relaxed);
    if let Err(now) = entry.compare_exchange(*word, to, set, seen) {
        let is_only_noted = changed::is_noted(now) && now == changed::noted(*word);
        if !is_only_noted || entry.compare_exchange(now, to, set, seen).is_err() {
            return Err(Misuse::DoubleFree);
        }
        *word = now;
    }
    // SAFETY: the mapping is the caller's.
    if !changed::is_noted(*word) && !unsafe { end::is_intact(*mapping, *word) } {
        publish(*mapping, *word);
        return Err(Misuse::SmashedNext);
    }
    Ok(())
}

/// Frees a large block; with `keep`, its mapping may serve the next one. None if the address is
/// none of a large block.
///
/// # Safety
/// The block is not used any more. (Misuse is reported.)
pub(crate) unsafe fn free(block: NonNull<u8>, keep: bool) -> Option<()> {
    let claimed = find(block)?.and_then(|mut found| {
        claim(block, &mut found, ptr::null_mut())?;
        Ok(found)
    });
    match claimed {
        Ok((mapping, word)) => {
            spares::count_freed(mapping.bytes);
            // SAFETY: claimed above, and not used any more (caller).
            unsafe {
                if keep && !changed::is_noted(word) {
                    spares::retire(mapping);
                } else {
                    spares::discard(mapping);
                }
            }
        }
        Err(misuse) => misuse::report_global(misuse, block.as_ptr()),
    }
    Some(())
}

/// Usable bytes of a large block, 0 if none is in use there; misuse is not reported. None if the
/// address is none of a large block.
pub(crate) fn size_of(block: NonNull<u8>) -> Option<usize> {
    Some(find(block)?.map_or(0, |(mapping, word)| end::usable(mapping, word)))
}

/// Usable bytes of a large block; 0 after misuse, which is reported. None if the address is none of
/// a large block.
pub(crate) fn usable_size(block: NonNull<u8>) -> Option<usize> {
    Some(find(block)?.map_or_else(
        |misuse| {
            misuse::report_global(misuse, block.as_ptr());
            0
        },
        |(mapping, word)| end::usable(mapping, word),
    ))
}

/// Resizes a large block to `bytes`, not 0, where it is or by mapping its pages elsewhere. Null
/// after misuse, which is reported. An error when it is to be copied: its usable bytes; it is
/// unchanged. None if the address is none of a large block.
///
/// # Safety
/// On success the block's former pointer is not used any more.
pub(crate) unsafe fn realloc(block: NonNull<u8>, bytes: usize) -> Option<Result<*mut u8, usize>> {
    let page = memory::page_size();
    let resized = match find(block)? {
        Ok(found) => {
            let (mapping, word) = found;
            match whole(bytes, page) {
                Some(whole)
                    if whole <= mapping.bytes && bytes > MOVED_MOST.min(mapping.bytes / 2) =>
                {
                    shrink(block, found, whole, bytes).map(Ok)
                }
                Some(whole) if whole > mapping.bytes => {
                    // SAFETY: the former pointer is not used on success (caller).
                    unsafe { grow(block, found, whole, bytes, page) }
                }
                _ => Ok(Err(end::usable(mapping, word))),
            }
        }
        Err(misuse) => Err(misuse),
    };
    Some(resized.unwrap_or_else(|misuse| {
        misuse::report_global(misuse, block.as_ptr());
        Ok(ptr::null_mut())
    }))
}

/// Cuts a block's end off, if that is worth it.
fn shrink(
    block: NonNull<u8>,
    mut found: Found,
    bytes: usize,
    request: usize,
) -> Result<*mut u8, Misuse> {
    let mapping = found.0;
    let mut shorter = mapping;
    let tail = cut(&mut shorter, bytes, CUT_LEAST, CUT_PART);
    claim(block, &mut found, end::word(shorter, request))?;
    let word = found.1;
    if changed::is_noted(word) {
        publish(shorter, changed::noted(shorter.word(Use::Block)));
    } else {
        // SAFETY: claimed above; what lies behind the request is not used any more (caller).
        unsafe { end::clear(shorter, request) };
    }
    spares::count_resized(mapping.bytes, shorter.bytes);
    if let Some(tail) = tail {
        // SAFETY: the end of the block, which the word does not describe any more.
        unsafe {
            if changed::is_noted(word) || changed::may_be_unseen(mapping) {
                spares::discard(tail);
            } else {
                spares::retire(tail);
            }
        }
    }
    Ok(block.as_ptr())
}

/// Makes a block longer. An error when the system refuses: its usable bytes; it is unchanged.
///
/// # Safety
/// On success the block's former pointer is not used any more.
unsafe fn grow(
    block: NonNull<u8>,
    mut found: Found,
    bytes: usize,
    request: usize,
    page: usize,
) -> Result<Result<*mut u8, usize>, Misuse> {
    let settings = LargeBlocks::read();
    // Locked pages are all in memory, so none are reserved for later.
    let headroom = if settings.locked() {
        0
    } else {
        (bytes / HEADROOM_PART) & !(page - 1)
    };
    claim(block, &mut found, ptr::null_mut())?;
    let (mapping, word) = found;
    // SAFETY: claimed above or made of a claimed one: this thread's.
    let publish_grown = |grown: Mapping| unsafe {
        if changed::is_noted(word) {
            return publish(grown, changed::noted(grown.word(Use::Block)));
        }
        end::clear(grown, request);
        publish(grown, end::word(grown, request));
    };
    if !changed::is_noted(word)
        && let Some(grown) = grow_into_spare(mapping, bytes)
    {
        spares::count_wanted(grown.bytes - mapping.bytes);
        spares::count_resized(mapping.bytes, grown.bytes);
        publish_grown(grown);
        return Ok(Ok(grown.block()));
    }
    spares::count_mapped(bytes - mapping.bytes);
    // The larger size first: it is a matter of addresses.
    let remapped = |to| {
        // SAFETY: claimed above; the former pointer is not used on success (caller).
        let start = unsafe { memory::remap(block.as_ptr(), mapping.bytes, to, true) }?;
        Some(Mapping {
            start: start.expose_provenance(),
            bytes: to,
        })
    };
    let moved = remapped(bytes.saturating_add(headroom))
        .or_else(|| remapped(bytes))
        // What is kept counts against the limits that the system may have reached.
        .or_else(|| spares::release().then(|| remapped(bytes))?);
    let Some(moved) = moved else {
        publish(mapping, word);
        return Ok(Err(end::usable(mapping, word)));
    };
    spares::count_wanted(bytes - mapping.bytes);
    spares::count_resized(mapping.bytes, moved.bytes);
    if cfg!(feature = "late-checks") {
        spares::release_beyond_limit();
    }
    // If there is no memory for the word either, the block can be used all the same; its free is
    // reported as that of a foreign pointer.
    if map::prepare_moved(moved.start) {
        publish_grown(moved);
    }
    Ok(Ok(moved.block()))
}

/// Makes a block longer by the spare behind it, or moves it into a spare: pages that are in memory
/// are worth more than new ones at the same addresses. None if there is no such spare.
fn grow_into_spare(mapping: Mapping, bytes: usize) -> Option<Mapping> {
    if let Some(behind) = spares::take_behind(mapping, bytes - mapping.bytes) {
        let mut grown = Mapping {
            start: mapping.start,
            bytes: mapping.bytes + behind.bytes,
        };
        retire_tail(&mut grown, bytes, part_to_cut(bytes));
        return Some(grown);
    }
    if bytes - mapping.bytes < mapping.bytes / COPIED_PART {
        return None;
    }
    // A copy would bring the pages into memory that the program has not used.
    if mapping.bytes >= LOOKED_AT_LEAST && !memory::is_in_memory(mapping.block(), mapping.bytes) {
        return None;
    }
    let (mut spare, _) = spares::take(bytes, None, 1)?;
    retire_tail(&mut spare, bytes, part_to_cut(bytes));
    // SAFETY: both are this thread's, and the spare is the longer one. The former block is not used
    // any more.
    unsafe {
        let to = spare.block();
        to.copy_from_nonoverlapping(mapping.block(), mapping.bytes);
        spares::retire(mapping);
    }
    Some(spare)
}
