//! The calls on an allocator that a memory checker watches, or that has an observer. It is
//! intercepted in the core: the hot functions end in their cold paths, which come to [`perform`]
//! (`watched/blocks.rs`); all other functions open a [`Session`]. The marks themselves are in
//! [`super::marks`].

use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr;

use memoman_core::{Access, EventKind, Pool, Refusal, Stats, Tlsf};

use super::marks::{self, Quiet};
use crate::ffi::observe::{Hook, changed, may_change};

mod blocks;

pub(crate) use super::marks::has_checker;

pub(crate) use blocks::{block_size, perform, usable};

/// An open instance: its interception is suspended until the session ends.
pub(crate) struct Session {
    tlsf: Tlsf,
    /// The instance was intercepted. Dropped by [`close`].
    quiet: Option<ManuallyDrop<Quiet>>,
}

impl Session {
    /// Opens an instance and suspends its interception, if it is intercepted.
    ///
    /// # Safety
    /// The instance is live until the session ends.
    #[inline(always)]
    pub(crate) unsafe fn open(tlsf: Tlsf) -> Session {
        // SAFETY: live instance (caller).
        let quiet = (marks::is_watched() && unsafe { tlsf.is_intercepted() }).then(|| {
            // SAFETY: live instance (caller), intercepted (tested).
            ManuallyDrop::new(unsafe { suspend(tlsf) })
        });
        Session { tlsf, quiet }
    }

    /// Runs code of the program during the session; the checker watches it.
    pub(crate) fn interrupted<R>(&self, work: impl FnOnce() -> R) -> R {
        match &self.quiet {
            Some(quiet) => quiet.interrupted(work),
            None => work(),
        }
    }

    /// Notifies the observer, if the instance has one, of a change that the session has made. The
    /// instance is intercepted from here on.
    ///
    /// # Safety
    /// The session's instance is intercepted when no session is open.
    #[cold]
    #[inline(never)]
    unsafe fn tell(&self, kind: EventKind, pointer: *mut u8, bytes: usize) {
        // SAFETY: live instance (`open`), intercepted outside of sessions (caller).
        unsafe {
            self.tlsf.intercept();
            self.interrupted(|| changed(self.tlsf, kind, pointer, bytes));
        }
    }

    /// Ends the session, with the instance not intercepted.
    fn forget(&mut self) {
        if let Some(quiet) = self.quiet.take() {
            drop(ManuallyDrop::into_inner(quiet));
        }
    }

    /// Whether the instance is intercepted: a checker watches it, or an observer is set.
    fn is_watched(&self) -> bool {
        self.quiet.is_some()
    }

    /// The name of the checker's list of blocks: the instance's address.
    fn name(&self) -> *const u8 {
        self.tlsf.as_raw().cast_const().cast()
    }
}

impl Deref for Session {
    type Target = Tlsf;

    fn deref(&self) -> &Tlsf {
        &self.tlsf
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(quiet) = &mut self.quiet {
            // SAFETY: the instance is live until the session ends (`open`).
            unsafe { close(self.tlsf, quiet) };
        }
    }
}

/// Ends a session of an intercepted instance.
///
/// # Safety
/// The instance is live, and the session ends.
#[cold]
#[inline(never)]
unsafe fn close(tlsf: Tlsf, quiet: &mut ManuallyDrop<Quiet>) {
    // SAFETY: live instance; the session, and `quiet` with it, is not used again (caller).
    unsafe {
        tlsf.intercept();
        ManuallyDrop::drop(quiet);
    }
}

/// Ends the interception, with the checker quiet on this thread.
///
/// # Safety
/// The instance is live and intercepted.
#[cold]
#[inline(never)]
unsafe fn suspend(tlsf: Tlsf) -> Quiet {
    let quiet = Quiet::new();
    // SAFETY: live instance (caller).
    unsafe {
        tlsf.end_interception();
        if tlsf.has_hooks().is_err() {
            // Validation reports it as damage of the control structure.
            tlsf.spoil_check();
        }
    }
    quiet
}

/// Before an instance's creation in `bytes` bytes at `mem`: allows the control structure's
/// `control_bytes`, if they fit.
pub(crate) fn before_creation(mem: *mut c_void, bytes: usize, control_bytes: usize) {
    let fits = bytes >= control_bytes && mem.addr().checked_add(bytes).is_some();
    if marks::find() && !mem.is_null() && fits {
        marks::allow(mem.cast(), control_bytes, false);
    }
}

/// After an instance's creation: forbids its pools to the program, if there is a checker.
///
/// # Safety
/// The instance is live.
pub(crate) unsafe fn created(tlsf: Tlsf) {
    if marks::is_watched() {
        // SAFETY: live instance (caller).
        unsafe { watched_created(tlsf) };
    }
}

/// [`created`] in a process with a checker or an observer.
///
/// # Safety
/// The instance is live.
#[cold]
#[inline(never)]
unsafe fn watched_created(tlsf: Tlsf) {
    if !marks::has_checker() {
        return;
    }
    let _quiet = Quiet::new();
    marks::began(tlsf.as_raw().cast_const().cast());
    // SAFETY: live instance (caller).
    unsafe {
        for_each_pool(tlsf, marks::forbid);
        tlsf.clear_hooks();
        tlsf.intercept();
    }
}

/// Destroys an instance: its memory is the program's again.
///
/// # Safety
/// The instance is live. None of the pointers that it returned is used again.
pub(crate) unsafe fn destroy(tlsf: Tlsf) {
    // SAFETY: live instance, no further use of its pointers (caller).
    unsafe {
        if marks::is_watched() {
            return watched_destroy(tlsf);
        }
        tlsf.destroy();
    }
}

/// [`destroy`] of an instance that may be intercepted.
///
/// # Safety
/// The duties of [`destroy`].
#[cold]
#[inline(never)]
unsafe fn watched_destroy(tlsf: Tlsf) {
    // SAFETY: live instance, no further use of its pointers (caller).
    unsafe {
        if !may_change(tlsf, Access::Allocate) {
            return;
        }
        let mut session = Session::open(tlsf);
        if session.is_watched() {
            // In this order: the end of the list forbids its blocks.
            marks::ended(session.name());
            for_each_pool(tlsf, |start, bytes| marks::allow(start, bytes, true));
        }
        tlsf.destroy();
        session.forget();
    }
}

/// Frees all blocks.
///
/// # Safety
/// The instance is live. Every block is given up.
pub(crate) unsafe fn reset(tlsf: Tlsf) -> bool {
    // SAFETY: live instance, blocks given up (caller).
    unsafe {
        if marks::is_watched() {
            return watched_reset(tlsf);
        }
        tlsf.reset()
    }
}

/// [`reset`] of an instance that may be intercepted.
///
/// # Safety
/// The duties of [`reset`].
#[cold]
#[inline(never)]
unsafe fn watched_reset(tlsf: Tlsf) -> bool {
    // SAFETY: live instance, blocks given up (caller).
    unsafe {
        if !may_change(tlsf, Access::Allocate) {
            return false;
        }
        let session = Session::open(tlsf);
        let done = session.reset();
        if done && session.is_watched() {
            session.forget_cached();
            marks::ended(session.name());
            marks::began(session.name());
            for_each_pool(tlsf, marks::forbid);
            session.tell(EventKind::Reset, ptr::null_mut(), 0);
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
        if marks::is_watched() {
            return watched_add_pool(tlsf, mem, bytes);
        }
        tlsf.add_pool(mem, bytes)
    }
}

/// [`add_pool`] to an instance that may be intercepted.
///
/// # Safety
/// The duties of [`add_pool`].
#[cold]
#[inline(never)]
unsafe fn watched_add_pool(tlsf: Tlsf, mem: *mut u8, bytes: usize) -> Option<Pool> {
    // SAFETY: live instance; the region is the caller's to give (caller).
    unsafe {
        if !may_change(tlsf, Access::Release) {
            return None;
        }
        let session = Session::open(tlsf);
        let pool = session.add_pool(mem, bytes)?;
        if session.is_watched() {
            let (start, bytes) = pool.memory();
            marks::forbid(start, bytes);
            session.tell(EventKind::PoolAdded, start, bytes);
        }
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
        if marks::is_watched() {
            return watched_extend_pool(tlsf, pool, more);
        }
        tlsf.extend_pool(pool, more)
    }
}

/// [`extend_pool`] of an instance that may be intercepted.
///
/// # Safety
/// The duties of [`extend_pool`].
#[cold]
#[inline(never)]
unsafe fn watched_extend_pool(tlsf: Tlsf, pool: Pool, more: usize) -> bool {
    // SAFETY: live instance, pool of it; the bytes are the caller's to give (caller).
    unsafe {
        if !may_change(tlsf, Access::Release) {
            return false;
        }
        let session = Session::open(tlsf);
        let (start, before) = pool.memory();
        let done = session.extend_pool(pool, more);
        if done && session.is_watched() {
            let bytes = pool.memory().1;
            marks::forbid(start.wrapping_add(before), bytes - before);
            session.tell(EventKind::PoolExtended, start, bytes);
        }
        done
    }
}

/// Removes a pool: its region is the program's again.
///
/// # Safety
/// The instance is live; memory between its lowest and highest pool may be read.
pub(crate) unsafe fn remove_pool(tlsf: Tlsf, mem_or_pool: *mut u8) -> bool {
    // SAFETY: live instance, readable pools (caller).
    unsafe {
        if marks::is_watched() {
            return watched_remove_pool(tlsf, mem_or_pool);
        }
        tlsf.remove_pool(mem_or_pool)
    }
}

/// [`remove_pool`] of an instance that may be intercepted.
///
/// # Safety
/// The duties of [`remove_pool`].
#[cold]
#[inline(never)]
unsafe fn watched_remove_pool(tlsf: Tlsf, mem_or_pool: *mut u8) -> bool {
    // SAFETY: live instance, readable pools (caller). The removed pool's header still holds its
    // bounds: removal inverts the hash only.
    unsafe {
        if !may_change(tlsf, Access::Release) {
            return false;
        }
        let session = Session::open(tlsf);
        // An overwritten cached block stays in use, and the pool with it.
        if session.is_watched() {
            let _ = session.flush_cache();
        }
        let done = session.remove_pool(mem_or_pool);
        if done && session.is_watched() {
            let skip = mem_or_pool.addr().wrapping_neg() & (Tlsf::ALIGN - 1);
            if let Some(pool) = Pool::from_raw(mem_or_pool.wrapping_add(skip).cast()) {
                let (start, bytes) = pool.memory();
                marks::allow(start, bytes, true);
                session.tell(EventKind::PoolRemoved, start, bytes);
            }
        }
        done
    }
}

/// Calls `each` with the memory of each pool.
///
/// # Safety
/// The instance is live and not intercepted.
#[cold]
#[inline(never)]
unsafe fn for_each_pool(tlsf: Tlsf, each: fn(*const u8, usize)) {
    // SAFETY: live instance (caller), so its pools are live.
    unsafe {
        let mut next = tlsf.first_pool();
        while let Some(pool) = next {
            let (start, bytes) = pool.memory();
            each(start, bytes);
            next = tlsf.next_pool(pool);
        }
    }
}

/// The figures of an intercepted instance.
///
/// # Safety
/// The instance is live.
pub(crate) unsafe fn stats(tlsf: Tlsf) -> Stats {
    // SAFETY: live instance (caller).
    unsafe { Session::open(tlsf).stats() }
}

/// Sets functions that observe an instance, or its cache: intercepts it if it has one then, or a
/// checker.
///
/// # Safety
/// The instance is live; the duties of [`Hook::set`].
pub(crate) unsafe fn hook(tlsf: Tlsf, hook: Hook) -> Result<bool, Refusal> {
    marks::observe();
    // SAFETY: live instance (caller).
    unsafe {
        let mut session = Session::open(tlsf);
        let result = hook.set(tlsf);
        if matches!(tlsf.has_hooks(), Ok(true)) || marks::has_checker() {
            if session.quiet.is_none() {
                tlsf.intercept();
            }
        } else {
            session.forget();
        }
        result
    }
}

/// Runs `work` on a pool in a session of its instance, if the pool's header names one.
///
/// # Safety
/// The pool is live.
pub(crate) unsafe fn with_pool<R>(pool: Pool, work: impl FnOnce(Pool, Option<&Session>) -> R) -> R {
    if marks::is_watched() {
        let _quiet = Quiet::new();
        // SAFETY: live pool (caller).
        let session = unsafe { pool.instance().map(|tlsf| Session::open(tlsf)) };
        return work(pool, session.as_ref());
    }
    work(pool, None)
}
