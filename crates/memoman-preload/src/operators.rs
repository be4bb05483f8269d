//! C++'s operator new and delete, by their mangled names (Itanium ABI, `size_t` = `unsigned long`).
//!
//! Without memory, `new` must run the program's new_handler in a loop and then throw
//! `std::bad_alloc` (the nothrow forms: return null). The C++ runtime does that: on failure, each
//! form here *jumps* to the next definition of its name, which calls `malloc` again, runs the
//! handler, and throws. A jump from a naked function leaves no Rust frame for the exception to
//! cross.

use core::arch::naked_asm;
use core::ffi::{c_char, c_void};

use memoman_global as heap;

/// The next definition of an operator after this library's. Without one, no C++ runtime can throw:
/// one line and abort.
unsafe extern "C" fn next_definition(name: *const c_char) -> *mut c_void {
    // SAFETY: a C string; the thread holds no lock.
    let next = unsafe { libc::dlsym(libc::RTLD_NEXT, name) };
    if next.is_null() {
        const LINE: &[u8] =
            b"memoman: out of memory in operator new, and no C++ runtime to throw std::bad_alloc\n";
        // SAFETY: the bytes are a constant; abort has no precondition.
        unsafe {
            libc::write(2, LINE.as_ptr().cast(), LINE.len());
            libc::abort();
        }
    }
    next
}

#[cfg(not(memoman_debug))]
extern "C" fn allocate(bytes: usize) -> *mut u8 {
    heap::malloc(bytes)
}

#[cfg(not(memoman_debug))]
extern "C" fn allocate_aligned(bytes: usize, align: usize) -> *mut u8 {
    heap::memalign(align, bytes)
}

// In the debug library the third argument is the operator's return address: the return address of
// these functions lies in the operator.
#[cfg(memoman_debug)]
extern "C" fn allocate(bytes: usize, _: usize, site: usize) -> *mut u8 {
    heap::malloc_at(bytes, site)
}

#[cfg(memoman_debug)]
extern "C" fn allocate_aligned(bytes: usize, align: usize, site: usize) -> *mut u8 {
    heap::memalign_at(align, bytes, site)
}

/// Sets the debug library's third argument, the return address: on x86-64 it lies above the three
/// saved registers.
#[cfg(all(memoman_debug, target_arch = "x86_64"))]
macro_rules! pass_site {
    () => {
        "mov rdx, qword ptr [rsp + 24]"
    };
}
#[cfg(all(memoman_debug, target_arch = "aarch64"))]
macro_rules! pass_site {
    () => {
        "mov x2, x30"
    };
}
#[cfg(not(memoman_debug))]
macro_rules! pass_site {
    () => {
        ""
    };
}

/// One form of `operator new`: calls `$allocate` with the arguments; if that returns null, jumps to
/// the next definition of the same name with the same arguments.
macro_rules! operator_new {
    ($($name:ident $allocate:ident $arguments:literal;)*) => {$(
        #[doc = concat!("`operator new", $arguments, "`.")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() -> *mut c_void {
            static NAME: Name = Name(concat!(stringify!($name), "\0").as_ptr());
            // Three argument registers are saved across the calls; the stack stays aligned to 16.
            #[cfg(target_arch = "x86_64")]
            naked_asm!(
                ".cfi_startproc",
                "push rdi", ".cfi_adjust_cfa_offset 8",
                "push rsi", ".cfi_adjust_cfa_offset 8",
                "push rdx", ".cfi_adjust_cfa_offset 8",
                pass_site!(),
                "call {allocate}",
                "test rax, rax",
                "jz 2f",
                "add rsp, 24", ".cfi_adjust_cfa_offset -24",
                "ret",
                "2:", ".cfi_adjust_cfa_offset 24",
                "mov rdi, qword ptr [rip + {name}]",
                "call {next_definition}",
                "pop rdx", ".cfi_adjust_cfa_offset -8",
                "pop rsi", ".cfi_adjust_cfa_offset -8",
                "pop rdi", ".cfi_adjust_cfa_offset -8",
                "jmp rax",
                ".cfi_endproc",
                allocate = sym $allocate,
                name = sym NAME,
                next_definition = sym next_definition,
            );
            #[cfg(target_arch = "aarch64")]
            naked_asm!(
                ".cfi_startproc",
                "stp x29, x30, [sp, #-48]!", ".cfi_def_cfa_offset 48", ".cfi_offset 29, -48", ".cfi_offset 30, -40",
                "stp x0, x1, [sp, #16]",
                "str x2, [sp, #32]",
                pass_site!(),
                "bl {allocate}",
                "cbz x0, 2f",
                "ldp x29, x30, [sp], #48",
                "ret",
                "2:",
                "adrp x0, {name}",
                "ldr x0, [x0, :lo12:{name}]",
                "bl {next_definition}",
                "mov x16, x0",
                "ldp x0, x1, [sp, #16]",
                "ldr x2, [sp, #32]",
                "ldp x29, x30, [sp], #48", ".cfi_def_cfa_offset 0",
                "br x16",
                ".cfi_endproc",
                allocate = sym $allocate,
                name = sym NAME,
                next_definition = sym next_definition,
            );
        }
    )*};
}

/// The name of an operator, for the assembly.
#[repr(transparent)]
struct Name(*const u8);

// SAFETY: it points to a constant.
unsafe impl Sync for Name {}

operator_new! {
    _Znwm allocate "(size_t)";
    _Znam allocate "[](size_t)";
    _ZnwmRKSt9nothrow_t allocate "(size_t, nothrow)";
    _ZnamRKSt9nothrow_t allocate "[](size_t, nothrow)";
    _ZnwmSt11align_val_t allocate_aligned "(size_t, align_val_t)";
    _ZnamSt11align_val_t allocate_aligned "[](size_t, align_val_t)";
    _ZnwmSt11align_val_tRKSt9nothrow_t allocate_aligned "(size_t, align_val_t, nothrow)";
    _ZnamSt11align_val_tRKSt9nothrow_t allocate_aligned "[](size_t, align_val_t, nothrow)";
}

/// The forms of `operator delete`: size, alignment and nothrow arguments are ignored.
macro_rules! operator_delete {
    ($($name:ident $arguments:literal;)*) => {$(
        #[doc = concat!("`operator delete", $arguments, "`.")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(ptr: *mut c_void) {
                        // SAFETY: the caller keeps the standard's duties.
            unsafe { heap::free(ptr.cast()) }
        }
    )*};
}

operator_delete! {
    _ZdlPv "(void *)";
    _ZdaPv "[](void *)";
    _ZdlPvm "(void *, size_t)";
    _ZdaPvm "[](void *, size_t)";
    _ZdlPvRKSt9nothrow_t "(void *, nothrow)";
    _ZdaPvRKSt9nothrow_t "[](void *, nothrow)";
    _ZdlPvSt11align_val_t "(void *, align_val_t)";
    _ZdaPvSt11align_val_t "[](void *, align_val_t)";
    _ZdlPvmSt11align_val_t "(void *, size_t, align_val_t)";
    _ZdaPvmSt11align_val_t "[](void *, size_t, align_val_t)";
    _ZdlPvSt11align_val_tRKSt9nothrow_t "(void *, align_val_t, nothrow)";
    _ZdaPvSt11align_val_tRKSt9nothrow_t "[](void *, align_val_t, nothrow)";
}
