//! What a memory checker is told: AddressSanitizer, when the program is built with it, and valgrind's memcheck, when the
//! program runs under it. Both are found when an allocator is created; without them nothing here runs again.
//!
//! ```text
//!  pool header │ header │ payload: requested bytes │ slack │ header │ free block … │ sentinel
//!  ░░░░░░░░░░░░░░░░░░░░░░                          ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   ░ not to be touched
//! ```
//! On other targets than x86-64 Linux, and in a library that is instrumented itself, nobody is found.
//!
//! The library's own accesses are not reported: it is not instrumented, and under valgrind a [`Quiet`] is in force.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

/// A checker can be found on this target. Elsewhere nothing of this file is left in the library.
pub(super) const POSSIBLE: bool = cfg!(all(
    target_os = "linux",
    target_arch = "x86_64",
    not(memoman_instrumented),
    not(memoman_small)
));

/// Nobody has looked yet.
const UNKNOWN: u8 = 0;
const NOBODY: u8 = 1;
const ASAN: u8 = 2;
const VALGRIND: u8 = 3;

/// Who watches this process: found once, the same for all allocators.
static WATCHER: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Looks for a checker, at the creation of an allocator.
#[inline(never)]
pub(super) fn find() -> bool {
    if POSSIBLE && WATCHER.load(Ordering::Relaxed) == UNKNOWN {
        let watcher = if asan::is_there() {
            ASAN
        } else if valgrind::is_there() {
            VALGRIND
        } else {
            NOBODY
        };
        WATCHER.store(watcher, Ordering::Relaxed);
    }
    is_watched()
}

/// A checker watches this process. (False until an allocator is created.)
#[inline(always)]
pub(super) fn is_watched() -> bool {
    POSSIBLE && WATCHER.load(Ordering::Relaxed) > NOBODY
}

/// These bytes are not to be touched.
#[cold]
#[inline(never)]
pub(super) fn forbid(start: *const u8, bytes: usize) {
    match WATCHER.load(Ordering::Relaxed) {
        ASAN => asan::poison(start, bytes),
        VALGRIND => {
            valgrind::request(valgrind::MAKE_MEM_NOACCESS, start.addr(), bytes, 0, 0);
        }
        _ => {}
    }
}

/// These bytes are the program's. Their contents, as far as memcheck is concerned, are meaningless: `defined` false; or
/// mean something.
#[cold]
#[inline(never)]
pub(super) fn allow(start: *const u8, bytes: usize, defined: bool) {
    match WATCHER.load(Ordering::Relaxed) {
        ASAN => asan::unpoison(start, bytes),
        VALGRIND => {
            let what = if defined {
                valgrind::MAKE_MEM_DEFINED
            } else {
                valgrind::MAKE_MEM_UNDEFINED
            };
            valgrind::request(what, start.addr(), bytes, 0, 0);
        }
        _ => {}
    }
}

/// The core is about to copy to somewhere in these bytes, and the C library's functions may be AddressSanitizer's own.
#[cold]
#[inline(never)]
pub(super) fn allow_for_copy(start: *const u8, bytes: usize) {
    if WATCHER.load(Ordering::Relaxed) == ASAN {
        asan::unpoison(start, bytes);
    }
}

/// After [`allow_for_copy`]: none of these bytes is to be touched; [`allow_again`] says which are.
#[cold]
#[inline(never)]
pub(super) fn forbid_after_copy(start: *const u8, bytes: usize) {
    if WATCHER.load(Ordering::Relaxed) == ASAN {
        asan::poison(start, bytes);
    }
}

/// After [`forbid_after_copy`]: these may be touched as before. Memcheck has not been told otherwise.
pub(super) fn allow_again(start: *const u8, bytes: usize) {
    allow_for_copy(start, bytes);
}

/// How many bytes from `start` on, at most `bytes`, may be touched: what was requested, for a block in use.
#[cold]
#[inline(never)]
pub(super) fn allowed(start: *const u8, bytes: usize) -> usize {
    let first_forbidden = match WATCHER.load(Ordering::Relaxed) {
        ASAN => asan::first_poisoned(start, bytes),
        VALGRIND => valgrind::request(
            valgrind::CHECK_MEM_IS_ADDRESSABLE,
            start.addr(),
            bytes,
            0,
            0,
        ),
        _ => 0,
    };
    if first_forbidden == 0 {
        bytes
    } else {
        first_forbidden - start.addr()
    }
}

/// Memcheck keeps a list of an allocator's blocks, so that a report says whose block it was, and where it was
/// allocated and freed. The allocator is the list's name.
pub(super) fn began(allocator: *const u8) {
    listed(valgrind::CREATE_MEMPOOL, allocator, 0, 0);
}

/// All blocks of the allocator are given up.
pub(super) fn ended(allocator: *const u8) {
    listed(valgrind::DESTROY_MEMPOOL, allocator, 0, 0);
}

/// A block came into use, for a request of so many bytes. Their contents are meaningless.
#[cold]
#[inline(never)]
pub(super) fn taken(allocator: *const u8, block: NonNull<u8>, bytes: usize) {
    allow(block.as_ptr(), bytes, false);
    listed(
        valgrind::MEMPOOL_ALLOC,
        allocator,
        block.as_ptr().addr(),
        bytes,
    );
}

/// A block of so many usable bytes is given up.
#[cold]
#[inline(never)]
pub(super) fn given_up(allocator: *const u8, block: NonNull<u8>, usable: usize) {
    listed(valgrind::MEMPOOL_FREE, allocator, block.as_ptr().addr(), 0);
    forbid(block.as_ptr(), usable);
}

/// A block in use stays where it is and is now for a request of so many bytes.
pub(super) fn resized(allocator: *const u8, block: NonNull<u8>, bytes: usize) {
    if WATCHER.load(Ordering::Relaxed) == VALGRIND {
        let place = block.as_ptr().addr();
        valgrind::request(
            valgrind::MEMPOOL_CHANGE,
            allocator.addr(),
            place,
            place,
            bytes,
        );
    }
}

#[cold]
#[inline(never)]
fn listed(what: usize, allocator: *const u8, second: usize, third: usize) {
    if WATCHER.load(Ordering::Relaxed) == VALGRIND {
        valgrind::request(what, allocator.addr(), second, third, 0);
    }
}

/// While this lives, memcheck reports nothing on this thread: the library touches what the program must not.
pub(super) struct Quiet(bool);

impl Quiet {
    pub(super) fn new() -> Quiet {
        let valgrind = WATCHER.load(Ordering::Relaxed) == VALGRIND;
        if valgrind {
            valgrind::request(valgrind::CHANGE_ERR_DISABLEMENT, 1, 0, 0, 0);
        }
        Quiet(valgrind)
    }

    /// Runs the program's code in between.
    pub(super) fn interrupted<R>(&self, work: impl FnOnce() -> R) -> R {
        if !self.0 {
            return work();
        }
        valgrind::request(valgrind::CHANGE_ERR_DISABLEMENT, usize::MAX, 0, 0, 0);
        let result = work();
        valgrind::request(valgrind::CHANGE_ERR_DISABLEMENT, 1, 0, 0, 0);
        result
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if self.0 {
            valgrind::request(valgrind::CHANGE_ERR_DISABLEMENT, usize::MAX, 0, 0, 0);
        }
    }
}

/// AddressSanitizer's interface for those who manage memory themselves (`sanitizer/asan_interface.h`), where the program
/// brings it: weak references, which are null where it does not.
mod asan {
    use core::mem::transmute;

    macro_rules! weak {
        ($name:literal) => {{
            #[allow(unused_mut, unused_assignments, reason = "not everywhere there is an assignment")]
            let mut address = 0usize;
            // SAFETY: reads the symbol's entry in the global offset table, which is null for an undefined weak symbol.
            #[cfg(all(target_os = "linux", target_arch = "x86_64", not(memoman_instrumented)))]
            unsafe {
                core::arch::asm!(
                    concat!(".weak ", $name),
                    concat!("mov {0}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                    out(reg) address,
                    options(nostack, pure, nomem, preserves_flags)
                );
            }
            address
        }};
    }

    pub(super) fn is_there() -> bool {
        weak!("__asan_poison_memory_region") != 0
            && weak!("__asan_unpoison_memory_region") != 0
            && weak!("__asan_region_is_poisoned") != 0
    }

    type Mark = unsafe extern "C" fn(*const u8, usize);
    type Ask = unsafe extern "C" fn(*const u8, usize) -> *const u8;

    /// Shadow memory is an eighth of what it describes, so of a greater region only so much at both ends is poisoned: a
    /// sparse pool of a terabyte works as without the sanitizer.
    const END: usize = 1 << 20;

    pub(super) fn poison(start: *const u8, bytes: usize) {
        let function = weak!("__asan_poison_memory_region");
        // SAFETY: called only when `is_there`: a C function of this type. It touches shadow memory only.
        let poison = unsafe { transmute::<usize, Mark>(function) };
        // SAFETY: as above.
        unsafe {
            poison(start, bytes.min(END));
            if bytes > END {
                let behind = (bytes - END).min(END);
                poison(start.wrapping_add(bytes - behind), behind);
            }
        }
    }

    pub(super) fn unpoison(start: *const u8, bytes: usize) {
        let function = weak!("__asan_unpoison_memory_region");
        // SAFETY: as for `poison`.
        unsafe { transmute::<usize, Mark>(function)(start, bytes) }
    }

    /// Address of the first poisoned byte, 0 without one.
    pub(super) fn first_poisoned(start: *const u8, bytes: usize) -> usize {
        let function = weak!("__asan_region_is_poisoned");
        // SAFETY: as for `poison`.
        unsafe { transmute::<usize, Ask>(function)(start, bytes).addr() }
    }
}

/// Valgrind's client requests (`valgrind/valgrind.h`, `valgrind/memcheck.h`): an instruction sequence that does nothing
/// on a processor and means a request to valgrind.
mod valgrind {
    pub(super) const CREATE_MEMPOOL: usize = 0x1303;
    pub(super) const DESTROY_MEMPOOL: usize = 0x1304;
    pub(super) const MEMPOOL_ALLOC: usize = 0x1305;
    pub(super) const MEMPOOL_FREE: usize = 0x1306;
    pub(super) const MEMPOOL_CHANGE: usize = 0x1309;
    pub(super) const CHANGE_ERR_DISABLEMENT: usize = 0x1801;
    const MEMCHECK: usize = 0x4D43_0000;
    pub(super) const MAKE_MEM_NOACCESS: usize = MEMCHECK;
    pub(super) const MAKE_MEM_UNDEFINED: usize = MEMCHECK + 1;
    pub(super) const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;
    pub(super) const CHECK_MEM_IS_ADDRESSABLE: usize = MEMCHECK + 4;

    const GET_VBITS: usize = MEMCHECK + 8;

    /// Memcheck it must be: the other tools do not use the marks, and callgrind would count their making. Only
    /// memcheck answers with 1 when it is asked whether a byte is defined.
    pub(super) fn is_there() -> bool {
        let (byte, mut bits) = (0u8, 0u8);
        let from = core::ptr::from_ref(&byte).addr();
        let to = core::ptr::from_mut(&mut bits).expose_provenance();
        request(GET_VBITS, from, to, 1, 0) == 1
    }

    #[inline(never)]
    pub(super) fn request(what: usize, a: usize, b: usize, c: usize, d: usize) -> usize {
        let arguments = [what, a, b, c, d, 0];
        #[allow(unused_mut, reason = "not everywhere there is a request")]
        let mut answer = 0usize;
        // SAFETY: four rotations that add up to a full turn of rdi, and an exchange of rbx with itself; under valgrind
        // the request, which reads `arguments` and puts its answer into rdx.
        #[cfg(all(target_os = "linux", target_arch = "x86_64", not(memoman_instrumented)))]
        unsafe {
            core::arch::asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") arguments.as_ptr(),
                inout("rdx") answer,
                inout("rdi") 0usize => _,
                options(nostack)
            );
        }
        let _ = arguments;
        answer
    }
}
