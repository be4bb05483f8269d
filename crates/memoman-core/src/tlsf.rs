//! The allocator: create, allocate, free. One call's way is `size_class` → `control` (bitmaps) → `free_list` →
//! split → `free_list`, with no loop in it.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use crate::block::{Block, Header};
use crate::config::{BLOCK_MIN, DEFAULT_MAX_BLOCK, HEADER, QUANTUM, WORD};
use crate::control::Control;
use crate::free_list;
use crate::misuse::{Misuse, MisuseHandler, Refusal};
use crate::pool::{POOL_COST, POOL_MIN, prev_free_block};
use crate::size_class::{block_size_for, cut_size};

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
        let control = self.control();
        // SAFETY: live (caller); `find` gives a block of a pool that is listed and free.
        unsafe {
            // One compare for "zero" and "too large".
            if bytes.wrapping_sub(1) >= (*control).limit {
                return Err(refuse(control, bytes));
            }
            let size = block_size_for(bytes);
            let own = (*control).bin_of(size);
            let Some(bin) = (*control).first_nonempty(own) else {
                return Err(exhausted(control));
            };
            let block = Control::head(control, bin).read();
            // An exact hit: one compare proves size, flags and seal; the next block's ghost, that the size is the true one.
            if block.header((*control).cookie) != Header::free(size)
                || block.offset(size).prev_phys() != block
            {
                return carve(control, size, own, bin, block);
            }
            if !free_list::pop(control, bin, block) {
                return Err(Refusal::Misuse(Misuse::SmashedLink, block.payload()));
            }
            block.offset(size).clear_prev_free();
            block.set_header((*control).cookie, Header::used(size));
            (*control).live_blocks = (*control).live_blocks.wrapping_add(1);
            (*control).count_taken(size);
            Ok(NonNull::new_unchecked(block.payload()))
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
        if align <= QUANTUM {
            // SAFETY: live (caller).
            return unsafe { self.malloc(bytes) };
        }
        let control = self.control();
        // SAFETY: live (caller); `find` gives a block of a pool that is listed and free, large
        // enough for the worst gap in front of an aligned payload.
        unsafe {
            if bytes.wrapping_sub(1) >= (*control).limit {
                return Err(refuse(control, bytes));
            }
            let size = block_size_for(bytes);
            // The gap is zero or holds a block: at most align - QUANTUM, or one alignment more than
            // a single quantum that would be too small.
            let Some(padded) = size.checked_add(align).and_then(|n| n.checked_add(QUANTUM)) else {
                return Err(refuse(control, usize::MAX));
            };
            let own = (*control).bin_of(padded);
            let Some(bin) = (*control).first_nonempty(own) else {
                return Err(exhausted(control));
            };
            let head = Control::head(control, bin).read();
            let found = find(control, padded, own, bin, head)?;
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
            take(control, block, found.size - gap, size);
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
        let control = self.control();
        // SAFETY: live (caller); the block and the next header are tested before anything is written.
        unsafe {
            let live = live(control, ptr)?;
            if live.header.is_prev_free() || live.next_header.is_free() {
                return coalesce(control, live.block, live.header, live.next_header);
            }
            live.next.set_prev_free();
            list_freed(control, live.block, live.header.size(), live.header.size());
            Ok(FreeBlock(live.block))
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

/// What `find` gives: a free block, unlinked, and its size.
struct Found {
    block: Block,
    size: usize,
}

/// Unlinks a head that serves `size` bytes, beginning with `block`, the head of the first non-empty bin at or above the
/// own one: if that is the own bin and its head is too small, the first bin above it. At most two heads are looked at.
///
/// # Safety
/// The instance is live; `own` is the bin of `size`.
#[inline(always)]
unsafe fn find(
    control: *mut Control,
    size: usize,
    own: usize,
    mut bin: usize,
    mut block: Block,
) -> Result<Found, Refusal> {
    // SAFETY: live (caller): a marked bin's head is a listed block (I1, I2). Its header is tested
    // before it is believed.
    unsafe {
        let mut header = witnessed(control, block)?;
        if header.size() < size && bin == own {
            // Any block of a higher bin is large enough.
            let Some(above) = (*control).first_nonempty(own + 1) else {
                return Err(exhausted(control));
            };
            bin = above;
            block = Control::head(control, bin).read();
            header = witnessed(control, block)?;
        }
        let found = header.size();
        if found < size {
            return Err(Refusal::Misuse(Misuse::NotABlock, block.payload()));
        }
        if !free_list::pop(control, bin, block) {
            return Err(Refusal::Misuse(Misuse::SmashedLink, block.payload()));
        }
        Ok(Found { block, size: found })
    }
}

/// The header of a bin's head, whose size the ghost at its end confirms.
///
/// # Safety
/// The instance is live; `block` is a head that is not the list's end.
#[inline(always)]
unsafe fn witnessed(control: *mut Control, block: Block) -> Result<Header, Refusal> {
    // SAFETY: a listed block has a header (I2); the ghost is read only inside the bounds.
    unsafe {
        let header = block.header((*control).cookie);
        let room = (*control).high.wrapping_sub(block.addr());
        if header.is_plain_free()
            && header.size() <= room
            && block.offset(header.size()).prev_phys() == block
        {
            Ok(header)
        } else {
            Err(Refusal::Misuse(Misuse::NotABlock, block.payload()))
        }
    }
}

/// Allocates from a block that is not an exact hit. Apart from [`Tlsf::malloc`], whose registers it would crowd.
///
/// # Safety
/// As for [`find`].
#[inline(never)]
unsafe fn carve(
    control: *mut Control,
    size: usize,
    own: usize,
    bin: usize,
    block: Block,
) -> Result<NonNull<u8>, Refusal> {
    // SAFETY: `find` gives a tested block that is free and unlinked.
    unsafe {
        let found = find(control, size, own, bin, block)?;
        take(control, found.block, found.size, size);
        Ok(NonNull::new_unchecked(found.block.payload()))
    }
}

/// Frees a block with a free neighbour. Apart from [`Tlsf::free`], whose registers it would crowd.
///
/// # Safety
/// The headers are those of a tested live block and of the one behind it.
#[inline(never)]
unsafe fn coalesce(
    control: *mut Control,
    block: Block,
    header: Header,
    next_header: Header,
) -> Result<FreeBlock, Misuse> {
    // SAFETY: tested (caller); both free neighbours are tested before anything is written.
    unsafe {
        let freed = header.size();
        let mut size = freed;
        let next = block.offset(freed);
        if next_header.is_free() {
            free_list::next_sound_to_merge(control, next, next_header)?;
        }
        let mut start = block;
        if header.is_prev_free() {
            let Some((prev, prev_size)) = prev_free_block(control, block) else {
                return Err(Misuse::SmashedPrev);
            };
            free_list::unlink(control, prev);
            block.set_header((*control).cookie, Header::tombstone());
            start = prev;
            size += prev_size;
        }
        if next_header.is_free() {
            free_list::unlink(control, next);
            size += next_header.size();
        } else {
            next.set_prev_free();
        }
        list_freed(control, start, size, freed);
        Ok(FreeBlock(start))
    }
}

/// Lists a coalesced block of `size` bytes, `freed` of which were in use until now.
///
/// # Safety
/// The bytes are unlinked and nobody's; the next block says PREV_FREE.
#[inline(always)]
unsafe fn list_freed(control: *mut Control, block: Block, size: usize, freed: usize) {
    // SAFETY: the caller's duties.
    unsafe {
        block.set_header((*control).cookie, Header::free(size));
        block.offset(size).set_prev_phys(block);
        free_list::push(control, (*control).bin_of(size), block);
        (*control).used = (*control).used.wrapping_sub(freed);
        (*control).live_blocks = (*control).live_blocks.wrapping_sub(1);
    }
}

/// Puts the first `wanted` bytes (see [`cut_size`]) of an unlinked free block of `size` bytes into
/// use and lists the remainder, if it is large enough to be a block.
///
/// # Safety
/// `block` is an unlinked block of `size >= wanted` bytes whose next neighbour is in use and says PREV_FREE.
#[inline(always)]
pub(crate) unsafe fn take(control: *mut Control, block: Block, size: usize, wanted: usize) {
    // SAFETY: the caller's duties: header, ghost and next header are ours to write.
    unsafe {
        let cookie = (*control).cookie;
        let wanted = cut_size(wanted).min(size);
        let rest = size - wanted;
        let taken = if rest >= BLOCK_MIN {
            let remainder = block.offset(wanted);
            remainder.set_header(cookie, Header::free(rest));
            block.offset(size).set_prev_phys(remainder);
            free_list::push(control, (*control).bin_of(rest), remainder);
            wanted
        } else {
            block.offset(size).clear_prev_free();
            size
        };
        block.set_header(cookie, Header::used(taken));
        (*control).live_blocks = (*control).live_blocks.wrapping_add(1);
        (*control).count_taken(taken);
    }
}

/// The O(1) tests of a pointer that a caller gives back, before anything is done with it.
///
/// # Safety
/// The instance is live, and memory between its pools' outer bounds may be read.
#[inline(always)]
pub(crate) unsafe fn live(control: *mut Control, ptr: NonNull<u8>) -> Result<Live, Misuse> {
    let block = Block::at(ptr.as_ptr());
    // SAFETY: live (caller); the header is read only of an aligned address inside the bounds, and
    // the next one only when the size stays inside them.
    unsafe {
        if !(*control).may_be_payload(block.addr()) {
            return Err(explain(control, block));
        }
        let header = block.header((*control).cookie);
        let size = header.size();
        // An overwritten header decodes to a wrong seal, which is a size beyond the bounds.
        if !header.is_plain_used() || size < BLOCK_MIN || size > (*control).high - block.addr() {
            return Err(explain(control, block));
        }
        let next = block.offset(size);
        let next_header = next.header((*control).cookie);
        if !next_header.may_follow_used() {
            return Err(explain(control, block));
        }
        // On 32-bit targets no seal vouches for a next block in use: there its size must make sense too.
        if (next_header.is_free() || (WORD == 4 && !next_header.is_sentinel()))
            && next_header.size() > (*control).high - next.addr()
        {
            return Err(Misuse::SmashedNext);
        }
        Ok(Live {
            block,
            header,
            next,
            next_header,
        })
    }
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
