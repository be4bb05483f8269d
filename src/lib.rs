//! memoman as a C library: `libmemoman.a`, `libmemoman.so` and `include/memoman.h`.
//!
//! This package holds C rules only: NULL handles, C types, and the result of a function that the
//! core refuses. The allocator is in `memoman-core`, the process-wide heap in `memoman-global`.
#![no_std]
#![allow(
    unreachable_pub,
    reason = "exports to C are public, though no Rust program can reach them"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the documentation of an exported function is the header's and states duties in C"
)]
#![allow(non_camel_case_types, reason = "types have the names of the C header")]
#![cfg_attr(
    memoman_debug,
    allow(
        clippy::match_single_binding,
        reason = "a match on the release library's watched state has one arm in the debug library"
    )
)]
#![cfg_attr(
    memoman_small,
    allow(
        dead_code,
        reason = "code around a watched call: the small library has no memory checker to inform"
    )
)]

mod ffi;
#[cfg(memoman_planted_bug)]
mod planted;

/// A release build never panics; a debug build stops at a failed assertion.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(any(target_os = "linux", windows))]
    // SAFETY: abort has no precondition.
    unsafe {
        libc::abort()
    }
    #[cfg(not(any(target_os = "linux", windows)))]
    ffi::misuse::trap()
}

// The prebuilt libcore of a debug build refers to the personality routine of unwinding, which is
// never called here. Weak and hidden: not exported, and no conflict with another Rust library's.
#[cfg(all(debug_assertions, target_os = "linux"))]
core::arch::global_asm!(
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality,%function",
    "rust_eh_personality: .4byte 0",
);
