//! Call sites: the return address of an exported function.

/// A return address; 0: unknown.
pub type Site = usize;

/// The return address of the exported function into which this is inlined; 0 without
/// `--cfg memoman_debug` (no frame pointers) and on targets not listed here.
///
/// It *calls* a naked function, so that the compiler has set up the frame before: a bare read of
/// the frame pointer could be moved before the prologue.
#[inline(always)]
pub fn here() -> Site {
    #[cfg(all(
        memoman_debug,
        any(
            target_arch = "x86_64",
            target_arch = "x86",
            target_arch = "aarch64",
            target_arch = "riscv32",
            target_arch = "riscv64"
        )
    ))]
    // SAFETY: the build keeps frame pointers (scripts/build-lib.sh), so the return address lies
    // beside the saved frame pointer in the frame of the function that contains this call.
    unsafe {
        frame_return_address()
    }
    #[cfg(not(all(
        memoman_debug,
        any(
            target_arch = "x86_64",
            target_arch = "x86",
            target_arch = "aarch64",
            target_arch = "riscv32",
            target_arch = "riscv64"
        )
    )))]
    0
}

/// The return address in the caller's frame, which the frame pointer names.
#[cfg(all(
    memoman_debug,
    any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "riscv32",
        target_arch = "riscv64"
    )
))]
#[unsafe(naked)]
unsafe extern "C" fn frame_return_address() -> usize {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!("mov rax, qword ptr [rbp + 8]", "ret");
    #[cfg(target_arch = "x86")]
    core::arch::naked_asm!("mov eax, dword ptr [ebp + 4]", "ret");
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!("ldr x0, [x29, #8]", "ret");
    #[cfg(target_arch = "riscv64")]
    core::arch::naked_asm!("ld a0, -8(s0)", "ret");
    #[cfg(target_arch = "riscv32")]
    core::arch::naked_asm!("lw a0, -4(s0)", "ret");
}
