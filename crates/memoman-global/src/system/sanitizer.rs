//! The stack of a report, as the sanitizer prints it with which the program is built.

#[cfg(all(target_os = "linux", target_arch = "x86_64", not(memoman_instrumented)))]
use core::sync::atomic::{AtomicBool, Ordering};

/// Prints the calling thread's stack on stderr, with names and lines, if the program contains a
/// sanitizer's runtime (`sanitizer/common_interface_defs.h`). On targets other than x86-64 Linux it
/// prints nothing.
pub(crate) fn print_stack() {
    #[cfg(all(target_os = "linux", target_arch = "x86_64", not(memoman_instrumented)))]
    // SAFETY: the assembly reads the symbol's entry in the global offset table, which exists, and
    // is null for an undefined weak symbol. Else it is the address of a C function of this type,
    // which has no precondition.
    unsafe {
        let address: usize;
        core::arch::asm!(
            ".weak __sanitizer_print_stack_trace",
            "mov {0}, qword ptr [rip + __sanitizer_print_stack_trace@GOTPCREL]",
            out(reg) address,
            options(nostack, pure, nomem, preserves_flags)
        );
        // The runtime may allocate for it, and meet the same damage.
        static PRINTING: AtomicBool = AtomicBool::new(false);
        if address != 0 && !PRINTING.swap(true, Ordering::Relaxed) {
            core::mem::transmute::<usize, unsafe extern "C" fn()>(address)();
            PRINTING.store(false, Ordering::Relaxed);
        }
    }
}
