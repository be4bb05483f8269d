//! Return addresses of the calling thread where [`walk`](super::walk) has no answer: by libunwind,
//! which remembers how it has unwound an address, else by the compiler's library, which is ten
//! times slower. In the child of a process
//! with threads only the latter will do: it takes no lock where the C library has
//! `_dl_find_object` (glibc 2.35, GCC 12).

use core::ffi::{CStr, c_int, c_void};
use core::mem;
use core::ops::Range;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use memoman_trace_format::layout::STACK_MAX;

use super::{loader, rules, settings};

/// Frames of the recorder itself, at most: less is inlined in a debug build.
const OWN: usize = if cfg!(debug_assertions) { 16 } else { 6 };
/// Room for a stack.
pub(crate) const ROOM: usize = STACK_MAX + OWN;

type Backtrace = unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int;
type Frame = unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int;
type Walk = unsafe extern "C" fn(Frame, *mut c_void) -> c_int;
type Address = unsafe extern "C" fn(*mut c_void) -> usize;

/// libunwind's `unw_backtrace`.
static CACHED: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
/// The compiler's `_Unwind_Backtrace` and `_Unwind_GetIP`.
static WALK: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static ADDRESS: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
/// The compiler's library takes no lock.
static WITHOUT_LOCKS: AtomicBool = AtomicBool::new(false);
/// Where the recorder's code is.
static START: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    /// Defined by the linker: the ELF header, at the start of the first segment.
    static __ehdr_start: libc::Elf64_Ehdr;
}

fn find(library: &CStr, name: &CStr) -> *mut c_void {
    // SAFETY: C strings. The library stays loaded.
    unsafe {
        let handle = libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        if handle.is_null() {
            return handle;
        }
        libc::dlsym(handle, name.as_ptr())
    }
}

/// Opens an unwinder; without one, events have no stacks.
pub(crate) fn prepare() {
    if settings::stacks() == 0 {
        return;
    }
    // SAFETY: the linker's symbol; the program headers lie in the first segment, behind it.
    unsafe {
        let header = &raw const __ehdr_start;
        let first = header.cast::<u8>().add((*header).e_phoff as usize);
        let segments = core::slice::from_raw_parts(
            first.cast::<libc::Elf64_Phdr>(),
            usize::from((*header).e_phnum),
        );
        let loaded = segments.iter().filter(|part| part.p_type == libc::PT_LOAD);
        let bytes = loaded
            .map(|part| (part.p_vaddr + part.p_memsz) as usize)
            .max();
        START.store(header.addr(), Ordering::Relaxed);
        END.store(header.addr() + bytes.unwrap_or(0), Ordering::Relaxed);
    }
    // SAFETY: a C string.
    let finds = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) };
    rules::prepare(finds);
    CACHED.store(find(c"libunwind.so.8", c"unw_backtrace"), Ordering::Relaxed);
    const GCC: &CStr = c"libgcc_s.so.1";
    ADDRESS.store(find(GCC, c"_Unwind_GetIP"), Ordering::Relaxed);
    WALK.store(find(GCC, c"_Unwind_Backtrace"), Ordering::Relaxed);
    if !can_walk() {
        if CACHED.load(Ordering::Relaxed).is_null() {
            settings::without_stacks();
        }
        return;
    }
    // A function that GCC 12 has added stands for its version.
    let is_free = !finds.is_null() && !find(GCC, c"__extendhfsf2").is_null();
    WITHOUT_LOCKS.store(is_free, Ordering::Relaxed);
    // The library prepares itself at its first walk.
    let mut room = [0; ROOM];
    walk(&mut room[..OWN]);
}

fn can_walk() -> bool {
    !ADDRESS.load(Ordering::Relaxed).is_null() && !WALK.load(Ordering::Relaxed).is_null()
}

/// In the child of a fork: the unwinders may have locks that no thread releases any more.
pub(crate) fn forked() {
    if settings::stacks() > 0 && !loader::is_usable() {
        CACHED.store(ptr::null_mut(), Ordering::Relaxed);
        if !WITHOUT_LOCKS.load(Ordering::Relaxed) {
            settings::without_stacks();
        }
    }
}

/// What `_Unwind_Backtrace` collects.
struct Collected<'a> {
    addresses: &'a mut [usize],
    count: usize,
}

unsafe extern "C" fn collect(context: *mut c_void, data: *mut c_void) -> c_int {
    const GO_ON: c_int = 0;
    const END_OF_STACK: c_int = 5;
    // SAFETY: `data` is what `addresses` has passed; the name's type is the library's;
    // not null: `prepare` and `forked` leave stacks on only with a library that walks.
    unsafe {
        let collected = &mut *data.cast::<Collected<'_>>();
        let address: Address = mem::transmute(ADDRESS.load(Ordering::Relaxed));
        let Some(place) = collected.addresses.get_mut(collected.count) else {
            return END_OF_STACK;
        };
        *place = address(context);
        collected.count += 1;
    }
    GO_ON
}

/// Fills the words with return addresses, by the compiler's library: how many.
fn walk(addresses: &mut [usize]) -> usize {
    let mut collected = Collected {
        addresses,
        count: 0,
    };
    // SAFETY: the type is the library's, and not null: `prepare` and `forked` leave stacks on only
    // with a library that walks. The callback gets what it expects.
    unsafe {
        let walk: Walk = mem::transmute(WALK.load(Ordering::Relaxed));
        walk(collect, (&raw mut collected).cast());
    }
    collected.count
}

/// The return addresses of the calling thread, at most so many: where they stand in `into`, behind
/// the recorder's own frames.
pub(crate) fn addresses(into: &mut [usize; ROOM], most: usize) -> Range<usize> {
    let wanted = (most + OWN).min(ROOM);
    let cached = CACHED.load(Ordering::Relaxed);
    let count = if cached.is_null() {
        walk(&mut into[..wanted])
    } else {
        // SAFETY: the type is the library's; `wanted` words are there.
        let count = unsafe {
            let backtrace: Backtrace = mem::transmute(cached);
            backtrace(into.as_mut_ptr().cast(), wanted as c_int)
        };
        usize::try_from(count).unwrap_or(0).min(wanted)
    };
    let frames = into[..count].iter();
    let own = frames.take_while(|&&address| is_own(address)).count();
    own..count.min(own + most)
}

/// Whether an address is one of the recorder's code.
#[inline(always)]
pub(crate) fn is_own(address: usize) -> bool {
    START.load(Ordering::Relaxed) <= address && address < END.load(Ordering::Relaxed)
}
