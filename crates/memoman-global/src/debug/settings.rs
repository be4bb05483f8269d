//! The debug library's setting, and the process-wide instance's set-up.

use core::sync::atomic::{AtomicBool, Ordering};

use memoman_debug::By;
use memoman_debug::site::STACK_MAX;

use crate::allocator::Tlsf;
use crate::debug::stack;
use crate::system::env;

/// Sets up a new instance as the environment says: `MM_DEBUG_VALIDATE_SHIFT`, the whole heap is
/// validated every 2^N operations; `MM_DEBUG_STACK`, the number of return addresses of a call.
///
/// # Safety
/// The instance is live, and has not allocated a block.
pub unsafe fn configure(tlsf: Tlsf) {
    let shift = env::value(c"MM_DEBUG_VALIDATE_SHIFT", shift, b"a number from 0 to 31");
    let stack = env::value(c"MM_DEBUG_STACK", depth, b"a number from 1 to 16");
    // SAFETY: a live instance without blocks (caller).
    unsafe {
        if let Some(shift) = shift {
            tlsf.set_validate_shift(shift);
        }
        if let Some(addresses) = stack {
            tlsf.set_stack(addresses as usize, stack::walk);
        }
    }
}

pub(crate) fn shift(text: &[u8]) -> Option<u32> {
    number(text).filter(|number| *number <= 31)
}

pub(crate) fn depth(text: &[u8]) -> Option<u32> {
    number(text).filter(|number| (1..=STACK_MAX as u32).contains(number))
}

/// A number of one or two digits, without leading zeros.
fn number(text: &[u8]) -> Option<u32> {
    match text {
        [digit @ b'0'..=b'9'] => Some(u32::from(digit - b'0')),
        [tens @ b'1'..=b'9', digit @ b'0'..=b'9'] => {
            Some(10 * u32::from(tens - b'0') + u32::from(digit - b'0'))
        }
        _ => None,
    }
}

/// Sets up the process-wide instance: it grows, and has the settings of the environment. Under the
/// lock.
pub(crate) fn prepare(tlsf: Tlsf) {
    // SAFETY: the instance is just created, and under the lock.
    unsafe {
        tlsf.set_grows();
        configure(tlsf);
    }
    let families = env::value(c"MM_DEBUG_FAMILIES", env::switch, b"0 or 1");
    if families == Some(false) {
        mix_families();
    }
}

/// Functions of one family may free blocks of another: with `MM_DEBUG_FAMILIES=0`, and after
/// [`mix_families`].
static MIXED: AtomicBool = AtomicBool::new(false);

/// From here on, functions of one family may free blocks of another.
pub fn mix_families() {
    MIXED.store(true, Ordering::Relaxed);
}

/// What is tested when this function frees a block.
pub(crate) fn tested(by: By) -> By {
    if MIXED.load(Ordering::Relaxed) {
        By {
            family: None,
            align: None,
            ..by
        }
    } else {
        by
    }
}
