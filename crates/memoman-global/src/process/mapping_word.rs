//! A large block's word in the map: the whole description of the mapping that begins in a unit.
//!
//! ```text
//!  63 ... 45     44 ... 5     4 3       2        1        0
//!  end           pages        offset    clean    spare    1
//! ```
//! (Without `end`, 63 ... 5 are the pages.)
//!
//! `pages`: bytes of the mapping in steps of [`STEP`]. `offset`: of its first byte in the unit, in
//! the same steps. `spare`: no block; a mapping kept for the next one. `clean`: a spare that reads
//! as zero.
//!
//! `end`, of a block, in the shim: `process/mapping_end.rs`.
//!
//! `clean` without `spare`: with pages, a block that `process/mapping_changed.rs` has noted; with
//! nothing else, a unit of a region of the process-wide instance, which can be read.
//!
//! A mapping is at least a unit long, so no two begin in one unit, and none begins in a unit of a
//! region, as regions are whole units.

use core::ptr;

use crate::process::map::{Owner, UNIT};

/// The step of starts and sizes: every page size of the supported systems is a multiple of it.
pub(crate) const STEP: usize = 4096;

const TAG: usize = 1;
const SPARE: usize = 2;
const CLEAN: usize = 4;
const OFFSET_SHIFT: u32 = 3;
const PAGES_SHIFT: u32 = 5;
/// Above the pages of mappings of up to 4 PiB. Larger requests are refused.
#[cfg(all(feature = "late-checks", target_pointer_width = "64"))]
pub(crate) const END_SHIFT: u32 = 45;
#[cfg(all(feature = "late-checks", target_pointer_width = "64"))]
const WITHOUT_END: usize = (1 << END_SHIFT) - 1;
#[cfg(not(all(feature = "late-checks", target_pointer_width = "64")))]
const WITHOUT_END: usize = usize::MAX;
/// The largest mapping that a word describes.
pub(crate) const MAPPING_MOST: usize = if WITHOUT_END == usize::MAX {
    isize::MAX as usize
} else {
    (WITHOUT_END >> PAGES_SHIFT) * STEP
};

const _: () = assert!(UNIT / STEP == 1 << (PAGES_SHIFT - OFFSET_SHIFT));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A live block.
    Block,
    /// Kept for the next block; with true, it reads as zero.
    Spare(bool),
}

/// A mapping: a large block, or one kept for the next. Both fields are multiples of [`STEP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: usize,
    pub(crate) bytes: usize,
}

impl Mapping {
    /// The address of the first byte after it.
    pub(crate) fn end(self) -> usize {
        self.start + self.bytes
    }

    pub(crate) fn block(self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.start)
    }

    /// The word that describes it.
    pub(crate) fn word(self, used: Use) -> *mut Owner {
        let offset = self.start % UNIT / STEP;
        let used = match used {
            Use::Block => 0,
            Use::Spare(false) => SPARE,
            Use::Spare(true) => SPARE | CLEAN,
        };
        ptr::without_provenance_mut(
            ((self.bytes / STEP) << PAGES_SHIFT) | (offset << OFFSET_SHIFT) | used | TAG,
        )
    }

    /// What the word of the unit at `address` describes; None if it is a heap or null.
    pub(crate) fn of_word(word: *mut Owner, address: usize) -> Option<(Mapping, Use)> {
        let word = word.addr();
        if word & TAG == 0 || word == REGION {
            return None;
        }
        let offset = (word >> OFFSET_SHIFT) % (UNIT / STEP) * STEP;
        let mapping = Mapping {
            start: (address & !(UNIT - 1)) + offset,
            bytes: ((word & WITHOUT_END) >> PAGES_SHIFT) * STEP,
        };
        let used = match word & (SPARE | CLEAN) {
            0 => Use::Block,
            CLEAN if cfg!(feature = "late-checks") => Use::Block,
            word => Use::Spare(word & CLEAN != 0),
        };
        Some((mapping, used))
    }
}

/// The word of a block, or of a noted one.
pub(crate) fn changed(word: *mut Owner) -> *mut Owner {
    word.map_addr(|word| word | CLEAN)
}

/// The block with this word is noted.
pub(crate) fn is_changed(word: *mut Owner) -> bool {
    word.addr() & (TAG | SPARE | CLEAN) == TAG | CLEAN
}

/// The word of a large block or of a region: no heap's.
pub(crate) fn is_large<T>(word: *mut T) -> bool {
    word.addr() & TAG != 0
}

/// The word of a unit of a region that no thread heap has. (Not that of a thread without a heap,
/// see `thread/lifetime.rs`.)
const REGION: usize = TAG | CLEAN;

pub(crate) fn region() -> *mut Owner {
    ptr::without_provenance_mut(REGION)
}
