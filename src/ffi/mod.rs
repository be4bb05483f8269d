//! The functions of `memoman.h`, one file for each group of the header. cbindgen copies their doc
//! comments into the header, so those are written for C programmers.
//!
//! | file | what |
//! |---|---|
//! | `types.rs` | structs, opaque handles, callback types |
//! | `instance.rs` | sizes and limits; create, reset, destroy; the error handler |
//! | `pools.rs` | add, extend, remove and find pools |
//! | `allocation.rs` | malloc, calloc, memalign, realloc, free, block size |
//! | `inspect.rs` | walks, validation, figures, version |
//! | `dump.rs` | measure and dump |
//! | `observe.rs` | observers, the handler of exhausted requests |
//! | `cache.rs` | the optional cache |
//! | `global.rs` | the `_global` functions, over the package `memoman-global` (Linux and Windows) |
//! | `debug.rs` | the debug library's further function |
//! | `allocator.rs` | the types of this build: the core's, or the debug layer's |
//! | `hot/` | the bodies of malloc, memalign, realloc and free, by build |
//! | `checker/` | marks for AddressSanitizer and valgrind |
//! | `misuse.rs` | refusals and misuse, as C sees them |
//!
//! Rules of the boundary. A `SAFETY` comment that says "boundary rules" means the first three:
//! * A NULL handle is accepted: the function returns NULL or 0, or does nothing.
//! * A handle that is not NULL came from `mm_create…` and has not been destroyed; a pool pointer
//!   came from the instance it is used with and has not been removed. This is the caller's duty in
//!   every function.
//! * One instance is used by one thread at a time; the `_global` functions by any.
//! * No function unwinds: the library is built with `panic = "abort"` and reaches no panic.
//! * Misuse that the core finds goes to [`misuse::misuse`], whose default does not return.

// In the header's order: cbindgen follows these lines. Blank lines keep rustfmt from sorting them.
mod types;

mod instance;

mod pools;

mod allocation;

mod inspect;

mod dump;

mod observe;

mod cache;

#[cfg(any(target_os = "linux", windows))]
mod global;

#[cfg(memoman_debug)]
mod debug;

// What the exported functions are built on.
mod allocator;
mod checker;
mod hot;
pub(crate) mod misuse;

use core::ffi::c_int;
use core::ptr;

use allocator::{Tlsf, Violation};
use checker::Session;
use types::mm_allocator_t;

/// The instance of a C handle.
///
/// # Safety
/// `handle` is NULL or that of a live instance.
#[inline(always)]
unsafe fn instance(handle: *const mm_allocator_t) -> Option<Tlsf> {
    // SAFETY: NULL or a live instance (caller).
    unsafe { Tlsf::from_raw(handle.cast_mut().cast()) }
}

/// The instance of a C handle, open for a call that is not one of `hot/`.
///
/// # Safety
/// `handle` is NULL or that of a live instance.
#[inline(always)]
unsafe fn session(handle: *const mm_allocator_t) -> Option<Session> {
    // SAFETY: NULL or a live instance (caller).
    unsafe { instance(handle).map(|tlsf| Session::open(tlsf)) }
}

/// The C handle of an instance; NULL for none.
fn handle(tlsf: Option<Tlsf>) -> *mut mm_allocator_t {
    tlsf.map_or(ptr::null_mut(), |tlsf| tlsf.as_raw().cast())
}

/// Whether validation found nothing. The debug library prints what it found, with what it knows of
/// the block.
fn is_sound(found: Option<Violation>) -> bool {
    #[cfg(all(memoman_debug, any(target_os = "linux", windows)))]
    if let Some(found) = &found {
        memoman_global::debug::print(&found.fault);
    }
    found.is_none()
}

/// A C truth value: 1 or 0.
fn truth(value: bool) -> c_int {
    c_int::from(value)
}
