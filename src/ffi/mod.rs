//! The functions of `memoman.h`, one file for each group. Their documentation here *is* the header's.
//!
//! Rules of this boundary, stated once:
//! * A NULL handle is tolerated: the function gives NULL, 0 or nothing.
//! * A handle that is not NULL came from `mm_create…` and has not been destroyed; a pool pointer came from
//!   the instance it is used with and has not been removed. This is the caller's duty in every function.
//! * One instance is used by one thread at a time; the `_global` functions by any.
//! * No function unwinds: the library is built with `panic = "abort"` and reaches no panic.
//! * Misuse that the core finds goes to [`misuse`], whose default does not return.

// In the header's order, which is the order of these lines: blank lines keep rustfmt from sorting them.
mod types;

mod instance;

mod pools;

mod allocation;

#[cfg_attr(memoman_debug, path = "plain.rs")]
#[cfg_attr(memoman_small, path = "small.rs")]
mod hot;

mod inspect;

#[cfg(unix)]
mod global;

#[cfg(not(memoman_debug))]
mod watch;

#[cfg_attr(memoman_debug, path = "unwatched.rs")]
mod watched;

use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};

use memoman_debug::allocator::{Misuse, Refusal, Tlsf, Violation};
use types::mm_allocator_t;
use watched::Session;

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

/// Reports misuse. When it returns, the call has had no effect and gives NULL, as this does: a caller with nothing else
/// to do then jumps here.
///
/// # Safety
/// The instance is live.
#[cold]
#[inline(never)]
unsafe fn misuse(tlsf: Tlsf, misuse: Misuse, address: *const u8) -> *mut c_void {
    #[cfg(unix)]
    // SAFETY: live (caller).
    unsafe {
        memoman_global::misuse::report(tlsf, misuse, address);
    }
    #[cfg(not(unix))]
    // SAFETY: live (caller); the handler is the user's C function.
    unsafe {
        match tlsf.misuse_handler() {
            Some((handler, user)) => handler(misuse.message().as_ptr(), address.cast(), user),
            None => trap(),
        }
    }
    ptr::null_mut()
}

/// Stops a bare-metal program at an instruction that the debugger shows.
#[cfg(not(unix))]
fn trap() -> ! {
    #[cfg(any(target_arch = "arm", target_arch = "aarch64"))]
    // SAFETY: the permanently undefined instruction ends the program's normal flow; nothing is touched.
    unsafe {
        core::arch::asm!("udf #0", options(noreturn, nostack))
    }
    #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("unimp", options(noreturn, nostack))
    }
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("ud2", options(noreturn, nostack))
    }
    #[cfg(not(any(
        target_arch = "arm",
        target_arch = "aarch64",
        target_arch = "riscv32",
        target_arch = "riscv64",
        target_arch = "x86",
        target_arch = "x86_64"
    )))]
    loop {
        core::hint::spin_loop();
    }
}

/// An allocation's outcome as C sees it.
///
/// # Safety
/// The instance is live.
#[inline(always)]
unsafe fn answer(tlsf: Tlsf, result: Result<NonNull<u8>, Refusal>) -> *mut c_void {
    match result {
        Ok(payload) => payload.as_ptr().cast(),
        // SAFETY: live (caller).
        Err(Refusal::Misuse(what, address)) => unsafe { misuse(tlsf, what, address) },
        Err(Refusal::Exhausted | Refusal::Invalid) => ptr::null_mut(),
    }
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
