//! Call sites: the return address of an exported function, and the frames of its callers.

/// Where a call on an instance comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// The return address; 0: unknown.
    pub address: usize,
    /// The frame pointer that the calling function had: its frame, if the program keeps frame
    /// pointers, else any value. 0: unknown.
    pub frame: usize,
}

impl From<usize> for Site {
    fn from(address: usize) -> Site {
        Site { address, frame: 0 }
    }
}

/// The most return addresses that a block keeps for its allocation, and as many for its free.
pub const STACK_MAX: usize = 16;

/// Writes the return addresses of the frames from a frame pointer on, the innermost first; what it
/// does not find stays as it is. Called under the lock: it neither allocates nor locks.
pub type Walk = fn(frame: usize, addresses: &mut [usize]);

/// Words from a frame pointer's address to the caller's frame pointer, and to the return address.
#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
pub const FRAME: (isize, isize) = (-2, -1);
/// Words from a frame pointer's address to the caller's frame pointer, and to the return address.
#[cfg(not(any(target_arch = "riscv32", target_arch = "riscv64")))]
pub const FRAME: (isize, isize) = (0, 1);

/// The site of the exported function into which this is inlined; unknown without
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
    // SAFETY: the build keeps frame pointers (scripts/build-lib.sh), so the frame pointer is that
    // of the function that contains this call; both words lie in its frame.
    unsafe {
        let frame = frame_pointer();
        Site {
            address: frame.offset(FRAME.1).read(),
            frame: frame.offset(FRAME.0).read(),
        }
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
    Site::default()
}

/// The caller's frame pointer.
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
unsafe extern "C" fn frame_pointer() -> *const usize {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!("mov rax, rbp", "ret");
    #[cfg(target_arch = "x86")]
    core::arch::naked_asm!("mov eax, ebp", "ret");
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!("mov x0, x29", "ret");
    #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
    core::arch::naked_asm!("mv a0, s0", "ret");
}
