//! The instance: creating and destroying it, its error handler, `calloc`. Its other calls are in
//! `allocate`, `free`, `realloc`, `pools`, `returned`, `stats` and `validate`.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use crate::config::{
    BLOCK_MIN, DEFAULT_MAX_BLOCK, HEADER, MAX_BLOCK_LIMIT, QUANTUM, SIZE_LIMIT, WORD,
};
use crate::control::Control;
use crate::life;
use crate::misuse::{MisuseHandler, Refusal};
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

    /// The largest request, in bytes, of an instance that [`Tlsf::create_with_pool`] makes in a
    /// region of `bytes` bytes: at least the block that fills it beside the control structure, and
    /// no more than the region. O(1).
    pub const fn max_block_in(bytes: usize) -> usize {
        let whole = if bytes > MAX_BLOCK_LIMIT {
            MAX_BLOCK_LIMIT
        } else {
            bytes
        };
        // Beside a structure for the whole region lies less than fits beside the right one; beside
        // a structure for that lies more.
        let less = whole.saturating_sub(Control::size_for(whole) + Tlsf::POOL_OVERHEAD);
        whole.saturating_sub(Control::size_for(less) + Tlsf::POOL_OVERHEAD)
    }

    /// Creates an instance without pools in `mem`, for requests up to `max_block` bytes; O(1).
    /// None, and nothing written, when `mem` is null or not aligned for a word, when `max_block` is
    /// beyond any instance, or when the control structure would end beyond the address space.
    ///
    /// # Safety
    /// `control_size(max_block)` bytes at `mem` may be read and written, and belong to the instance
    /// until it is destroyed.
    pub unsafe fn create(mem: *mut u8, max_block: usize) -> Option<Tlsf> {
        // SAFETY: the memory is the caller's to give.
        unsafe { Tlsf::create_seeded(mem, max_block, life::begin(mem.addr())) }
    }

    /// [`Tlsf::create`] with the number of the first life: equal numbers give equal seals, so that
    /// a run can be repeated; the numbers of lives on the same memory should be successive. A reset
    /// takes the next number. No counter is read.
    ///
    /// # Safety
    /// The duties of [`Tlsf::create`].
    pub unsafe fn create_seeded(mem: *mut u8, max_block: usize, life: usize) -> Option<Tlsf> {
        let bytes = Control::size_for(max_block);
        if mem.is_null()
            || !mem.addr().is_multiple_of(WORD)
            || bytes == 0
            || mem.addr().checked_add(bytes).is_none()
        {
            return None;
        }
        // SAFETY: `mem` is aligned and bounded (tested) and may be written (caller).
        Tlsf::new(unsafe { Control::init(mem, max_block, life) })
    }

    /// Creates an instance for requests up to [`Tlsf::max_block_in`]`(bytes)` at `mem`, rounded up
    /// to a word, and makes the rest of the region its first pool; O(1). The limit is the
    /// instance's: it holds for pools added later, however large they are. None, and nothing
    /// written, when `mem` is null, when `bytes` cannot hold the control structure and a pool with
    /// one smallest block or are too many for a pool ([`SIZE_LIMIT`]), or when the region ends
    /// beyond the address space.
    ///
    /// # Safety
    /// `bytes` bytes at `mem` may be read and written, and belong to the instance until it is
    /// destroyed.
    pub unsafe fn create_with_pool(mem: *mut u8, bytes: usize) -> Option<Tlsf> {
        // SAFETY: the memory is the caller's to give.
        unsafe { Tlsf::create_for_with_pool(mem, bytes, Tlsf::max_block_in(bytes)) }
    }

    /// [`Tlsf::create_with_pool`] for requests up to `max_block` bytes: more than the region holds,
    /// for pools added later; less, for a smaller control structure. None also when `max_block` is
    /// beyond any instance.
    ///
    /// # Safety
    /// The duties of [`Tlsf::create_with_pool`].
    pub unsafe fn create_for_with_pool(
        mem: *mut u8,
        bytes: usize,
        max_block: usize,
    ) -> Option<Tlsf> {
        let life = life::begin(mem.addr());
        // SAFETY: the memory is the caller's to give.
        unsafe { Tlsf::create_seeded_with_pool(mem, bytes, max_block, life) }
    }

    /// [`Tlsf::create_for_with_pool`] with the number of the first life ([`Tlsf::create_seeded`]).
    ///
    /// # Safety
    /// The duties of [`Tlsf::create_with_pool`].
    pub unsafe fn create_seeded_with_pool(
        mem: *mut u8,
        bytes: usize,
        max_block: usize,
        life: usize,
    ) -> Option<Tlsf> {
        let end = mem.addr().checked_add(bytes)?;
        let control_bytes = Control::size_for(max_block);
        let start = mem.wrapping_add(mem.addr().wrapping_neg() & (WORD - 1));
        let rest = start.wrapping_add(control_bytes);
        // All that creation and `add_pool` refuse, before the first write.
        let pool = rest.addr().checked_next_multiple_of(QUANTUM)?;
        let region = (end & !(QUANTUM - 1)).checked_sub(pool)?;
        if mem.is_null()
            || control_bytes == 0
            || rest.addr() < mem.addr()
            || !(POOL_MIN..=SIZE_LIMIT).contains(&region)
        {
            return None;
        }
        // SAFETY: the region holds the control structure and, after it, a pool (tested), and may
        // be read and written (caller).
        unsafe {
            let tlsf = Tlsf::create_seeded(start, max_block, life)?;
            tlsf.add_pool(rest, end - rest.addr())?;
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
            let bytes = (*self.control()).bytes();
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
