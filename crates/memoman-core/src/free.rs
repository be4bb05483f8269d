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
use crate::instance::Tlsf;
use crate::misuse::Misuse;
use crate::returned::{explain, may_follow, prev_free_block};

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
                // Builds with assertions take both ways by turns: so the tests reach what only C calls otherwise.
                #[cfg(debug_assertions)]
                Err(beside) if (*self.control()).live_blocks & 1 == 0 => {
                    self.free_by_halves(ptr, beside)
                }
                Err(beside) => self.free_beside(ptr, beside),
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
            if !in_use_makes_sense(control, size, next, next_header) {
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

    /// The second half: a block between one in use and a free one or its pool's end. `None` is the misuse that
    /// [`Tlsf::free_refused`] tells; so it is for the other halves.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; the headers are what [`Tlsf::free_alone`] has just given.
    #[inline(always)]
    pub unsafe fn free_before(
        self,
        ptr: *mut u8,
        header: Header,
        next_header: Header,
    ) -> Result<FreeBlock, Option<Misuse>> {
        let control = self.control();
        // SAFETY: the same duties: the header has been tested; so is the free neighbour before anything is written.
        unsafe {
            let block = Block::at(ptr);
            let freed = header.size();
            let next = block.offset(freed);
            let Some(next_size) = next_header.free_size() else {
                // Only a pool's end: a next block in use is not given here.
                if next_header.is_free() || !may_follow(control, freed, next, next_header) {
                    return Err(None);
                }
                next.set_prev_free();
                (*control).count_freed(freed);
                form_free(control, block, freed);
                free_list::push_freed(control, block, freed);
                return Ok(FreeBlock(block));
            };
            // A header that has been overwritten decodes to a wrong seal: a size beyond the bounds.
            let room = (*control).high - next.addr();
            if !is_possible(header, next_size) || next_size > room {
                return Err(None);
            }
            let size = freed + next_size;
            if next_size == room {
                // The wilderness begins earlier: no bit changes.
                free_list::wilderness_sound_to_merge(control, next, next_size)?;
                (*control).count_freed(freed);
                form_free(control, block, size);
                free_list::set_wilderness(control, block);
            } else {
                let links = free_list::next_sound_to_merge(control, next, next_size)?;
                (*control).count_freed(freed);
                links.unlink(control);
                form_free(control, block, size);
                free_list::push_sized(control, block, size);
            }
            Ok(FreeBlock(block))
        }
    }

    /// The second half: a block with a free block before it and one in use behind it.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; `header` is what [`Tlsf::free_alone`] has just given.
    #[inline(always)]
    pub unsafe fn free_behind(self, ptr: *mut u8, header: Header) -> Result<FreeBlock, Beside> {
        let control = self.control();
        // SAFETY: the same duties: the address is inside the bounds and aligned; all else is tested before anything is
        // written.
        unsafe {
            let block = Block::at(ptr);
            let freed = header.size();
            if !header.is_plain_used() || freed > (*control).high - block.addr() {
                return Err(Beside::Misuse);
            }
            let next = block.offset(freed);
            let next_header = next.header((*control).cookie);
            if !next_header.is_plain_used_behind_used() {
                return Err(Beside::Both(header, next_header));
            }
            if !in_use_makes_sense(control, freed, next, next_header) {
                return Err(Beside::Misuse);
            }
            let Some((prev, prev_size, links)) = prev_free_block(control, block) else {
                return Err(Beside::SmashedPrev);
            };
            let size = prev_size + freed;
            (*control).count_freed(freed);
            links.unlink(control);
            block.set_header((*control).cookie, Header::tombstone());
            next.set_prev_free();
            form_free(control, prev, size);
            free_list::push_sized(control, prev, size);
            Ok(FreeBlock(prev))
        }
    }

    /// Any block, whatever its neighbours: the second half where it is not hot.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; the headers are the block's and the next one's, the first tested as [`Tlsf::free_alone`] or
    /// [`Tlsf::free_behind`] does.
    #[inline(always)]
    pub unsafe fn free_between(
        self,
        ptr: *mut u8,
        header: Header,
        next_header: Header,
    ) -> Result<FreeBlock, Option<Misuse>> {
        let control = self.control();
        // SAFETY: the free neighbours are tested before anything is written.
        unsafe {
            let block = Block::at(ptr);
            let mut size = header.size();
            let next = block.offset(size);
            let next_size = next_header.free_size();
            if let Some(next_size) = next_size {
                if !is_possible(header, next_size) || next_size > (*control).high - next.addr() {
                    return Err(None);
                }
                free_list::next_sound_to_merge(control, next, next_size)?;
            } else if next_header.is_free() || !may_follow(control, size, next, next_header) {
                return Err(None);
            }
            let mut start = block;
            if header.is_prev_free() {
                let Some((prev, prev_size, links)) = prev_free_block(control, block) else {
                    return Err(Some(Misuse::SmashedPrev));
                };
                links.unlink(control);
                block.set_header((*control).cookie, Header::tombstone());
                start = prev;
                size += prev_size;
            }
            (*control).count_freed(header.size());
            if let Some(next_size) = next_size {
                // Its links are read anew: the two may have been neighbours in one list.
                size += next_size;
                free_list::unlink(control, next);
            } else {
                next.set_prev_free();
            }
            form_free(control, start, size);
            free_list::push_freed(control, start, size);
            Ok(FreeBlock(start))
        }
    }

    /// The second half of [`Tlsf::free`].
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; `beside` is what [`Tlsf::free_alone`] has just given.
    #[inline(never)]
    unsafe fn free_beside(self, ptr: NonNull<u8>, beside: Beside) -> Result<FreeBlock, Misuse> {
        let control = self.control();
        let block = Block::at(ptr.as_ptr());
        // SAFETY: the same duties; the next header is read only when the size stays inside the bounds.
        unsafe {
            let headers = match beside {
                Beside::Next(header, next) => Some((header, next)),
                Beside::Previous(header)
                    if header.is_plain_used()
                        && header.size() <= (*control).high - block.addr() =>
                {
                    let next = block.offset(header.size());
                    Some((header, next.header((*control).cookie)))
                }
                _ => None,
            };
            headers
                .ok_or(None)
                .and_then(|(header, next)| self.free_between(block.payload(), header, next))
                .map_err(|misuse| misuse.unwrap_or_else(|| self.free_refused(ptr)))
        }
    }

    /// The second half of [`Tlsf::free`] as the C functions have it.
    ///
    /// # Safety
    /// As for `free_beside`.
    #[cfg(debug_assertions)]
    #[inline(never)]
    unsafe fn free_by_halves(self, ptr: NonNull<u8>, beside: Beside) -> Result<FreeBlock, Misuse> {
        let block = ptr.as_ptr();
        // SAFETY: the same duties.
        unsafe {
            let result = match beside {
                Beside::Previous(header) => match self.free_behind(block, header) {
                    Ok(freed) => Ok(freed),
                    Err(Beside::Both(header, next)) => self.free_between(block, header, next),
                    Err(Beside::SmashedPrev) => Err(Some(Misuse::SmashedPrev)),
                    Err(_) => Err(None),
                },
                Beside::Next(header, next) => self.free_before(block, header, next),
                _ => Err(None),
            };
            result.map_err(|misuse| misuse.unwrap_or_else(|| self.free_refused(ptr)))
        }
    }

    /// Which misuse it was that one of the halves has just found.
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

/// Why [`Tlsf::free_alone`] or [`Tlsf::free_behind`] does not free a block.
pub enum Beside {
    /// The block before it is free: its own header.
    Previous(Header),
    /// The block behind it is free or its pool's end: its own header and that one's.
    Next(Header, Header),
    /// Both of these.
    Both(Header, Header),
    /// The free block before it is overwritten.
    SmashedPrev,
    /// It is no block in use, or the next header is overwritten.
    Misuse,
}

/// On 32-bit targets no seal vouches for a block and a next block in use: there their sizes must make sense too.
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
    // SAFETY: live (caller).
    WORD == 8
        || (size >= BLOCK_MIN && next_header.size() <= unsafe { (*control).high } - next.addr())
}

/// The same for a free next block. (With a seal, a size that no block has is seen by what would lie behind it.)
#[inline(always)]
fn is_possible(header: Header, next_size: usize) -> bool {
    WORD == 8 || (header.size() >= BLOCK_MIN && next_size >= BLOCK_MIN)
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
