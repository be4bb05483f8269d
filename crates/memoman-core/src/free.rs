//! Freeing: a block merges with its free neighbours at once. [`crate::front`] says how the paths
//! are divided.
//!
//! ```text
//!  alone      used [ block ] used       →  used [ free  ] used
//!  before     used [ block ][ free ]    →  used [ free          ]
//!  after      [ free ][ block ] …       →  [ free         ] …
//! ```

use core::ptr::NonNull;

use crate::block::{Block, FreeBlock, Header};
use crate::config::{BLOCK_MIN, WORD};
use crate::control::Control;
use crate::free_list;
use crate::front::{Front, Returned};
use crate::instance::Tlsf;
use crate::misuse::Misuse;
use crate::returned::{explain, live, may_follow, prev_free_block};

impl Tlsf {
    /// Frees a block and coalesces it with its free neighbours at once; O(1). On misuse nothing is
    /// changed.
    ///
    /// # Safety
    /// The instance is live. The contents of the block are given up. (A pointer that is no live
    /// block is detected wherever the header checks find it, provided that the memory between the
    /// instance's pools can be read.)
    #[inline(always)]
    pub unsafe fn free(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        // SAFETY: live instance, contents given up (caller).
        unsafe { self.free_for::<Returned>(ptr.as_ptr()) }
    }

    /// [`Tlsf::free`], compiled once for callers that are not hot.
    ///
    /// # Safety
    /// The duties of [`Tlsf::free`].
    #[inline(always)]
    pub unsafe fn free_outlined(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        // SAFETY: the caller's duties.
        match unsafe { free_any(self.control(), ptr) } {
            (None, block) => Ok(FreeBlock(block)),
            (Some(misuse), _) => Err(misuse),
        }
    }

    /// [`Tlsf::free`] for a front. The fast path frees a block between two blocks in use.
    ///
    /// # Safety
    /// The instance is live, and the contents of the block are given up. `ptr` may be null, which
    /// lies outside every instance's bounds.
    #[inline(always)]
    pub unsafe fn free_for<F: Front>(self, ptr: *mut u8) -> F::Freed {
        let control = self.control();
        let block = Block::returned(ptr);
        // SAFETY: live instance (caller); a header is read only inside the bounds and tested before
        // anything is written.
        unsafe {
            if !(*control).may_be_payload(block.addr()) {
                return not_inside::<F>(self, ptr);
            }
            let header = block.header((*control).cookie);
            if !header.is_plain_used_after_used() {
                return if F::COMPACT {
                    free_compact::<F>(self, ptr)
                } else {
                    free_after::<F>(self, ptr, header)
                };
            }
            let size = header.size();
            let next = block.offset(size);
            // A sealed size does not wrap around; on 32-bit targets, which have no seal, it may.
            let beyond = if WORD == 8 {
                next.addr() > (*control).high
            } else {
                size > (*control).high - block.addr()
            };
            if beyond {
                return not_freed::<F>(self, ptr, None);
            }
            let next_header = next.header((*control).cookie);
            if !next_header.is_possible_used_after_used() {
                return if F::COMPACT {
                    free_compact::<F>(self, ptr)
                } else {
                    free_before::<F>(self, ptr, header, next_header)
                };
            }
            if !in_use_makes_sense(control, size, next, next_header) {
                return not_freed::<F>(self, ptr, None);
            }
            next.set_prev_free();
            block.set_free();
            next.set_prev_phys(block);
            (*control).count_freed(size);
            free_list::push_sized(control, block, size);
            F::freed(FreeBlock(block))
        }
    }

    /// The misuse of `ptr` that a freeing call has just found.
    ///
    /// # Safety
    /// The instance is live, and memory between its pools' outer bounds may be read.
    #[cold]
    pub unsafe fn free_refused(self, ptr: NonNull<u8>) -> Misuse {
        // SAFETY: live instance, readable bounds (caller).
        unsafe { explain(self.control(), Block::returned(ptr.as_ptr())) }
    }
}

/// Frees a block, one path for every kind of neighbour. Returns the misuse found, or the free block
/// that it has become or joined: two registers, where a `Result` takes memory.
///
/// # Safety
/// The duties of [`Tlsf::free`].
#[inline(never)]
unsafe fn free_any(control: *mut Control, ptr: NonNull<u8>) -> (Option<Misuse>, Block) {
    // SAFETY: live instance, contents given up (caller); the block and both neighbours are tested
    // before anything is written.
    unsafe {
        let old = match live(control, ptr) {
            Ok(old) => old,
            Err(misuse) => return (Some(misuse), Block::returned(ptr.as_ptr())),
        };
        let freed = old.header.size();
        let mut next_size = 0;
        if old.next_header.is_free() {
            next_size = old.next_header.size();
            if let Err(misuse) = free_list::next_sound_to_merge(control, old.next, next_size) {
                return (Some(misuse), old.block);
            }
        }
        let mut start = old.block;
        let mut size = freed + next_size;
        if old.header.is_prev_free() {
            let Some((prev, prev_size, links)) = prev_free_block(control, old.block) else {
                return (Some(Misuse::SmashedPrev), old.block);
            };
            links.unlink(control);
            old.block.set_header((*control).cookie, Header::tombstone());
            start = prev;
            size += prev_size;
        }
        (*control).count_freed(freed);
        if next_size == 0 {
            old.next.set_prev_free();
        } else {
            // Its links are read again: the two blocks may have been neighbours in one list.
            free_list::unlink_outlined(control, old.next);
        }
        form_free((*control).cookie, start, size);
        free_list::push_freed(control, start, size);
        (None, start)
    }
}

/// Frees a block that is not between two in use, for a compact front.
///
/// # Safety
/// The instance is live, and the contents of the block are given up. `ptr` lies inside the bounds.
#[inline(always)]
unsafe fn free_compact<F: Front>(tlsf: Tlsf, ptr: *mut u8) -> F::Freed {
    // SAFETY: the caller's duties; null lies outside the bounds.
    unsafe {
        match tlsf.free_outlined(NonNull::new_unchecked(ptr)) {
            Ok(block) => F::freed(block),
            Err(misuse) => F::not_freed(tlsf, ptr, Some(misuse)),
        }
    }
}

/// Frees a block whose previous block is in use and whose next one is free or its pool's end.
///
/// # Safety
/// The instance is live, and the contents of the block are given up. [`Tlsf::free_for`] has read
/// the headers of the block and of the next one, and tested the first.
#[inline(never)]
unsafe fn free_before<F: Front>(
    tlsf: Tlsf,
    ptr: *mut u8,
    header: Header,
    next_header: Header,
) -> F::Freed {
    let control = tlsf.control();
    let block = Block::returned(ptr);
    let freed = header.size();
    let next = block.offset(freed);
    // SAFETY: live instance, tested header (caller); the free neighbour is tested before anything
    // is written.
    unsafe {
        let Some(next_size) = next_header.free_size() else {
            // A pool's end: the next block is not one in use here.
            if next_header.is_free() || !may_follow(control, freed, next, next_header) {
                return not_freed::<F>(tlsf, ptr, None);
            }
            next.set_prev_free();
            (*control).count_freed(freed);
            form_free((*control).cookie, block, freed);
            free_list::push_freed(control, block, freed);
            return F::freed(FreeBlock(block));
        };
        // An overwritten header decodes to a wrong seal, which is a size beyond the bounds.
        let room = (*control).high - next.addr();
        if !is_possible(header, next_size) || next_size > room {
            return not_freed::<F>(tlsf, ptr, None);
        }
        let size = freed + next_size;
        if next_size == room {
            // The wilderness grows downward: no bit changes.
            if free_list::wilderness_sound_to_merge(control, next, next_size).is_err() {
                return not_merged::<F>(tlsf, ptr, next, next_size);
            }
            (*control).count_freed(freed);
            form_free((*control).cookie, block, size);
            free_list::set_wilderness(control, block);
        } else {
            let Ok(links) = free_list::next_sound_to_merge(control, next, next_size) else {
                return not_merged::<F>(tlsf, ptr, next, next_size);
            };
            (*control).count_freed(freed);
            links.unlink(control);
            form_free((*control).cookie, block, size);
            free_list::push_sized(control, block, size);
        }
        F::freed(FreeBlock(block))
    }
}

/// Frees a block whose previous block is free and whose next one is in use. The block itself is
/// tested first.
///
/// # Safety
/// The instance is live, and the contents of the block are given up. [`Tlsf::free_for`] has found
/// the address aligned and inside the bounds, and has read the block's header.
#[inline(never)]
unsafe fn free_after<F: Front>(tlsf: Tlsf, ptr: *mut u8, header: Header) -> F::Freed {
    let control = tlsf.control();
    // SAFETY: live instance, aligned address inside the bounds (caller); block and neighbours are
    // tested before anything is written.
    unsafe {
        let block = Block::returned(ptr);
        let freed = header.size();
        if !header.is_plain_used() || freed > (*control).high - block.addr() {
            return not_freed::<F>(tlsf, ptr, None);
        }
        let next = block.offset(freed);
        let next_header = next.header((*control).cookie);
        if !next_header.is_possible_used_after_used() {
            return free_between::<F>(tlsf, ptr, header, next_header);
        }
        if !in_use_makes_sense(control, freed, next, next_header) {
            return not_freed::<F>(tlsf, ptr, None);
        }
        let Some((prev, prev_size, links)) = prev_free_block(control, block) else {
            return not_freed::<F>(tlsf, ptr, Some(Misuse::SmashedPrev));
        };
        let size = prev_size + freed;
        let cookie = (*control).cookie;
        (*control).count_freed(freed);
        links.unlink(control);
        block.set_header(cookie, Header::tombstone());
        next.set_prev_free();
        form_free(cookie, prev, size);
        free_list::push_sized(control, prev, size);
        F::freed(FreeBlock(prev))
    }
}

/// Frees a block whose previous block is free and whose next one is free or its pool's end.
///
/// # Safety
/// The instance is live, and the contents of the block are given up. [`free_after`] has read the
/// headers of the block and of the next one, and tested the first.
#[inline(never)]
unsafe fn free_between<F: Front>(
    tlsf: Tlsf,
    ptr: *mut u8,
    header: Header,
    next_header: Header,
) -> F::Freed {
    let control = tlsf.control();
    let block = Block::returned(ptr);
    let freed = header.size();
    let next = block.offset(freed);
    let next_size = next_header.free_size();
    // SAFETY: live instance; the header is tested (caller), so the next one lies inside the bounds;
    // both neighbours are tested before anything is written.
    unsafe {
        if let Some(next_size) = next_size {
            if !is_possible(header, next_size) || next_size > (*control).high - next.addr() {
                return not_freed::<F>(tlsf, ptr, None);
            }
            if free_list::next_sound_to_merge(control, next, next_size).is_err() {
                return not_merged::<F>(tlsf, ptr, next, next_size);
            }
        } else if next_header.is_free() || !may_follow(control, freed, next, next_header) {
            return not_freed::<F>(tlsf, ptr, None);
        }
        let Some((prev, prev_size, links)) = prev_free_block(control, block) else {
            return not_freed::<F>(tlsf, ptr, Some(Misuse::SmashedPrev));
        };
        links.unlink(control);
        block.set_header((*control).cookie, Header::tombstone());
        let mut size = freed + prev_size;
        (*control).count_freed(freed);
        if let Some(next_size) = next_size {
            // Its links are read again: the two blocks may have been neighbours in one list.
            size += next_size;
            free_list::unlink(control, next);
        } else {
            next.set_prev_free();
        }
        form_free((*control).cookie, prev, size);
        free_list::push_freed(control, prev, size);
        F::freed(FreeBlock(prev))
    }
}

/// Ends a call that frees nothing, since the free block after `ptr` has failed its tests. They are
/// repeated for the misuse, which the fast path does not keep.
///
/// # Safety
/// The instance is live; `next`, of `size` bytes, is free by its header and inside the bounds.
#[cold]
#[inline(never)]
unsafe fn not_merged<F: Front>(tlsf: Tlsf, ptr: *mut u8, next: Block, size: usize) -> F::Freed {
    let control = tlsf.control();
    // SAFETY: live instance, a next block inside the bounds (caller).
    unsafe {
        let misuse = if (*control).is_wilderness(next, size) {
            free_list::wilderness_sound_to_merge(control, next, size).err()
        } else {
            free_list::next_sound_to_merge(control, next, size).err()
        };
        F::not_freed(tlsf, ptr, misuse)
    }
}

/// Ends a call whose pointer lies outside the pools' bounds, or on an intercepted instance.
///
/// # Safety
/// The instance is live.
#[inline(never)]
unsafe fn not_inside<F: Front>(tlsf: Tlsf, ptr: *mut u8) -> F::Freed {
    // SAFETY: live instance (caller).
    unsafe { F::not_inside(tlsf, ptr) }
}

/// Ends a call that frees nothing.
///
/// # Safety
/// The instance is live.
#[cold]
#[inline(never)]
unsafe fn not_freed<F: Front>(tlsf: Tlsf, ptr: *mut u8, misuse: Option<Misuse>) -> F::Freed {
    // SAFETY: live instance (caller).
    unsafe { F::not_freed(tlsf, ptr, misuse) }
}

/// Whether the sizes of a block and of a next block in use are possible. On 64-bit targets the
/// seals confirm it; 32-bit headers have none.
///
/// # Safety
/// The instance is live.
#[inline(always)]
unsafe fn in_use_makes_sense(
    control: *mut Control,
    size: usize,
    next: Block,
    next_header: Header,
) -> bool {
    // SAFETY: live instance (caller).
    WORD == 8
        || (size >= BLOCK_MIN && next_header.size() <= unsafe { (*control).high } - next.addr())
}

/// Whether the sizes of a block and of a free next block are possible. On 64-bit targets the test
/// of what lies after a free block finds a size that no block has.
#[inline(always)]
fn is_possible(header: Header, next_size: usize) -> bool {
    WORD == 8 || (header.size() >= BLOCK_MIN && next_size >= BLOCK_MIN)
}

/// Forms and lists a free block, for calls that are not hot.
///
/// # Safety
/// The instance is live; `size` bytes at `block` lie in one of its pools, unlisted, and their
/// contents are given up. The next header has PREV_FREE set.
#[inline(always)]
pub(crate) unsafe fn list_free(control: *mut Control, block: Block, size: usize) {
    // SAFETY: live instance; unlisted bytes whose contents are given up (caller).
    unsafe {
        form_free((*control).cookie, block, size);
        free_list::push_outlined(control, block, size);
    }
}

/// Writes the header of a free block and the `prev_phys` at its end. The next header must have
/// PREV_FREE set.
///
/// # Safety
/// `size` bytes at `block` lie in a pool of a live instance with this cookie, unlisted, and their
/// contents are given up.
#[inline(always)]
pub(crate) unsafe fn form_free(cookie: usize, block: Block, size: usize) -> Block {
    // SAFETY: the bytes lie in a pool of a live instance, unlisted and given up (caller); the
    // header after them exists, since every pool ends with a sentinel.
    unsafe {
        block.set_header(cookie, Header::free(size));
        block.offset(size).set_prev_phys(block);
    }
    block
}
