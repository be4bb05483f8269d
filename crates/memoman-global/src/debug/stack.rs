//! The calls that led to an operation, by the frame pointers of the program.

use core::mem::{offset_of, size_of};
use core::ptr;

use memoman_debug::site::FRAME;

use crate::system::errno::{errno, set_errno};

/// Bytes from the calling function's frame to the outermost one that is looked at.
const SPAN: usize = 8 << 20;

/// The two words of a frame that lead to the next one, in the order of addresses.
#[repr(C)]
struct Words {
    caller: usize,
    address: usize,
}

/// Where these words lie, in bytes from the frame pointer's address.
const OFFSET: isize = FRAME.0 * size_of::<usize>() as isize;
const _: () = assert!(FRAME.1 == FRAME.0 + 1 && offset_of!(Words, address) == size_of::<usize>());

/// Writes the return addresses of the frames from a frame pointer on, as `memoman_debug`'s `Walk`.
///
/// A program without frame pointers has any value in the register. So a frame must lie above this
/// function's, within [`SPAN`], and each one above the one before; and the system reads it, which
/// fails for memory that is not there.
pub(super) fn walk(frame: usize, addresses: &mut [usize]) {
    let here = ptr::from_ref(&frame).addr();
    let saved = errno();
    let (mut frame, mut below) = (frame, here);
    for place in addresses {
        let apart = frame.wrapping_sub(here);
        if frame <= below || apart > SPAN || !frame.is_multiple_of(size_of::<usize>()) {
            break;
        }
        let Some(words) = read(frame.wrapping_add_signed(OFFSET)) else {
            break;
        };
        if words.address == 0 {
            break;
        }
        *place = words.address;
        (below, frame) = (frame, words.caller);
    }
    set_errno(saved);
}

/// Reads words of this process that may not be there.
fn read(from: usize) -> Option<Words> {
    let mut words = Words {
        caller: 0,
        address: 0,
    };
    let to = libc::iovec {
        iov_base: (&raw mut words).cast(),
        iov_len: size_of::<Words>(),
    };
    let place = libc::iovec {
        iov_base: ptr::without_provenance_mut(from),
        iov_len: size_of::<Words>(),
    };
    // SAFETY: the system writes at most the bytes of `words`, and checks the place that it reads.
    let bytes = unsafe { libc::process_vm_readv(libc::getpid(), &to, 1, &place, 1, 0) };
    (bytes == size_of::<Words>() as isize).then_some(words)
}
