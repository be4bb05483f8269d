//! The recorder: preloaded in front of any allocator, it writes each call of the malloc family, of
//! C++'s operators and of memoman's handle API into a trace (`docs/book/trace-format.md`).
//!
//! | file | what | uses |
//! |---|---|---|
//! | `clock.rs` | ticks | |
//! | `settings.rs` | what the environment says | |
//! | `path.rs` | paths of traces and of the program | |
//! | `loader.rs` | whether the dynamic linker's lock can be taken | |
//! | `calls.rs` | system calls that are no cancellation points | |
//! | `number.rs` | numbers in a chunk | |
//! | `rules.rs` | how a frame leads to its caller's | |
//! | `mapping.rs` | the mapping that an address lies in | `calls` |
//! | `next.rs` | the definitions behind the interposed ones | |
//! | `file.rs` | the file: its header, space in it | `calls`, `clock`, `path`, `settings` |
//! | `modules.rs` | the table of mapped files | `clock`, `file`, `loader`, `path`, `rules` |
//! | `unwind.rs` | return addresses, by libunwind or libgcc | `loader`, `rules`, `settings` |
//! | `walk.rs` | return addresses, beside those of the event before | `mapping`, `rules`, `thread`, `unwind` |
//! | `lane.rs` | a chunk that is mapped, and the place in it | |
//! | `thread.rs` | the calling thread's words, in static thread-local storage | `stream` |
//! | `stack.rs` | the numbers of a stream's stacks | `lane`, `modules`, `rules`, `unwind`, `walk` |
//! | `stream.rs` | a thread's chunks of the file | `file`, `lane`, `process`, `stack`, `thread` |
//! | `write.rs` | one record | `clock`, `lane`, `settings`, `stack` |
//! | `sample.rs` | one allocation every so many bytes | `clock`, `settings`, `thread` |
//! | `process.rs` | start, fork, end | all but `note`, `write` |
//! | `note.rs` | what the interposed functions report | `process`, `sample`, `stream`, `write` |
//! | `names.rs`, `operators.rs` | the interposed functions | `next`, `note`, `process`, `rules` |
//! | `handles.rs` | those of memoman's handle API | `clock`, `next`, `note`, `write` |
//!
//! Nothing here allocates, and a thread never waits for another one. A signal handler may allocate
//! while its thread writes a record: its events go to the stream's second lane.
#![no_std]
#![allow(
    unreachable_pub,
    reason = "functions exported by name are public, though no Rust program can reach them"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the duties of these functions are those of the C and C++ standards"
)]
#![cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    allow(unused, reason = "the recorder is written for Linux on x86-64")
)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod recorder {
    pub(crate) mod calls;
    pub(crate) mod clock;
    pub(crate) mod file;
    pub(crate) mod handles;
    pub(crate) mod lane;
    pub(crate) mod loader;
    pub(crate) mod mapping;
    pub(crate) mod modules;
    pub(crate) mod names;
    pub(crate) mod next;
    pub(crate) mod note;
    pub(crate) mod number;
    pub(crate) mod operators;
    pub(crate) mod path;
    pub(crate) mod process;
    pub(crate) mod rules;
    pub(crate) mod sample;
    pub(crate) mod settings;
    pub(crate) mod stack;
    pub(crate) mod stream;
    pub(crate) mod thread;
    pub(crate) mod unwind;
    pub(crate) mod walk;
    pub(crate) mod write;
}

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
