//! The calls of the debug library, without marks: it finds by itself what a memory checker would.

use core::ffi::c_void;
use core::ops::Deref;

use crate::ffi::allocator::{Pool, Tlsf};
use crate::ffi::misuse::misuse;

/// An open instance: in this build, the instance alone.
pub(crate) struct Session(Tlsf);

impl Session {
    /// Opens an instance.
    ///
    /// # Safety
    /// The instance is live until the session ends.
    #[inline(always)]
    pub(crate) unsafe fn open(tlsf: Tlsf) -> Session {
        Session(tlsf)
    }

    /// Runs code of the program during the session.
    pub(crate) fn interrupted<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }
}

impl Deref for Session {
    type Target = Tlsf;

    fn deref(&self) -> &Tlsf {
        &self.0
    }
}

/// Before an instance's creation: nothing to mark.
pub(crate) fn before_creation(_mem: *mut c_void, _bytes: usize, _control_bytes: usize) {}

/// After an instance's creation: sets how often it validates itself, from the environment.
///
/// # Safety
/// The instance is live.
pub(crate) unsafe fn created(_tlsf: Tlsf) {
    #[cfg(unix)]
    if let Some(shift) = memoman_global::debug::validate_shift() {
        // SAFETY: live instance (caller).
        unsafe { _tlsf.set_validate_shift(shift) };
    }
}

/// Destroys an instance.
///
/// # Safety
/// The instance is live. None of the pointers that it returned is used again.
pub(crate) unsafe fn destroy(tlsf: Tlsf) {
    // SAFETY: live instance, no further use of its pointers (caller).
    unsafe { tlsf.destroy() }
}

/// Frees all blocks, after the quarantine has been verified.
///
/// # Safety
/// The instance is live. Every block is given up.
pub(crate) unsafe fn reset(tlsf: Tlsf) -> bool {
    // SAFETY: live instance, blocks given up (caller).
    unsafe {
        flush(tlsf);
        tlsf.reset()
    }
}

/// Adds a pool.
///
/// # Safety
/// The instance is live. The region may be read and written, and belongs to the instance until the
/// pool is removed or the instance is destroyed.
pub(crate) unsafe fn add_pool(tlsf: Tlsf, mem: *mut u8, bytes: usize) -> Option<Pool> {
    // SAFETY: live instance; the region is the caller's to give (caller).
    unsafe { tlsf.add_pool(mem, bytes) }
}

/// Extends a pool.
///
/// # Safety
/// The instance is live; `pool` is a pool of it; the `more` bytes after it may be read and
/// written, and belong to the instance until the pool is removed or the instance is destroyed.
pub(crate) unsafe fn extend_pool(tlsf: Tlsf, pool: Pool, more: usize) -> bool {
    // SAFETY: live instance, pool of it; the bytes are the caller's to give (caller).
    unsafe { tlsf.extend_pool(pool, more) }
}

/// Removes a pool, after the quarantine has been verified and emptied.
///
/// # Safety
/// The instance is live; memory between its lowest and highest pool may be read.
pub(crate) unsafe fn remove_pool(tlsf: Tlsf, mem_or_pool: *mut u8) -> bool {
    // SAFETY: live instance, readable pools (caller).
    unsafe {
        flush(tlsf);
        tlsf.remove_pool(mem_or_pool)
    }
}

/// Empties the quarantine, whose blocks are in use for the core, and reports each damaged block.
///
/// # Safety
/// The instance is live.
unsafe fn flush(tlsf: Tlsf) {
    // SAFETY: live instance (caller).
    unsafe {
        while let Err(fault) = tlsf.drain() {
            misuse(tlsf, fault, fault.address);
        }
    }
}

/// Runs `work` on a pool.
///
/// # Safety
/// The pool is live.
pub(crate) unsafe fn with_pool<R>(pool: Pool, work: impl FnOnce(Pool, Option<&Session>) -> R) -> R {
    work(pool, None)
}

/// Usable bytes of a block.
///
/// # Safety
/// `block` is NULL or a block of a live instance.
pub(crate) unsafe fn block_size(block: *const u8) -> usize {
    // SAFETY: NULL or a block of a live instance (caller).
    unsafe { Tlsf::block_size(block) }
}
