//! The preload shim: memoman under the names that unmodified programs call. The heap is in
//! `memoman-global`.
//!
//! | file | what |
//! |---|---|
//! | `contract.rs` | the rules of C, POSIX and glibc |
//! | `names.rs` | malloc, free and the rest of the C library's family, `__libc_` aliases |
//! | `inspect.rs` | mallinfo, mallopt, malloc_info, malloc_trim, malloc_stats |
//! | `operators.rs`, `registers.rs` | C++'s operator new and delete |
//! | `loading.rs` | dlopen, dlmopen; what announces threads and filters |
//! | `limits.rs` | mmap, pthread_create: kept memory goes where a limit refuses a call |
//! | `pages.rs` | mprotect, madvise, mlock: large blocks whose pages are not kept; mlockall |
//! | `trace.rs` | `MEMOMAN_TRACE`: the program starts anew under the recorder |
//! | `bound.rs`, `next.rs` | the definitions of a name: the bound one, the next one |
//!
//! Nothing here uses thread-local storage, runs a destructor, or is torn down. There are two
//! constructors: `loading.rs` looks names up, `trace.rs` starts the program anew.
#![no_std]
#![allow(
    unreachable_pub,
    reason = "functions exported by name are public, though no Rust program can reach them"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the duties of these functions are those of the C and C++ standards"
)]

mod bound;
mod contract;
mod inspect;
mod limits;
mod loading;
mod names;
mod next;
mod operators;
mod pages;
mod registers;
mod trace;

#[cfg(not(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "s390x"
    )
)))]
compile_error!("the shim is written for Linux on x86-64, AArch64, RISC-V and s390x, 64-bit");

/// A release build never panics; an assertion that fails in a debug build aborts.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort has no precondition.
    unsafe { libc::abort() }
}

// The prebuilt libcore of a debug build refers to the personality routine of unwinding, which is
// never called here. Weak and hidden: not exported, and in conflict with no other definition.
#[cfg(debug_assertions)]
core::arch::global_asm!(
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality,%function",
    "rust_eh_personality: .4byte 0",
);
