//! The allocator: create, allocate, free. One call's way is `size_class` → `control` (bitmaps) → `free_list` →
//! split → `free_list`, with no loop in it.

use core::ffi::c_void;
use core::hint::assert_unchecked;
use core::ptr::{self, NonNull};

use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, DEFAULT_MAX_BLOCK, HEADER, QUANTUM, QUANTUM_LOG2, WORD};
use crate::control::{Control, WILDERNESS};
use crate::free_list;
use crate::misuse::{Misuse, MisuseHandler, Refusal};
use crate::pool::{POOL_COST, POOL_MIN, prev_free_block};
use crate::size_class::{LINEAR_BELOW, block_size_for, cut_and_bin, cut_size, quanta_for};

/// An instance: a handle on the control structure in the caller's memory. Two copies name the same instance.
///
/// # Safety of the methods
/// Unless a method says otherwise, "the instance is live" means: it was created by
/// [`Tlsf::create`] or [`Tlsf::create_with_pool`], its memory and its pools' memory are still
/// there and written by nobody else (payloads in use excepted), and no other thread is in a call on it.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlsf(NonNull<Control>);

/// A block that [`Tlsf::free`] has just coalesced and listed.
#[derive(Clone, Copy)]
pub struct FreeBlock(pub(crate) Block);

/// A block in use whose header and next neighbour have been tested.
pub(crate) struct Live {
    pub(crate) block: Block,
    pub(crate) header: Header,
    pub(crate) next: Block,
    pub(crate) next_header: Header,
}

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

    /// Allocates at least `bytes` bytes, aligned to the quantum; O(1).
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn malloc(self, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live (caller).
        unsafe {
            match self.malloc_hit(bytes) {
                Ok(payload) => Ok(payload),
                Err(Miss::Small(size) | Miss::Large(size)) => search_outlined(self.control(), size),
                Err(Miss::Refused) => Err(self.malloc_refused(bytes)),
            }
        }
    }

    /// The first half of [`Tlsf::malloc`]: a free block of exactly the size that the request is cut to, at the head of its
    /// bin. A caller that wants no frame on this way makes the other halves its tail calls.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn malloc_hit(self, bytes: usize) -> Result<NonNull<u8>, Miss> {
        let control = self.control();
        // SAFETY: live (caller).
        unsafe {
            // One compare for "zero" and "too large".
            if bytes.wrapping_sub(1) >= (*control).limit {
                return Err(Miss::Refused);
            }
            let quanta = quanta_for(bytes);
            let size = quanta << QUANTUM_LOG2;
            if quanta < LINEAR_BELOW >> QUANTUM_LOG2 {
                return pop_exact(control, size, quanta).ok_or(Miss::Small(size));
            }
            let (wanted, bin) = cut_and_bin(size);
            pop_exact(control, wanted, bin).ok_or(Miss::Large(size))
        }
    }

    /// The second half: the search for a block that is cut, or that fits by chance.
    ///
    /// # Safety
    /// The instance is live, and `size` is what [`Tlsf::malloc_hit`] has just given as a small one.
    #[inline(always)]
    pub unsafe fn malloc_small(self, size: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the same duties.
        unsafe {
            serve(
                self.control(),
                size,
                size,
                find_small(self.control(), size)?,
            )
        }
    }

    /// The same for a large one.
    ///
    /// # Safety
    /// The instance is live, and `size` is what [`Tlsf::malloc_hit`] has just given as a large one.
    #[inline(always)]
    pub unsafe fn malloc_large(self, size: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: the same duties.
        unsafe {
            let found = find(self.control(), size)?;
            serve(self.control(), size, cut_size(size).min(found.size), found)
        }
    }

    /// The answer to a request that is not looked for: zero, or beyond this instance.
    ///
    /// # Safety
    /// The instance is live, and [`Tlsf::malloc_hit`] has just refused `bytes`.
    #[cold]
    pub unsafe fn malloc_refused(self, bytes: usize) -> Refusal {
        // SAFETY: live (caller).
        unsafe { refuse(self.control(), bytes) }
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

    /// What [`Tlsf::malloc_hit`] is for [`Tlsf::memalign`]: a block of exactly the size that happens to be aligned, at the head of
    /// its bin, as a freed block of a recurring request is. None: nothing has been done, whatever the arguments are.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(always)]
    pub unsafe fn memalign_hit(self, align: usize, bytes: usize) -> Option<NonNull<u8>> {
        let control = self.control();
        // SAFETY: live (caller).
        unsafe {
            if bytes.wrapping_sub(1) >= (*control).limit || !align.is_power_of_two() {
                return None;
            }
            let wanted = cut_size(block_size_for(bytes));
            let bin = (*control).bin_of(wanted);
            let head = Control::head(control, bin).read();
            if head.addr() & (align - 1) != 0 {
                return None;
            }
            pop_exact(control, wanted, bin)
        }
    }

    /// Allocates at least `bytes` bytes aligned to `align`, a power of two; O(1).
    /// What is skipped in front becomes a free block.
    ///
    /// # Safety
    /// The instance is live.
    #[inline(never)]
    pub unsafe fn memalign(self, align: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        let control = self.control();
        // SAFETY: live (caller); `find` gives a block of a pool that is listed and free, large
        // enough for the worst gap in front of an aligned payload.
        unsafe {
            if bytes.wrapping_sub(1) >= (*control).limit {
                return Err(refuse(control, bytes));
            }
            let size = block_size_for(bytes);
            if align <= QUANTUM {
                return search_outlined(control, size);
            }
            // The gap is zero or holds a block: at most align - QUANTUM, or one alignment more than
            // a single quantum that would be too small.
            let Some(padded) = size.checked_add(align).and_then(|n| n.checked_add(QUANTUM)) else {
                return Err(refuse(control, usize::MAX));
            };
            let found = find(control, padded)?;
            let unlinked = if found.bin == WILDERNESS {
                free_list::pop_wilderness(control, found.block)
            } else {
                free_list::pop(control, found.bin, found.block)
            };
            if !unlinked {
                return Err(Refusal::Misuse(Misuse::SmashedLink, found.block.payload()));
            }
            let mut gap = found.block.addr().wrapping_neg() & (align - 1);
            if gap == QUANTUM {
                gap += align;
            }
            let block = found.block.offset(gap);
            if gap != 0 {
                let cookie = (*control).cookie;
                found.block.set_header(cookie, Header::free(gap));
                block.set_prev_phys(found.block);
                free_list::push(control, (*control).bin_of(gap), found.block);
            }
            let wanted = cut_size(size).min(found.size - gap);
            let taken = cut(control, block, found.size - gap, wanted);
            block.set_header((*control).cookie, Header::used(taken));
            (*control).count_taken(taken);
            if gap != 0 {
                block.set_prev_free();
            }
            Ok(NonNull::new_unchecked(block.payload()))
        }
    }

    /// Frees a block and coalesces it with its free neighbours at once; O(1). On misuse nothing is changed.
    ///
    /// # Safety
    /// The instance is live. The contents of the block are given up. (A pointer that is no live block is found
    /// wherever the headers show it, provided that the memory between the instance's pools can be read.)
    #[inline(always)]
    pub unsafe fn free(self, ptr: NonNull<u8>) -> Result<FreeBlock, Misuse> {
        // SAFETY: the same duties.
        unsafe {
            match self.free_alone(ptr.as_ptr()) {
                Ok(block) => Ok(block),
                Err(Beside::Previous(header) | Beside::Next(header, _)) => {
                    free_merging_outlined(self, ptr, header)
                }
                Err(Beside::Misuse) => Err(self.free_refused(ptr)),
            }
        }
    }

    /// The first half of [`Tlsf::free`]: a block between two blocks in use. A caller that wants no frame on this way
    /// makes the other halves its tail calls.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; null, which lies outside every instance's bounds, is no misuse of the caller's.
    #[inline(always)]
    pub unsafe fn free_alone(self, ptr: *mut u8) -> Result<FreeBlock, Beside> {
        let control = self.control();
        let block = Block::at(ptr);
        // SAFETY: live (caller); a header is read only inside the bounds and tested before anything is written.
        unsafe {
            if !(*control).may_be_payload(block.addr()) {
                return Err(Beside::Misuse);
            }
            let header = block.header((*control).cookie);
            if !header.is_plain_used_after_used() {
                return Err(Beside::Previous(header));
            }
            let size = header.size();
            // An overwritten header decodes to a wrong seal, which is a size beyond the bounds.
            if size > (*control).high - block.addr() {
                return Err(Beside::Misuse);
            }
            let next = block.offset(size);
            let next_header = next.header((*control).cookie);
            if !next_header.is_plain_used_behind_used() {
                return Err(Beside::Next(header, next_header));
            }
            // On 32-bit targets no seal vouches for a next block in use: there its size must make sense too.
            if WORD == 4 && (size < BLOCK_MIN || next_header.size() > (*control).high - next.addr())
            {
                return Err(Beside::Misuse);
            }
            next.set_prev_free();
            block.set_free();
            next.set_prev_phys(block);
            (*control).count_freed(size);
            free_list::push_sized(control, block, size);
            Ok(FreeBlock(block))
        }
    }

    /// The second half: a block with a free block before it.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; `header` is what [`Tlsf::free_alone`] has just given.
    #[inline(always)]
    pub unsafe fn free_behind(self, ptr: NonNull<u8>, header: Header) -> Result<FreeBlock, Misuse> {
        // SAFETY: the same duties: the address is inside the bounds and aligned.
        unsafe {
            let Some(live) = behind(self.control(), Block::at(ptr.as_ptr()), header) else {
                return Err(self.free_refused(ptr));
            };
            coalesce(self.control(), &live)
        }
    }

    /// The second half: a block between one in use and a free one or its pool's end.
    ///
    /// # Safety
    /// As for [`Tlsf::free`]; the headers are what [`Tlsf::free_alone`] has just given.
    #[inline(always)]
    pub unsafe fn free_before(
        self,
        ptr: NonNull<u8>,
        header: Header,
        next_header: Header,
    ) -> Result<FreeBlock, Misuse> {
        // SAFETY: the same duties: the header has been tested.
        unsafe {
            let block = Block::at(ptr.as_ptr());
            let next = block.offset(header.size());
            let live = Live {
                block,
                header,
                next,
                next_header,
            };
            if !may_follow(self.control(), &live) {
                return Err(self.free_refused(ptr));
            }
            merge_next(self.control(), &live)
        }
    }

    /// Which misuse it was that [`Tlsf::free_alone`] has just found.
    ///
    /// # Safety
    /// As for [`Tlsf::free`].
    #[cold]
    pub unsafe fn free_refused(self, ptr: NonNull<u8>) -> Misuse {
        // SAFETY: the same duties.
        unsafe { explain(self.control(), Block::at(ptr.as_ptr())) }
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

    /// Usable bytes of a block in use of this instance, tested as [`Tlsf::free`] tests it; O(1).
    ///
    /// # Safety
    /// As for [`Tlsf::free`].
    pub unsafe fn usable_size(self, ptr: NonNull<u8>) -> Result<usize, Misuse> {
        // SAFETY: live (caller).
        unsafe { live(self.control(), ptr) }.map(|live| live.header.size() - HEADER)
    }

    /// Usable bytes of a block in use, of whatever instance; 0 for null and for what is not in use, as far as the one
    /// word before it shows. O(1).
    ///
    /// # Safety
    /// `ptr` is null or a block of some live instance.
    #[inline(always)]
    pub unsafe fn block_size(ptr: *const u8) -> usize {
        if ptr.is_null() {
            return 0;
        }
        // SAFETY: a block (caller): its header lies before it.
        unsafe { Block::at(ptr.cast_mut()).usable_size() }
    }
}

/// Why [`Tlsf::malloc_hit`] gives no block.
pub enum Miss {
    /// None lies ready: this block size is to be searched for. Each size has a bin of its own.
    Small(usize),
    /// The same for a size whose bin holds others as well.
    Large(usize),
    /// The request is zero or beyond the instance.
    Refused,
}

/// Why [`Tlsf::free_alone`] does not free a block.
pub enum Beside {
    /// The block before it is free: its own header.
    Previous(Header),
    /// The block behind it is free or its pool's end: its own header and that one's.
    Next(Header, Header),
    /// It is no block in use, or the next header is overwritten.
    Misuse,
}

/// Takes the head of `bin` into use, if it is a sound block of exactly `size` bytes.
///
/// # Safety
/// The instance is live; `bin` is that of `size`.
#[inline(always)]
unsafe fn pop_exact(control: *mut Control, size: usize, bin: usize) -> Option<NonNull<u8>> {
    // SAFETY: live (caller): a head leads to a free block of a pool or is the list's end. The header and the ghost
    // are tested before they are believed.
    unsafe {
        let block = Control::head(control, bin).read();
        // One compare proves size, flags and seal; the next block's ghost, that the size is the true one.
        if block == Control::list_end(control)
            || !block.header((*control).cookie).is_free_of(size)
            || block.offset(size).prev_phys() != block
            || !free_list::pop(control, bin, block)
        {
            return None;
        }
        block.offset(size).clear_prev_free();
        block.set_used();
        (*control).count_taken(size);
        Some(NonNull::new_unchecked(block.payload()))
    }
}

/// What [`find`] gives: the head of a bin, free and large enough, and its size.
struct Found {
    block: Block,
    size: usize,
    bin: usize,
}

/// One copy of the search for where it is not hot.
///
/// # Safety
/// The instance is live; `size` serves a request within its limit.
#[inline(never)]
unsafe fn search_outlined(control: *mut Control, size: usize) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: the same duties.
    unsafe {
        let found = find(control, size)?;
        serve(control, size, cut_size(size).min(found.size), found)
    }
}

/// One copy of [`Tlsf::free_behind`], which finds the block behind anyway, for where it is not hot.
///
/// # Safety
/// As for [`Tlsf::free_behind`]; the block before may be in use.
#[inline(never)]
unsafe fn free_merging_outlined(
    tlsf: Tlsf,
    ptr: NonNull<u8>,
    header: Header,
) -> Result<FreeBlock, Misuse> {
    // SAFETY: the same duties.
    unsafe { tlsf.free_behind(ptr, header) }
}

/// Takes the first `wanted` bytes of a block that has been found into use.
///
/// # Safety
/// The instance is live; `wanted` is at most the block's size.
#[inline(always)]
unsafe fn serve(
    control: *mut Control,
    size: usize,
    wanted: usize,
    found: Found,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: `find` gives a tested block that is free; header, ghost and next header are ours to write.
    unsafe {
        let block = found.block;
        debug_assert!(size <= wanted && wanted <= found.size);
        let smashed = Refusal::Misuse(Misuse::SmashedLink, block.payload());
        let rest = found.size - wanted;
        let mut taken = wanted;
        if found.bin == WILDERNESS {
            if block.next_free() != Control::list_end(control) {
                return Err(smashed);
            }
            if rest >= BLOCK_MIN {
                // What is left stays the wilderness: no bit changes.
                let remainder = form_free(control, block.offset(wanted), rest);
                free_list::set_wilderness(control, remainder);
            } else {
                Control::head(control, WILDERNESS).write(Control::list_end(control));
                (*control).unmark(WILDERNESS);
                block.offset(found.size).clear_prev_free();
                taken = found.size;
            }
        } else {
            if !free_list::pop(control, found.bin, block) {
                return Err(smashed);
            }
            if rest >= BLOCK_MIN {
                // Not the wilderness: the whole block was not.
                let remainder = form_free(control, block.offset(wanted), rest);
                free_list::push_sized(control, remainder, rest);
            } else {
                block.offset(found.size).clear_prev_free();
                taken = found.size;
            }
        }
        block.set_header((*control).cookie, Header::used(taken));
        (*control).count_taken(taken);
        Ok(NonNull::new_unchecked(block.payload()))
    }
}

/// [`find`] for a size whose bin holds no other.
///
/// # Safety
/// The instance is live, and `size` is below [`LINEAR_BELOW`].
#[inline(always)]
unsafe fn find_small(control: *mut Control, size: usize) -> Result<Found, Refusal> {
    // SAFETY: live (caller): a marked bin's head is a listed block (I1, I2). Its header is tested
    // before it is believed.
    unsafe {
        assert_unchecked(size < LINEAR_BELOW);
        let Some(bin) = (*control).first_nonempty(size >> QUANTUM_LOG2) else {
            return find_wilderness(control, size);
        };
        let block = Control::head(control, bin).read();
        let found = size_of(control, block)?;
        if found < size {
            return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
        }
        Ok(Found {
            block,
            size: found,
            bin,
        })
    }
}

/// A head that serves `size` bytes: of the own bin, if it is large enough, or of the first bin above it, or the
/// wilderness. At most three heads are looked at.
///
/// # Safety
/// The instance is live; `size` serves a request within its limit.
#[inline(always)]
unsafe fn find(control: *mut Control, size: usize) -> Result<Found, Refusal> {
    // SAFETY: live (caller): a marked bin's head is a listed block (I1, I2). Its header is tested
    // before it is believed.
    unsafe {
        let own = (*control).bin_of(size);
        if let Some(mut bin) = (*control).first_nonempty(own) {
            let mut block = Control::head(control, bin).read();
            let mut found = size_of(control, block)?;
            if found >= size {
                return Ok(Found {
                    block,
                    size: found,
                    bin,
                });
            }
            // Any block of a higher bin is large enough.
            if bin != own {
                return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
            }
            if let Some(above) = (*control).first_nonempty(own + 1) {
                bin = above;
                block = Control::head(control, bin).read();
                found = size_of(control, block)?;
                if found < size {
                    return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
                }
                return Ok(Found {
                    block,
                    size: found,
                    bin,
                });
            }
        }
        find_wilderness(control, size)
    }
}

/// The wilderness, if it serves `size` bytes.
///
/// # Safety
/// The instance is live.
#[inline(always)]
unsafe fn find_wilderness(control: *mut Control, size: usize) -> Result<Found, Refusal> {
    // SAFETY: live (caller); the header is tested before it is believed.
    unsafe {
        let block = Control::head(control, WILDERNESS).read();
        if block == Control::list_end(control) {
            return Err(exhausted(control));
        }
        let found = size_of(control, block)?;
        if found < size {
            return Err(exhausted(control));
        }
        Ok(Found {
            block,
            size: found,
            bin: WILDERNESS,
        })
    }
}

/// The size of a bin's head, confirmed by its ghost.
///
/// # Safety
/// The instance is live; `block` is a head that is not the list's end.
#[inline(always)]
unsafe fn size_of(control: *mut Control, block: Block) -> Result<usize, Refusal> {
    // SAFETY: the same duties.
    unsafe { free_list::size_of_head(control, block) }
        .ok_or(Refusal::Misuse(Misuse::NotABlock, block.payload()))
}

/// Frees a block behind one in use. On misuse nothing is changed.
///
/// # Safety
/// `live` has been tested.
#[inline(always)]
unsafe fn merge_next(control: *mut Control, live: &Live) -> Result<FreeBlock, Misuse> {
    // SAFETY: tested (caller); the free neighbour is tested before anything is written.
    unsafe {
        let block = live.block;
        let freed = live.header.size();
        let next_size = live.next_header.size();
        if !live.next_header.is_free() {
            live.next.set_prev_free();
            (*control).count_freed(freed);
            form_free(control, block, freed);
            free_list::push_freed(control, block, freed);
            return Ok(FreeBlock(block));
        }
        let size = freed + next_size;
        if (*control).is_wilderness(live.next, next_size) {
            // The wilderness begins earlier: no bit changes.
            free_list::wilderness_sound_to_merge(control, live.next, live.next_header)?;
            (*control).count_freed(freed);
            form_free(control, block, size);
            free_list::set_wilderness(control, block);
        } else {
            free_list::next_sound_to_merge(control, live.next, live.next_header)?;
            (*control).count_freed(freed);
            free_list::unlink(control, live.next);
            form_free(control, block, size);
            free_list::push_sized(control, block, size);
        }
        Ok(FreeBlock(block))
    }
}

/// Frees a block with any neighbours. On misuse nothing is changed.
///
/// # Safety
/// `live` has been tested.
#[inline(always)]
unsafe fn coalesce(control: *mut Control, live: &Live) -> Result<FreeBlock, Misuse> {
    // SAFETY: tested (caller); both free neighbours are tested before anything is written.
    unsafe {
        let block = live.block;
        let freed = live.header.size();
        let mut size = freed;
        let next_free = live.next_header.is_free();
        if next_free {
            free_list::next_sound_to_merge(control, live.next, live.next_header)?;
        }
        let mut start = block;
        if live.header.is_prev_free() {
            let Some((prev, prev_size)) = prev_free_block(control, block) else {
                return Err(Misuse::SmashedPrev);
            };
            free_list::unlink(control, prev);
            block.set_header((*control).cookie, Header::tombstone());
            start = prev;
            size += prev_size;
        }
        (*control).count_freed(freed);
        if next_free {
            size += live.next_header.size();
            free_list::unlink(control, live.next);
        } else {
            live.next.set_prev_free();
        }
        form_free(control, start, size);
        free_list::push_freed(control, start, size);
        Ok(FreeBlock(start))
    }
}

/// Writes the header of a free block and the ghost at its end. The next header must say PREV_FREE.
///
/// # Safety
/// The bytes are unlinked and nobody's.
#[inline(always)]
pub(crate) unsafe fn form_free(control: *mut Control, block: Block, size: usize) -> Block {
    // SAFETY: the caller's duties.
    unsafe {
        block.set_header((*control).cookie, Header::free(size));
        block.offset(size).set_prev_phys(block);
    }
    block
}

/// Lists what `wanted` bytes leave of an unlinked free block, if that is enough for a block; gives the bytes to put
/// into use: `wanted`, or all.
///
/// # Safety
/// `block` is an unlinked block of `size >= wanted` bytes whose next neighbour is in use and says PREV_FREE.
#[inline(always)]
pub(crate) unsafe fn cut(control: *mut Control, block: Block, size: usize, wanted: usize) -> usize {
    let rest = size - wanted;
    // SAFETY: the caller's duties: ghost and next header are ours to write.
    unsafe {
        if rest >= BLOCK_MIN {
            let remainder = form_free(control, block.offset(wanted), rest);
            free_list::push_freed(control, remainder, rest);
            wanted
        } else {
            block.offset(size).clear_prev_free();
            size
        }
    }
}

/// The O(1) tests of a pointer that a caller gives back, before anything is done with it.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[inline(always)]
pub(crate) unsafe fn live(control: *mut Control, ptr: NonNull<u8>) -> Result<Live, Misuse> {
    let block = Block::at(ptr.as_ptr());
    // SAFETY: live (caller); the header is read only of an aligned address inside the bounds.
    unsafe {
        if (*control).may_be_payload(block.addr())
            && let Some(live) = behind(control, block, block.header((*control).cookie))
        {
            return Ok(live);
        }
        Err(explain(control, block))
    }
}

/// `block` is a block in use of exactly this size, as far as [`live`] would test it.
///
/// # Safety
/// As for [`live`]; `block` may be anything.
#[inline(always)]
pub(crate) unsafe fn has_size(control: *mut Control, block: Block, size: usize) -> bool {
    // SAFETY: live (caller); the header is read only of an aligned address inside the bounds, the next one only when the
    // size stays inside them.
    unsafe {
        (*control).may_be_payload(block.addr())
            && block.header((*control).cookie).is_used_of(size)
            && size <= (*control).high - block.addr()
            && block
                .offset(size)
                .header((*control).cookie)
                .may_follow_used()
    }
}

/// The block with its next neighbour, when both headers make sense.
///
/// # Safety
/// As for [`live`]; `block` is aligned and inside the bounds, `header` is its header.
#[inline(always)]
unsafe fn behind(control: *mut Control, block: Block, header: Header) -> Option<Live> {
    // SAFETY: live (caller); the next header is read only when the size stays inside the bounds.
    unsafe {
        let size = header.size();
        // An overwritten header decodes to a wrong seal, which is a size beyond the bounds.
        if !header.is_plain_used() || size > (*control).high - block.addr() {
            return None;
        }
        let next = block.offset(size);
        let next_header = next.header((*control).cookie);
        let live = Live {
            block,
            header,
            next,
            next_header,
        };
        may_follow(control, &live).then_some(live)
    }
}

/// The header behind a block makes sense.
///
/// # Safety
/// The instance is live; all but `next_header` has been tested.
#[inline(always)]
unsafe fn may_follow(control: *mut Control, live: &Live) -> bool {
    // SAFETY: live (caller).
    let room = unsafe { (*control).high } - live.next.addr();
    // A size of 0 leads to the header itself, which is too small to follow one; 32-bit headers need the test.
    live.next_header.may_follow_used()
        && (WORD == 8 || live.header.size() >= BLOCK_MIN)
        // On 32-bit targets no seal vouches for a next block in use: there its size must make sense too.
        && ((WORD == 8 && !live.next_header.is_free())
            || live.next_header.is_sentinel()
            || live.next_header.size() <= room)
}

/// Which misuse it was that [`live`] found.
#[cold]
#[inline(never)]
unsafe fn explain(control: *mut Control, block: Block) -> Misuse {
    // SAFETY: as for `live`.
    unsafe {
        if (*control).is_intercepted() {
            return Misuse::Intercepted;
        }
        if block.addr() < (*control).low || block.addr() >= (*control).high {
            return Misuse::Foreign;
        }
        if !block.is_aligned() {
            return Misuse::Misaligned;
        }
        let header = block.header((*control).cookie);
        let size = header.size();
        if header.was_freed() {
            return Misuse::DoubleFree;
        }
        if header.is_plain_used() && size >= BLOCK_MIN && size <= (*control).high - block.addr() {
            return Misuse::SmashedNext;
        }
        Misuse::NotABlock
    }
}

/// The refusal of a request that was not looked for: zero, or beyond this instance.
#[cold]
#[inline(never)]
unsafe fn refuse(control: *mut Control, bytes: usize) -> Refusal {
    // SAFETY: live (caller).
    unsafe {
        if (*control).is_intercepted() {
            return Refusal::Misuse(Misuse::Intercepted, ptr::null());
        }
        if bytes == 0 {
            return Refusal::Invalid;
        }
        exhausted(control)
    }
}

/// Counts a request refused for want of memory.
#[inline(always)]
pub(crate) unsafe fn exhausted(control: *mut Control) -> Refusal {
    // SAFETY: live (caller).
    unsafe { (*control).failed_requests = (*control).failed_requests.wrapping_add(1) };
    Refusal::Exhausted
}
