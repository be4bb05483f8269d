//! C++'s operator new and delete, by their mangled names (Itanium ABI, `size_t` = `unsigned long`).
//!
//! The C++ runtime's operators call `malloc` and `free` by name, where their events are recorded:
//! these functions jump to them. An allocator that serves the operators itself (the library of the
//! next `malloc` defines them) is not seen there: its `malloc` and `free` are called from here, on
//! the same heap. Without memory, `new` jumps to the next definition, which runs the new_handler
//! and throws: a jump leaves no frame for the exception to cross.

use core::arch::naked_asm;
use core::ffi::{CStr, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use memoman_trace_format::layout::op;

use super::next::{self, FREE, MALLOC, MEMALIGN};
use super::note;

/// One operator.
struct Operator {
    name: &'static CStr,
    next: AtomicPtr<c_void>,
    way: AtomicU8,
}

/// How an operator works.
const UNKNOWN: u8 = 0;
/// The next definition calls `malloc` and `free` by name.
const BY_NAME: u8 = 1;
/// The next definition serves by itself, or does not exist.
const DIRECT: u8 = 2;

impl Operator {
    const fn of(name: &'static CStr) -> Operator {
        Operator {
            name,
            next: AtomicPtr::new(ptr::null_mut()),
            way: AtomicU8::new(UNKNOWN),
        }
    }

    #[inline(always)]
    fn way(&self) -> u8 {
        match self.way.load(Ordering::Acquire) {
            UNKNOWN => self.look_up(),
            way => way,
        }
    }

    #[cold]
    fn look_up(&self) -> u8 {
        next::look_up();
        let next = self.find();
        self.next.store(next, Ordering::Relaxed);
        let direct = next.is_null() || library(next) == library(MALLOC.address());
        let way = if direct { DIRECT } else { BY_NAME };
        self.way.store(way, Ordering::Release);
        way
    }

    /// The next definition. A C++ runtime that was loaded for one library only is found by name.
    fn find(&self) -> *mut c_void {
        // SAFETY: C strings.
        unsafe {
            let next = libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr());
            if !next.is_null() {
                return next;
            }
            for runtime in [c"libstdc++.so.6", c"libc++.so.1"] {
                let handle = libc::dlopen(runtime.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD);
                if !handle.is_null() {
                    return libc::dlsym(handle, self.name.as_ptr());
                }
            }
        }
        ptr::null_mut()
    }
}

/// Where the library of an address starts.
fn library(address: *mut c_void) -> *mut c_void {
    // SAFETY: zeros are valid; dladdr writes to it.
    unsafe {
        let mut about: libc::Dl_info = core::mem::zeroed();
        libc::dladdr(address, &mut about);
        about.dli_fbase
    }
}

/// `new`: the block, or null when the next definition is to be jumped to.
extern "C" fn allocate(bytes: usize, _: usize, _: usize, operator: &Operator) -> *mut c_void {
    if operator.way() == BY_NAME {
        return ptr::null_mut();
    }
    let Some(next) = MALLOC.known() else {
        return ptr::null_mut();
    };
    // SAFETY: C's malloc.
    let block = unsafe { next(bytes.max(1)) };
    note::allocated(op::MALLOC, block, bytes, 0);
    block
}

/// `new` with an alignment.
extern "C" fn allocate_aligned(
    bytes: usize,
    align: usize,
    _: usize,
    operator: &Operator,
) -> *mut c_void {
    if operator.way() == BY_NAME {
        return ptr::null_mut();
    }
    let Some(next) = MEMALIGN.get() else {
        return ptr::null_mut();
    };
    // SAFETY: glibc's memalign.
    let block = unsafe { next(align, bytes.max(1)) };
    note::allocated(op::MEMALIGN, block, bytes, align);
    block
}

/// `delete`: whether it is done, or the next definition is to be jumped to.
extern "C" fn release(block: *mut c_void, _: usize, _: usize, operator: &Operator) -> usize {
    if operator.way() == BY_NAME {
        return 0;
    }
    if !block.is_null()
        && let Some(next) = FREE.get()
    {
        note::freed(block);
        // SAFETY: the block is the heap's, as the caller has promised.
        unsafe { next(block) };
    }
    1
}

/// The definition to jump to.
extern "C" fn next_of(operator: &Operator) -> *mut c_void {
    operator.way();
    let mut next = operator.next.load(Ordering::Relaxed);
    if next.is_null() {
        // It may have been loaded meanwhile.
        next = operator.find();
    }
    if !next.is_null() {
        return next;
    }
    if operator.name.to_bytes().ends_with(b"nothrow_t") {
        return nothing as extern "C" fn() -> *mut c_void as *mut c_void;
    }
    const LINE: &[u8] = b"memoman: out of memory in operator new, and no C++ runtime to throw\n";
    // SAFETY: the bytes are a constant; abort has no precondition.
    unsafe {
        libc::write(2, LINE.as_ptr().cast(), LINE.len());
        libc::abort();
    }
}

extern "C" fn nothing() -> *mut c_void {
    ptr::null_mut()
}

/// Calls `$serve` with the arguments and the operator; if it returns 0, jumps to the next
/// definition with the same arguments.
macro_rules! operators {
    ($($name:ident $serve:ident $arguments:literal;)*) => {
        #[allow(non_upper_case_globals, reason = "the names are those of the functions")]
        mod each {
            use super::{CStr, Operator};
            $(pub(super) static $name: Operator = Operator::of(
                match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => c"",
                },
            );)*
        }
        static ALL: &[&Operator] = &[$(&each::$name),*];
        $(
        #[doc = concat!("`operator ", $arguments, "`.")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() -> *mut c_void {
            naked_asm!(
                ".cfi_startproc",
                "push rdi", ".cfi_adjust_cfa_offset 8",
                "push rsi", ".cfi_adjust_cfa_offset 8",
                "push rdx", ".cfi_adjust_cfa_offset 8",
                "lea rcx, [rip + {operator}]",
                "call {serve}",
                "test rax, rax",
                "jz 2f",
                "add rsp, 24", ".cfi_adjust_cfa_offset -24",
                "ret",
                "2:", ".cfi_adjust_cfa_offset 24",
                "lea rdi, [rip + {operator}]",
                "call {next_of}",
                "pop rdx", ".cfi_adjust_cfa_offset -8",
                "pop rsi", ".cfi_adjust_cfa_offset -8",
                "pop rdi", ".cfi_adjust_cfa_offset -8",
                "jmp rax",
                ".cfi_endproc",
                operator = sym each::$name,
                serve = sym $serve,
                next_of = sym next_of,
            );
        }
        )*
    };
}

/// Looks all operators up, if the program has a C++ runtime or an allocator that serves them.
pub(crate) fn look_up() {
    // SAFETY: a C string.
    if !unsafe { libc::dlsym(libc::RTLD_NEXT, c"_Znwm".as_ptr()) }.is_null() {
        for operator in ALL {
            if !operator.find().is_null() {
                operator.way();
            }
        }
    }
}

operators! {
    _Znwm allocate "new(size_t)";
    _Znam allocate "new[](size_t)";
    _ZnwmRKSt9nothrow_t allocate "new(size_t, nothrow)";
    _ZnamRKSt9nothrow_t allocate "new[](size_t, nothrow)";
    _ZnwmSt11align_val_t allocate_aligned "new(size_t, align_val_t)";
    _ZnamSt11align_val_t allocate_aligned "new[](size_t, align_val_t)";
    _ZnwmSt11align_val_tRKSt9nothrow_t allocate_aligned "new(size_t, align_val_t, nothrow)";
    _ZnamSt11align_val_tRKSt9nothrow_t allocate_aligned "new[](size_t, align_val_t, nothrow)";
    _ZdlPv release "delete(void *)";
    _ZdaPv release "delete[](void *)";
    _ZdlPvm release "delete(void *, size_t)";
    _ZdaPvm release "delete[](void *, size_t)";
    _ZdlPvRKSt9nothrow_t release "delete(void *, nothrow)";
    _ZdaPvRKSt9nothrow_t release "delete[](void *, nothrow)";
    _ZdlPvSt11align_val_t release "delete(void *, align_val_t)";
    _ZdaPvSt11align_val_t release "delete[](void *, align_val_t)";
    _ZdlPvmSt11align_val_t release "delete(void *, size_t, align_val_t)";
    _ZdaPvmSt11align_val_t release "delete[](void *, size_t, align_val_t)";
    _ZdlPvSt11align_val_tRKSt9nothrow_t release "delete(void *, align_val_t, nothrow)";
    _ZdaPvSt11align_val_tRKSt9nothrow_t release "delete[](void *, align_val_t, nothrow)";
}
