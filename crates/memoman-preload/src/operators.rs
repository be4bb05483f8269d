//! C++'s operator new and delete, by their mangled names (Itanium ABI, `size_t` = `unsigned long`).
//!
//! A program may replace any of them, and the C++ runtime's other forms then keep their meaning,
//! because each calls the form that it derives from by name, and the basic ones `malloc` and
//! `free`. The forms here serve directly while every such name is bound to this library
//! ([`bound`](crate::bound)). Otherwise `new` *jumps* to the next definition of its name, the
//! runtime's, and `delete` to the form that it derives from, by name.
//!
//! Without memory, `new` must run the program's new_handler in a loop and then throw
//! `std::bad_alloc` (the nothrow forms: return null). The C++ runtime does that too: on failure,
//! each form jumps to the next definition of its name, which calls `malloc` again, runs the
//! handler, and throws. A jump from a naked function leaves no Rust frame for the exception to
//! cross.

use core::arch::naked_asm;
use core::ffi::c_void;
use core::ptr;

use memoman_global as heap;
#[cfg(memoman_debug)]
use memoman_global::Family;

use crate::bound::{NAMES, bound, names_are_own};
use crate::next::Next;
use crate::registers::registers;

/// One form of `operator new`.
struct Form {
    next: Next,
    /// The definition of the form that this one derives from; null for a basic form.
    base: fn() -> *const c_void,
}

/// The definition to jump to instead of serving: null to serve.
extern "C" fn by_name(form: &Form) -> *const c_void {
    if names_are_own() {
        return ptr::null();
    }
    let next = form.next.definition();
    if next.is_null() { (form.base)() } else { next }
}

/// Looks up every form's next definition, where [`by_name`] uses them: see `loading.rs`. Not
/// without a C++ runtime, since a lookup that fails allocates.
pub(crate) fn look_up_operators() {
    // SAFETY: a directive of the assembler; no instruction.
    unsafe { core::arch::asm!(".weak __cxa_allocate_exception", options(nomem, nostack)) };
    let has_runtime = !bound!(__cxa_allocate_exception).is_null();
    if has_runtime && !names_are_own() {
        for form in forms::ALL {
            let _ = form.next.definition();
        }
    }
}

/// The definition to jump to without memory. Without one there is no C++ runtime: a nothrow form
/// returns null, and as nothing can throw, the others print one line and abort.
extern "C" fn when_exhausted(form: &Form) -> *const c_void {
    let next = form.next.search();
    if !next.is_null() {
        // The runtime's operator may get its block from `malloc` after all.
        #[cfg(memoman_debug)]
        heap::debug::mix_families();
        return next;
    }
    if form.next.name().to_bytes().ends_with(b"nothrow_t") {
        return (null as extern "C" fn() -> *mut c_void) as *const c_void;
    }
    const LINE: &[u8] =
        b"memoman: out of memory in operator new, and no C++ runtime to throw std::bad_alloc\n";
    // SAFETY: the bytes are a constant; abort has no precondition.
    unsafe {
        libc::write(2, LINE.as_ptr().cast(), LINE.len());
        libc::abort();
    }
}

extern "C" fn null() -> *mut c_void {
    ptr::null_mut()
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
/// The operator's caller. The operator has no frame of its own, so that the frame pointer is the
/// program's.
#[cfg(memoman_debug)]
#[inline(always)]
fn caller(address: usize) -> heap::site::Site {
    let frame = heap::site::here().frame;
    heap::site::Site { address, frame }
}

#[cfg(memoman_debug)]
extern "C" fn allocate(bytes: usize, _: usize, site: usize) -> *mut u8 {
    heap::malloc_at(bytes, caller(site), Family::New)
}

#[cfg(memoman_debug)]
extern "C" fn allocate_array(bytes: usize, _: usize, site: usize) -> *mut u8 {
    heap::malloc_at(bytes, caller(site), Family::NewArray)
}

#[cfg(memoman_debug)]
extern "C" fn allocate_aligned(bytes: usize, align: usize, site: usize) -> *mut u8 {
    heap::memalign_at(align, bytes, caller(site), Family::New)
}

#[cfg(memoman_debug)]
extern "C" fn allocate_aligned_array(bytes: usize, align: usize, site: usize) -> *mut u8 {
    heap::memalign_at(align, bytes, caller(site), Family::NewArray)
}

// In the release library, both families are one.
#[cfg(not(memoman_debug))]
use {allocate as allocate_array, allocate_aligned as allocate_aligned_array};

/// Sets the debug library's third argument.
#[cfg(memoman_debug)]
macro_rules! pass_site {
    ($count:ident) => {
        registers!($count site)
    };
}
#[cfg(not(memoman_debug))]
macro_rules! pass_site {
    ($count:ident) => {
        ""
    };
}

/// One form of `operator new`: calls `$allocate` with the arguments; if that returns null, jumps to
/// the next definition of the same name with the same arguments. `$base` is the name of the form
/// that it derives from.
macro_rules! operator_new {
    ($($name:ident $count:ident $allocate:ident $arguments:literal $(from $base:ident)?;)*) => {
        #[allow(non_upper_case_globals, reason = "mangled names")]
        mod forms {
            use super::*;

            pub(super) static ALL: &[&Form] = &[$(&$name),*];
            $(pub(super) static $name: Form = Form {
                // SAFETY: the string ends in its only 0.
                next: Next::of(unsafe {
                    core::ffi::CStr::from_bytes_with_nul_unchecked(
                        concat!(stringify!($name), "\0").as_bytes(),
                    )
                }),
                base: || {
                    let base = ptr::null();
                    $(let base = { let _: *const c_void = base; bound!($base) };)?
                    base
                },
            };)*
        }
        $(
        #[doc = concat!("`operator new", $arguments, "`.")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() -> *mut c_void {
            #[cfg(target_arch = "x86_64")]
            naked_asm!(
                ".cfi_startproc",
                "cmp byte ptr [rip + {names}], 0",
                "jne 3f",
                "4:",
                registers!($count save),
                pass_site!($count),
                "call {allocate}",
                "test rax, rax",
                "jz 2f",
                registers!($count drop),
                "ret",
                "2:", registers!($count saved),
                "lea rdi, [rip + {form}]",
                "call {when_exhausted}",
                registers!($count restore),
                "jmp rax",
                "3:",
                registers!($count save),
                "lea rdi, [rip + {form}]",
                "call {by_name}",
                registers!($count restore),
                "test rax, rax",
                "jz 4b",
                "jmp rax",
                ".cfi_endproc",
                names = sym NAMES,
                form = sym forms::$name,
                allocate = sym $allocate,
                by_name = sym by_name,
                when_exhausted = sym when_exhausted,
            );
            #[cfg(target_arch = "aarch64")]
            naked_asm!(
                ".cfi_startproc",
                "adrp x16, {names}",
                "ldrb w16, [x16, :lo12:{names}]",
                "cbnz w16, 3f",
                "4:",
                registers!($count save),
                pass_site!($count),
                "bl {allocate}",
                "cbz x0, 2f",
                registers!($count drop),
                "ret",
                "2:", registers!($count saved),
                "adrp x0, {form}",
                "add x0, x0, :lo12:{form}",
                "bl {when_exhausted}",
                "mov x16, x0",
                registers!($count restore),
                "br x16",
                "3:",
                registers!($count save),
                "adrp x0, {form}",
                "add x0, x0, :lo12:{form}",
                "bl {by_name}",
                "mov x16, x0",
                registers!($count restore),
                "cbz x16, 4b",
                "br x16",
                ".cfi_endproc",
                names = sym NAMES,
                form = sym forms::$name,
                allocate = sym $allocate,
                by_name = sym by_name,
                when_exhausted = sym when_exhausted,
            );
            #[cfg(target_arch = "riscv64")]
            naked_asm!(
                ".cfi_startproc",
                "lla t0, {names}",
                "lbu t0, 0(t0)",
                "bnez t0, 3f",
                "4:",
                registers!($count save),
                pass_site!($count),
                "call {allocate}",
                "beqz a0, 2f",
                registers!($count drop),
                "ret",
                "2:", registers!($count saved),
                "lla a0, {form}",
                "call {when_exhausted}",
                "mv t1, a0",
                registers!($count restore),
                "jr t1",
                "3:",
                registers!($count save),
                "lla a0, {form}",
                "call {by_name}",
                "mv t1, a0",
                registers!($count restore),
                "beqz t1, 4b",
                "jr t1",
                ".cfi_endproc",
                names = sym NAMES,
                form = sym forms::$name,
                allocate = sym $allocate,
                by_name = sym by_name,
                when_exhausted = sym when_exhausted,
            );
            #[cfg(target_arch = "s390x")]
            naked_asm!(
                ".cfi_startproc",
                "larl %r1, {names}",
                "cli 0(%r1), 0",
                "jne 3f",
                "4:",
                registers!($count save),
                pass_site!($count),
                "brasl %r14, {allocate}",
                "ltgr %r2, %r2",
                "je 2f",
                registers!($count drop),
                "br %r14",
                "2:", registers!($count saved),
                "larl %r2, {form}",
                "brasl %r14, {when_exhausted}",
                "lgr %r1, %r2",
                registers!($count restore),
                "br %r1",
                "3:",
                registers!($count save),
                "larl %r2, {form}",
                "brasl %r14, {by_name}",
                "lgr %r1, %r2",
                registers!($count restore),
                "ltgr %r1, %r1",
                "je 4b",
                "br %r1",
                ".cfi_endproc",
                names = sym NAMES,
                form = sym forms::$name,
                allocate = sym $allocate,
                by_name = sym by_name,
                when_exhausted = sym when_exhausted,
            );
        }
        )*
    };
}

operator_new! {
    _Znwm one allocate "(size_t)";
    _Znam one allocate_array "[](size_t)" from _Znwm;
    _ZnwmRKSt9nothrow_t three allocate "(size_t, nothrow)" from _Znwm;
    _ZnamRKSt9nothrow_t three allocate_array "[](size_t, nothrow)" from _Znam;
    _ZnwmSt11align_val_t three allocate_aligned "(size_t, align_val_t)";
    _ZnamSt11align_val_t three allocate_aligned_array "[](size_t, align_val_t)"
        from _ZnwmSt11align_val_t;
    _ZnwmSt11align_val_tRKSt9nothrow_t three allocate_aligned "(size_t, align_val_t, nothrow)"
        from _ZnwmSt11align_val_t;
    _ZnamSt11align_val_tRKSt9nothrow_t three allocate_aligned_array
        "[](size_t, align_val_t, nothrow)"
        from _ZnamSt11align_val_t;
}

/// `free`, for the assembly.
#[cfg(not(memoman_debug))]
unsafe extern "C" fn release(ptr: *mut c_void) {
    // SAFETY: the caller keeps the standard's duties.
    unsafe { heap::free(ptr.cast()) }
}

// The debug library compares family, size and alignment with those of the allocation.
#[cfg(memoman_debug)]
macro_rules! release {
    ($($name:ident $family:ident ($($argument:ident),*) $size:expr, $align:expr;)*) => {$(
        #[cfg(memoman_debug)]
        unsafe extern "C" fn $name(ptr: *mut c_void $(, $argument: usize)*) {
            let by = heap::By {
                family: Some(Family::$family),
                size: $size,
                align: Some($align),
            };
            // SAFETY: the caller keeps the standard's duties.
            unsafe { heap::free_as(ptr.cast(), by) }
        }
    )*};
}
#[cfg(memoman_debug)]
release! {
    release New () None, 0;
    release_array NewArray () None, 0;
    release_sized New (bytes) Some(bytes), 0;
    release_sized_array NewArray (bytes) Some(bytes), 0;
    release_aligned New (align) None, align;
    release_aligned_array NewArray (align) None, align;
    release_sized_aligned New (bytes, align) Some(bytes), align;
    release_sized_aligned_array NewArray (bytes, align) Some(bytes), align;
}

#[cfg(not(memoman_debug))]
use {
    release as release_array, release as release_sized, release as release_sized_array,
    release as release_aligned, release as release_aligned_array, release as release_sized_aligned,
    release as release_sized_aligned_array,
};

/// The forms of `operator delete`: nothrow arguments are ignored, and in the release library size
/// and alignment. While a name is bound elsewhere, each jumps to the one that it derives from,
/// with all arguments, or `without_size`.
macro_rules! operator_delete {
    ($($name:ident $release:ident $arguments:literal from $base:ident $($change:ident)?;)*) => {$(
        #[doc = concat!("`operator delete", $arguments, "`.")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(ptr: *mut c_void) {
            #[cfg(target_arch = "x86_64")]
            naked_asm!(
                ".cfi_startproc",
                "cmp byte ptr [rip + {names}], 0",
                "jne 2f",
                "jmp {release}",
                "2:",
                $(registers!($change),)?
                concat!("jmp qword ptr [rip + ", stringify!($base), "@GOTPCREL]"),
                ".cfi_endproc",
                names = sym NAMES,
                release = sym $release,
            );
            #[cfg(target_arch = "aarch64")]
            naked_asm!(
                ".cfi_startproc",
                "adrp x16, {names}",
                "ldrb w16, [x16, :lo12:{names}]",
                "cbnz w16, 2f",
                "b {release}",
                "2:",
                $(registers!($change),)?
                concat!("adrp x16, :got:", stringify!($base)),
                concat!("ldr x16, [x16, :got_lo12:", stringify!($base), "]"),
                "br x16",
                ".cfi_endproc",
                names = sym NAMES,
                release = sym $release,
            );
            #[cfg(target_arch = "riscv64")]
            naked_asm!(
                ".cfi_startproc",
                "lla t0, {names}",
                "lbu t0, 0(t0)",
                "bnez t0, 2f",
                "tail {release}",
                "2:",
                $(registers!($change),)?
                concat!("lga t1, ", stringify!($base)),
                "jr t1",
                ".cfi_endproc",
                names = sym NAMES,
                release = sym $release,
            );
            #[cfg(target_arch = "s390x")]
            naked_asm!(
                ".cfi_startproc",
                "larl %r1, {names}",
                "cli 0(%r1), 0",
                "jne 2f",
                "jg {release}",
                "2:",
                $(registers!($change),)?
                concat!("lgrl %r1, ", stringify!($base), "@GOTENT"),
                "br %r1",
                ".cfi_endproc",
                names = sym NAMES,
                release = sym $release,
            );
        }
    )*};
}

operator_delete! {
    _ZdlPv release "(void *)" from free;
    _ZdaPv release_array "[](void *)" from _ZdlPv;
    _ZdlPvm release_sized "(void *, size_t)" from _ZdlPv;
    _ZdaPvm release_sized_array "[](void *, size_t)" from _ZdaPv;
    _ZdlPvRKSt9nothrow_t release "(void *, nothrow)" from _ZdlPv;
    _ZdaPvRKSt9nothrow_t release_array "[](void *, nothrow)" from _ZdaPv;
    _ZdlPvSt11align_val_t release_aligned "(void *, align_val_t)" from free;
    _ZdaPvSt11align_val_t release_aligned_array "[](void *, align_val_t)"
        from _ZdlPvSt11align_val_t;
    _ZdlPvmSt11align_val_t release_sized_aligned "(void *, size_t, align_val_t)"
        from _ZdlPvSt11align_val_t without_size;
    _ZdaPvmSt11align_val_t release_sized_aligned_array "[](void *, size_t, align_val_t)"
        from _ZdaPvSt11align_val_t without_size;
    _ZdlPvSt11align_val_tRKSt9nothrow_t release_aligned "(void *, align_val_t, nothrow)"
        from _ZdlPvSt11align_val_t;
    _ZdaPvSt11align_val_tRKSt9nothrow_t release_aligned_array "[](void *, align_val_t, nothrow)"
        from _ZdaPvSt11align_val_t;
}
