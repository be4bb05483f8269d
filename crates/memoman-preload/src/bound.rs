//! The definitions that the dynamic linker has bound the names of the family to: this library's
//! own, or those of the program or of a library that comes first in the search order.
//!
//! The C and C++ libraries implement some functions by calling others *by name*, so that a program
//! that replaces only some of them keeps its meaning. So does this library: it jumps through its
//! own global offset table, whose entries are bound before any of its code runs and never change.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU8, Ordering};

/// The address that a call of an exported name reaches, read from the global offset table.
#[cfg(target_arch = "x86_64")]
macro_rules! bound {
    ($name:ident) => {{
        let address: *const core::ffi::c_void;
        // SAFETY: loads the name's entry of the global offset table.
        unsafe {
            core::arch::asm!(
                concat!("mov {0}, qword ptr [rip + ", stringify!($name), "@GOTPCREL]"),
                out(reg) address,
                options(nostack, pure, readonly, preserves_flags),
            );
        }
        address
    }};
}
#[cfg(target_arch = "aarch64")]
macro_rules! bound {
    ($name:ident) => {{
        let address: *const core::ffi::c_void;
        // SAFETY: loads the name's entry of the global offset table.
        unsafe {
            core::arch::asm!(
                concat!("adrp {0}, :got:", stringify!($name)),
                concat!("ldr {0}, [{0}, :got_lo12:", stringify!($name), "]"),
                out(reg) address,
                options(nostack, pure, readonly, preserves_flags),
            );
        }
        address
    }};
}
#[cfg(target_arch = "riscv64")]
macro_rules! bound {
    ($name:ident) => {{
        let address: *const core::ffi::c_void;
        // SAFETY: loads the name's entry of the global offset table.
        unsafe {
            core::arch::asm!(
                concat!("lga {0}, ", stringify!($name)),
                out(reg) address,
                options(nostack, pure, readonly, preserves_flags),
            );
        }
        address
    }};
}
#[cfg(target_arch = "s390x")]
macro_rules! bound {
    ($name:ident) => {{
        let address: *const core::ffi::c_void;
        // SAFETY: loads the name's entry of the global offset table.
        unsafe {
            core::arch::asm!(
                concat!("lgrl {0}, ", stringify!($name), "@GOTENT"),
                out(reg) address,
                options(nostack, pure, readonly, preserves_flags),
            );
        }
        address
    }};
}
pub(crate) use bound;

/// What is known about the names that the C++ operators build on. While it is not [`OWN`], the
/// operators go by name.
pub(crate) static NAMES: AtomicU8 = AtomicU8::new(UNKNOWN);
/// Every name is bound to this library.
const OWN: u8 = 0;
/// At least one is bound elsewhere.
const ELSEWHERE: u8 = 1;
const UNKNOWN: u8 = 2;

/// Every name that the C++ operators build on is bound to this library.
///
/// A non-PIE program that takes the address of such a function binds the name to an entry of its
/// own procedure linkage table, which leads here: it counts as bound elsewhere, to the same effect.
pub(crate) fn names_are_own() -> bool {
    let known = NAMES.load(Ordering::Relaxed);
    if known != UNKNOWN {
        return known == OWN;
    }
    let image = Image::of_this_library();
    let own = [
        bound!(malloc),
        bound!(free),
        bound!(aligned_alloc),
        bound!(memalign),
        bound!(posix_memalign),
        bound!(_Znwm),
        bound!(_Znam),
        bound!(_ZnwmSt11align_val_t),
        bound!(_ZnamSt11align_val_t),
        bound!(_ZdlPv),
        bound!(_ZdaPv),
        bound!(_ZdlPvSt11align_val_t),
        bound!(_ZdaPvSt11align_val_t),
        // A program's own derived form may be built on `malloc` or `free`: another family.
        #[cfg(memoman_debug)]
        bound!(_ZnwmRKSt9nothrow_t),
        #[cfg(memoman_debug)]
        bound!(_ZnamRKSt9nothrow_t),
        #[cfg(memoman_debug)]
        bound!(_ZnwmSt11align_val_tRKSt9nothrow_t),
        #[cfg(memoman_debug)]
        bound!(_ZnamSt11align_val_tRKSt9nothrow_t),
        #[cfg(memoman_debug)]
        bound!(_ZdlPvm),
        #[cfg(memoman_debug)]
        bound!(_ZdaPvm),
        #[cfg(memoman_debug)]
        bound!(_ZdlPvRKSt9nothrow_t),
        #[cfg(memoman_debug)]
        bound!(_ZdaPvRKSt9nothrow_t),
        #[cfg(memoman_debug)]
        bound!(_ZdlPvmSt11align_val_t),
        #[cfg(memoman_debug)]
        bound!(_ZdaPvmSt11align_val_t),
        #[cfg(memoman_debug)]
        bound!(_ZdlPvSt11align_val_tRKSt9nothrow_t),
        #[cfg(memoman_debug)]
        bound!(_ZdaPvSt11align_val_tRKSt9nothrow_t),
    ]
    .iter()
    .all(|address| image.contains(*address));
    NAMES.store(if own { OWN } else { ELSEWHERE }, Ordering::Relaxed);
    own
}

/// The address is that of a function of this library.
pub(crate) fn is_own(address: *const c_void) -> bool {
    Image::of_this_library().contains(address)
}

/// The addresses that this library is loaded at.
struct Image {
    start: usize,
    bytes: usize,
}

impl Image {
    fn of_this_library() -> Image {
        unsafe extern "C" {
            /// Defined by the linker: the ELF header, at the start of the first segment.
            static __ehdr_start: libc::Elf64_Ehdr;
        }
        let header = &raw const __ehdr_start;
        // SAFETY: the first segment holds the ELF header and, after it, the program headers; both
        // stay as the linker wrote them.
        let segments = unsafe {
            let first = header.cast::<u8>().add((*header).e_phoff as usize);
            core::slice::from_raw_parts(
                first.cast::<libc::Elf64_Phdr>(),
                usize::from((*header).e_phnum),
            )
        };
        // Addresses of segments are relative to the header, which has address 0.
        let end = segments
            .iter()
            .filter(|segment| segment.p_type == libc::PT_LOAD)
            .map(|segment| (segment.p_vaddr + segment.p_memsz) as usize)
            .max();
        Image {
            start: header.addr(),
            bytes: end.unwrap_or(0),
        }
    }

    fn contains(&self, address: *const c_void) -> bool {
        address.addr().wrapping_sub(self.start) < self.bytes
    }
}
