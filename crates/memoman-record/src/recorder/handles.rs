//! memoman's handle API, when the program calls the shared library: each handle is a heap of its
//! own in the trace, and the global functions are one.
//!
//! A program that links the archive does not call through here: its observer (`mm_set_observer`)
//! sees the same events.
//!
//! The library's functions call each other by name, and so come here again: only the outermost call
//! is an event.

use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use memoman_trace_format::layout::{op, pool};

use super::next::Next;
use super::write::Call;
use super::{clock, note, thread};

type Heap = *mut c_void;

const HEAPS: usize = 1024;
static KNOWN: [AtomicUsize; HEAPS] = [const { AtomicUsize::new(0) }; HEAPS];
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Stands for the global functions.
const GLOBAL: usize = 1;

/// The number of a heap. Heaps beyond the first thousand share the last one.
fn number(heap: usize) -> u32 {
    let count = COUNT.load(Ordering::Acquire).min(HEAPS as u32);
    for (index, known) in KNOWN.iter().enumerate().take(count as usize) {
        if known.load(Ordering::Relaxed) == heap {
            return index as u32 + 1;
        }
    }
    if count as usize == HEAPS {
        return count + 1;
    }
    let index = COUNT.fetch_add(1, Ordering::AcqRel) as usize;
    if let Some(place) = KNOWN.get(index) {
        place.store(heap, Ordering::Relaxed);
    }
    index as u32 + 1
}

macro_rules! next {
    ($($name:ident = $c:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
    $(
        static $name: Next<unsafe extern "C" fn($($argument),*) $(-> $result)?> =
            // SAFETY: the function of memoman.h.
            unsafe { Next::of($c) };
    )*
    fn look_up_all() {
        $($name.address();)*
    }
    };
}

next! {
    CREATE_WITH_POOL = c"mm_create_with_pool": fn(*mut c_void, usize) -> Heap;
    ADD_POOL = c"mm_add_pool": fn(Heap, *mut c_void, usize) -> *mut c_void;
    EXTEND_POOL = c"mm_extend_pool": fn(Heap, *mut c_void, usize) -> c_int;
    REMOVE_POOL = c"mm_remove_pool": fn(Heap, *mut c_void) -> c_int;
    RESET = c"mm_reset": fn(Heap) -> c_int;
    DESTROY = c"mm_destroy": fn(Heap);
    BLOCK_SIZE = c"mm_block_size": fn(*const c_void) -> usize;
    MALLOC = c"mm_malloc": fn(Heap, usize) -> *mut c_void;
    CALLOC = c"mm_calloc": fn(Heap, usize, usize) -> *mut c_void;
    MEMALIGN = c"mm_memalign": fn(Heap, usize, usize) -> *mut c_void;
    REALLOC = c"mm_realloc": fn(Heap, *mut c_void, usize) -> *mut c_void;
    REALLOC_ALIGNED = c"mm_realloc_aligned":
        fn(Heap, *mut c_void, usize, usize) -> *mut c_void;
    FREE = c"mm_free": fn(Heap, *mut c_void);
    GLOBAL_MALLOC = c"mm_malloc_global": fn(usize) -> *mut c_void;
    GLOBAL_CALLOC = c"mm_calloc_global": fn(usize, usize) -> *mut c_void;
    GLOBAL_MEMALIGN = c"mm_memalign_global": fn(usize, usize) -> *mut c_void;
    GLOBAL_REALLOC = c"mm_realloc_global": fn(*mut c_void, usize) -> *mut c_void;
    GLOBAL_FREE = c"mm_free_global": fn(*mut c_void);
}

/// Looks all functions up, if the program has the library.
pub(crate) fn look_up() {
    if !MALLOC.address().is_null() {
        look_up_all();
    }
}

/// A call that is being served: what the library calls meanwhile on the same heap is a part of it.
struct Served {
    /// The words of the call that this one has interrupted, as a signal handler's.
    before: (usize, usize),
    /// The call is a part of another one: on the same heap, or of one on no single handle.
    inner: bool,
}

impl Served {
    #[inline(always)]
    fn begin(heap: usize) -> Served {
        let now = thread::stack_pointer();
        // SAFETY: the thread's own words.
        let thread = unsafe { &mut *thread::current() };
        let before = (thread.served.load(Ordering::Relaxed), thread.heap);
        let inner = before.0 != 0
            && (before.1 == heap || before.1 <= GLOBAL)
            && !thread::is_dead(before.0, now);
        if !inner {
            thread.heap = heap;
            thread.served.store(now, Ordering::Relaxed);
        }
        Served { before, inner }
    }

    /// Whether the call is an event of its own.
    #[inline(always)]
    fn end(self) -> bool {
        if self.inner {
            return false;
        }
        // SAFETY: the thread's own words.
        let thread = unsafe { &mut *thread::current() };
        thread.served.store(self.before.0, Ordering::Relaxed);
        thread.heap = self.before.1;
        true
    }
}

fn allocated(heap: usize, operation: u8, block: *mut c_void, size: usize, align: usize) {
    if heap == 0 {
        return;
    }
    let mut call = Call::new(operation);
    call.heap = number(heap);
    call.size = size as u64;
    call.align = align as u64;
    call.pointer = block.addr() as u64;
    if block.is_null() {
        if note::no_request(operation, size, align) {
            return;
        }
        call.op = op::FAILED;
    } else {
        call.block = block_size(block);
    }
    note::heap(&call);
}

fn block_size(block: *mut c_void) -> u64 {
    // SAFETY: a live block.
    BLOCK_SIZE
        .get()
        .map_or(0, |size| unsafe { size(block) as u64 })
}

fn freed(heap: usize, block: *mut c_void) {
    if heap == 0 || block.is_null() {
        return;
    }
    let mut call = Call::new(op::FREE);
    call.heap = number(heap);
    call.pointer = block.addr() as u64;
    note::heap(&call);
}

/// A `realloc` that was called at `before`, with its alignment where it has one.
struct Realloc {
    heap: usize,
    old: *mut c_void,
    size: usize,
    align: Option<usize>,
    before: u64,
}

impl Realloc {
    fn note(&self, new: *mut c_void) {
        let operation = self.align.map_or(op::MALLOC, |_| op::MEMALIGN);
        let align = self.align.unwrap_or(0);
        if self.old.is_null() {
            allocated(self.heap, operation, new, self.size, align);
            return;
        }
        let wrong = operation == op::MEMALIGN && !align.is_power_of_two();
        if self.heap == 0 || new.is_null() && wrong {
            return;
        }
        let mut call = Call::new(op::REALLOC);
        call.heap = number(self.heap);
        call.old = self.old.addr() as u64;
        call.pointer = new.addr() as u64;
        call.size = self.size as u64;
        call.before = self.before;
        match (new.is_null(), self.size) {
            (true, 0) => {
                call.op = op::FREE;
                call.pointer = call.old;
            }
            (true, _) => call.op = op::FAILED,
            (false, _) => call.block = block_size(new),
        }
        note::heap(&call);
    }
}

fn pool_event(heap: usize, event: u64, start: *mut c_void, bytes: usize) {
    let mut call = Call::new(op::POOL);
    call.heap = number(heap);
    call.align = event;
    call.pointer = start.addr() as u64;
    call.size = bytes as u64;
    note::heap(&call);
}

/// `mm_create_with_pool`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_create_with_pool(memory: *mut c_void, bytes: usize) -> Heap {
    let Some(next) = CREATE_WITH_POOL.get() else {
        return ptr::null_mut();
    };
    let served = Served::begin(0);
    // SAFETY: the caller keeps the function's duties.
    let heap = unsafe { next(memory, bytes) };
    if served.end() && !heap.is_null() {
        pool_event(heap.addr(), pool::ADDED, memory, bytes);
    }
    heap
}

/// `mm_add_pool`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_add_pool(heap: Heap, memory: *mut c_void, bytes: usize) -> *mut c_void {
    let Some(next) = ADD_POOL.get() else {
        return ptr::null_mut();
    };
    let served = Served::begin(heap.addr());
    // SAFETY: the caller keeps the function's duties.
    let added = unsafe { next(heap, memory, bytes) };
    if served.end() && !added.is_null() {
        pool_event(heap.addr(), pool::ADDED, memory, bytes);
    }
    added
}

/// `mm_extend_pool`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_extend_pool(heap: Heap, start: *mut c_void, more: usize) -> c_int {
    let Some(next) = EXTEND_POOL.get() else {
        return 0;
    };
    let served = Served::begin(heap.addr());
    // SAFETY: the caller keeps the function's duties.
    let extended = unsafe { next(heap, start, more) };
    if served.end() && extended != 0 {
        pool_event(heap.addr(), pool::EXTENDED, start, more);
    }
    extended
}

/// `mm_remove_pool`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_remove_pool(heap: Heap, start: *mut c_void) -> c_int {
    let Some(next) = REMOVE_POOL.get() else {
        return 0;
    };
    let served = Served::begin(heap.addr());
    // SAFETY: the caller keeps the function's duties.
    let removed = unsafe { next(heap, start) };
    if served.end() && removed != 0 {
        pool_event(heap.addr(), pool::REMOVED, start, 0);
    }
    removed
}

/// `mm_reset`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_reset(heap: Heap) -> c_int {
    let Some(next) = RESET.get() else { return 0 };
    let served = Served::begin(heap.addr());
    // SAFETY: the caller keeps the function's duties.
    let done = unsafe { next(heap) };
    if served.end() && done != 0 {
        pool_event(heap.addr(), pool::RESET, ptr::null_mut(), 0);
    }
    done
}

/// `mm_destroy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_destroy(heap: Heap) {
    let Some(next) = DESTROY.get() else { return };
    if !heap.is_null() {
        pool_event(heap.addr(), pool::RESET, ptr::null_mut(), 0);
    }
    // SAFETY: the caller keeps the function's duties.
    unsafe { next(heap) }
}

/// `mm_malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_malloc(heap: Heap, bytes: usize) -> *mut c_void {
    let Some(next) = MALLOC.get() else {
        return ptr::null_mut();
    };
    let served = Served::begin(heap.addr());
    // SAFETY: the caller keeps the function's duties.
    let block = unsafe { next(heap, bytes) };
    if served.end() {
        allocated(heap.addr(), op::MALLOC, block, bytes, 0);
    }
    block
}

/// `mm_calloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_calloc(heap: Heap, count: usize, size: usize) -> *mut c_void {
    let Some(next) = CALLOC.get() else {
        return ptr::null_mut();
    };
    let served = Served::begin(heap.addr());
    // SAFETY: the caller keeps the function's duties.
    let block = unsafe { next(heap, count, size) };
    if served.end() {
        allocated(
            heap.addr(),
            op::CALLOC,
            block,
            count.saturating_mul(size),
            0,
        );
    }
    block
}

/// `mm_memalign`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_memalign(heap: Heap, align: usize, bytes: usize) -> *mut c_void {
    let Some(next) = MEMALIGN.get() else {
        return ptr::null_mut();
    };
    let served = Served::begin(heap.addr());
    // SAFETY: the caller keeps the function's duties.
    let block = unsafe { next(heap, align, bytes) };
    if served.end() {
        allocated(heap.addr(), op::MEMALIGN, block, bytes, align);
    }
    block
}

/// `mm_realloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc(heap: Heap, block: *mut c_void, bytes: usize) -> *mut c_void {
    let Some(next) = REALLOC.get() else {
        return ptr::null_mut();
    };
    let call = Realloc {
        heap: heap.addr(),
        old: block,
        size: bytes,
        align: None,
        before: clock::ticks(),
    };
    let served = Served::begin(call.heap);
    // SAFETY: the caller keeps the function's duties.
    let new = unsafe { next(heap, block, bytes) };
    if served.end() {
        call.note(new);
    }
    new
}

/// `mm_realloc_aligned`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc_aligned(
    heap: Heap,
    block: *mut c_void,
    align: usize,
    bytes: usize,
) -> *mut c_void {
    let Some(next) = REALLOC_ALIGNED.get() else {
        return ptr::null_mut();
    };
    let call = Realloc {
        heap: heap.addr(),
        old: block,
        size: bytes,
        align: Some(align),
        before: clock::ticks(),
    };
    let served = Served::begin(call.heap);
    // SAFETY: the caller keeps the function's duties.
    let new = unsafe { next(heap, block, align, bytes) };
    if served.end() {
        call.note(new);
    }
    new
}

/// `mm_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_free(heap: Heap, block: *mut c_void) {
    let Some(next) = FREE.get() else { return };
    let served = Served::begin(heap.addr());
    if !served.inner {
        freed(heap.addr(), block);
    }
    // SAFETY: the caller keeps the function's duties.
    unsafe { next(heap, block) }
    served.end();
}

/// `mm_malloc_global`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_malloc_global(bytes: usize) -> *mut c_void {
    let Some(next) = GLOBAL_MALLOC.get() else {
        return ptr::null_mut();
    };
    let served = Served::begin(GLOBAL);
    // SAFETY: the caller keeps the function's duties.
    let block = unsafe { next(bytes) };
    if served.end() {
        allocated(GLOBAL, op::MALLOC, block, bytes, 0);
    }
    block
}

/// `mm_calloc_global`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_calloc_global(count: usize, size: usize) -> *mut c_void {
    let Some(next) = GLOBAL_CALLOC.get() else {
        return ptr::null_mut();
    };
    let served = Served::begin(GLOBAL);
    // SAFETY: the caller keeps the function's duties.
    let block = unsafe { next(count, size) };
    if served.end() {
        allocated(GLOBAL, op::CALLOC, block, count.saturating_mul(size), 0);
    }
    block
}

/// `mm_memalign_global`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_memalign_global(align: usize, bytes: usize) -> *mut c_void {
    let Some(next) = GLOBAL_MEMALIGN.get() else {
        return ptr::null_mut();
    };
    let served = Served::begin(GLOBAL);
    // SAFETY: the caller keeps the function's duties.
    let block = unsafe { next(align, bytes) };
    if served.end() {
        allocated(GLOBAL, op::MEMALIGN, block, bytes, align);
    }
    block
}

/// `mm_realloc_global`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc_global(block: *mut c_void, bytes: usize) -> *mut c_void {
    let Some(next) = GLOBAL_REALLOC.get() else {
        return ptr::null_mut();
    };
    let call = Realloc {
        heap: GLOBAL,
        old: block,
        size: bytes,
        align: None,
        before: clock::ticks(),
    };
    let served = Served::begin(call.heap);
    // SAFETY: the caller keeps the function's duties.
    let new = unsafe { next(block, bytes) };
    if served.end() {
        call.note(new);
    }
    new
}

/// `mm_free_global`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_free_global(block: *mut c_void) {
    let Some(next) = GLOBAL_FREE.get() else {
        return;
    };
    let served = Served::begin(GLOBAL);
    if !served.inner {
        freed(GLOBAL, block);
    }
    // SAFETY: the caller keeps the function's duties.
    unsafe { next(block) }
    served.end();
}
