//! Refusals and misuse as C sees them: a function returns NULL or nothing, and misuse goes to the
//! instance's error handler. The default prints one line and aborts, or traps where there is no
//! operating system.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::allocator::{Misuse, Refusal, Tlsf};

/// Reports misuse. If the handler returns, the call has had no effect and returns NULL; so does
/// this function, so that it can be the call's last step (a jump).
///
/// # Safety
/// The instance is live.
#[cold]
#[inline(never)]
pub(super) unsafe fn misuse(tlsf: Tlsf, misuse: Misuse, address: *const u8) -> *mut c_void {
    #[cfg(any(target_os = "linux", windows))]
    // SAFETY: live instance (caller); the calls on an instance hold no lock of the global package.
    unsafe {
        memoman_global::misuse::report(tlsf, misuse, address);
    }
    #[cfg(not(any(target_os = "linux", windows)))]
    // SAFETY: live instance (caller); the handler is the C function that the user registered.
    unsafe {
        match tlsf.misuse_handler() {
            Some((handler, user)) => handler(misuse.message().as_ptr(), address.cast(), user),
            None => trap(),
        }
    }
    ptr::null_mut()
}

/// Stops a program without an operating system at an instruction that a debugger or the host shows.
#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) fn trap() -> ! {
    #[cfg(any(target_arch = "arm", target_arch = "aarch64"))]
    // SAFETY: the permanently undefined instruction never returns and touches no memory.
    unsafe {
        core::arch::asm!("udf #0", options(noreturn, nostack))
    }
    #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
    // SAFETY: the undefined instruction never returns and touches no memory.
    unsafe {
        core::arch::asm!("unimp", options(noreturn, nostack))
    }
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    // SAFETY: the undefined instruction never returns and touches no memory.
    unsafe {
        core::arch::asm!("ud2", options(noreturn, nostack))
    }
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(any(
        target_arch = "arm",
        target_arch = "aarch64",
        target_arch = "riscv32",
        target_arch = "riscv64",
        target_arch = "x86",
        target_arch = "x86_64",
        target_arch = "wasm32"
    )))]
    loop {
        core::hint::spin_loop();
    }
}

/// The result of an allocation as C sees it: the payload, or NULL after misuse has been reported.
///
/// # Safety
/// The instance is live.
#[inline(always)]
pub(super) unsafe fn answer(tlsf: Tlsf, result: Result<NonNull<u8>, Refusal>) -> *mut c_void {
    match result {
        Ok(payload) => payload.as_ptr().cast(),
        // SAFETY: live instance (caller).
        Err(Refusal::Misuse(what, address)) => unsafe { misuse(tlsf, what, address) },
        Err(Refusal::Exhausted | Refusal::Invalid) => ptr::null_mut(),
    }
}
