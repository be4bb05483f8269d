//! The calling thread's words, in static thread-local storage (the initial-exec model): reading
//! them takes two instructions, and no allocation is ever made for them.

use core::arch::{asm, global_asm};
use core::sync::atomic::AtomicUsize;

use super::stream::Stream;

/// One thread's words. Signal handlers of the thread see them too.
#[repr(C)]
pub(crate) struct Thread {
    /// The life of the process that the other words belong to: [`process`](super::process).
    pub(crate) life: u32,
    /// The number in the trace.
    pub(crate) number: u32,
    /// For each lane: the stack pointer of the call that writes to it, 0 when none does. A handler
    /// may leave by `siglongjmp`, so a call may be dead: [`note`](super::note).
    pub(crate) owners: [AtomicUsize; 2],
    /// The stream that the thread writes to, or null.
    pub(crate) stream: *mut Stream,
    /// Bytes to allocate before the next sampled allocation.
    pub(crate) left: i64,
    /// State of the random numbers; 0 before the first one.
    pub(crate) random: u64,
    /// The call of the handle API that is being served: its stack pointer, 0 when none is.
    pub(crate) served: AtomicUsize,
    /// The heap of that call.
    pub(crate) heap: usize,
}

const SIZE: usize = 64;
const _: () = assert!(size_of::<Thread>() <= SIZE);

/// The life of a thread that has recorded nothing. No process has it.
pub(crate) const NO_LIFE: u32 = 1;

global_asm!(
    ".pushsection .tdata.memoman_record_thread,\"awT\",@progbits",
    ".balign 64",
    ".globl memoman_record_thread",
    ".hidden memoman_record_thread",
    ".type memoman_record_thread,@tls_object",
    ".size memoman_record_thread,{size}",
    "memoman_record_thread:",
    ".long {no_life}",
    ".zero {size} - 4",
    ".popsection",
    size = const SIZE,
    no_life = const NO_LIFE,
);

/// The stack pointer: a frame that this one has called, or that a signal handler has, is below it.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let pointer: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {0}, rsp", out(reg) pointer, options(nostack, nomem)) };
    pointer
}

/// Whether the call with that stack pointer (not 0) has ended without a word: a `siglongjmp` has
/// left it. A frame at or above it runs, and it is no handler's on a stack of its own.
#[cold]
#[inline(never)]
pub(crate) fn is_dead(owner: usize, now: usize) -> bool {
    if owner > now {
        return false;
    }
    // SAFETY: zeros are valid; the call writes to it.
    unsafe {
        let mut stack: libc::stack_t = core::mem::zeroed();
        libc::sigaltstack(core::ptr::null(), &mut stack) == 0
            && stack.ss_flags & libc::SS_ONSTACK == 0
    }
}

/// The calling thread's words: valid as long as the thread runs.
#[inline(always)]
pub(crate) fn current() -> *mut Thread {
    let thread: *mut Thread;
    // SAFETY: the dynamic linker has put the words' distance from the thread pointer, at `fs:0`,
    // into the global offset table.
    unsafe {
        asm!(
            "mov {0}, qword ptr fs:[0]",
            "add {0}, qword ptr [rip + memoman_record_thread@GOTTPOFF]",
            out(reg) thread,
            options(nostack, pure, readonly),
        );
    }
    thread
}
