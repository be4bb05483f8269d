//! Dump and measure: the core's walks, with what the records say of each block.

use core::ptr::NonNull;

use memoman_core::{DumpFormat, Measure, Seen, Writer};

use crate::block::{Block, EXTRA, State};
use crate::heap::DebugTlsf;

/// What the record of a block in use of the core says.
fn look(base: NonNull<u8>, usable: usize) -> Seen {
    if usable < EXTRA {
        return Seen::Used;
    }
    // SAFETY: a block in use of the core, validated by the walk, with room for record and guard
    // (tested), so its bytes may be read.
    unsafe {
        let block = Block::inside(base.as_ptr(), usable);
        match block.state() {
            Some(State::Live) if block.fits(base.as_ptr(), usable) => {
                Seen::Holds(block.payload(), block.size())
            }
            Some(State::Quarantined) if block.fits(base.as_ptr(), usable) => {
                Seen::HeldBack(block.payload(), block.size())
            }
            _ => Seen::Used,
        }
    }
}

impl DebugTlsf {
    /// `Tlsf::measure`: sizes include the surroundings; blocks in quarantine count as free.
    ///
    /// # Safety
    /// The duties of `Tlsf::measure`.
    pub unsafe fn measure(self) -> Option<Measure> {
        // SAFETY: live (caller).
        unsafe { self.inner().measure_with(look) }
    }

    /// `Tlsf::dump`, with the program's pointer and size of each block.
    ///
    /// # Safety
    /// The duties of `Tlsf::dump`.
    pub unsafe fn dump(self, format: DumpFormat, write: Writer) -> bool {
        // SAFETY: live; `write` changes nothing (caller).
        unsafe { self.inner().dump_with(format, look, true, write) }
    }
}
