//! The end of a large block's request, in the shim (feature `late-checks`, 64-bit): at least
//! [`LEAST`] bytes of the mapping follow it. They are zero, and tested when the block is freed or
//! resized: an overflow has left other bytes there.
//!
//! Pages from the system are zero already, so no fresh page is touched for it. The distance of the
//! end from the mapping's lies in the block's word in the map; 0, and nothing is tested, where it
//! does not fit.

use crate::process::map::Owner;
use crate::process::mapping_word::{Mapping, Use};

/// Bytes that a mapping has at least beyond the request.
#[cfg(all(feature = "late-checks", target_pointer_width = "64"))]
pub(crate) const LEAST: usize = crate::allocator::ALIGN;
#[cfg(not(all(feature = "late-checks", target_pointer_width = "64")))]
pub(crate) const LEAST: usize = 0;

/// The word of a block with this request.
pub(crate) fn word(mapping: Mapping, request: usize) -> *mut Owner {
    let word = mapping.word(Use::Block);
    #[cfg(all(feature = "late-checks", target_pointer_width = "64"))]
    return word.map_addr(|word| word | noted::distance(mapping, request) << noted::END_SHIFT);
    #[cfg(not(all(feature = "late-checks", target_pointer_width = "64")))]
    {
        let _ = request;
        word
    }
}

/// Usable bytes of the block with this word: the request, if it is known.
pub(crate) fn usable(mapping: Mapping, word: *mut Owner) -> usize {
    #[cfg(all(feature = "late-checks", target_pointer_width = "64"))]
    return mapping.bytes - (word.addr() >> noted::END_SHIFT);
    #[cfg(not(all(feature = "late-checks", target_pointer_width = "64")))]
    {
        let _ = word;
        mapping.bytes
    }
}

/// Clears the bytes after a request. Fresh pages need no clearing.
///
/// # Safety
/// The mapping is this thread's, and the bytes after the request are not used.
#[inline]
pub(crate) unsafe fn clear(mapping: Mapping, request: usize) {
    #[cfg(all(feature = "late-checks", target_pointer_width = "64"))]
    {
        let bytes = noted::distance(mapping, request).min(noted::TESTED);
        // SAFETY: inside the mapping, behind the request (caller).
        unsafe { mapping.block().add(request).write_bytes(0, bytes) };
    }
    let _ = (mapping, request);
}

/// The bytes after the request of the block with this word are as they were.
///
/// # Safety
/// The mapping may be read.
#[inline]
pub(crate) unsafe fn is_intact(mapping: Mapping, word: *mut Owner) -> bool {
    #[cfg(all(feature = "late-checks", target_pointer_width = "64"))]
    {
        let request = usable(mapping, word);
        let bytes = (mapping.bytes - request).min(noted::TESTED);
        // SAFETY: inside the mapping (caller).
        (request..request + bytes).all(|at| unsafe { mapping.block().add(at).read_volatile() } == 0)
    }
    #[cfg(not(all(feature = "late-checks", target_pointer_width = "64")))]
    {
        let _ = (mapping, word);
        true
    }
}

#[cfg(all(feature = "late-checks", target_pointer_width = "64"))]
mod noted {
    pub(super) use crate::process::mapping_word::END_SHIFT;
    use crate::process::mapping_word::Mapping;

    /// Bytes that are cleared and tested.
    pub(super) const TESTED: usize = 64;

    /// The bytes of the mapping beyond the request; 0 if they are too many for the word.
    pub(super) fn distance(mapping: Mapping, request: usize) -> usize {
        let distance = mapping.bytes - request;
        if distance < 1 << (usize::BITS - END_SHIFT) {
            distance
        } else {
            0
        }
    }
}
