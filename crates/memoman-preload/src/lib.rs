//! The preload shim: the names that unmodified programs call. What they do is in `contract.rs`; the heap is in `memoman-global`.
//!
//! | file | names |
//! |---|---|
//! | `names.rs` | malloc, free and the rest of the C library's family, `__libc_` aliases |
//! | `inspect.rs` | mallinfo, mallopt, malloc_trim, malloc_stats |
//! | `operators.rs` | C++'s operator new and delete |
//!
//! Nothing here uses thread-local storage, runs a constructor or destructor, or is ever torn down.
#![no_std]
#![allow(
    unreachable_pub,
    reason = "what is exported by name is public, though no Rust program can reach it"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the duties of these functions are those of the C and C++ standards"
)]

mod contract;
mod inspect;
mod names;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod operators;

/// Nothing here panics in a release build; a debug build that fails an assertion stops.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort has no precondition.
    unsafe { libc::abort() }
}

// The prebuilt libcore of a debug build refers to the personality routine of unwinding, which nothing calls
// here. Weak and hidden: not exported, and in nobody's way.
#[cfg(debug_assertions)]
core::arch::global_asm!(
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality,%function",
    "rust_eh_personality: .4byte 0",
);
