//! The instance: what it is, creating and destroying it. Its calls are in `allocate`, `free`, `realloc`, `pools`, `check`.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use crate::config::{BLOCK_MIN, DEFAULT_MAX_BLOCK, HEADER, QUANTUM, WORD};
use crate::control::Control;
use crate::misuse::{MisuseHandler, Refusal};
use crate::pool::{POOL_COST, POOL_MIN};

/// An instance: a handle on the control structure in the caller's memory. Two copies name the same instance.
///
/// # Safety of the methods
/// Unless a method says otherwise, "the instance is live" means: it was created by
/// [`Tlsf::create`] or [`Tlsf::create_with_pool`], its memory and its pools' memory are still
/// there and written by nobody else (payloads in use excepted), and no other thread is in a call on it.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlsf(NonNull<Control>);

impl Tlsf {
    /// Greatest request of a default instance, in bytes.
    pub const DEFAULT_MAX_BLOCK: usize = DEFAULT_MAX_BLOCK;
    /// Bytes of a region that one block cannot use: an aligned region of this many and n more holds
    /// exactly one block of n usable bytes.
    pub const POOL_OVERHEAD: usize = POOL_COST + HEADER;
    /// Bytes that each block takes beyond its usable ones.
    pub const ALLOC_OVERHEAD: usize = HEADER;
    /// Smallest usable size.
    pub const BLOCK_SIZE_MIN: usize = BLOCK_MIN - HEADER;
    /// Greatest request of a default instance.
    pub const BLOCK_SIZE_MAX: usize = DEFAULT_MAX_BLOCK;
    /// Alignment of every payload.
    pub const ALIGN: usize = QUANTUM;

    #[inline(always)]
    pub(crate) fn control(self) -> *mut Control {
        self.0.as_ptr()
    }

    pub(crate) fn new(control: *mut Control) -> Option<Tlsf> {
        NonNull::new(control).map(Tlsf)
    }

    /// Bytes of control structure for requests up to `max_block` bytes; 0 when that is beyond any instance. O(1).
    pub const fn control_size(max_block: usize) -> usize {
        Control::size_for(max_block)
    }

    /// Creates an instance without pools in `mem`, for requests up to `max_block` bytes; O(1).
    /// None when `mem` is null or not aligned for a word, or `max_block` is beyond any instance.
    ///
    /// # Safety
    /// `control_size(max_block)` bytes at `mem` may be written, and belong to the instance until it is destroyed.
    pub unsafe fn create(mem: *mut u8, max_block: usize) -> Option<Tlsf> {
        let bytes = Control::size_for(max_block);
        if mem.is_null()
            || !mem.addr().is_multiple_of(WORD)
            || bytes == 0
            || mem.addr().checked_add(bytes).is_none()
        {
            return None;
        }
        // SAFETY: aligned and bounded as tested; writable (caller).
        Tlsf::new(unsafe { Control::init(mem, max_block) })
    }

    /// Creates a default instance in `mem`, any address, and gives it the rest as its first pool; O(1).
    /// None, and nothing written, when `bytes` does not hold the control structure and one smallest block.
    ///
    /// # Safety
    /// `bytes` bytes at `mem` may be read and written, and belong to the instance until it is given up.
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
        // SAFETY: the region holds the control structure and, behind it, a pool (tested); writable (caller).
        unsafe {
            let tlsf = Tlsf::create(start, DEFAULT_MAX_BLOCK)?;
            tlsf.add_pool(rest, bytes - skip - control_bytes)?;
            Some(tlsf)
        }
    }

    /// The instance behind a C handle; None for NULL.
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

    /// Forgets everything; frees nothing, since the caller owns all memory. What is left behind is an instance without
    /// pools, on which every call fails. O(1).
    ///
    /// # Safety
    /// The instance is live. None of its pointers is used again.
    pub unsafe fn destroy(self) {
        // SAFETY: live (caller).
        unsafe {
            let bytes = (*self.control()).bytes();
            ptr::write_bytes(self.control().cast::<u8>(), 0, bytes);
        }
    }

    /// The handler that [`Tlsf::set_misuse_handler`] registered, and its word.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn misuse_handler(self) -> Option<(MisuseHandler, *mut c_void)> {
        // SAFETY: live (caller).
        unsafe {
            (*self.control())
                .handler
                .map(|handler| (handler, (*self.control()).handler_user))
        }
    }

    /// Registers what the layer above calls on misuse; None: that layer's default. The core itself never calls it.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn set_misuse_handler(self, handler: Option<MisuseHandler>, user: *mut c_void) {
        // SAFETY: live (caller).
        unsafe {
            (*self.control()).handler = handler;
            (*self.control()).handler_user = user;
            (*self.control()).check = (*self.control()).checksum();
        }
    }

    /// Allocates `count · size` bytes, all zero; O(1) and the clearing.
    ///
    /// # Safety
    /// The instance is live.
    #[inline]
    pub unsafe fn calloc(self, count: usize, size: usize) -> Result<NonNull<u8>, Refusal> {
        let bytes = count.saturating_mul(size);
        // SAFETY: live (caller); a block of `bytes` bytes may be written.
        unsafe {
            let payload = self.malloc(bytes)?;
            payload.as_ptr().write_bytes(0, bytes);
            Ok(payload)
        }
    }

    /// Takes the last [`Refusal::Exhausted`] back from `failed_requests`: a layer above has added a pool and asks again. O(1).
    ///
    /// # Safety
    /// The instance is live, and its last call was refused so.
    pub unsafe fn withdraw_refusal(self) {
        let control = self.control();
        // SAFETY: live (caller).
        unsafe { (*control).failed_requests = (*control).failed_requests.wrapping_sub(1) };
    }
}
