//! Marks for a memory checker: AddressSanitizer, if the program is built with it, or valgrind's
//! memcheck, if the program runs under it. The first creation of an allocator looks for them;
//! without a checker, calls cost one test more and make no marks.
//!
//! ```text
//!  pool header │ header │ payload: requested bytes │ slack │ header │ free block … │ sentinel
//!  ░░░░░░░░░░░░░░░░░░░░░░                          ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
//!  ░ forbidden to the program
//! ```
//! On targets other than x86-64 Linux, and in a library that is instrumented itself, no checker is
//! found.
//!
//! The library's own accesses are not reported: the library is not instrumented, and under valgrind
//! a [`Quiet`] is in force.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

use memoman_core::config::HEADER;

/// Whether this target can have a checker. Elsewhere the library contains nothing of this file.
pub(super) const POSSIBLE: bool = cfg!(all(
    target_os = "linux",
    target_arch = "x86_64",
    not(memoman_instrumented)
));

/// The search has not been made.
const UNKNOWN: u8 = 0;
const ABSENT: u8 = 1;
const ASAN: u8 = 2;
const VALGRIND: u8 = 3;

/// Bit beside these: an observer has been set in this process.
const OBSERVED: u8 = 4;

/// The checker of this process: found once, the same for all allocators.
static WATCHER: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Looks for a checker; called when an allocator is created.
#[inline(never)]
pub(super) fn find() -> bool {
    if POSSIBLE && checker() == UNKNOWN {
        let watcher = if asan::is_there() {
            ASAN
        } else if valgrind::is_there() {
            VALGRIND
        } else {
            ABSENT
        };
        set(watcher);
    }
    has_checker()
}

/// Whether an allocator of this process may be intercepted: for a checker, found when the first one
/// is created, or for an observer.
#[inline(always)]
pub(super) fn is_watched() -> bool {
    WATCHER.load(Ordering::Relaxed) > ABSENT
}

/// Whether a checker watches this process; false until an allocator is created.
pub(crate) fn has_checker() -> bool {
    checker() > ABSENT
}

/// States that an observer is set.
pub(super) fn observe() {
    set(OBSERVED);
}

fn set(bits: u8) {
    #[cfg(target_has_atomic = "8")]
    WATCHER.fetch_or(bits, Ordering::Relaxed);
    // Such a processor has one core, and an interrupt creates no allocator.
    #[cfg(not(target_has_atomic = "8"))]
    WATCHER.store(WATCHER.load(Ordering::Relaxed) | bits, Ordering::Relaxed);
}

fn checker() -> u8 {
    if POSSIBLE {
        WATCHER.load(Ordering::Relaxed) & !OBSERVED
    } else {
        ABSENT
    }
}

/// Forbids the program to touch these bytes.
#[cold]
#[inline(never)]
pub(super) fn forbid(start: *const u8, bytes: usize) {
    match checker() {
        ASAN => asan::poison(start, bytes),
        VALGRIND => {
            valgrind::request(valgrind::MAKE_MEM_NOACCESS, start.addr(), bytes, 0, 0);
        }
        _ => {}
    }
}

/// Allows the program to touch these bytes. `defined` is for memcheck: whether they are
/// initialized.
#[cold]
#[inline(never)]
pub(super) fn allow(start: *const u8, bytes: usize, defined: bool) {
    match checker() {
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

/// Allows these bytes for a copy by the core: AddressSanitizer replaces the C library's copying
/// functions and tests what they touch.
#[cold]
#[inline(never)]
pub(super) fn allow_for_copy(start: *const u8, bytes: usize) {
    if checker() == ASAN {
        asan::unpoison(start, bytes);
    }
}

/// Ends [`allow_for_copy`] and forbids all of its bytes; [`allow_again`] follows for those in use.
#[cold]
#[inline(never)]
pub(super) fn forbid_after_copy(start: *const u8, bytes: usize) {
    if checker() == ASAN {
        asan::poison(start, bytes);
    }
}

/// Allows bytes in use again after [`forbid_after_copy`]. For memcheck they were never forbidden.
pub(super) fn allow_again(start: *const u8, bytes: usize) {
    allow_for_copy(start, bytes);
}

/// The bytes from `start` on, at most `bytes`, that the program may touch: for a block in use, the
/// bytes requested.
#[cold]
#[inline(never)]
pub(super) fn allowed(start: *const u8, bytes: usize) -> usize {
    let first_forbidden = match checker() {
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

/// Starts memcheck's list of an allocator's blocks. With it a report names the block, and where it
/// was allocated and freed. The allocator's address is the list's name. A report counts a header's
/// bytes before a block, and as many after the request, as the block's surroundings: no other
/// block's payload lies there.
pub(super) fn began(allocator: *const u8) {
    listed(valgrind::CREATE_MEMPOOL, allocator, HEADER, 0);
}

/// Ends the list: all blocks of the allocator are freed.
pub(super) fn ended(allocator: *const u8) {
    listed(valgrind::DESTROY_MEMPOOL, allocator, 0, 0);
}

/// Marks a new block for a request of `bytes` bytes, with undefined contents.
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

/// Marks a freed block of `usable` bytes.
#[cold]
#[inline(never)]
pub(super) fn given_up(allocator: *const u8, block: NonNull<u8>, usable: usize) {
    listed(valgrind::MEMPOOL_FREE, allocator, block.as_ptr().addr(), 0);
    forbid(block.as_ptr(), usable);
}

/// Marks a block that was resized in place for a request of `bytes` bytes.
pub(super) fn resized(allocator: *const u8, block: NonNull<u8>, bytes: usize) {
    if checker() == VALGRIND {
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

/// Sends memcheck a request about an allocator's list of blocks.
#[cold]
#[inline(never)]
fn listed(what: usize, allocator: *const u8, second: usize, third: usize) {
    if checker() == VALGRIND {
        valgrind::request(what, allocator.addr(), second, third, 0);
    }
}

/// While it lives, memcheck reports nothing on this thread: the library touches bytes that are
/// forbidden to the program.
pub(super) struct Quiet(bool);

impl Quiet {
    pub(super) fn new() -> Quiet {
        let valgrind = checker() == VALGRIND;
        if valgrind {
            valgrind::request(valgrind::CHANGE_ERR_DISABLEMENT, 1, 0, 0, 0);
        }
        Quiet(valgrind)
    }

    /// Runs code of the program, with reports on.
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

/// AddressSanitizer's interface for custom allocators (`sanitizer/asan_interface.h`): weak
/// references, which are null in a program without it.
mod asan {
    use core::mem::transmute;

    macro_rules! weak {
        ($name:literal) => {{
            #[allow(unused_mut, unused_assignments, reason = "assigned on some targets only")]
            let mut address = 0usize;
            // SAFETY: reads the symbol's entry in the global offset table, which exists, and is
            // null for an undefined weak symbol.
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

    /// Bytes poisoned at each end of a region; the middle of a larger one is left as it is. Shadow
    /// memory is an eighth of the memory that it describes, and a sparse pool of a terabyte must
    /// not fill it.
    const END: usize = 1 << 20;

    pub(super) fn poison(start: *const u8, bytes: usize) {
        let function = weak!("__asan_poison_memory_region");
        // SAFETY: called only if `is_there`, so the address is that of a C function of this type.
        let poison = unsafe { transmute::<usize, Mark>(function) };
        // SAFETY: the function touches shadow memory only.
        unsafe {
            poison(start, bytes.min(END));
            if bytes > END {
                let tail = (bytes - END).min(END);
                poison(start.wrapping_add(bytes - tail), tail);
            }
        }
    }

    pub(super) fn unpoison(start: *const u8, bytes: usize) {
        let function = weak!("__asan_unpoison_memory_region");
        // SAFETY: called only if `is_there`, so the address is that of a C function of this type,
        // which touches shadow memory only.
        unsafe { transmute::<usize, Mark>(function)(start, bytes) }
    }

    /// The address of the first poisoned byte; 0 without one.
    pub(super) fn first_poisoned(start: *const u8, bytes: usize) -> usize {
        let function = weak!("__asan_region_is_poisoned");
        // SAFETY: called only if `is_there`, so the address is that of a C function of this type,
        // which reads shadow memory only.
        unsafe { transmute::<usize, Ask>(function)(start, bytes).addr() }
    }
}

/// Valgrind's client requests (`valgrind/valgrind.h`, `valgrind/memcheck.h`): an instruction
/// sequence that does nothing on a processor and that valgrind takes as a request.
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

    /// Whether the program runs under memcheck, the only tool of valgrind that uses the marks;
    /// callgrind would count their cost. Only memcheck answers 1 to the request for a byte's
    /// definedness.
    pub(super) fn is_there() -> bool {
        let (byte, mut bits) = (0u8, 0u8);
        let from = core::ptr::from_ref(&byte).addr();
        let to = core::ptr::from_mut(&mut bits).expose_provenance();
        request(GET_VBITS, from, to, 1, 0) == 1
    }

    #[inline(never)]
    pub(super) fn request(what: usize, a: usize, b: usize, c: usize, d: usize) -> usize {
        let arguments = [what, a, b, c, d, 0];
        #[allow(unused_mut, reason = "assigned on some targets only")]
        let mut answer = 0usize;
        // SAFETY: four rotations of rdi by 128 bits in all and an exchange of rbx with itself
        // change nothing; under valgrind the request reads `arguments` and writes its answer to
        // rdx.
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
