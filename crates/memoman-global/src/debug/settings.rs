//! The debug library's setting, and the process-wide instance's set-up.

use crate::allocator::Tlsf;
use crate::system::env;

/// `MM_DEBUG_VALIDATE_SHIFT`: the whole heap is validated every 2^N operations.
pub fn validate_shift() -> Option<u32> {
    env::value(c"MM_DEBUG_VALIDATE_SHIFT", shift, b"a number from 0 to 31")
}

pub(crate) fn shift(text: &[u8]) -> Option<u32> {
    let number = match text {
        [digit @ b'0'..=b'9'] => u32::from(digit - b'0'),
        [tens @ b'1'..=b'9', digit @ b'0'..=b'9'] => {
            10 * u32::from(tens - b'0') + u32::from(digit - b'0')
        }
        _ => return None,
    };
    (number <= 31).then_some(number)
}

/// Sets up the process-wide instance: it grows, and validates itself as often as the environment
/// says. Under the lock.
pub(crate) fn prepare(tlsf: Tlsf) {
    // SAFETY: the instance is just created, and under the lock.
    unsafe {
        tlsf.set_grows();
        if let Some(shift) = validate_shift() {
            tlsf.set_validate_shift(shift);
        }
    }
}
