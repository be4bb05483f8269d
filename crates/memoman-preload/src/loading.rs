//! `dlopen` and `dlmopen` without `RTLD_DEEPBIND`; the function behind `pthread_atfork`, which
//! announces that there will be threads, as those do that start one (`limits.rs`); `prctl`, which
//! announces that system calls will be filtered.
//!
//! A library that is loaded with the flag finds the C library's `malloc` family before this one's,
//! while the C library's own functions call this one's: blocks would get from one heap to the
//! other. So the flag is dropped.
//!
//! The fork handlers are registered before the first thread starts: a process with one thread needs
//! none, and registering them takes 100 KiB of the C library's pages into memory.
//!
//! A filter may end the process at a system call that the C library makes seldom, and to look for
//! one takes such a call. So the heap does without those calls once `prctl` is to install a filter,
//! or to permit that.
//!
//! The functions *jump* to the next definitions, which take their return address for the caller's:
//! its RUNPATH and namespace count.

use core::arch::naked_asm;
use core::ffi::{c_int, c_void};

use crate::next::Next;
use crate::operators::look_up_operators;

/// The definition to jump to.
extern "C" fn next_definition(next: &Next) -> *const c_void {
    let found = next.definition();
    if found.is_null() {
        (no_library as extern "C" fn() -> *mut c_void) as *const c_void
    } else {
        found
    }
}

/// No library can be loaded: no other definition exists.
extern "C" fn no_library() -> *mut c_void {
    core::ptr::null_mut()
}

/// [`next_definition`] of the function behind `pthread_atfork`.
extern "C" fn next_after_announcement(next: &Next) -> *const c_void {
    memoman_global::expect_threads();
    look_up();
    let found = next.definition();
    if found.is_null() {
        (no_handlers as extern "C" fn() -> c_int) as *const c_void
    } else {
        found
    }
}

/// [`next_definition`] of `prctl`, with its first argument.
extern "C" fn next_before_filter(next: &Next, option: c_int) -> *const c_void {
    if matches!(option, libc::PR_SET_NO_NEW_PRIVS | libc::PR_SET_SECCOMP) {
        memoman_global::expect_filter();
    }
    let found = next.definition();
    if found.is_null() {
        (no_call as extern "C" fn() -> c_int) as *const c_void
    } else {
        found
    }
}

/// No other definition of `prctl` exists.
extern "C" fn no_call() -> c_int {
    memoman_global::set_errno(libc::ENOSYS);
    -1
}

/// No handlers can be registered: no other definition exists.
extern "C" fn no_handlers() -> c_int {
    libc::ENOMEM
}

/// Looks up what a thread may call while another one waits for it with the dynamic linker's lock
/// held, in the constructor of a library that is being loaded: so no lookup takes that lock then.
pub(crate) fn look_up() {
    for one in [&REGISTER_ATFORK, &PRCTL] {
        let _ = one.definition();
    }
    crate::limits::look_up();
}

/// [`look_up`] when this library is loaded: a thread that the C library starts by itself is not
/// announced, and its first call registers the fork handlers.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = {
    extern "C" fn at_load() {
        look_up();
        look_up_operators();
        crate::pages::look_up();
    }
    at_load
};

static DLOPEN: Next = Next::of(c"dlopen");
static DLMOPEN: Next = Next::of(c"dlmopen");
static PRCTL: Next = Next::of(c"prctl");
static REGISTER_ATFORK: Next = Next::of(c"__register_atfork");

/// A function that jumps to the definition that `$choose` returns for `$next`, with the arguments
/// as the instructions before change them: x86-64's, AArch64's, RISC-V's and s390x's.
macro_rules! jumps_on {
    (
        $(#[$doc:meta])* $name:ident $next:ident $choose:ident
        [$($x86_64:literal)*] [$($aarch64:literal)*] [$($riscv64:literal)*] [$($s390x:literal)*]
    ) => {
        $(#[$doc])*
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() -> *mut c_void {
            // Five arguments; the stack stays aligned to 16. The first one is `choose`'s second.
            #[cfg(target_arch = "x86_64")]
            naked_asm!(
                ".cfi_startproc",
                $($x86_64,)*
                "push rdi\npush rsi\npush rdx\npush rcx\npush r8\n.cfi_adjust_cfa_offset 40",
                "mov rsi, rdi",
                "lea rdi, [rip + {next}]",
                "call {choose}",
                "pop r8\npop rcx\npop rdx\npop rsi\npop rdi\n.cfi_adjust_cfa_offset -40",
                // A variadic function reads a number of vector registers in `al`.
                "mov r11, rax",
                "xor eax, eax",
                "jmp r11",
                ".cfi_endproc",
                next = sym $next,
                choose = sym $choose,
            );
            #[cfg(target_arch = "aarch64")]
            naked_asm!(
                ".cfi_startproc",
                $($aarch64,)*
                "stp x29, x30, [sp, #-64]!\n.cfi_def_cfa_offset 64",
                ".cfi_offset 29, -64\n.cfi_offset 30, -56",
                "stp x0, x1, [sp, #16]",
                "stp x2, x3, [sp, #32]",
                "str x4, [sp, #48]",
                "mov x1, x0",
                "adrp x0, {next}",
                "add x0, x0, :lo12:{next}",
                "bl {choose}",
                "mov x16, x0",
                "ldp x0, x1, [sp, #16]",
                "ldp x2, x3, [sp, #32]",
                "ldr x4, [sp, #48]",
                "ldp x29, x30, [sp], #64\n.cfi_def_cfa_offset 0",
                "br x16",
                ".cfi_endproc",
                next = sym $next,
                choose = sym $choose,
            );
            #[cfg(target_arch = "riscv64")]
            naked_asm!(
                ".cfi_startproc",
                $($riscv64,)*
                "addi sp, sp, -48\n.cfi_def_cfa_offset 48",
                "sd ra, 40(sp)\n.cfi_offset ra, -8",
                "sd a0, 0(sp)\nsd a1, 8(sp)\nsd a2, 16(sp)\nsd a3, 24(sp)\nsd a4, 32(sp)",
                "mv a1, a0",
                "lla a0, {next}",
                "call {choose}",
                "mv t1, a0",
                "ld a0, 0(sp)\nld a1, 8(sp)\nld a2, 16(sp)\nld a3, 24(sp)\nld a4, 32(sp)",
                "ld ra, 40(sp)",
                "addi sp, sp, 48\n.cfi_def_cfa_offset 0",
                "jr t1",
                ".cfi_endproc",
                next = sym $next,
                choose = sym $choose,
            );
            #[cfg(target_arch = "s390x")]
            naked_asm!(
                ".cfi_startproc",
                $($s390x,)*
                "stmg %r2, %r5, 16(%r15)",
                "stmg %r14, %r15, 112(%r15)",
                "aghi %r15, -160\n.cfi_def_cfa_offset 320",
                ".cfi_offset %r14, -48\n.cfi_offset %r15, -40",
                // The fifth argument is in %r6, which `choose` preserves.
                "lgr %r3, %r2",
                "larl %r2, {next}",
                "brasl %r14, {choose}",
                "lgr %r1, %r2",
                "lmg %r14, %r15, 272(%r15)\n.cfi_def_cfa_offset 160",
                "lmg %r2, %r5, 16(%r15)",
                "br %r1",
                ".cfi_endproc",
                next = sym $next,
                choose = sym $choose,
            );
        }
    };
}

// The masks below.
const _: () = assert!(!libc::RTLD_DEEPBIND == -9);

jumps_on! {
    /// `dlopen`.
    dlopen DLOPEN next_definition
    ["and esi, -9"] ["and w1, w1, -9"] ["andi a1, a1, -9"] ["nill %r3, 65527"]
}

jumps_on! {
    /// `dlmopen`: the flag is dropped in the program's namespace only. In another one this library
    /// is not loaded.
    dlmopen DLMOPEN next_definition
    ["test rdi, rdi" "jnz 2f" "and edx, -9" "2:"]
    ["cbnz x0, 2f" "and w2, w2, -9" "2:"]
    ["bnez a0, 2f" "andi a2, a2, -9" "2:"]
    ["ltgr %r2, %r2" "jne 2f" "nill %r4, 65527" "2:"]
}

jumps_on! {
    /// Linux's `prctl`.
    prctl PRCTL next_before_filter [] [] [] []
}

jumps_on! {
    /// What `pthread_atfork` calls: this library's handlers come before all others, so that in the
    /// child they run before handlers that start threads.
    __register_atfork REGISTER_ATFORK next_after_announcement [] [] [] []
}
