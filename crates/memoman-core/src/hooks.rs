//! The words of the control structure for observers and exhausted requests, and what the functions
//! receive. [`crate::observe`] says when they are called.

use core::ffi::{c_int, c_void};
use core::ptr;

#[cfg(not(memoman_small))]
use crate::cache::Cache;
use crate::hash;
use crate::stats::Stats;
#[cfg(memoman_small)]
use core::ffi::c_void as Cache;

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
pub(crate) enum Running {
    No = 0,
    Observer = 1,
    Exhausted = 2,
}

/// The words of the control structure.
#[repr(C)]
pub(crate) struct Hooks {
    pub(crate) observer: Option<Observer>,
    pub(crate) observer_user: *mut c_void,
    pub(crate) exhausted: Option<ExhaustedHandler>,
    pub(crate) exhausted_user: *mut c_void,
    /// The instance's cache; null for none.
    pub(crate) cache: *mut Cache,
    /// Hash of the words above, XOR [`Running`].
    pub(crate) check: usize,
}

impl Hooks {
    #[inline(never)]
    pub(crate) fn checksum(&self) -> usize {
        hash::mix(&[
            ptr::from_ref(self).addr(),
            self.observer.map_or(0, |function| function as usize),
            self.observer_user.addr(),
            self.exhausted.map_or(0, |function| function as usize),
            self.exhausted_user.addr(),
            self.cache.addr(),
        ])
    }

    /// [`Running`]; any other number when the words have been overwritten.
    pub(crate) fn running(&self) -> usize {
        self.check ^ self.checksum()
    }

    pub(crate) fn are_set(&self) -> bool {
        self.observer.is_some() || self.exhausted.is_some() || !self.cache.is_null()
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
