//! A walk over the free blocks, bin by bin, in parts.

use core::ptr::{self, NonNull};

use crate::block::Block;
use crate::config::{BLOCK_MIN, HEADER};
use crate::control::Control;
use crate::instance::Tlsf;
use crate::returned::prev_free_block;
use crate::size_class::floor_bin;

/// A place in the lists of free blocks: [`Tlsf::walk_free`]. All-zero: the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreePlace {
    bin: usize,
    /// The next block of the bin; null: the first one.
    block: *mut u8,
}

impl FreePlace {
    /// Before all free blocks.
    pub const FIRST: FreePlace = FreePlace {
        bin: 0,
        block: ptr::null_mut(),
    };

    /// Goes on to the next bin: a call may have changed this one's list. True if that leaves blocks
    /// out.
    pub fn leave_bin(&mut self) -> bool {
        let within = !self.block.is_null();
        if within {
            self.bin += 1;
            self.block = ptr::null_mut();
        }
        within
    }
}

impl Tlsf {
    /// Calls `f` with payload and usable bytes of free blocks of at least `least` bytes, the least
    /// size of a bin, up to `limit` of them, from `place` on, and moves it on; at the first place
    /// again after the last block. O(`limit` + bins). An overwritten block ends its bin.
    ///
    /// # Safety
    /// The instance is live, and memory between its pools' outer bounds may be read. Since the last
    /// walk from `place` no call has changed the instance, or [`FreePlace::leave_bin`] has been
    /// called. `f` makes no call on the instance, and keeps a block's first two words and its last
    /// one.
    pub unsafe fn walk_free(
        self,
        place: &mut FreePlace,
        least: usize,
        limit: usize,
        f: &mut dyn FnMut(NonNull<u8>, usize),
    ) {
        let control = self.control();
        let mut count = 0;
        // SAFETY: live instance (caller): `top_bin` bounds the heads; a place's block is listed in
        // its bin, as it was (caller); a link is followed only inside the instance's bounds, and a
        // block is one if its header and the copy of its address behind it agree.
        unsafe {
            while place.bin <= (*control).top_bin {
                let head = Control::head(control, place.bin).read();
                let mut block = if place.block.is_null() {
                    head
                } else {
                    Block::at(place.block)
                };
                while block != Control::list_end(control) && (*control).may_be_payload(block.addr())
                {
                    if count == limit {
                        if block != head {
                            place.block = block.payload();
                        }
                        return;
                    }
                    let size = block.header((*control).cookie).free_size().unwrap_or(0);
                    // The wilderness, alone in its bin, has any size.
                    if size < least.max(BLOCK_MIN) || size > (*control).high - block.addr() {
                        break;
                    }
                    let next = block.offset(size);
                    if !next.header((*control).cookie).is_prev_free()
                        || prev_free_block(control, next).is_none_or(|(same, ..)| same != block)
                    {
                        break;
                    }
                    if let Some(payload) = NonNull::new(block.payload()) {
                        f(payload, size - HEADER);
                        count += 1;
                    }
                    block = block.next_free();
                }
                place.bin = (place.bin + 1).max(floor_bin(least));
                place.block = ptr::null_mut();
            }
        }
        *place = FreePlace::FIRST;
    }
}
