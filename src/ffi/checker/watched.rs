//! The calls on an allocator that a memory checker watches, or that has an observer. It is
//! intercepted in the core: the hot functions end in their cold paths, which come to [`perform`];
//! all other functions open a [`Session`]. The marks themselves are in [`super::marks`].

use core::ffi::c_void;
use core::ops::Deref;
use core::ptr::{self, NonNull};

use memoman_core::{Access, EventKind, Misuse, Pool, Refusal, Stats, Tlsf};

use super::marks::{self, Quiet};
use crate::ffi::observe::{Call, changed, may_change};

/// An open instance: its interception is suspended until the session ends.
pub(crate) struct Session {
    tlsf: Tlsf,
    /// The instance was intercepted.
    quiet: Option<Quiet>,
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
            unsafe { suspend(tlsf) }
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

    /// Tells the observer, if the instance has one, of a change that the session has made. The
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
        if self.quiet.is_some() {
            // SAFETY: the instance is live until the session ends (`open`).
            unsafe { self.tlsf.intercept() };
        }
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
        // No instance is left to intercept.
        session.quiet = None;
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

/// Makes a call that the core has refused as intercepted, and marks its bytes for a checker. Null
/// is the result of a `free`.
///
/// # Safety
/// The instance is live and intercepted. On success `call.old` is given up.
#[cold]
#[inline(never)]
pub(crate) unsafe fn perform(tlsf: Tlsf, call: &Call) -> Result<*mut u8, Refusal> {
    let Call { bytes, .. } = *call;
    let align = match call.kind {
        EventKind::Memalign => call.align,
        _ => call.align.max(Tlsf::ALIGN),
    };
    // SAFETY: live instance, old block given up (caller); a new block has `bytes` bytes.
    unsafe {
        let session = Session::open(tlsf);
        match (call.kind, NonNull::new(call.old)) {
            (EventKind::Free, Some(block)) => give_back(&session, block)
                .map(|()| ptr::null_mut())
                .map_err(|what| Refusal::Misuse(what, call.old)),
            (EventKind::Realloc, _) if bytes == 0 => Err(Refusal::Invalid),
            (EventKind::Realloc, Some(block)) if marks::has_checker() => {
                resize(&session, block, align, bytes).map(NonNull::as_ptr)
            }
            (EventKind::Realloc, Some(block)) => session
                .realloc_aligned(block, align, bytes)
                .map(NonNull::as_ptr),
            _ => {
                let block = match call.kind {
                    EventKind::Memalign => session.memalign(align, bytes)?,
                    _ => session.malloc_outlined(bytes)?,
                };
                marks::taken(session.name(), block, bytes);
                Ok(block.as_ptr())
            }
        }
    }
}

/// Usable bytes of a block in use of an intercepted instance; 0 for any other pointer.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
pub(crate) unsafe fn usable(tlsf: Tlsf, ptr: *mut u8) -> usize {
    // SAFETY: live instance, readable bounds (caller).
    unsafe {
        let session = Session::open(tlsf);
        NonNull::new(ptr).map_or(0, |block| session.usable_size(block).unwrap_or(0))
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

/// Sets functions that observe an instance: intercepts it if it has one then, or a checker.
///
/// # Safety
/// The instance is live.
pub(crate) unsafe fn hook(tlsf: Tlsf, set: impl FnOnce()) {
    marks::observe();
    // SAFETY: live instance (caller).
    unsafe {
        let mut session = Session::open(tlsf);
        set();
        if tlsf.has_hooks() == Ok(true) || marks::has_checker() {
            if session.quiet.is_none() {
                tlsf.intercept();
            }
        } else {
            // The interception stays suspended.
            session.quiet = None;
        }
    }
}

/// Frees a block and forbids its bytes.
///
/// # Safety
/// The contents of the block are given up.
unsafe fn give_back(session: &Session, block: NonNull<u8>) -> Result<(), Misuse> {
    // SAFETY: the session's instance is live; contents given up (caller). `reach` tests the block,
    // so that its size may be trusted.
    unsafe {
        session.reach(block)?;
        let usable = Tlsf::block_size(block.as_ptr());
        session.free_outlined(block)?;
        marks::given_up(session.name(), block, usable);
        Ok(())
    }
}

/// Resizes a block and marks its bytes.
///
/// # Safety
/// On success the old block is given up.
unsafe fn resize(
    session: &Session,
    block: NonNull<u8>,
    align: usize,
    bytes: usize,
) -> Result<NonNull<u8>, Refusal> {
    let here = block.as_ptr();
    // SAFETY: the session's instance is live; old block given up on success (caller). `reach` tests
    // the block and its neighbours; in place, the core writes nowhere else.
    unsafe {
        let reach = session
            .reach(block)
            .map_err(|what| Refusal::Misuse(what, here))?;
        let usable = Tlsf::block_size(here);
        let requested = marks::allowed(here, usable);
        let kept = requested.min(bytes);
        // The C library's memmove may be the checker's own.
        marks::allow_for_copy(reach.start, reach.bytes);
        let in_place = session.realloc_in_place(block, align, bytes);
        marks::forbid_after_copy(reach.start, reach.bytes);
        match in_place {
            Ok(Some(new)) if new == block => {
                if bytes > requested {
                    marks::allow(here.wrapping_add(requested), bytes - requested, false);
                } else {
                    marks::forbid(here.wrapping_add(bytes), usable.saturating_sub(bytes));
                }
                marks::allow_again(here, kept);
                marks::resized(session.name(), block, bytes);
                Ok(new)
            }
            Ok(Some(new)) => {
                marks::given_up(session.name(), block, usable);
                marks::taken(session.name(), new, bytes);
                marks::allow(new.as_ptr(), kept, true);
                Ok(new)
            }
            Ok(None) => {
                marks::allow_again(here, requested);
                let new = session.memalign(align, bytes)?;
                marks::taken(session.name(), new, bytes);
                ptr::copy_nonoverlapping(here, new.as_ptr(), kept);
                if let Err(what) = give_back(session, block) {
                    let _ = give_back(session, new);
                    return Err(Refusal::Misuse(what, here));
                }
                Ok(new)
            }
            Err(refusal) => {
                marks::allow_again(here, requested);
                Err(refusal)
            }
        }
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

/// Usable bytes of a block. A checker allows all of them from here on.
///
/// # Safety
/// `block` is NULL or a block of a live instance.
#[inline(always)]
pub(crate) unsafe fn block_size(block: *const u8) -> usize {
    // SAFETY: NULL or a block of a live instance (caller).
    unsafe {
        if marks::is_watched() {
            watched_block_size(block)
        } else {
            Tlsf::block_size(block)
        }
    }
}

/// [`block_size`] under a checker.
///
/// # Safety
/// `block` is NULL or a block of a live instance.
#[cold]
#[inline(never)]
unsafe fn watched_block_size(block: *const u8) -> usize {
    // SAFETY: NULL or a block of a live instance (caller).
    unsafe {
        let _quiet = Quiet::new();
        let usable = Tlsf::block_size(block);
        let requested = marks::allowed(block, usable);
        marks::allow(
            block.wrapping_add(requested),
            usable.saturating_sub(requested),
            false,
        );
        usable
    }
}
