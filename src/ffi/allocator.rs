//! The types of this build's allocator: the core's, or those of the debug layer around it.

#[cfg(not(memoman_debug))]
pub(super) use memoman_core::Step;
pub(super) use memoman_core::{Cursor, Pool, Stats};
#[cfg(not(memoman_debug))]
pub(super) use memoman_core::{Misuse, Refusal, Tlsf, Violation};
#[cfg(memoman_debug)]
pub(super) use memoman_debug::{DebugTlsf as Tlsf, Fault as Misuse, Refusal, Step, Violation};
