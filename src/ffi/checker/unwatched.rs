//! The calls of the debug library and the small one, without marks: the first finds by itself what
//! a memory checker would, the second knows none. The debug library's observers are notified here.

use core::ffi::c_void;
use core::ops::Deref;

#[cfg(memoman_debug)]
use core::ptr::{self, NonNull};

#[cfg(memoman_debug)]
use memoman_core::{Access, EventKind};

use crate::ffi::allocator::{Pool, Tlsf};
#[cfg(memoman_debug)]
use crate::ffi::allocator::{Refusal, Stats};
#[cfg(memoman_debug)]
use crate::ffi::misuse::misuse;
#[cfg(memoman_debug)]
use crate::ffi::observe::{Call, Hook, changed, may_change};

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

/// After an instance's creation: the settings of the environment.
///
/// # Safety
/// The instance is live.
pub(crate) unsafe fn created(_tlsf: Tlsf) {
    #[cfg(all(any(target_os = "linux", windows), memoman_debug))]
    // SAFETY: live instance (caller), just created.
    unsafe {
        memoman_global::debug::configure(_tlsf);
    }
}

/// Destroys an instance, after it has been validated and its blocks in use have been listed, if the
/// environment says so.
///
/// # Safety
/// The instance is live. None of the pointers that it returned is used again.
pub(crate) unsafe fn destroy(tlsf: Tlsf) {
    // SAFETY: live instance, no further use of its pointers (caller).
    unsafe {
        #[cfg(memoman_debug)]
        {
            if !may_change(tlsf, Access::Allocate) {
                return;
            }
            let mut pools_are_listed = true;
            if let Some(found) = tlsf.diagnose() {
                pools_are_listed = found.invariant.number() != 7;
                misuse(tlsf, found.fault, found.address);
            }
            #[cfg(any(target_os = "linux", windows))]
            if pools_are_listed {
                memoman_global::debug::list_leaks_of(tlsf);
            }
        }
        tlsf.destroy();
    }
}

/// Frees all blocks, after the quarantine has been verified.
///
/// # Safety
/// The instance is live. Every block is given up.
pub(crate) unsafe fn reset(tlsf: Tlsf) -> bool {
    // SAFETY: live instance, blocks given up (caller).
    unsafe {
        #[cfg(memoman_debug)]
        if !may_change(tlsf, Access::Allocate) {
            return false;
        }
        flush(tlsf);
        let done = tlsf.reset();
        #[cfg(memoman_debug)]
        if done {
            changed(tlsf, EventKind::Reset, ptr::null_mut(), 0);
        }
        done
    }
}

/// Adds a pool.
///
/// # Safety
/// The instance is live. The region may be read and written, and belongs to the instance until the
/// pool is removed or the instance is destroyed.
pub(crate) unsafe fn add_pool(tlsf: Tlsf, mem: *mut u8, bytes: usize) -> Option<Pool> {
    // SAFETY: live instance; the region is the caller's to give (caller).
    unsafe {
        #[cfg(memoman_debug)]
        if !may_change(tlsf, Access::Release) {
            return None;
        }
        let pool = tlsf.add_pool(mem, bytes)?;
        #[cfg(memoman_debug)]
        changed(tlsf, EventKind::PoolAdded, pool.memory().0, pool.memory().1);
        Some(pool)
    }
}

/// Extends a pool.
///
/// # Safety
/// The instance is live; `pool` is a pool of it; the `more` bytes after it may be read and
/// written, and belong to the instance until the pool is removed or the instance is destroyed.
pub(crate) unsafe fn extend_pool(tlsf: Tlsf, pool: Pool, more: usize) -> bool {
    // SAFETY: live instance, pool of it; the bytes are the caller's to give (caller).
    unsafe {
        #[cfg(memoman_debug)]
        if !may_change(tlsf, Access::Release) {
            return false;
        }
        let done = tlsf.extend_pool(pool, more);
        #[cfg(memoman_debug)]
        if done {
            let (start, bytes) = pool.memory();
            changed(tlsf, EventKind::PoolExtended, start, bytes);
        }
        done
    }
}

/// Removes a pool, after the quarantine has been verified and emptied.
///
/// # Safety
/// The instance is live; memory between its lowest and highest pool may be read.
pub(crate) unsafe fn remove_pool(tlsf: Tlsf, mem_or_pool: *mut u8) -> bool {
    // SAFETY: live instance, readable pools (caller).
    unsafe {
        #[cfg(memoman_debug)]
        if !may_change(tlsf, Access::Release) {
            return false;
        }
        flush(tlsf);
        let done = tlsf.remove_pool(mem_or_pool);
        #[cfg(memoman_debug)]
        if done {
            let skip = mem_or_pool.addr().wrapping_neg() & (Tlsf::ALIGN - 1);
            // The removed pool's header still holds its bounds: removal inverts the hash only.
            if let Some(pool) = Pool::from_raw(mem_or_pool.wrapping_add(skip).cast()) {
                let (start, bytes) = pool.memory();
                changed(tlsf, EventKind::PoolRemoved, start, bytes);
            }
        }
        done
    }
}

/// Empties the quarantine, whose blocks are in use for the core, and reports each damaged block.
///
/// # Safety
/// The instance is live.
unsafe fn flush(_tlsf: Tlsf) {
    #[cfg(memoman_debug)]
    // SAFETY: live instance (caller).
    unsafe {
        let tlsf = _tlsf;
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

/// Makes a call for a block. Null is the result of a `free`.
///
/// # Safety
/// The instance is live. On success `call.old` is given up.
#[cfg(memoman_debug)]
pub(crate) unsafe fn perform(tlsf: Tlsf, call: &Call) -> Result<*mut u8, Refusal> {
    let align = match call.kind {
        EventKind::Memalign => call.align,
        _ => call.align.max(Tlsf::ALIGN),
    };
    // SAFETY: live instance, old block given up (caller).
    unsafe {
        match (call.kind, NonNull::new(call.old)) {
            (EventKind::Free, Some(block)) => match tlsf.free(block) {
                Ok(_) => Ok(ptr::null_mut()),
                Err(fault) => Err(Refusal::Misuse(fault, call.old)),
            },
            (EventKind::Realloc, Some(block)) => tlsf
                .realloc_aligned(block, align, call.bytes)
                .map(NonNull::as_ptr),
            _ => tlsf.memalign(align, call.bytes).map(NonNull::as_ptr),
        }
    }
}

/// Usable bytes of a block in use; 0 for any other pointer.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[cfg(memoman_debug)]
pub(crate) unsafe fn usable(tlsf: Tlsf, ptr: *mut u8) -> usize {
    // SAFETY: live instance, readable bounds (caller).
    unsafe { NonNull::new(ptr).map_or(0, |block| tlsf.usable_size(block).unwrap_or(0)) }
}

/// The instance's figures.
///
/// # Safety
/// The instance is live.
#[cfg(memoman_debug)]
pub(crate) unsafe fn stats(tlsf: Tlsf) -> Stats {
    // SAFETY: live instance (caller).
    unsafe { tlsf.stats() }
}

/// Sets functions that observe an instance.
///
/// # Safety
/// The instance is live; the duties of [`Hook::set`].
#[cfg(memoman_debug)]
pub(crate) unsafe fn hook(tlsf: Tlsf, hook: Hook) -> Result<bool, Refusal> {
    // SAFETY: the duties of the caller.
    unsafe { hook.set(tlsf) }
}
