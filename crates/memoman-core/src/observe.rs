//! Observers: the functions that a program has called after each call on an instance, and on a
//! request that the instance has no memory for.
//!
//! The core stores them and calls them; the layer above decides when. It intercepts an instance
//! that has one ([`crate::intercept`]), so that an instance without one pays nothing. Their words
//! end the control structure's fixed part, under a hash of their own. They mean nothing
//! while no function is set: a layer that reads them only under interception clears them before it
//! sets one ([`Tlsf::clear_hooks`]). The small build has none.

use core::ffi::{c_int, c_void};
use core::ptr;

use crate::hash;
use crate::instance::Tlsf;
use crate::misuse::Misuse;
use crate::stats::Stats;

/// What a call has done.
///
/// ```
/// # #[cfg(not(memoman_small))] {
/// # use memoman_core::{Event, EventKind, Heap};
/// # use std::{mem::MaybeUninit, sync::Mutex};
/// let kinds = Mutex::new(Vec::new());
/// let mut note = |event: &Event| kinds.lock().unwrap().push(event.kind);
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let mut heap = Heap::new(&mut memory).unwrap();
/// heap.set_observer(&mut note);
/// drop(heap.boxed(1));
/// assert_eq!(*kinds.lock().unwrap(), [EventKind::Malloc, EventKind::Free]);
/// # }
/// ```
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// `malloc`, or `realloc` of no block.
    Malloc = 1,
    /// `calloc`.
    Calloc,
    /// `memalign`, or `realloc_aligned` of no block.
    Memalign,
    /// `realloc` or `realloc_aligned`, in place or not.
    Realloc,
    /// `free`, or `realloc` to no bytes.
    Free,
    /// A request that found no memory.
    Failed,
    /// A pool was added.
    PoolAdded,
    /// A pool was extended.
    PoolExtended,
    /// A pool was removed.
    PoolRemoved,
    /// All blocks were freed.
    Reset,
}

/// What a call on a heap has done.
///
/// ```
/// # #[cfg(not(memoman_small))] {
/// # use memoman_core::{Event, Heap};
/// # use std::{mem::MaybeUninit, sync::Mutex};
/// let sizes = Mutex::new(Vec::new());
/// let mut note = |event: &Event| sizes.lock().unwrap().push((event.requested, event.block));
/// # let mut memory = [const { MaybeUninit::uninit() }; 16 * 1024];
/// let mut heap = Heap::new(&mut memory).unwrap();
/// heap.set_observer(&mut note);
/// let _kept = heap.boxed([0u8; 100]).unwrap();
/// let (requested, block) = sizes.lock().unwrap()[0];
/// assert!(requested == 100 && block >= 100);
/// # }
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The heap's C handle.
    pub allocator: *mut c_void,
    /// What has happened.
    pub kind: EventKind,
    /// The new block, the freed block, or the pool; null for [`EventKind::Failed`] and
    /// [`EventKind::Reset`].
    pub pointer: *mut c_void,
    /// The block before a resize, failed ones included; null in other events.
    pub old: *mut c_void,
    /// Requested bytes; of a pool, its bytes; of a freed block, 0.
    pub requested: usize,
    /// Usable bytes of the block, of a freed one before; 0 without one.
    pub block: usize,
    /// The requested alignment; 0 for the quantum.
    pub align: usize,
}

/// A C observer.
pub type Observer = unsafe extern "C" fn(*const Event, *mut c_void);

/// A C function for exhausted requests: handle, bytes, alignment, figures, the word registered with
/// it. Not zero requests another search.
pub type ExhaustedHandler =
    unsafe extern "C" fn(*mut c_void, usize, usize, *const Stats, *mut c_void) -> c_int;

/// Not zero while one of the functions runs.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Running {
    No = 0,
    Observer = 1,
    Exhausted = 2,
}

/// The words of the control structure.
#[repr(C)]
pub(crate) struct Hooks {
    observer: Option<Observer>,
    observer_user: *mut c_void,
    exhausted: Option<ExhaustedHandler>,
    exhausted_user: *mut c_void,
    /// Hash of the words above.
    check: usize,
    /// [`Running`].
    running: usize,
}

impl Hooks {
    fn checksum(&self) -> usize {
        hash::mix(&[
            ptr::from_ref(self).addr(),
            self.observer.map_or(0, |function| function as usize),
            self.observer_user.addr(),
            self.exhausted.map_or(0, |function| function as usize),
            self.exhausted_user.addr(),
        ])
    }

    fn are_set(&self) -> bool {
        self.observer.is_some() || self.exhausted.is_some()
    }
}

/// What a call may do while one of the functions runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Allocate, resize, reset, destroy, set a function: from neither.
    Allocate,
    /// Free a block, change a pool: from the function for exhausted requests.
    Release,
}

#[cfg(not(memoman_small))]
impl Tlsf {
    /// # Safety
    /// The instance is live.
    unsafe fn hooks(self) -> *mut Hooks {
        // SAFETY: live (caller), so the control structure's fixed part is there.
        unsafe { &raw mut (*self.control()).hooks }
    }

    /// Sets neither function, whatever the words were.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn clear_hooks(self) {
        // SAFETY: live (caller); all-zero is a valid `Hooks`.
        unsafe { self.hooks().write_bytes(0, 1) }
    }

    /// Whether a function is set; the error is that their words have been overwritten.
    ///
    /// # Safety
    /// The instance is live, and its words have been cleared.
    pub unsafe fn has_hooks(self) -> Result<bool, Misuse> {
        // SAFETY: live (caller).
        let hooks = unsafe { &*self.hooks() };
        if !hooks.are_set() {
            Ok(false)
        } else if hooks.check == hooks.checksum() {
            Ok(true)
        } else {
            Err(Misuse::SmashedHooks)
        }
    }

    /// Tests a call on an instance that may have functions set: they may not be running, unless
    /// `access` allows it. Returns whether one is set.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn enter_hooks(self, access: Access) -> Result<bool, Misuse> {
        // SAFETY: live (caller).
        unsafe {
            let set = self.has_hooks()?;
            let running = (*self.hooks()).running;
            let allowed = running == Running::No as usize
                || running == Running::Exhausted as usize && access == Access::Release;
            if set && !allowed {
                return Err(Misuse::Reentered);
            }
            Ok(set)
        }
    }

    /// Makes validation report the control structure as overwritten.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn spoil_check(self) {
        // SAFETY: live (caller).
        unsafe { (*self.control()).check = !(*self.control()).checksum() }
    }

    /// Sets the observer, None for none.
    ///
    /// # Safety
    /// The instance is live, and [`Tlsf::enter_hooks`] has allowed it.
    pub unsafe fn set_observer(self, observer: Option<Observer>, user: *mut c_void) {
        // SAFETY: live (caller).
        unsafe {
            let hooks = &mut *self.hooks();
            (hooks.observer, hooks.observer_user) = (observer, user);
            hooks.check = hooks.checksum();
        }
    }

    /// Sets the function for exhausted requests, None for none.
    ///
    /// # Safety
    /// The instance is live, and [`Tlsf::enter_hooks`] has allowed it.
    pub unsafe fn set_exhausted_handler(
        self,
        handler: Option<ExhaustedHandler>,
        user: *mut c_void,
    ) {
        // SAFETY: live (caller).
        unsafe {
            let hooks = &mut *self.hooks();
            (hooks.exhausted, hooks.exhausted_user) = (handler, user);
            hooks.check = hooks.checksum();
        }
    }

    /// Calls the observer, if one is set, with `event`.
    ///
    /// # Safety
    /// The instance is live and intercepted, or the layer above tests each call
    /// ([`Tlsf::enter_hooks`]). The observer is the function that the program has registered.
    pub unsafe fn notify(self, event: &Event) {
        // SAFETY: live (caller). No reference into the control structure is held in the call.
        unsafe {
            let hooks = self.hooks();
            let (Some(observer), user) = ((*hooks).observer, (*hooks).observer_user) else {
                return;
            };
            let before = (*hooks).running;
            (*hooks).running = Running::Observer as usize;
            observer(event, user);
            (*hooks).running = before;
        }
    }

    /// Calls the function for exhausted requests, if one is set. True requests another search.
    ///
    /// # Safety
    /// The duties of [`Tlsf::notify`].
    pub unsafe fn ask_for_memory(
        self,
        allocator: *mut c_void,
        bytes: usize,
        align: usize,
        stats: &Stats,
    ) -> bool {
        // SAFETY: live (caller). No reference into the control structure is held in the call.
        unsafe {
            let hooks = self.hooks();
            let (Some(handler), user) = ((*hooks).exhausted, (*hooks).exhausted_user) else {
                return false;
            };
            (*hooks).running = Running::Exhausted as usize;
            let again = handler(allocator, bytes, align, stats, user) != 0;
            (*hooks).running = Running::No as usize;
            again
        }
    }
}
