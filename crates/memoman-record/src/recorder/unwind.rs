//! Return addresses of the calling thread: by libunwind, which remembers how it has unwound an
//! address, else by the compiler's library, which is ten times slower.

use core::ffi::{CStr, c_int, c_void};
use core::mem;
use core::ops::Range;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use memoman_trace_format::layout::STACK_MAX;

use super::settings;

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
    CACHED.store(find(c"libunwind.so.8", c"unw_backtrace"), Ordering::Relaxed);
    if CACHED.load(Ordering::Relaxed).is_null() {
        ADDRESS.store(find(c"libgcc_s.so.1", c"_Unwind_GetIP"), Ordering::Relaxed);
        WALK.store(
            find(c"libgcc_s.so.1", c"_Unwind_Backtrace"),
            Ordering::Relaxed,
        );
        if ADDRESS.load(Ordering::Relaxed).is_null() || WALK.load(Ordering::Relaxed).is_null() {
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
    // SAFETY: `data` is what `addresses` has passed; the name's type is the library's.
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

/// The return addresses of the calling thread, at most so many: where they stand in `into`, behind
/// the recorder's own frames.
pub(crate) fn addresses(into: &mut [usize; ROOM], most: usize) -> Range<usize> {
    let wanted = (most + OWN).min(ROOM);
    let cached = CACHED.load(Ordering::Relaxed);
    let count = if cached.is_null() {
        let mut collected = Collected {
            addresses: &mut into[..wanted],
            count: 0,
        };
        // SAFETY: the type is the library's; the callback gets what it expects.
        unsafe {
            let walk: Walk = mem::transmute(WALK.load(Ordering::Relaxed));
            walk(collect, (&raw mut collected).cast());
        }
        collected.count
    } else {
        // SAFETY: the type is the library's; `wanted` words are there.
        let count = unsafe {
            let backtrace: Backtrace = mem::transmute(cached);
            backtrace(into.as_mut_ptr().cast(), wanted as c_int)
        };
        usize::try_from(count).unwrap_or(0).min(wanted)
    };
    let (start, end) = (START.load(Ordering::Relaxed), END.load(Ordering::Relaxed));
    let own = into[..count]
        .iter()
        .take_while(|&&address| start <= address && address < end)
        .count();
    own..count.min(own + most)
}
