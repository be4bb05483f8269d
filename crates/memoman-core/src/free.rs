//! Freeing: a block joins its free neighbours at once.
//!
//! ```text
//!  alone      used [ block ] used       →  used [ free  ] used
//!  before     used [ block ][ free ]    →  used [ free          ]
//!  behind     [ free ][ block ] …       →  [ free         ] …
//! ```

use core::ptr::NonNull;

use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, WORD};
use crate::control::Control;
use crate::free_list;
use crate::live::{Live, behind, explain, may_follow};
use crate::misuse::Misuse;
use crate::pools::prev_free_block;
use crate::tlsf::Tlsf;

impl Tlsf {
    /// Frees a block and coalesces it with its free neighbours at once; O(1). On misuse nothing is changed.
    ///
    /// # Safety
    /// The instance is live. The contents of the block are given up. (A pointer that is no live block is found
    /// wherever the headers show it, provided that the memory between the instance's pools can be read.)
    #[inline(always)]
    pub unsafe fn free(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        // SAFETY: the same duties.
        unsafe {
            match self.free_alone(ptr.as_ptr()) {
                Ok(block) => Ok(block),
                Err(Beside::Previous(header)) => self.free_behind_outlined(ptr, header),
                Err(Beside::Next(header, next)) => self.free_before_outlined(ptr, header, next),
                Err(Beside::Misuse) => Err(self.free_refused(ptr)),
            }
        }
    }

    /// The first half of [`Tlsf::free`]: a block between two blocks in use. A caller that wants no frame on this way
    /// makes the other halves its tail calls.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; null, which lies outside every instance's bounds, is no misuse of the caller's.
    #[inline(always)]
    pub unsafe fn free_alone(self, ptr: *mut u8) -> Result<FreeBlock, Beside> {
        let control = self.control();
        let block = Block::at(ptr);
        // SAFETY: live (caller); a header is read only inside the bounds and tested before anything is written.
        unsafe {
            if !(*control).may_be_payload(block.addr()) {
                return Err(Beside::Misuse);
            }
            let header = block.header((*control).cookie);
            if !header.is_plain_used_after_used() {
                return Err(Beside::Previous(header));
            }
            let size = header.size();
            // An overwritten header decodes to a wrong seal, which is a size beyond the bounds.
            if size > (*control).high - block.addr() {
                return Err(Beside::Misuse);
            }
            let next = block.offset(size);
            let next_header = next.header((*control).cookie);
            if !next_header.is_plain_used_behind_used() {
                return Err(Beside::Next(header, next_header));
            }
            // On 32-bit targets no seal vouches for a next block in use: there its size must make sense too.
            if WORD == 4 && (size < BLOCK_MIN || next_header.size() > (*control).high - next.addr())
            {
                return Err(Beside::Misuse);
            }
            next.set_prev_free();
            block.set_free();
            next.set_prev_phys(block);
            (*control).count_freed(size);
            free_list::push_sized(control, block, size);
            Ok(FreeBlock(block))
        }
    }

    /// The second half: a block with a free block before it.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; `header` is what [`Tlsf::free_alone`] has just given.
    #[inline(always)]
    pub unsafe fn free_behind(self, ptr: NonNull<u8>, header: Header) -> Result<FreeBlock, Misuse> {
        // SAFETY: the same duties: the address is inside the bounds and aligned.
        unsafe {
            let Some(live) = behind(self.control(), Block::at(ptr.as_ptr()), header) else {
                return Err(self.free_refused(ptr));
            };
            coalesce(self.control(), &live)
        }
    }

    /// The second half: a block between one in use and a free one or its pool's end.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; the headers are what [`Tlsf::free_alone`] has just given.
    #[inline(always)]
    pub unsafe fn free_before(
        self,
        ptr: NonNull<u8>,
        header: Header,
        next_header: Header,
    ) -> Result<FreeBlock, Misuse> {
        // SAFETY: the same duties: the header has been tested.
        unsafe {
            let block = Block::at(ptr.as_ptr());
            let next = block.offset(header.size());
            let live = Live {
                block,
                header,
                next,
                next_header,
            };
            if !may_follow(self.control(), &live) {
                return Err(self.free_refused(ptr));
            }
            merge_next(self.control(), &live)
        }
    }

    /// One copy of [`Tlsf::free_behind`] for where it is not hot.
    ///
    /// # Safety
    /// As for it.
    #[inline(never)]
    unsafe fn free_behind_outlined(
        self,
        ptr: NonNull<u8>,
        header: Header,
    ) -> Result<FreeBlock, Misuse> {
        // SAFETY: the same duties.
        unsafe { self.free_behind(ptr, header) }
    }

    /// One copy of [`Tlsf::free_before`] for where it is not hot.
    ///
    /// # Safety
    /// As for it.
    #[inline(never)]
    unsafe fn free_before_outlined(
        self,
        ptr: NonNull<u8>,
        header: Header,
        next_header: Header,
    ) -> Result<FreeBlock, Misuse> {
        // SAFETY: the same duties.
        unsafe { self.free_before(ptr, header, next_header) }
    }

    /// Which misuse it was that [`Tlsf::free_alone`] has just found.
    ///
    /// # Safety
    /// As for [`Tlsf::free`].
    #[cold]
    pub unsafe fn free_refused(self, ptr: NonNull<u8>) -> Misuse {
        // SAFETY: the same duties.
        unsafe { explain(self.control(), Block::at(ptr.as_ptr())) }
    }
}

/// A block that [`Tlsf::free`] has just coalesced and listed.
#[derive(Clone, Copy)]
pub struct FreeBlock(pub(crate) Block);

/// Why [`Tlsf::free_alone`] does not free a block.
pub enum Beside {
    /// The block before it is free: its own header.
    Previous(Header),
    /// The block behind it is free or its pool's end: its own header and that one's.
    Next(Header, Header),
    /// It is no block in use, or the next header is overwritten.
    Misuse,
}

/// Frees a block behind one in use. On misuse nothing is changed.
///
/// # Safety
/// `live` has been tested.
#[inline(always)]
unsafe fn merge_next(control: *mut Control, live: &Live) -> Result<FreeBlock, Misuse> {
    // SAFETY: tested (caller); the free neighbour is tested before anything is written.
    unsafe {
        let block = live.block;
        let freed = live.header.size();
        let next_size = live.next_header.size();
        if !live.next_header.is_free() {
            live.next.set_prev_free();
            (*control).count_freed(freed);
            form_free(control, block, freed);
            free_list::push_freed(control, block, freed);
            return Ok(FreeBlock(block));
        }
        let size = freed + next_size;
        if (*control).is_wilderness(live.next, next_size) {
            // The wilderness begins earlier: no bit changes.
            free_list::wilderness_sound_to_merge(control, live.next, live.next_header)?;
            (*control).count_freed(freed);
            form_free(control, block, size);
            free_list::set_wilderness(control, block);
        } else {
            free_list::next_sound_to_merge(control, live.next, live.next_header)?;
            (*control).count_freed(freed);
            free_list::unlink(control, live.next);
            form_free(control, block, size);
            free_list::push_sized(control, block, size);
        }
        Ok(FreeBlock(block))
    }
}

/// Frees a block with any neighbours. On misuse nothing is changed.
///
/// # Safety
/// `live` has been tested.
#[inline(always)]
unsafe fn coalesce(control: *mut Control, live: &Live) -> Result<FreeBlock, Misuse> {
    // SAFETY: tested (caller); both free neighbours are tested before anything is written.
    unsafe {
        let block = live.block;
        let freed = live.header.size();
        let mut size = freed;
        let next_free = live.next_header.is_free();
        if next_free {
            free_list::next_sound_to_merge(control, live.next, live.next_header)?;
        }
        let mut start = block;
        if live.header.is_prev_free() {
            let Some((prev, prev_size)) = prev_free_block(control, block) else {
                return Err(Misuse::SmashedPrev);
            };
            free_list::unlink(control, prev);
            block.set_header((*control).cookie, Header::tombstone());
            start = prev;
            size += prev_size;
        }
        (*control).count_freed(freed);
        if next_free {
            size += live.next_header.size();
            free_list::unlink(control, live.next);
        } else {
            live.next.set_prev_free();
        }
        form_free(control, start, size);
        free_list::push_freed(control, start, size);
        Ok(FreeBlock(start))
    }
}

/// Writes the header of a free block and the ghost at its end. The next header must say PREV_FREE.
///
/// # Safety
/// The bytes are unlinked and nobody's.
#[inline(always)]
pub(crate) unsafe fn form_free(control: *mut Control, block: Block, size: usize) -> Block {
    // SAFETY: the caller's duties.
    unsafe {
        block.set_header((*control).cookie, Header::free(size));
        block.offset(size).set_prev_phys(block);
    }
    block
}
