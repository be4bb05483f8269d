//! The calls that led to an operation, by the frame pointers of the program.

use core::mem::size_of;
use core::ptr;

use memoman_debug::site::FRAME;

use crate::system::memory::read;

/// Bytes from the calling function's frame to the outermost one that is looked at.
const SPAN: usize = 8 << 20;
const WORD: usize = size_of::<usize>();

/// Where the two words of a frame lie that lead to the next one, in bytes from the frame pointer's
/// address: the caller's frame pointer, and after it the return address.
const OFFSET: isize = FRAME.0 * WORD as isize;
const _: () = assert!(FRAME.1 == FRAME.0 + 1);

/// Writes the return addresses of the frames from a frame pointer on, as `memoman_debug`'s `Walk`.
///
/// A program without frame pointers has any value in the register. So a frame must lie above this
/// function's, within [`SPAN`], and each one above the one before; and the system reads it, which
/// fails for memory that is not there.
pub(super) fn walk(frame: usize, addresses: &mut [usize]) {
    let here = ptr::from_ref(&frame).addr();
    let (mut frame, mut below) = (frame, here);
    for place in addresses {
        let apart = frame.wrapping_sub(here);
        if frame <= below || apart > SPAN || !frame.is_multiple_of(WORD) {
            break;
        }
        let Some([caller, address]) = read(frame.wrapping_add_signed(OFFSET)) else {
            break;
        };
        if address == 0 {
            break;
        }
        *place = address;
        (below, frame) = (frame, caller);
    }
}
