//! The end of a large block's request, in the shim (feature `late-checks`, 64-bit): at least
//! [`LEAST`] bytes of the mapping follow it. They are zero, and tested when the block is freed or
//! resized: an overflow has left other bytes there.
//!
//! Pages from the system are zero already, so nothing is written for it in a fresh mapping; the
//! test reads the last page. The distance of the end from the mapping's lies in the block's word in
//! the map; 0, and nothing is tested, where it does not fit. Elsewhere all distances are 0.

use crate::process::map::Owner;
use crate::process::mapping_word::{Mapping, Use};

pub(crate) use noted::LEAST;

/// The word of a block with this request.
pub(crate) fn word(mapping: Mapping, request: usize) -> *mut Owner {
    let bits = noted::bits(noted::distance(mapping, request));
    mapping.word(Use::Block).map_addr(|word| word | bits)
}

/// Usable bytes of the block with this word: the request, if it is known.
pub(crate) fn usable(mapping: Mapping, word: *mut Owner) -> usize {
    mapping.bytes - noted::distance_in(word.addr())
}

/// Clears the bytes after a request. Fresh pages need no clearing.
///
/// # Safety
/// The mapping is this thread's, and the bytes after the request are not used.
#[inline]
pub(crate) unsafe fn clear(mapping: Mapping, request: usize) {
    let bytes = noted::tested(noted::distance(mapping, request));
    // SAFETY: inside the mapping, behind the request (caller).
    unsafe {
        let end = mapping.block().add(request);
        if bytes == noted::TESTED_MOST {
            // A constant length: no call of `memset`.
            end.write_bytes(0, noted::TESTED_MOST);
        } else {
            end.write_bytes(0, bytes);
        }
    }
}

/// The bytes after the request of the block with this word are as they were.
///
/// # Safety
/// The mapping may be read.
#[inline]
pub(crate) unsafe fn is_intact(mapping: Mapping, word: *mut Owner) -> bool {
    let request = usable(mapping, word);
    let bytes = noted::tested(mapping.bytes - request);
    if bytes == noted::TESTED_MOST {
        // SAFETY: inside the mapping (caller).
        return unsafe { noted::is_zero(mapping.block().add(request)) };
    }
    // Without a branch for each byte.
    let all = (request..request + bytes).fold(0, |all, at| {
        // SAFETY: inside the mapping (caller).
        all | unsafe { mapping.block().add(at).read() }
    });
    all == 0
}

#[cfg(all(feature = "late-checks", target_pointer_width = "64"))]
mod noted {
    use crate::process::mapping_word::{END_SHIFT, Mapping};

    /// Bytes that a mapping has at least beyond the request.
    pub(crate) const LEAST: usize = crate::allocator::ALIGN;

    /// The bytes of the mapping beyond the request; 0 if they are too many for the word.
    pub(super) fn distance(mapping: Mapping, request: usize) -> usize {
        let distance = mapping.bytes - request;
        if distance == distance_in(bits(distance)) {
            distance
        } else {
            0
        }
    }

    pub(super) const TESTED_MOST: usize = 64;

    /// Bytes after a request that are cleared and tested.
    pub(super) fn tested(distance: usize) -> usize {
        distance.min(TESTED_MOST)
    }

    /// [`TESTED_MOST`] bytes are zero.
    ///
    /// # Safety
    /// They may be read.
    #[inline(always)]
    pub(super) unsafe fn is_zero(bytes: *const u8) -> bool {
        // SAFETY: the duties of the caller; the read has no alignment.
        let [a, b, c, d] = unsafe { bytes.cast::<[u128; TESTED_MOST / 16]>().read_unaligned() };
        a | b | c | d == 0
    }

    pub(super) fn bits(distance: usize) -> usize {
        distance << END_SHIFT
    }

    pub(super) fn distance_in(word: usize) -> usize {
        word >> END_SHIFT
    }
}

#[cfg(not(all(feature = "late-checks", target_pointer_width = "64")))]
mod noted {
    use crate::process::mapping_word::Mapping;

    pub(crate) const LEAST: usize = 0;
    pub(super) const TESTED_MOST: usize = 0;

    pub(super) unsafe fn is_zero(_: *const u8) -> bool {
        true
    }

    pub(super) fn distance(_: Mapping, _: usize) -> usize {
        0
    }

    pub(super) fn tested(_: usize) -> usize {
        0
    }

    pub(super) fn bits(_: usize) -> usize {
        0
    }

    pub(super) fn distance_in(_: usize) -> usize {
        0
    }
}
