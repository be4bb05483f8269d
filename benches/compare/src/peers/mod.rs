//! The allocators that are compared, each through the same C call shape.
//!
//! A heap is a word (`context`) and functions that take it first. `free` and `realloc` get the
//! requested size, which the Rust crates need and the C allocators ignore. The pointer is the
//! allocator's own function where its signature allows (memoman), and an `extern "C"` function into
//! which the allocator is inlined where it is a Rust crate.

mod c;
mod crates;

use std::ffi::c_void;

use crate::region::Region;

/// The role of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The harness alone.
    Null,
    /// Manages the caller's memory, as memoman does.
    Pool,
    /// memoman with its optional cache: shown beside the others.
    Cached,
    /// Obtains its own memory, and caches it: shown beside the others.
    System,
}

/// How the time for one call grows with the heap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Not at all.
    Constant,
    /// In rare states.
    Sometimes,
    /// With the free blocks: `make bench` makes fewer calls, the other measurements leave it out.
    Linear,
}

type Create = unsafe fn(control: *mut u8, pool: *mut u8, bytes: usize) -> *mut c_void;
type Malloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void, *mut c_void, usize);
type Realloc = unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize) -> *mut c_void;
type Memalign = unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void;
type FreeAligned = unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize);

/// An allocator.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) create: Create,
    pub(crate) malloc: Malloc,
    pub(crate) free: Free,
    /// Old size, then new size.
    pub(crate) realloc: Realloc,
    /// Alignment, then size; None where the allocator has no such call.
    pub(crate) memalign: Option<(Memalign, FreeAligned)>,
    /// How its time for one call grows with the heap.
    pub(crate) growth: Growth,
}

/// All peers but mimalloc; the first is the harness alone, the second memoman.
pub(crate) static PEERS: [Peer; 9] = [
    c::NULL,
    c::MEMOMAN,
    c::CACHED,
    crates::RLSF,
    crates::TALC,
    c::O1HEAP,
    crates::BUDDY,
    crates::LINKED_LIST,
    c::GLIBC,
];

/// mimalloc; its crate does not replace the process's malloc.
pub(crate) static MIMALLOC: Peer = c::MIMALLOC;

/// Every peer, the harness alone first.
pub(crate) fn all() -> Vec<&'static Peer> {
    PEERS.iter().chain(std::iter::once(&MIMALLOC)).collect()
}

/// An allocator over a region.
pub(crate) struct Heap<'a> {
    pub(crate) peer: &'a Peer,
    context: *mut c_void,
}

impl<'a> Heap<'a> {
    /// # Safety
    /// No other heap lives in `region` until this one is dropped and its blocks are out of use.
    pub(crate) unsafe fn new(peer: &'a Peer, region: &Region, bytes: usize) -> Heap<'a> {
        // SAFETY: the region holds the control structure and the pool (`pool` panics else), and no
        // other live heap (caller).
        let context = unsafe { (peer.create)(region.control(), region.pool(bytes), bytes) };
        Heap { peer, context }
    }

    #[inline(always)]
    pub(crate) fn malloc(&self, bytes: usize) -> *mut u8 {
        // SAFETY: `create` of this peer returned the context; every size is greater than zero.
        unsafe { (self.peer.malloc)(self.context, bytes).cast() }
    }

    /// # Safety
    /// `block` is a live block that this heap's `malloc` or `realloc` returned for `bytes` bytes.
    #[inline(always)]
    pub(crate) unsafe fn free(&self, block: *mut u8, bytes: usize) {
        // SAFETY: the block is live and of this heap (caller).
        unsafe { (self.peer.free)(self.context, block.cast(), bytes) }
    }

    /// # Safety
    /// `block` is a live block that this heap's `malloc` or `realloc` returned for `old` bytes.
    #[inline(always)]
    pub(crate) unsafe fn realloc(&self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        // SAFETY: the block is live and of this heap (caller).
        unsafe { (self.peer.realloc)(self.context, block.cast(), old, new).cast() }
    }
}

impl Heap<'_> {
    /// Null where the allocator has no such call.
    #[inline(always)]
    pub(crate) fn memalign(&self, align: usize, bytes: usize) -> *mut u8 {
        let Some((memalign, _)) = self.peer.memalign else {
            return std::ptr::null_mut();
        };
        // SAFETY: `create` of this peer returned the context; the alignment is a power of two, the
        // size greater than zero.
        unsafe { memalign(self.context, align, bytes).cast() }
    }

    /// # Safety
    /// `block` is a live block that this heap's `memalign` returned for this size and alignment.
    #[inline(always)]
    pub(crate) unsafe fn free_aligned(&self, block: *mut u8, bytes: usize, align: usize) {
        if let Some((_, free)) = self.peer.memalign {
            // SAFETY: the block is live, of this heap, and of this layout (caller).
            unsafe { free(self.context, block.cast(), bytes, align) }
        }
    }
}
