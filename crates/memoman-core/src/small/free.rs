//! Freeing in the small build: one way for every kind of neighbour.

use core::ptr::NonNull;

use crate::block::{Block, Header};
use crate::control::Control;
use crate::free_list;
use crate::live::{behind, explain};
use crate::misuse::Misuse;
use crate::pools::prev_free_block;
use crate::tlsf::Tlsf;

/// A block that [`Tlsf::free`] has just coalesced and listed.
#[derive(Clone, Copy)]
pub struct FreeBlock(pub(crate) Block);

/// The headers of a block in use and of what lies behind it, tested as `live` tests them; a size of 0 when they do not
/// make sense. Two words, so that they are given in registers.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[inline(never)]
pub(crate) unsafe fn headers(control: *mut Control, block: Block) -> (Header, Header) {
    // SAFETY: live (caller); the header is read only of an aligned address inside the bounds.
    unsafe {
        if (*control).may_be_payload(block.addr())
            && let Some(live) = behind(control, block, block.header((*control).cookie))
        {
            (live.header, live.next_header)
        } else {
            (Header::used(0), Header::used(0))
        }
    }
}

impl Tlsf {
    /// Frees a block and coalesces it with its free neighbours at once; O(1). On misuse nothing is changed.
    ///
    /// # Safety
    /// The instance is live. The contents of the block are given up. (A pointer that is no live block is found
    /// wherever the headers show it, provided that the memory between the instance's pools can be read.)
    pub unsafe fn free(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        let control = self.control();
        let mut block = Block::at(ptr.as_ptr());
        // SAFETY: live (caller); the block and both neighbours are tested before anything is written.
        unsafe {
            let (header, next_header) = headers(control, block);
            let freed = header.size();
            if freed == 0 {
                return Err(explain(control, block));
            }
            let next = block.offset(freed);
            if next_header.is_free()
                && let Some(misuse) = free_list::next_sound_to_merge(control, next)
            {
                return Err(misuse);
            }
            let mut size = freed;
            if header.is_prev_free() {
                let Some((prev, prev_size)) = prev_free_block(control, block) else {
                    return Err(Misuse::SmashedPrev);
                };
                free_list::unlink(control, prev);
                block.set_header((*control).cookie, Header::tombstone());
                block = prev;
                size += prev_size;
            }
            if next_header.is_free() {
                free_list::unlink(control, next);
                size += next_header.size();
            }
            (*control).count_freed(freed);
            free_list::list(control, block, size);
            Ok(FreeBlock(block))
        }
    }
}
