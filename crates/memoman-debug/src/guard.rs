//! Guards: bytes around the contents that hold one pattern; and the fill of a freed block.

use memoman_core::Tlsf;
use memoman_core::config::WORD;

use crate::block::{Block, FILL_MAX, FREED, GUARD, GUARD_FILL, State, stack_bytes};
use crate::fault::{Fault, Kind};

/// The first byte of `bytes` at `start` that is not `fill`.
unsafe fn first_other(start: *const u8, bytes: usize, fill: u8) -> Option<*const u8> {
    // SAFETY: the bytes may be read (caller).
    unsafe {
        let pattern = usize::from_ne_bytes([fill; WORD]);
        let mut at = 0;
        while at + WORD <= bytes && start.add(at).cast::<usize>().read_unaligned() == pattern {
            at += WORD;
        }
        (at..bytes)
            .map(|offset| start.add(offset))
            .find(|byte| byte.read() != fill)
    }
}

/// The methods have the duties that [`Block`] states.
impl Block {
    /// What the core's block of `usable` bytes has after guard and stacks.
    unsafe fn slack(self, usable: usize) -> (*mut u8, usize) {
        // SAFETY: the record is sealed (see `Block`).
        let used = unsafe { self.size() + GUARD + stack_bytes(self.frames()) };
        // SAFETY: as above.
        let bytes = usable.saturating_sub(unsafe { self.lead() } + used);
        (self.payload().wrapping_add(used), bytes.min(FILL_MAX))
    }

    /// Makes what a live block has after guard and stacks part of the guard.
    pub(crate) unsafe fn guard_slack(self) {
        // SAFETY: the core's block, whose header is sound, ends after the slack (caller).
        unsafe {
            let (start, bytes) = self.slack(Tlsf::block_size(self.base()));
            start.write_bytes(GUARD_FILL, bytes);
        }
    }

    /// Tests a live block's slack, in the core's block of `usable` bytes.
    pub(crate) unsafe fn slack_intact(self, usable: usize) -> Result<(), Fault> {
        // SAFETY: the core's block has so many bytes (caller).
        unsafe {
            let (start, bytes) = self.slack(usable);
            match first_other(start, bytes, GUARD_FILL) {
                Some(place) => Err(self.fault(Kind::Overflow, place)),
                None => Ok(()),
            }
        }
    }

    /// Tests both guards, and the fill of a block in quarantine.
    pub(crate) unsafe fn intact(self) -> Result<(), Fault> {
        // SAFETY: a block of the core holds the sealed record, contents and guard (see `Block`).
        unsafe {
            let freed = self.state() == Some(State::Quarantined);
            for (guard, kind) in [
                (self.payload().wrapping_sub(GUARD), Kind::Underflow),
                (self.payload().wrapping_add(self.size()), Kind::Overflow),
            ] {
                if let Some(place) = first_other(guard, GUARD, GUARD_FILL) {
                    let kind = if freed { Kind::WriteAfterFree } else { kind };
                    return Err(self.fault(kind, place));
                }
            }
            if freed
                && let Some(place) = first_other(self.payload(), self.size().min(FILL_MAX), FREED)
            {
                return Err(self.fault(Kind::WriteAfterFree, place));
            }
            Ok(())
        }
    }
}
