//! Marks in the mappings that are kept for the next large blocks: a write after free of a large
//! block is found when the mapping is used again or returned, and at exit.
//!
//! With the feature `late-checks` only. The mark takes the first bytes, where the program has most
//! likely written; the end of a block that was cut may take a fresh page for it.

use crate::process::mapping_word::Mapping;
#[cfg(feature = "late-checks")]
use crate::{
    allocator::Misuse,
    process::{map, mapping_word::Use, misuse},
};

/// Words of a mark.
#[cfg(feature = "late-checks")]
const WORDS: usize = 8;
/// A word of the mark, XORed with its address: that of no pointer and of no text.
#[cfg(feature = "late-checks")]
const MARK: usize = 0x8F1E_ED0A_D97A_93B5_u64 as usize;

/// Calls `visit` with each word of a mapping's mark, and what it is to hold.
#[cfg(feature = "late-checks")]
fn all(mapping: Mapping, mut visit: impl FnMut(*mut usize, usize) -> bool) -> bool {
    let first: *mut usize = mapping.block().cast();
    (0..WORDS).all(|index| {
        let word = first.wrapping_add(index);
        visit(word, MARK ^ word.addr())
    })
}

/// Marks a mapping that is about to be kept.
///
/// # Safety
/// The mapping is this thread's, and nothing in it is used any more.
#[inline]
pub(crate) unsafe fn set(mapping: Mapping) {
    #[cfg(feature = "late-checks")]
    all(mapping, |word, mark| {
        // SAFETY: in the first unit of the mapping, which is this thread's (caller).
        unsafe { word.write(mark) };
        true
    });
    let _ = mapping;
}

/// Reports a mapping that was kept and has been written to since.
///
/// # Safety
/// The mapping is this thread's, its word in the map is that of a spare, and the calling thread
/// holds no lock and is in no heap.
#[inline]
pub(crate) unsafe fn test(mapping: Mapping) {
    #[cfg(feature = "late-checks")]
    {
        let word = map::owner_outlined(mapping.start);
        let marked = Mapping::of_word(word, mapping.start) == Some((mapping, Use::Spare(false)));
        // SAFETY: in the first unit of the mapping, which is this thread's (caller).
        if marked && !all(mapping, |word, mark| unsafe { word.read() } == mark) {
            misuse::report_global(Misuse::SmashedLink, mapping.block());
        }
    }
    let _ = mapping;
}
