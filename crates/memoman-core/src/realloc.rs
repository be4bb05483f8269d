//! Resizing: in place forward, then backward, where the neighbours allow it, then by moving.
//! [`crate::front`] says how the paths are divided.
//!
//! ```text
//!  shrink     [ block       ] next        →  [ block ][ remainder ] next   (joins a free next)
//!  forward    [ block ][ free next ]      →  [ block        ][ remainder ]
//!  backward   [ free prev ][ block ] next →  [ block, contents moved down ][ remainder ]
//! ```

use core::ptr::{self, NonNull};

use crate::allocate::exhausted;
use crate::block::{Block, Header};
use crate::config::{HEADER, QUANTUM};
use crate::front::{Front, Returned};
use crate::in_place::{grow_backward, grow_forward, resize_forward, shrink};
use crate::instance::Tlsf;
use crate::misuse::{Misuse, Refusal};
use crate::returned::{Live, has_size, live, with_next};
use crate::size_class::{block_size_for, cut_size};

impl Tlsf {
    /// Resizes a block to at least `bytes` bytes and keeps its contents up to the smaller size: in
    /// place forward, then backward, then by moving; O(1) and the copying. On failure the block is
    /// as it was.
    ///
    /// # Safety
    /// The instance is live. On success the old pointer is given up. (A pointer that is no live
    /// block is detected as [`Tlsf::free`] detects it.)
    #[inline]
    pub unsafe fn realloc(self, ptr: NonNull<u8>, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance, pointer given up on success (caller).
        unsafe { self.realloc_for::<Returned>(ptr.as_ptr(), bytes) }
    }

    /// [`Tlsf::realloc`] for a front. On the fast path the block has the request's size already.
    ///
    /// # Safety
    /// The instance is live, and on success the old pointer is given up. `ptr` may be null, which
    /// lies outside every instance's bounds.
    #[inline(always)]
    pub unsafe fn realloc_for<F: Front>(self, ptr: *mut u8, bytes: usize) -> F::Allocated {
        // SAFETY: live instance, pointer given up on success (caller); null is no block of any
        // size.
        unsafe {
            if self.realloc_same(ptr, bytes) {
                let block = Block::returned(ptr);
                F::allocated(self, Ok(NonNull::new_unchecked(block.payload())))
            } else {
                resize::<F>(self, ptr, bytes)
            }
        }
    }

    /// [`Tlsf::realloc`] with a result aligned to `align`, a power of two, whether the block moves
    /// or not.
    ///
    /// # Safety
    /// The instance is live, and on success the old pointer is given up.
    pub unsafe fn realloc_aligned(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        if !align.is_power_of_two() {
            return Err(Refusal::Invalid);
        }
        // SAFETY: live instance, pointer given up on success (caller); `realloc_in_place` has
        // tested the block that it does not resize, so its header may be read.
        unsafe {
            match self.realloc_in_place(ptr, align.max(QUANTUM), bytes)? {
                Some(resized) => Ok(resized),
                None => {
                    let block = Block::returned(ptr.as_ptr());
                    let size = block.header((*self.control()).cookie).size();
                    self.relocate(ptr, size, align, bytes)
                }
            }
        }
    }

    /// Whether `ptr` is a live block of exactly the size for `bytes` bytes; O(1).
    ///
    /// # Safety
    /// The instance is live. `ptr` may be null.
    #[inline(always)]
    pub unsafe fn realloc_same(self, ptr: *mut u8, bytes: usize) -> bool {
        // SAFETY: live instance (caller); `has_size` takes any pointer.
        unsafe {
            bytes.wrapping_sub(1) < (*self.control()).limit
                && has_size(
                    self.control(),
                    Block::returned(ptr),
                    cut_size(block_size_for(bytes)),
                )
        }
    }

    /// [`Tlsf::realloc_aligned`] within the block and its free neighbours ([`Reach`]): None, and
    /// nothing changed, when these have no room. `align` is a power of two, at least the quantum.
    /// O(1) and the copying.
    ///
    /// # Safety
    /// The duties of [`Tlsf::realloc_aligned`].
    ///
    /// [`Reach`]: crate::Reach
    #[inline(never)]
    pub unsafe fn realloc_in_place(
        self,
        ptr: NonNull<u8>,
        align: usize,
        bytes: usize,
    ) -> Result<Option<NonNull<u8>>, Refusal> {
        let control = self.control();
        // SAFETY: live instance (caller); the block is tested before it is trusted.
        unsafe {
            let old = live(control, ptr).map_err(|misuse| Refusal::Misuse(misuse, ptr.as_ptr()))?;
            if bytes == 0 {
                return Err(Refusal::Invalid);
            }
            // Bytes that the block has already are not refused: a block taken whole may have a few
            // more than the largest request.
            if bytes > (*control).limit && bytes > old.header.size() - HEADER {
                return Err(exhausted(control));
            }
            let size = block_size_for(bytes);
            let Live {
                block,
                header,
                next_header,
                ..
            } = old;
            let have = header.size();
            let forward = block.addr() & (align - 1) == 0
                && (size <= have || next_header.is_free() && have + next_header.size() >= size);
            let (misuse, resized) = if forward {
                resize_forward(control, block, header, next_header, size)
            } else if header.is_prev_free() {
                grow_backward(control, block, header, next_header, align, size)
            } else {
                return Ok(None);
            };
            match misuse {
                Some(misuse) => Err(smashed(block, header, misuse)),
                None => Ok(NonNull::new(resized)),
            }
        }
    }

    /// Allocates another block, copies the contents, frees the old block.
    ///
    /// # Safety
    /// The instance is live; `ptr` is a tested block in use of `size` bytes, header included, and
    /// on success it is given up.
    #[inline(never)]
    unsafe fn relocate(
        self,
        ptr: NonNull<u8>,
        size: usize,
        align: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live instance, tested block (caller); the new block is another one and has at
        // least the bytes that are copied.
        unsafe {
            let peak = (*self.control()).peak;
            let new = if align <= QUANTUM {
                self.malloc_outlined(bytes)
            } else {
                self.memalign(align, bytes)
            }?;
            let kept = (size - HEADER).min(bytes);
            let old = Block::returned(ptr.as_ptr()).payload();
            ptr::copy_nonoverlapping(old, new.as_ptr(), kept);
            if let Err(misuse) = self.free_outlined(ptr) {
                // A neighbour of the old block is overwritten: undo the call.
                let _ = self.free_outlined(new);
                (*self.control()).peak = peak;
                return Err(Refusal::Misuse(misuse, ptr.as_ptr()));
            }
            Ok(new)
        }
    }
}

/// Shrinks a block, grows it into the free one after it, or continues with another path.
///
/// # Safety
/// The instance is live, and on success the old pointer, which may be null, is given up.
#[inline(never)]
unsafe fn resize<F: Front>(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> F::Allocated {
    let control = tlsf.control();
    let block = Block::returned(ptr);
    // SAFETY: live instance (caller); the block is tested before it is trusted. Null is outside
    // the instance's bounds.
    unsafe {
        if bytes.wrapping_sub(1) >= (*control).limit || !(*control).may_be_payload(block.addr()) {
            return not_resized::<F>(tlsf, ptr, bytes);
        }
        let Some(old) = with_next(control, block, block.header((*control).cookie)) else {
            return not_resized::<F>(tlsf, ptr, bytes);
        };
        let size = block_size_for(bytes);
        let result = if size <= old.header.size() {
            shrink(control, &old, size)
        } else if old.next_header.is_free() && old.header.size() + old.next_header.size() >= size {
            grow_forward(control, &old, size)
        } else if old.header.is_prev_free() {
            return resize_backward::<F>(tlsf, ptr, bytes, old.header, old.next_header);
        } else {
            return resize_elsewhere::<F>(tlsf, ptr, bytes, old.header.size());
        };
        match result {
            Ok(()) => F::allocated(tlsf, Ok(NonNull::new_unchecked(block.payload()))),
            Err(_) => not_resized::<F>(tlsf, ptr, bytes),
        }
    }
}

/// Grows a block into the free one before it, or moves it.
///
/// # Safety
/// The instance is live, and on success the old pointer is given up. [`resize`] has tested the
/// block, whose header and next header these are.
#[inline(never)]
unsafe fn resize_backward<F: Front>(
    tlsf: Tlsf,
    ptr: *mut u8,
    bytes: usize,
    header: Header,
    next_header: Header,
) -> F::Allocated {
    let block = Block::returned(ptr);
    let size = block_size_for(bytes);
    // SAFETY: live instance; the block is tested (caller), so it is not null.
    unsafe {
        let grown = grow_backward(tlsf.control(), block, header, next_header, QUANTUM, size);
        let result = match (grown.0, NonNull::new(grown.1)) {
            (Some(misuse), _) => Err(smashed(block, header, misuse)),
            (None, Some(moved)) => Ok(moved),
            (None, None) => {
                tlsf.relocate(NonNull::new_unchecked(ptr), header.size(), QUANTUM, bytes)
            }
        };
        F::allocated(tlsf, result)
    }
}

/// Moves a block of `size` bytes, header included.
///
/// # Safety
/// The instance is live, and on success the old pointer is given up. [`resize`] has tested the
/// block.
#[inline(never)]
unsafe fn resize_elsewhere<F: Front>(
    tlsf: Tlsf,
    ptr: *mut u8,
    bytes: usize,
    size: usize,
) -> F::Allocated {
    // SAFETY: live instance; the block is tested (caller), so it is not null.
    unsafe {
        let result = tlsf.relocate(NonNull::new_unchecked(ptr), size, QUANTUM, bytes);
        F::allocated(tlsf, result)
    }
}

/// Ends a call that resizes nothing.
///
/// # Safety
/// The instance is live, and on success the old pointer, which may be null, is given up.
#[cold]
#[inline(never)]
unsafe fn not_resized<F: Front>(tlsf: Tlsf, ptr: *mut u8, bytes: usize) -> F::Allocated {
    // SAFETY: live instance, pointer given up on success (caller).
    unsafe { F::not_resized(tlsf, ptr, bytes) }
}

/// The refusal of a resize whose block, or one of its free neighbours, has failed its tests.
#[cold]
fn smashed(block: Block, header: Header, misuse: Misuse) -> Refusal {
    let at = match misuse {
        Misuse::SmashedLink => block.offset(header.size()),
        _ => block,
    };
    Refusal::Misuse(misuse, at.payload())
}
