//! Plain calls: the debug library finds by itself what a memory checker would.

use core::ffi::c_void;
use core::ops::Deref;

use crate::ffi::allocator::{Pool, Tlsf};
use crate::ffi::misuse::misuse;

/// A live instance.
pub(crate) struct Session(Tlsf);

impl Session {
    /// # Safety
    /// The instance is live until the session ends.
    #[inline(always)]
    pub(crate) unsafe fn open(tlsf: Tlsf) -> Session {
        Session(tlsf)
    }

    /// Runs the program's code in between.
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

pub(crate) fn before_creation(_mem: *mut c_void, _bytes: usize, _control_bytes: usize) {}

/// After an instance's creation: reads how often it is to be validated.
///
/// # Safety
/// The instance is live.
pub(crate) unsafe fn created(_tlsf: Tlsf) {
    #[cfg(unix)]
    if let Some(shift) = memoman_global::debug::validate_shift() {
        // SAFETY: live (caller).
        unsafe { _tlsf.set_validate_shift(shift) };
    }
}

/// # Safety
/// As for [`Tlsf::destroy`].
pub(crate) unsafe fn destroy(tlsf: Tlsf) {
    // SAFETY: the same duties.
    unsafe { tlsf.destroy() }
}

/// Gives all blocks up, after quarantine has been verified.
///
/// # Safety
/// As for [`Tlsf::reset`].
pub(crate) unsafe fn reset(tlsf: Tlsf) -> bool {
    // SAFETY: the same duties.
    unsafe {
        flush(tlsf);
        tlsf.reset()
    }
}

/// # Safety
/// As for [`Tlsf::add_pool`].
pub(crate) unsafe fn add_pool(tlsf: Tlsf, mem: *mut u8, bytes: usize) -> Option<Pool> {
    // SAFETY: the same duties.
    unsafe { tlsf.add_pool(mem, bytes) }
}

/// # Safety
/// As for [`Tlsf::extend_pool`].
pub(crate) unsafe fn extend_pool(tlsf: Tlsf, pool: Pool, more: usize) -> bool {
    // SAFETY: the same duties.
    unsafe { tlsf.extend_pool(pool, more) }
}

/// Removes a pool, after what is in quarantine has been verified and released.
///
/// # Safety
/// As for [`Tlsf::remove_pool`].
pub(crate) unsafe fn remove_pool(tlsf: Tlsf, mem_or_pool: *mut u8) -> bool {
    // SAFETY: the same duties.
    unsafe {
        flush(tlsf);
        tlsf.remove_pool(mem_or_pool)
    }
}

/// Empties the quarantine, whose blocks are in use for the core; a block with which something is wrong is reported.
///
/// # Safety
/// The instance is live.
unsafe fn flush(tlsf: Tlsf) {
    // SAFETY: live (caller).
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
/// As for [`Tlsf::block_size`].
pub(crate) unsafe fn block_size(block: *const u8) -> usize {
    // SAFETY: NULL or a block (caller).
    unsafe { Tlsf::block_size(block) }
}
