//! memoman as a C library: `libmemoman.a`, `libmemoman.so` and `include/memoman.h`.
//!
//! This package holds C rules only: NULL handles, C types, what a function answers when the core says no. The
//! allocator is in `memoman-core`, the process-wide heap in `memoman-global`.
#![no_std]
#![allow(
    unreachable_pub,
    reason = "what is exported to C is public, though no Rust program can reach it"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the documentation of an exported function is the header's: its prose states the duties for C"
)]
#![allow(
    non_camel_case_types,
    reason = "the names of the C header are the names here"
)]
#![cfg_attr(
    memoman_debug,
    allow(
        clippy::match_single_binding,
        reason = "where the release library asks whether it is watched, one arm is left here"
    )
)]
#![cfg_attr(
    memoman_small,
    allow(
        dead_code,
        reason = "what is done around a watched call: nobody watches the small library"
    )
)]

mod ffi;
#[cfg(memoman_planted_bug)]
mod planted;

/// Nothing here panics in a release build; a debug build that fails an assertion stops.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(unix)]
    // SAFETY: abort has no precondition.
    unsafe {
        libc::abort()
    }
    #[cfg(not(unix))]
    loop {
        core::hint::spin_loop();
    }
}

// The prebuilt libcore of a debug build refers to the personality routine of unwinding, which nothing calls
// here. Weak and hidden: neither exported nor in the way of another Rust library's.
#[cfg(debug_assertions)]
core::arch::global_asm!(
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality,%function",
    "rust_eh_personality: .4byte 0",
);
