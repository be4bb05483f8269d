//! The allocators with a C interface, and the harness alone.

use std::ffi::c_void;
use std::ptr;

use super::{Growth, Kind, Peer};

unsafe extern "C" {
    fn mm_create(mem: *mut c_void) -> *mut c_void;
    fn mm_add_pool(allocator: *mut c_void, mem: *mut c_void, bytes: usize) -> *mut c_void;
    fn mm_malloc(allocator: *mut c_void, bytes: usize) -> *mut c_void;
    // Declared with the size as one more argument, which C callers do not pass: on every target of
    // these measurements it is in a register that the function does not read. That spares a jump
    // that the other peers do not have either.
    fn mm_free(allocator: *mut c_void, block: *mut c_void, bytes: usize);
    fn mm_realloc(allocator: *mut c_void, block: *mut c_void, bytes: usize) -> *mut c_void;
    fn mm_memalign(allocator: *mut c_void, align: usize, bytes: usize) -> *mut c_void;
    fn mm_set_cache(allocator: *mut c_void, mem: *mut c_void, bytes: usize, n: usize) -> i32;

    fn o1heapInit(base: *mut c_void, size: usize) -> *mut c_void;
    fn o1heapAllocate(handle: *mut c_void, amount: usize) -> *mut c_void;
    fn o1heapFree(handle: *mut c_void, block: *mut c_void);
}

pub(super) const MEMOMAN: Peer = Peer {
    name: "memoman",
    kind: Kind::Pool,
    create: memoman_create,
    malloc: mm_malloc,
    free: mm_free,
    realloc: memoman_realloc,
    memalign: Some((mm_memalign, memoman_free_aligned)),
    growth: Growth::Constant,
};

unsafe fn memoman_create(control: *mut u8, pool: *mut u8, bytes: usize) -> *mut c_void {
    // SAFETY: both parts are the region's, which holds no other live heap (caller).
    unsafe {
        let allocator = mm_create(control.cast());
        assert!(!mm_add_pool(allocator, pool.cast(), bytes).is_null());
        allocator
    }
}

/// memoman with its optional cache, as the page on sizes recommends it.
pub(super) const CACHED: Peer = Peer {
    name: "memoman-cached",
    kind: Kind::Cached,
    create: cached_create,
    ..MEMOMAN
};

unsafe fn cached_create(control: *mut u8, pool: *mut u8, bytes: usize) -> *mut c_void {
    // For requests up to 64 KiB.
    const TABLE: usize = 2144;
    // SAFETY: both parts are the region's, which holds no other live heap (caller).
    unsafe {
        let allocator = memoman_create(control, pool.wrapping_add(4096), bytes - 4096);
        assert_eq!(mm_set_cache(allocator, pool.cast(), TABLE, blocks()), 1);
        allocator
    }
}

/// Blocks of each size.
fn blocks() -> usize {
    std::env::var("CACHE_BLOCKS").map_or(15, |text| text.parse().expect("a number"))
}

unsafe extern "C" fn memoman_realloc(
    context: *mut c_void,
    block: *mut c_void,
    _old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the block is live and of this heap (caller).
    unsafe { mm_realloc(context, block, new) }
}

unsafe extern "C" fn memoman_free_aligned(
    context: *mut c_void,
    block: *mut c_void,
    bytes: usize,
    _align: usize,
) {
    // SAFETY: the block is live and of this heap (caller).
    unsafe { mm_free(context, block, bytes) }
}

/// The harness alone: every request returns the same block.
pub(super) const NULL: Peer = Peer {
    name: "null",
    kind: Kind::Null,
    create: |_, pool, _| pool.cast(),
    malloc: null_malloc,
    free: null_free,
    realloc: null_realloc,
    memalign: Some((null_memalign, null_free_aligned)),
    growth: Growth::Constant,
};

unsafe extern "C" fn null_malloc(context: *mut c_void, _: usize) -> *mut c_void {
    context
}
unsafe extern "C" fn null_free(_: *mut c_void, _: *mut c_void, _: usize) {}
unsafe extern "C" fn null_realloc(
    _: *mut c_void,
    block: *mut c_void,
    _: usize,
    _: usize,
) -> *mut c_void {
    block
}
unsafe extern "C" fn null_memalign(context: *mut c_void, _: usize, _: usize) -> *mut c_void {
    context
}
unsafe extern "C" fn null_free_aligned(_: *mut c_void, _: *mut c_void, _: usize, _: usize) {}

pub(super) const O1HEAP: Peer = Peer {
    name: "o1heap",
    kind: Kind::Pool,
    create: o1heap_create,
    malloc: o1heapAllocate,
    free: o1heap_free,
    realloc: o1heap_realloc,
    memalign: None,
    growth: Growth::Constant,
};

unsafe fn o1heap_create(_: *mut u8, pool: *mut u8, bytes: usize) -> *mut c_void {
    // SAFETY: the pool is the region's, aligned to a page, and holds no other live heap (caller).
    let handle = unsafe { o1heapInit(pool.cast(), bytes) };
    assert!(!handle.is_null());
    handle
}
unsafe extern "C" fn o1heap_free(context: *mut c_void, block: *mut c_void, _: usize) {
    // SAFETY: the block is live and of this heap (caller).
    unsafe { o1heapFree(context, block) }
}
/// This version of o1heap has no realloc: allocate, copy, free.
unsafe extern "C" fn o1heap_realloc(
    context: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the block is live and of this heap (caller); both blocks have the copied bytes.
    unsafe {
        let moved = o1heapAllocate(context, new);
        if !moved.is_null() {
            ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast(), old.min(new));
            o1heapFree(context, block);
        }
        moved
    }
}

pub(super) const GLIBC: Peer = Peer {
    name: "glibc",
    kind: Kind::System,
    create: |_, _, _| ptr::null_mut(),
    malloc: glibc_malloc,
    free: glibc_free,
    realloc: glibc_realloc,
    memalign: Some((glibc_memalign, glibc_free_aligned)),
    growth: Growth::Sometimes,
};

unsafe extern "C" fn glibc_malloc(_: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: the call has no precondition.
    unsafe { libc::malloc(bytes) }
}
unsafe extern "C" fn glibc_free(_: *mut c_void, block: *mut c_void, _: usize) {
    // SAFETY: the block is live and of libc (caller).
    unsafe { libc::free(block) }
}
unsafe extern "C" fn glibc_realloc(
    _: *mut c_void,
    block: *mut c_void,
    _: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the block is live and of libc (caller).
    unsafe { libc::realloc(block, new) }
}
unsafe extern "C" fn glibc_memalign(_: *mut c_void, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: the alignment is a power of two (caller).
    unsafe { libc::memalign(align, bytes) }
}
unsafe extern "C" fn glibc_free_aligned(_: *mut c_void, block: *mut c_void, _: usize, _: usize) {
    // SAFETY: the block is live and of libc (caller).
    unsafe { libc::free(block) }
}

pub(super) const MIMALLOC: Peer = Peer {
    name: "mimalloc",
    kind: Kind::System,
    create: |_, _, _| ptr::null_mut(),
    malloc: mi_malloc,
    free: mi_free,
    realloc: mi_realloc,
    memalign: Some((mi_memalign, mi_free_aligned)),
    growth: Growth::Sometimes,
};

unsafe extern "C" fn mi_malloc(_: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: the call has no precondition.
    unsafe { libmimalloc_sys::mi_malloc(bytes).cast() }
}
unsafe extern "C" fn mi_free(_: *mut c_void, block: *mut c_void, _: usize) {
    // SAFETY: the block is live and of mimalloc (caller).
    unsafe { libmimalloc_sys::mi_free(block.cast()) }
}
unsafe extern "C" fn mi_realloc(
    _: *mut c_void,
    block: *mut c_void,
    _: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the block is live and of mimalloc (caller).
    unsafe { libmimalloc_sys::mi_realloc(block.cast(), new).cast() }
}
unsafe extern "C" fn mi_memalign(_: *mut c_void, align: usize, bytes: usize) -> *mut c_void {
    // SAFETY: the alignment is a power of two (caller).
    unsafe { libmimalloc_sys::mi_malloc_aligned(bytes, align).cast() }
}
unsafe extern "C" fn mi_free_aligned(_: *mut c_void, block: *mut c_void, _: usize, _: usize) {
    // SAFETY: the block is live and of mimalloc (caller).
    unsafe { libmimalloc_sys::mi_free(block.cast()) }
}
