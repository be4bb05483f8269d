//! `dlopen` and `dlmopen` without `RTLD_DEEPBIND`.
//!
//! A library that is loaded with the flag finds the C library's `malloc` family before this one's,
//! while the C library's own functions call this one's: blocks would get from one heap to the
//! other. So the flag is dropped. The functions *jump* to the next definitions, which take their
//! return address for the caller's: its RUNPATH and namespace count.

use core::arch::naked_asm;
use core::ffi::c_void;

use crate::next::Next;

static DLOPEN: Next = Next::of(c"dlopen");
static DLMOPEN: Next = Next::of(c"dlmopen");

/// The definition to jump to.
extern "C" fn next_definition(next: &Next) -> *const c_void {
    let found = next.definition();
    if found.is_null() {
        (fails as extern "C" fn() -> *mut c_void) as *const c_void
    } else {
        found
    }
}

/// No library can be loaded: no other definition exists.
extern "C" fn fails() -> *mut c_void {
    core::ptr::null_mut()
}

const KEPT: i32 = !libc::RTLD_DEEPBIND;

/// `dlopen`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlopen() -> *mut c_void {
    #[cfg(target_arch = "x86_64")]
    naked_asm!(
        ".cfi_startproc",
        "and esi, {kept}",
        "push rdi", ".cfi_adjust_cfa_offset 8",
        "push rsi", ".cfi_adjust_cfa_offset 8",
        "push rdx", ".cfi_adjust_cfa_offset 8",
        "lea rdi, [rip + {next}]",
        "call {next_definition}",
        "pop rdx", ".cfi_adjust_cfa_offset -8",
        "pop rsi", ".cfi_adjust_cfa_offset -8",
        "pop rdi", ".cfi_adjust_cfa_offset -8",
        "jmp rax",
        ".cfi_endproc",
        kept = const KEPT,
        next = sym DLOPEN,
        next_definition = sym next_definition,
    );
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        ".cfi_startproc",
        "and w1, w1, {kept}",
        "stp x29, x30, [sp, #-48]!", ".cfi_def_cfa_offset 48",
        ".cfi_offset 29, -48", ".cfi_offset 30, -40",
        "stp x0, x1, [sp, #16]",
        "adrp x0, {next}",
        "add x0, x0, :lo12:{next}",
        "bl {next_definition}",
        "mov x16, x0",
        "ldp x0, x1, [sp, #16]",
        "ldp x29, x30, [sp], #48", ".cfi_def_cfa_offset 0",
        "br x16",
        ".cfi_endproc",
        kept = const KEPT,
        next = sym DLOPEN,
        next_definition = sym next_definition,
    );
    #[cfg(target_arch = "riscv64")]
    naked_asm!(
        ".cfi_startproc",
        "andi a1, a1, {kept}",
        "addi sp, sp, -32", ".cfi_def_cfa_offset 32",
        "sd ra, 24(sp)", ".cfi_offset ra, -8",
        "sd a0, 0(sp)",
        "sd a1, 8(sp)",
        "sd a2, 16(sp)",
        "lla a0, {next}",
        "call {next_definition}",
        "mv t1, a0",
        "ld a0, 0(sp)",
        "ld a1, 8(sp)",
        "ld a2, 16(sp)",
        "ld ra, 24(sp)",
        "addi sp, sp, 32", ".cfi_def_cfa_offset 0",
        "jr t1",
        ".cfi_endproc",
        kept = const KEPT,
        next = sym DLOPEN,
        next_definition = sym next_definition,
    );
    #[cfg(target_arch = "s390x")]
    naked_asm!(
        ".cfi_startproc",
        "nill %r3, {kept}",
        "stmg %r2, %r4, 16(%r15)",
        "stmg %r14, %r15, 112(%r15)",
        "aghi %r15, -160", ".cfi_def_cfa_offset 320",
        ".cfi_offset %r14, -48", ".cfi_offset %r15, -40",
        "larl %r2, {next}",
        "brasl %r14, {next_definition}",
        "lgr %r1, %r2",
        "lmg %r14, %r15, 272(%r15)", ".cfi_def_cfa_offset 160",
        "lmg %r2, %r4, 16(%r15)",
        "br %r1",
        ".cfi_endproc",
        kept = const KEPT & 0xFFFF,
        next = sym DLOPEN,
        next_definition = sym next_definition,
    );
}

/// `dlmopen`: the flag is dropped in the program's namespace only. In another one this library is
/// not loaded.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlmopen() -> *mut c_void {
    #[cfg(target_arch = "x86_64")]
    naked_asm!(
        ".cfi_startproc",
        "test rdi, rdi",
        "jnz 2f",
        "and edx, {kept}",
        "2:",
        "push rdi", ".cfi_adjust_cfa_offset 8",
        "push rsi", ".cfi_adjust_cfa_offset 8",
        "push rdx", ".cfi_adjust_cfa_offset 8",
        "lea rdi, [rip + {next}]",
        "call {next_definition}",
        "pop rdx", ".cfi_adjust_cfa_offset -8",
        "pop rsi", ".cfi_adjust_cfa_offset -8",
        "pop rdi", ".cfi_adjust_cfa_offset -8",
        "jmp rax",
        ".cfi_endproc",
        kept = const KEPT,
        next = sym DLMOPEN,
        next_definition = sym next_definition,
    );
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        ".cfi_startproc",
        "cbnz x0, 2f",
        "and w2, w2, {kept}",
        "2:",
        "stp x29, x30, [sp, #-48]!", ".cfi_def_cfa_offset 48",
        ".cfi_offset 29, -48", ".cfi_offset 30, -40",
        "stp x0, x1, [sp, #16]",
        "str x2, [sp, #32]",
        "adrp x0, {next}",
        "add x0, x0, :lo12:{next}",
        "bl {next_definition}",
        "mov x16, x0",
        "ldp x0, x1, [sp, #16]",
        "ldr x2, [sp, #32]",
        "ldp x29, x30, [sp], #48", ".cfi_def_cfa_offset 0",
        "br x16",
        ".cfi_endproc",
        kept = const KEPT,
        next = sym DLMOPEN,
        next_definition = sym next_definition,
    );
    #[cfg(target_arch = "riscv64")]
    naked_asm!(
        ".cfi_startproc",
        "bnez a0, 2f",
        "andi a2, a2, {kept}",
        "2:",
        "addi sp, sp, -32", ".cfi_def_cfa_offset 32",
        "sd ra, 24(sp)", ".cfi_offset ra, -8",
        "sd a0, 0(sp)",
        "sd a1, 8(sp)",
        "sd a2, 16(sp)",
        "lla a0, {next}",
        "call {next_definition}",
        "mv t1, a0",
        "ld a0, 0(sp)",
        "ld a1, 8(sp)",
        "ld a2, 16(sp)",
        "ld ra, 24(sp)",
        "addi sp, sp, 32", ".cfi_def_cfa_offset 0",
        "jr t1",
        ".cfi_endproc",
        kept = const KEPT,
        next = sym DLMOPEN,
        next_definition = sym next_definition,
    );
    #[cfg(target_arch = "s390x")]
    naked_asm!(
        ".cfi_startproc",
        "ltgr %r2, %r2",
        "jne 2f",
        "nill %r4, {kept}",
        "2:",
        "stmg %r2, %r4, 16(%r15)",
        "stmg %r14, %r15, 112(%r15)",
        "aghi %r15, -160", ".cfi_def_cfa_offset 320",
        ".cfi_offset %r14, -48", ".cfi_offset %r15, -40",
        "larl %r2, {next}",
        "brasl %r14, {next_definition}",
        "lgr %r1, %r2",
        "lmg %r14, %r15, 272(%r15)", ".cfi_def_cfa_offset 160",
        "lmg %r2, %r4, 16(%r15)",
        "br %r1",
        ".cfi_endproc",
        kept = const KEPT & 0xFFFF,
        next = sym DLMOPEN,
        next_definition = sym next_definition,
    );
}
