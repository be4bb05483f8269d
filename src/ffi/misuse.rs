//! What a function returns when the core refuses, and where misuse goes: to the instance's error
//! handler, by default one line and abort, or a trap where there is no operating system.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::allocator::{Misuse, Refusal, Tlsf};

/// Reports misuse. When it returns, the call has had no effect and gives NULL, as this does: a caller with nothing else
/// to do then jumps here.
///
/// # Safety
/// The instance is live.
#[cold]
#[inline(never)]
pub(super) unsafe fn misuse(tlsf: Tlsf, misuse: Misuse, address: *const u8) -> *mut c_void {
    #[cfg(unix)]
    // SAFETY: live (caller).
    unsafe {
        memoman_global::fatal::report(tlsf, misuse, address);
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
pub(super) unsafe fn answer(tlsf: Tlsf, result: Result<NonNull<u8>, Refusal>) -> *mut c_void {
    match result {
        Ok(payload) => payload.as_ptr().cast(),
        // SAFETY: live (caller).
        Err(Refusal::Misuse(what, address)) => unsafe { misuse(tlsf, what, address) },
        Err(Refusal::Exhausted | Refusal::Invalid) => ptr::null_mut(),
    }
}
