//! The instance: creating and destroying it, its error handler, `calloc`. Its other calls are in
//! `allocate`, `free`, `realloc`, `pools`, `returned`, `stats` and `validate`.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use crate::config::{BLOCK_MIN, DEFAULT_MAX_BLOCK, HEADER, QUANTUM, WORD};
use crate::control::Control;
use crate::misuse::{MisuseHandler, Refusal};
use crate::observe::HOOKS;
use crate::pool::{POOL_COST, POOL_MIN};

/// An instance: a handle on the control structure in the caller's memory. Two copies name the same
/// instance.
///
/// # Safety of the methods
/// "The instance is live" means: it was created by [`Tlsf::create`] or [`Tlsf::create_with_pool`]
/// and has not been destroyed; its memory and that of its pools can be read and written, and only
/// the instance writes there, except in payloads in use; no other thread is in a call on it. A
/// method that takes a payload back also needs the memory between its lowest and its highest pool
/// to be readable: a wrong pointer may lead there.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlsf(NonNull<Control>);

impl Tlsf {
    /// The largest request of a default instance, in bytes.
    pub const DEFAULT_MAX_BLOCK: usize = DEFAULT_MAX_BLOCK;
    /// Bytes of a region that its first block cannot use: an aligned region of this many and n more
    /// holds exactly one block of n usable bytes.
    pub const POOL_OVERHEAD: usize = POOL_COST + HEADER;
    /// Bytes of a block beyond its usable ones.
    pub const ALLOC_OVERHEAD: usize = HEADER;
    /// The smallest usable size, in bytes.
    pub const BLOCK_SIZE_MIN: usize = BLOCK_MIN - HEADER;
    /// The largest request of a default instance, in bytes.
    pub const BLOCK_SIZE_MAX: usize = DEFAULT_MAX_BLOCK;
    /// The alignment of every payload, in bytes.
    pub const ALIGN: usize = QUANTUM;

    #[inline(always)]
    pub(crate) fn control(self) -> *mut Control {
        self.0.as_ptr()
    }

    pub(crate) fn new(control: *mut Control) -> Option<Tlsf> {
        NonNull::new(control).map(Tlsf)
    }

    /// Bytes of the control structure for requests up to `max_block` bytes; 0 when that is beyond
    /// any instance. O(1).
    pub const fn control_size(max_block: usize) -> usize {
        Control::size_for(max_block)
    }

    /// Creates an instance without pools in `mem`, for requests up to `max_block` bytes; O(1). None
    /// when `mem` is null or not aligned for a word, when `max_block` is beyond any instance, or
    /// when the control structure would end beyond the address space.
    ///
    /// # Safety
    /// `control_size(max_block)` bytes at `mem` may be read and written, and belong to the instance
    /// until it is destroyed.
    pub unsafe fn create(mem: *mut u8, max_block: usize) -> Option<Tlsf> {
        let bytes = Control::size_for(max_block);
        if mem.is_null()
            || !mem.addr().is_multiple_of(WORD)
            || bytes == 0
            || mem.addr().checked_add(bytes).is_none()
        {
            return None;
        }
        // SAFETY: `mem` is aligned and bounded (tested) and may be written (caller).
        Tlsf::new(unsafe { Control::init(mem, max_block) })
    }

    /// Creates a default instance at `mem`, rounded up to a word, and makes the rest of the region
    /// its first pool; O(1). None, and nothing written, when `mem` is null, when `bytes` cannot
    /// hold the control structure and a pool with one smallest block, or when the region ends
    /// beyond the address space.
    ///
    /// # Safety
    /// `bytes` bytes at `mem` may be read and written, and belong to the instance until it is
    /// destroyed.
    pub unsafe fn create_with_pool(mem: *mut u8, bytes: usize) -> Option<Tlsf> {
        mem.addr().checked_add(bytes)?;
        let control_bytes = Control::size_for(DEFAULT_MAX_BLOCK);
        let skip = mem.addr().wrapping_neg() & (WORD - 1);
        let start = mem.wrapping_add(skip);
        let rest = start.wrapping_add(control_bytes);
        let pool_skip = rest.addr().wrapping_neg() & (QUANTUM - 1);
        if mem.is_null() || bytes < skip + control_bytes + pool_skip + POOL_MIN {
            return None;
        }
        // SAFETY: the region holds the control structure and, after it, a pool (tested), and may
        // be read and written (caller).
        unsafe {
            let tlsf = Tlsf::create(start, DEFAULT_MAX_BLOCK)?;
            tlsf.add_pool(rest, bytes - skip - control_bytes)?;
            Some(tlsf)
        }
    }

    /// The instance of a C handle; None for NULL.
    ///
    /// # Safety
    /// `raw` is NULL or came from [`Tlsf::as_raw`] of a live instance.
    #[inline(always)]
    pub unsafe fn from_raw(raw: *mut c_void) -> Option<Tlsf> {
        NonNull::new(raw.cast()).map(Tlsf)
    }

    /// The instance as a C handle: the address of its control structure.
    #[inline(always)]
    pub fn as_raw(self) -> *mut c_void {
        self.control().cast()
    }

    /// Destroys the instance; frees nothing, since the caller owns all memory. The bytes that
    /// remain read as an instance without pools, on which every call fails. O(1).
    ///
    /// # Safety
    /// The instance is live. None of the pointers that it returned is used again.
    pub unsafe fn destroy(self) {
        // SAFETY: live instance (caller), so its control structure may be written.
        unsafe {
            let bytes = (*self.control()).bytes() - HOOKS;
            ptr::write_bytes(self.control().cast::<u8>(), 0, bytes);
        }
    }

    /// The handler that [`Tlsf::set_misuse_handler`] registered, and its word.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn misuse_handler(self) -> Option<(MisuseHandler, *mut c_void)> {
        // SAFETY: live instance (caller).
        unsafe {
            (*self.control())
                .handler
                .map(|handler| (handler, (*self.control()).handler_user))
        }
    }

    /// Registers the function that the layer above calls on misuse; None selects that layer's
    /// default. The core never calls it.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn set_misuse_handler(self, handler: Option<MisuseHandler>, user: *mut c_void) {
        // SAFETY: live instance (caller).
        unsafe {
            (*self.control()).handler = handler;
            (*self.control()).handler_user = user;
            (*self.control()).check = (*self.control()).checksum();
        }
    }

    /// Allocates `count · size` bytes, all zero; O(1) and the clearing. A product beyond the
    /// address space is refused.
    ///
    /// # Safety
    /// The instance is live.
    #[inline]
    pub unsafe fn calloc(self, count: usize, size: usize) -> Result<NonNull<u8>, Refusal> {
        let bytes = count.saturating_mul(size);
        // SAFETY: live instance (caller); the payload that `malloc` returns has at least `bytes`
        // bytes.
        unsafe {
            let payload = self.malloc(bytes)?;
            payload.as_ptr().write_bytes(0, bytes);
            Ok(payload)
        }
    }

    /// Uncounts the last [`Refusal::Exhausted`] in `failed_requests`: the layer above has added a
    /// pool and repeats the request. O(1).
    ///
    /// # Safety
    /// The instance is live, and its last call returned [`Refusal::Exhausted`].
    pub unsafe fn withdraw_refusal(self) {
        let control = self.control();
        // SAFETY: live instance (caller).
        unsafe { (*control).failed_requests = (*control).failed_requests.wrapping_sub(1) };
    }
}
