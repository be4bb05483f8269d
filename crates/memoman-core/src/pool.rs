//! Pools: the caller's regions, each with a first block and a sentinel laid into it.
//!
//! ```text
//!  mem (rounded up)                                               (rounded down) mem + bytes
//!  │ next │ prev │ control │ end │ check ││ header │ first block's payload … ││ sentinel │
//!  └ PoolHeader: five words              ┘         ▲ aligned to the quantum    "payload" ▲
//! ```
//!
//! The list of pools is in address order, so that a pool's neighbours show an overlap and a pool is
//! extended in constant time. `check` is a hash of the header; a walk tests it before it follows a
//! pointer.

use core::ffi::c_void;
use core::ptr::NonNull;

use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, HEADER, QUANTUM};
use crate::control::Control;
use crate::hash;

/// A pool's first words.
#[repr(C)]
pub struct PoolHeader {
    /// Next pool in address order.
    pub(crate) next: *mut PoolHeader,
    /// Previous pool in address order.
    pub(crate) prev: *mut PoolHeader,
    /// The instance that the pool belongs to.
    pub(crate) control: *mut Control,
    /// End of the caller's region, not rounded: where an extension begins.
    pub(crate) end: usize,
    /// Hash of the words above and the pool's address.
    pub(crate) check: usize,
}

/// Words of the header that `check` covers.
pub(crate) const HASHED: usize = 4;

/// Bytes from a pool's start to the payload of its first block.
pub(crate) const FIRST: usize = size_of::<PoolHeader>() + HEADER;

/// Bytes of a pool that belong to no block: the pool's header and the sentinel.
pub(crate) const POOL_COST: usize = size_of::<PoolHeader>() + HEADER;

/// Smallest pool in bytes: one block of the smallest size.
pub(crate) const POOL_MIN: usize = POOL_COST + BLOCK_MIN;

/// A pool of an instance: a handle on its header in the caller's memory.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool(NonNull<PoolHeader>);

impl Pool {
    /// The pool of a C pointer; None for NULL.
    ///
    /// # Safety
    /// `raw` is NULL or came from [`Pool::as_raw`] of a pool that has not been removed.
    #[inline(always)]
    pub unsafe fn from_raw(raw: *mut c_void) -> Option<Pool> {
        NonNull::new(raw.cast()).map(Pool)
    }

    /// The pool as a C pointer: the first byte of its region.
    #[inline(always)]
    pub fn as_raw(self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    pub(crate) fn new(header: *mut PoolHeader) -> Option<Pool> {
        NonNull::new(header).map(Pool)
    }

    pub(crate) fn header(self) -> *mut PoolHeader {
        self.0.as_ptr()
    }

    pub(crate) fn start(self) -> usize {
        self.header().addr()
    }

    /// End of the region, rounded down: the sentinel's payload address.
    ///
    /// # Safety
    /// The pool is live.
    pub(crate) unsafe fn end(self) -> usize {
        // SAFETY: live (caller).
        unsafe { (*self.header()).end & !(QUANTUM - 1) }
    }

    /// The instance that the pool's header names, untested.
    ///
    /// # Safety
    /// The pool is live.
    pub(crate) unsafe fn control(self) -> *mut Control {
        // SAFETY: live (caller).
        unsafe { (*self.header()).control }
    }

    /// The next pool in address order.
    ///
    /// # Safety
    /// The pool is live.
    pub(crate) unsafe fn next(self) -> Option<Pool> {
        // SAFETY: live (caller).
        Pool::new(unsafe { (*self.header()).next })
    }

    /// The previous pool in address order.
    ///
    /// # Safety
    /// The pool is live.
    pub(crate) unsafe fn prev(self) -> Option<Pool> {
        // SAFETY: live (caller).
        Pool::new(unsafe { (*self.header()).prev })
    }

    /// The address lies between the first block's payload and the pool's end.
    ///
    /// # Safety
    /// The pool is live or validated.
    pub(crate) unsafe fn holds(self, address: usize) -> bool {
        // SAFETY: live or validated (caller).
        address >= self.first_block().addr() && address < unsafe { self.end() }
    }

    pub(crate) fn first_block(self) -> Block {
        Block::at(self.header().cast::<u8>().wrapping_add(FIRST))
    }

    /// The sentinel that ends the pool.
    ///
    /// # Safety
    /// The pool is live.
    pub(crate) unsafe fn sentinel(self) -> Block {
        let bytes = {
            // SAFETY: live (caller).
            unsafe { self.end() - self.start() }
        };
        Block::at(self.header().cast::<u8>().wrapping_add(bytes))
    }

    /// The region's first byte and its length in bytes, both rounded inward to the quantum.
    ///
    /// # Safety
    /// The pool is live.
    pub unsafe fn memory(self) -> (*mut u8, usize) {
        // SAFETY: live (caller).
        (self.header().cast(), unsafe { self.end() } - self.start())
    }

    /// The value that `check` must have.
    ///
    /// # Safety
    /// The pool's header may be read.
    unsafe fn checksum(self) -> usize {
        // SAFETY: the words before `check` (caller); `layout_asserts` checks their number.
        unsafe { hash::mix_at(self.start(), self.header().cast_const().cast(), HASHED) }
    }

    /// The header names `control` and passes its hash.
    ///
    /// # Safety
    /// `control` is live; the five words at the pool's address may be read.
    #[inline(never)]
    pub(crate) unsafe fn is_sound(self, control: *mut Control) -> bool {
        // SAFETY: the five words may be read (caller); the address, tested first, is aligned.
        unsafe {
            self.start().is_multiple_of(QUANTUM)
                && (*self.header()).control == control
                && (*self.header()).check == self.checksum()
        }
    }

    pub(crate) unsafe fn seal(self) {
        // SAFETY: the pool is live (caller).
        unsafe { (*self.header()).check = self.checksum() }
    }

    /// Every block of the pool is free: it is one free block (I4).
    ///
    /// # Safety
    /// The pool is live.
    pub unsafe fn is_empty(self) -> bool {
        // SAFETY: live (caller), so the first block's header may be read.
        unsafe {
            let cookie = (*self.control()).cookie;
            let first = self.first_block();
            let header = first.header(cookie);
            header.is_plain_free() && first.offset(header.size()) == self.sentinel()
        }
    }

    /// Lays the first block, unlisted, and the sentinel; returns the block and its size.
    pub(crate) unsafe fn format(self, cookie: usize) -> (Block, usize) {
        // SAFETY: the region may be written and holds at least POOL_MIN bytes (caller).
        unsafe {
            let first = self.first_block();
            let sentinel = self.sentinel();
            let size = sentinel.addr() - first.addr();
            first.set_header(cookie, Header::free(size));
            sentinel.set_prev_phys(first);
            sentinel.set_header(
                cookie,
                Header::sentinel(sentinel.addr() - self.start()).with_prev_free(),
            );
            (first, size)
        }
    }

    /// Calls `f` with payload, usable bytes and "in use" of each block, in address order;
    /// O(blocks). Ends early at an overwritten header, the pool's own included.
    ///
    /// # Safety
    /// The pool is live; its contents may be anything. `f` makes no call on its instance.
    #[inline(always)]
    pub unsafe fn walk(self, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: live (caller), so the header may be read; its pointers are followed only once the
        // hash matches.
        let (cookie, end) = unsafe {
            let control = self.control();
            if control.is_null() || !self.is_sound(control) {
                return;
            }
            ((*control).cookie, self.end())
        };
        let mut block = self.first_block();
        while block.addr() < end {
            // SAFETY: `block` lies between the pool's first block and its end (loop condition,
            // tested sizes).
            let header = unsafe { block.header(cookie) };
            let size = header.size();
            if size < BLOCK_MIN || size > end - block.addr() {
                return;
            }
            if let Some(payload) = NonNull::new(block.payload()) {
                // Before the pool's end, the sentinel's flag marks a cached block.
                f(
                    payload,
                    size - HEADER,
                    !header.is_free() && !header.is_sentinel(),
                );
            }
            block = block.offset(size);
        }
    }
}
