//! The allocators that are compared, each through the same C call shape.
//!
//! A heap is a word (`context`) and functions that take it first. `free` and `realloc` get the size that was asked for,
//! since some peers cannot do without; the C allocators ignore it. What is called is the allocator's own function where
//! its signature allows (memoman), and one `extern "C"` function into which the allocator is inlined where it is a
//! Rust crate.

mod c;
mod crates;

use std::ffi::c_void;

use crate::region::Region;

/// What a peer is compared as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The harness alone.
    Null,
    /// Manages memory that the caller supplies: memoman's kind.
    Pool,
    /// Brings its own memory, and caches: shown beside.
    System,
}

/// How the time for one call grows with the heap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Not at all.
    Constant,
    /// In states that are rare.
    Sometimes,
    /// With the free blocks: it is given fewer calls, and left out where that does not help.
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

/// All of them; the first is the harness alone, the second memoman.
pub(crate) static PEERS: [Peer; 8] = [
    c::NULL,
    c::MEMOMAN,
    crates::RLSF,
    crates::TALC,
    c::O1HEAP,
    crates::BUDDY,
    crates::LINKED_LIST,
    c::GLIBC,
];

/// mimalloc, apart: its crate replaces nothing, but brings its own threads' data.
pub(crate) static MIMALLOC: Peer = c::MIMALLOC;

/// The names of all peers but the null one.
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
    /// The region's memory is the heap's until it is dropped and all its blocks are forgotten.
    pub(crate) unsafe fn new(peer: &'a Peer, region: &Region, bytes: usize) -> Heap<'a> {
        // SAFETY: the region holds the control structure and the pool (tested by `pool`).
        let context = unsafe { (peer.create)(region.control(), region.pool(bytes), bytes) };
        Heap { peer, context }
    }

    #[inline(always)]
    pub(crate) fn malloc(&self, bytes: usize) -> *mut u8 {
        // SAFETY: the context is the peer's own; every size is greater than zero.
        unsafe { (self.peer.malloc)(self.context, bytes).cast() }
    }

    /// # Safety
    /// `block` was given by this heap for `bytes` bytes, without an alignment.
    #[inline(always)]
    pub(crate) unsafe fn free(&self, block: *mut u8, bytes: usize) {
        // SAFETY: the caller's duty.
        unsafe { (self.peer.free)(self.context, block.cast(), bytes) }
    }

    /// # Safety
    /// As for `free`.
    #[inline(always)]
    pub(crate) unsafe fn realloc(&self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        // SAFETY: the caller's duty.
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
        // SAFETY: the context is the peer's own; the alignment is a power of two, the size greater than zero.
        unsafe { memalign(self.context, align, bytes).cast() }
    }

    /// # Safety
    /// `block` was given by this heap's `memalign` with this size and alignment.
    #[inline(always)]
    pub(crate) unsafe fn free_aligned(&self, block: *mut u8, bytes: usize, align: usize) {
        if let Some((_, free)) = self.peer.memalign {
            // SAFETY: the caller's duty.
            unsafe { free(self.context, block.cast(), bytes, align) }
        }
    }
}
