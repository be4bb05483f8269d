//! An instance of the debug library: the core's interface. The methods for pools are in `pools.rs`.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use memoman_core::config::QUANTUM;
use memoman_core::{MisuseHandler, Pool, Refusal as CoreRefusal, Stats, Tlsf};

use crate::block::{Block, By, Calls, EXTRA, FRESH, Family, GUARD, State, lead_for, stack_bytes};
use crate::fault::{Fault, Kind, Refusal};
use crate::ledger::{LEDGER, Ledger};
use crate::site::{STACK_MAX, Site, Walk, here};

/// An instance, with the call site that uses it. Its methods have the names, results and duties of
/// the core's `Tlsf`, with the differences that they state.
#[derive(Clone, Copy, Debug)]
pub struct DebugTlsf {
    pub(crate) ledger: NonNull<Ledger>,
    pub(crate) site: Site,
}

/// The result of [`DebugTlsf::free`]: the pool that has no block in use any more, if any.
#[derive(Clone, Copy, Debug)]
pub struct Freed(pub(crate) Option<Pool>);

impl DebugTlsf {
    /// Largest request of a default instance, in bytes.
    pub const DEFAULT_MAX_BLOCK: usize = Tlsf::DEFAULT_MAX_BLOCK;
    /// Bytes of a region that one block cannot use.
    pub const POOL_OVERHEAD: usize = Tlsf::POOL_OVERHEAD + EXTRA;
    /// Bytes that each block takes beyond its usable ones.
    pub const ALLOC_OVERHEAD: usize = Tlsf::ALLOC_OVERHEAD + EXTRA;
    /// Bytes that the smallest block holds. (A smaller request has its own size as usable size.)
    pub const BLOCK_SIZE_MIN: usize = Tlsf::BLOCK_SIZE_MIN;
    /// Largest request of a default instance.
    pub const BLOCK_SIZE_MAX: usize = Tlsf::BLOCK_SIZE_MAX;
    /// Alignment of every payload.
    pub const ALIGN: usize = Tlsf::ALIGN;

    /// The instance, called from `site`.
    #[inline(always)]
    pub fn at(self, site: impl Into<Site>) -> DebugTlsf {
        DebugTlsf {
            site: site.into(),
            ..self
        }
    }

    /// `Pool::walk` with the program's payloads and sizes. A block in quarantine is not in use.
    ///
    /// # Safety
    /// The duties of `Pool::walk`.
    pub unsafe fn walk_pool(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: a live pool (caller); a used block of the core holds a block of this layer or its
        // remains.
        unsafe {
            pool.walk(&mut |base, usable, used| {
                let block = Block::inside(base.as_ptr(), usable);
                match NonNull::new(block.payload()) {
                    Some(payload) if used && block.state().is_some() => {
                        f(payload, block.size(), block.state() == Some(State::Live));
                    }
                    // Of a free block, the largest request that it can hold.
                    _ if !used => f(base, usable.saturating_sub(EXTRA), false),
                    _ => f(base, usable, used),
                }
            });
        }
    }

    pub(crate) fn ledger(self) -> *mut Ledger {
        self.ledger.as_ptr()
    }

    /// The core's instance.
    pub(crate) fn inner(self) -> Tlsf {
        let control = self.ledger.as_ptr().wrapping_byte_add(LEDGER).cast();
        // SAFETY: the control structure lies after the ledger.
        match unsafe { Tlsf::from_raw(control) } {
            Some(tlsf) => tlsf,
            // No instance ends at the address space's last byte.
            None => unreachable_instance(),
        }
    }

    /// `Tlsf::from_raw`; the call site is that of the exported function.
    ///
    /// # Safety
    /// `raw` is NULL or came from [`DebugTlsf::as_raw`] of a live instance.
    #[inline(always)]
    pub unsafe fn from_raw(raw: *mut c_void) -> Option<DebugTlsf> {
        Some(DebugTlsf {
            ledger: NonNull::new(raw.cast())?,
            site: here(),
        })
    }

    /// `Tlsf::as_raw`.
    pub fn as_raw(self) -> *mut c_void {
        self.ledger.as_ptr().cast()
    }

    /// Validates the whole heap every 2^`shift` operations (0 to 31).
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn set_validate_shift(self, shift: u32) {
        // SAFETY: live (caller).
        unsafe { (*self.ledger()).mask = (1usize << shift.min(31)) - 1 }
    }

    /// States that the layer above adds pools, and drains the quarantine itself when it cannot.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn set_grows(self) {
        // SAFETY: live (caller).
        unsafe { (*self.ledger()).grows = 1 }
    }

    /// Makes each block keep `addresses` return addresses of its allocation, and as many of its
    /// free: 1 to [`STACK_MAX`], of which `walk` finds those beyond the first one.
    ///
    /// # Safety
    /// The instance is live, and has not allocated a block.
    pub unsafe fn set_stack(self, addresses: usize, walk: Walk) {
        // SAFETY: live (caller).
        unsafe {
            (*self.ledger()).frames = addresses.clamp(1, STACK_MAX) - 1;
            (*self.ledger()).walk = Some(walk);
        }
    }

    /// Where this call comes from.
    pub(crate) unsafe fn calls(self) -> Calls {
        // SAFETY: live (caller).
        let (frames, walk) = unsafe { ((*self.ledger()).frames, (*self.ledger()).walk) };
        let mut calls = Calls {
            site: self.site.address,
            frames,
            stack: [0; STACK_MAX - 1],
        };
        if let (Some(walk), Some(stack)) = (walk, calls.stack.get_mut(..frames))
            && frames > 0
        {
            walk(self.site.frame, stack);
        }
        calls
    }

    /// Bytes that a block has after its second guard.
    pub(crate) unsafe fn tail(self) -> usize {
        // SAFETY: live (caller).
        stack_bytes(unsafe { (*self.ledger()).frames })
    }

    /// `Tlsf::destroy`.
    ///
    /// # Safety
    /// The duties of `Tlsf::destroy`.
    pub unsafe fn destroy(self) {
        // SAFETY: live; none of its pointers is used again (caller).
        unsafe {
            self.inner().clear_hooks();
            self.inner().destroy();
            ptr::write_bytes(self.ledger(), 0, 1);
        }
    }

    /// `Tlsf::misuse_handler`.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn misuse_handler(self) -> Option<(MisuseHandler, *mut c_void)> {
        // SAFETY: live (caller).
        unsafe { self.inner().misuse_handler() }
    }

    /// `Tlsf::set_misuse_handler`.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn set_misuse_handler(self, handler: Option<MisuseHandler>, user: *mut c_void) {
        // SAFETY: live (caller).
        unsafe { self.inner().set_misuse_handler(handler, user) }
    }

    /// Counts an operation, and validates the heap when due.
    pub(crate) unsafe fn tick(self) -> Result<(), Fault> {
        // SAFETY: live (caller).
        unsafe {
            let ledger = &mut *self.ledger();
            ledger.operations = ledger.operations.wrapping_add(1);
            if ledger.operations & ledger.mask != 0 {
                return Ok(());
            }
            match self.diagnose() {
                Some(violation) => Err(violation.fault),
                None => Ok(()),
            }
        }
    }

    /// `Tlsf::malloc`; the block is filled with [`FRESH`].
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn malloc(self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live (caller).
        unsafe { self.memalign(QUANTUM, bytes) }
    }

    /// `Tlsf::calloc`.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn calloc(self, count: usize, size: usize) -> Result<NonNull<u8>, Refusal> {
        let bytes = count.saturating_mul(size);
        // SAFETY: live (caller); the block has `bytes` bytes.
        unsafe {
            let payload = self.malloc(bytes)?;
            payload.as_ptr().write_bytes(0, bytes);
            Ok(payload)
        }
    }

    /// `Tlsf::memalign`; the block is filled with [`FRESH`].
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn memalign(self, align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        if bytes == 0 {
            return Err(Refusal::Invalid);
        }
        // SAFETY: live (caller).
        unsafe { self.memalign_or_empty(align, bytes) }
    }

    /// [`DebugTlsf::memalign`] that also allocates blocks of 0 bytes.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn memalign_or_empty(
        self,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        // SAFETY: live (caller).
        unsafe {
            self.tick()?;
            self.allocate(align.max(QUANTUM), bytes)
        }
    }

    /// Bytes of a block in the core, header included.
    pub(crate) unsafe fn taken(block: Block) -> usize {
        // SAFETY: a sealed block in a block in use of the core (caller).
        unsafe { Tlsf::block_size(block.base()) + Tlsf::ALLOC_OVERHEAD }
    }

    /// Counts blocks and bytes that come into the program's use or, negative (wrapped), leave it.
    pub(crate) unsafe fn count(self, blocks: isize, bytes: usize) {
        // SAFETY: live (caller).
        unsafe {
            let ledger = &mut *self.ledger();
            ledger.live = ledger.live.wrapping_add_signed(blocks);
            ledger.used = ledger.used.wrapping_add(bytes);
            ledger.peak = ledger.peak.max(ledger.used);
        }
    }

    /// Allocates a block with its surroundings. When the core is exhausted, drains the quarantine
    /// and tries again.
    pub(crate) unsafe fn allocate(
        self,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live (caller); the core's block may be written.
        unsafe {
            let inner = self.inner();
            let lead = lead_for(align).unwrap_or(usize::MAX);
            let total = lead
                .saturating_add(bytes)
                .saturating_add(GUARD + self.tail());
            let mut result = inner.memalign(align, total);
            if result == Err(CoreRefusal::Exhausted)
                && (*self.ledger()).grows == 0
                && total <= inner.stats().pool_bytes
                && self.drain()?
            {
                inner.withdraw_refusal();
                result = inner.memalign(align, total);
            }
            let base = result.map_err(refusal)?;
            let ledger = &mut *self.ledger();
            ledger.numbers = ledger.numbers.wrapping_add(1);
            let block = Block::lay(base.as_ptr(), lead, bytes, ledger.numbers, &self.calls());
            block.guard_slack();
            block.fill(FRESH);
            self.count(1, Self::taken(block));
            Ok(NonNull::new_unchecked(block.payload()))
        }
    }

    /// Frees a block: fills it with [`crate::FREED`] and holds it back in quarantine. O(pools), the
    /// fill and the blocks that leave quarantine for it.
    ///
    /// # Safety
    /// The duties of `Tlsf::free`.
    pub unsafe fn free(self, ptr: NonNull<u8>) -> Result<Freed, Fault> {
        // SAFETY: the duties of the caller.
        unsafe { self.free_as(ptr, By::default()) }
    }

    /// [`DebugTlsf::free`] by a function that is named.
    ///
    /// # Safety
    /// The duties of `Tlsf::free`.
    pub unsafe fn free_as(self, ptr: NonNull<u8>, by: By) -> Result<Freed, Fault> {
        // SAFETY: live (caller); the block is tested before its record is used.
        unsafe {
            self.tick()?;
            let block = self.live_for(ptr.as_ptr(), by)?;
            self.retire(block)
        }
    }

    /// Notes the family of the function that allocated a block.
    ///
    /// # Safety
    /// The instance is live, and `ptr` is a live block of it.
    pub unsafe fn set_family(self, ptr: NonNull<u8>, family: Family) {
        // SAFETY: a live block (caller): its record precedes it and may be written.
        unsafe { Block::at(ptr.as_ptr()).set_family(family) }
    }

    /// `Tlsf::emptied_pool`.
    ///
    /// # Safety
    /// The instance is live; `freed` is the result of its last [`DebugTlsf::free`].
    pub unsafe fn emptied_pool(self, freed: Freed) -> Option<Pool> {
        // SAFETY: the pool is live (caller). Tested again: the quarantine may have drained further.
        freed.0.filter(|pool| unsafe { pool.is_empty() })
    }

    /// `Tlsf::withdraw_refusal`.
    ///
    /// # Safety
    /// The duties of `Tlsf::withdraw_refusal`.
    pub unsafe fn withdraw_refusal(self) {
        // SAFETY: live; its last call was refused as exhausted (caller).
        unsafe { self.inner().withdraw_refusal() }
    }

    /// The requested size, in bytes, of a block in use; 0 for null and for a block not in use.
    ///
    /// # Safety
    /// `ptr` is null or a block of some live instance of this layer.
    pub unsafe fn block_size(ptr: *const u8) -> usize {
        let block = Block::at(ptr.cast_mut());
        // SAFETY: a block (caller): its record precedes it.
        unsafe {
            if !ptr.is_null() && block.state() == Some(State::Live) {
                block.size()
            } else {
                0
            }
        }
    }

    /// `Tlsf::usable_size`: the requested size.
    ///
    /// # Safety
    /// The duties of `Tlsf::usable_size`.
    pub unsafe fn usable_size(self, ptr: NonNull<u8>) -> Result<usize, Fault> {
        // SAFETY: live (caller); the block is tested before its record is used.
        unsafe { Ok(self.live(ptr.as_ptr())?.size()) }
    }

    /// The figures. `used`, `peak` and `live_blocks` are those of the program's blocks, with
    /// records and guards; the quarantine counts as free. A request of `largest` bytes succeeds; a
    /// larger one may, when the quarantine is drained for it.
    ///
    /// # Safety
    /// The instance is live.
    pub unsafe fn stats(self) -> Stats {
        // SAFETY: live (caller).
        unsafe {
            let (core, ledger) = (self.inner().stats(), &*self.ledger());
            Stats {
                used: ledger.used,
                free: core.free.wrapping_add(core.used).wrapping_sub(ledger.used),
                peak: ledger.peak,
                largest: core.largest.saturating_sub(EXTRA + self.tail()),
                live_blocks: ledger.live,
                ..core
            }
        }
    }
}

/// The core's refusal as this layer's.
pub(crate) fn refusal(refusal: CoreRefusal) -> Refusal {
    match refusal {
        CoreRefusal::Exhausted => Refusal::Exhausted,
        CoreRefusal::Invalid => Refusal::Invalid,
        CoreRefusal::Misuse(misuse, address) => {
            Fault::new(Kind::Core(misuse), address, None).into()
        }
    }
}

/// Unreachable. A loop, which needs no panic machinery.
#[cold]
fn unreachable_instance() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
