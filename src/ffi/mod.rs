//! The functions of `memoman.h`, one file for each group. Their documentation here *is* the header's.
//!
//! Rules of this boundary, stated once:
//! * A NULL handle is tolerated: the function gives NULL, 0 or nothing.
//! * A handle that is not NULL came from `mm_create…` and has not been destroyed; a pool pointer came from
//!   the instance it is used with and has not been removed. This is the caller's duty in every function.
//! * One instance is used by one thread at a time; the `_global` functions by any.
//! * No function unwinds: the library is built with `panic = "abort"` and reaches no panic.
//! * Misuse that the core finds goes to [`misuse::misuse`], whose default does not return.

// In the header's order, which is the order of these lines: blank lines keep rustfmt from sorting them.
mod types;

mod instance;

mod pools;

mod allocation;

mod inspect;

#[cfg(unix)]
mod global;

// Below the exported functions.
mod allocator;
mod checker;
mod hot;
mod misuse;

use core::ffi::c_int;
use core::ptr;

use allocator::{Tlsf, Violation};
use checker::Session;
use types::mm_allocator_t;

/// The instance behind a C handle.
///
/// # Safety
/// The boundary's rule on handles.
#[inline(always)]
unsafe fn instance(handle: *const mm_allocator_t) -> Option<Tlsf> {
    // SAFETY: NULL or a live instance (boundary rule).
    unsafe { Tlsf::from_raw(handle.cast_mut().cast()) }
}

/// The same, open for a call other than the hot ones.
///
/// # Safety
/// The boundary's rule on handles.
#[inline(always)]
unsafe fn session(handle: *const mm_allocator_t) -> Option<Session> {
    // SAFETY: NULL or a live instance (boundary rule).
    unsafe { instance(handle).map(|tlsf| Session::open(tlsf)) }
}

/// The C handle of an instance that may not have come about.
fn handle(tlsf: Option<Tlsf>) -> *mut mm_allocator_t {
    tlsf.map_or(ptr::null_mut(), |tlsf| tlsf.as_raw().cast())
}

/// Nothing was found. What was is printed by the debug library, which may know the block.
fn is_sound(found: Option<Violation>) -> bool {
    #[cfg(all(memoman_debug, unix))]
    if let Some(found) = &found {
        memoman_global::debug::print(&found.fault);
    }
    found.is_none()
}

/// C's truth value.
fn truth(value: bool) -> c_int {
    c_int::from(value)
}
