//! Time, in steps of a few milliseconds, for Windows.

use crate::system::windows::GetTickCount64;

/// Milliseconds of a clock that does not go back.
pub(crate) fn milliseconds() -> usize {
    // SAFETY: no precondition.
    unsafe { GetTickCount64() as usize }
}
