//! The allocator's types for this crate: memoman-core's, or under `--cfg memoman_debug` those of
//! memoman-debug, which have the same interface.

pub use memoman_core::{Cursor, Pool, Stats};
#[cfg(not(memoman_debug))]
pub use memoman_core::{FreePlace, Misuse, Refusal, Step, Tlsf, Violation};
#[cfg(memoman_debug)]
pub use memoman_debug::{DebugTlsf as Tlsf, Fault as Misuse, Refusal, Step, Violation};

/// Alignment of every payload.
pub(crate) const ALIGN: usize = Tlsf::ALIGN;
/// Bytes of a live block's header, which precedes its payload.
#[cfg(not(memoman_debug))]
pub(crate) const HEADER: usize = Tlsf::ALLOC_OVERHEAD;
