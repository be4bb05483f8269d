//! What [`super::watched`] is in the debug library, which finds by itself what a memory checker would be told: plain calls.

use core::ffi::c_void;
use core::ops::Deref;

use memoman_debug::allocator::{Pool, Tlsf};

use super::misuse;

/// A live instance.
pub(super) struct Session(Tlsf);

impl Session {
    /// # Safety
    /// The instance is live until the session ends.
    #[inline(always)]
    pub(super) unsafe fn open(tlsf: Tlsf) -> Session {
        Session(tlsf)
    }

    /// Runs the program's code in between.
    pub(super) fn interrupted<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }
}

impl Deref for Session {
    type Target = Tlsf;

    fn deref(&self) -> &Tlsf {
        &self.0
    }
}

pub(super) fn before_creation(_mem: *mut c_void, _bytes: usize, _control_bytes: usize) {}

/// After an instance's creation: reads how often it is to be validated.
///
/// # Safety
/// The instance is live.
pub(super) unsafe fn created(_tlsf: Tlsf) {
    #[cfg(unix)]
    if let Some(shift) = memoman_global::debug::validate_shift() {
        // SAFETY: live (caller).
        unsafe { _tlsf.set_validate_shift(shift) };
    }
}

/// # Safety
/// As for [`Tlsf::destroy`].
pub(super) unsafe fn destroy(tlsf: Tlsf) {
    // SAFETY: the same duties.
    unsafe { tlsf.destroy() }
}

/// Gives all blocks up, after quarantine has been verified.
///
/// # Safety
/// As for [`Tlsf::reset`].
pub(super) unsafe fn reset(tlsf: Tlsf) -> bool {
    // SAFETY: the same duties.
    unsafe {
        flush(tlsf);
        tlsf.reset()
    }
}

/// # Safety
/// As for [`Tlsf::add_pool`].
pub(super) unsafe fn add_pool(tlsf: Tlsf, mem: *mut u8, bytes: usize) -> Option<Pool> {
    // SAFETY: the same duties.
    unsafe { tlsf.add_pool(mem, bytes) }
}

/// # Safety
/// As for [`Tlsf::extend_pool`].
pub(super) unsafe fn extend_pool(tlsf: Tlsf, pool: Pool, more: usize) -> bool {
    // SAFETY: the same duties.
    unsafe { tlsf.extend_pool(pool, more) }
}

/// Removes a pool, after what is in quarantine has been verified and released.
///
/// # Safety
/// As for [`Tlsf::remove_pool`].
pub(super) unsafe fn remove_pool(tlsf: Tlsf, mem_or_pool: *mut u8) -> bool {
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
