//! The argument registers of the assembly in `operators.rs`, for each processor.

/// Saves the argument registers across calls, and restores them. The stack stays aligned to 16.
/// Forms with one argument save one register. `without_size` makes the third argument the second.
#[cfg(target_arch = "x86_64")]
macro_rules! registers {
    (one save) => {
        "push rdi\n.cfi_adjust_cfa_offset 8"
    };
    (one restore) => {
        "pop rdi\n.cfi_adjust_cfa_offset -8"
    };
    (one drop) => {
        "pop rcx\n.cfi_adjust_cfa_offset -8"
    };
    (one saved) => {
        ".cfi_adjust_cfa_offset 8"
    };
    (three save) => {
        "push rdi\npush rsi\npush rdx\n.cfi_adjust_cfa_offset 24"
    };
    (three restore) => {
        "pop rdx\npop rsi\npop rdi\n.cfi_adjust_cfa_offset -24"
    };
    (three drop) => {
        "add rsp, 24\n.cfi_adjust_cfa_offset -24"
    };
    (three saved) => {
        ".cfi_adjust_cfa_offset 24"
    };
    (without_size) => {
        "mov rsi, rdx"
    };
    // The debug library's third argument: the return address, above the saved registers.
    (one site) => {
        "mov rdx, qword ptr [rsp + 8]"
    };
    (three site) => {
        "mov rdx, qword ptr [rsp + 24]"
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! registers {
    (without_size) => {
        "mov x1, x2"
    };
    ($count:ident save) => {
        "stp x29, x30, [sp, #-48]!\n.cfi_def_cfa_offset 48\n\
         .cfi_offset 29, -48\n.cfi_offset 30, -40\n\
         stp x0, x1, [sp, #16]\nstr x2, [sp, #32]"
    };
    ($count:ident restore) => {
        "ldp x0, x1, [sp, #16]\nldr x2, [sp, #32]\nldp x29, x30, [sp], #48\n\
         .cfi_def_cfa_offset 0\n.cfi_restore 29\n.cfi_restore 30"
    };
    ($count:ident drop) => {
        "ldp x29, x30, [sp], #48\n\
         .cfi_def_cfa_offset 0\n.cfi_restore 29\n.cfi_restore 30"
    };
    ($count:ident saved) => {
        ".cfi_def_cfa_offset 48\n.cfi_offset 29, -48\n.cfi_offset 30, -40"
    };
    ($count:ident site) => {
        "mov x2, x30"
    };
}
#[cfg(target_arch = "riscv64")]
macro_rules! registers {
    (without_size) => {
        "mv a1, a2"
    };
    ($count:ident save) => {
        "addi sp, sp, -32\n.cfi_def_cfa_offset 32\nsd ra, 24(sp)\n.cfi_offset ra, -8\n\
         sd a0, 0(sp)\nsd a1, 8(sp)\nsd a2, 16(sp)"
    };
    ($count:ident restore) => {
        "ld a0, 0(sp)\nld a1, 8(sp)\nld a2, 16(sp)\nld ra, 24(sp)\naddi sp, sp, 32\n\
         .cfi_def_cfa_offset 0\n.cfi_restore ra"
    };
    ($count:ident drop) => {
        "ld ra, 24(sp)\naddi sp, sp, 32\n.cfi_def_cfa_offset 0\n.cfi_restore ra"
    };
    ($count:ident saved) => {
        ".cfi_def_cfa_offset 32\n.cfi_offset ra, -8"
    };
    ($count:ident site) => {
        "mv a2, ra"
    };
}
/// The arguments go to the save area that every caller provides, at the bottom of its frame.
#[cfg(target_arch = "s390x")]
macro_rules! registers {
    (without_size) => {
        "lgr %r3, %r4"
    };
    ($count:ident save) => {
        "stmg %r2, %r4, 16(%r15)\nstmg %r14, %r15, 112(%r15)\naghi %r15, -160\n\
         .cfi_def_cfa_offset 320\n.cfi_offset %r14, -48\n.cfi_offset %r15, -40"
    };
    ($count:ident restore) => {
        "lmg %r14, %r15, 272(%r15)\nlmg %r2, %r4, 16(%r15)\n\
         .cfi_def_cfa_offset 160\n.cfi_restore %r14\n.cfi_restore %r15"
    };
    ($count:ident drop) => {
        "lmg %r14, %r15, 272(%r15)\n\
         .cfi_def_cfa_offset 160\n.cfi_restore %r14\n.cfi_restore %r15"
    };
    ($count:ident saved) => {
        ".cfi_def_cfa_offset 320\n.cfi_offset %r14, -48\n.cfi_offset %r15, -40"
    };
    ($count:ident site) => {
        "lgr %r4, %r14"
    };
}

pub(crate) use registers;
