//! How a call can fail: want of memory, an argument that the contract refuses, misuse.

use core::ffi::{CStr, c_char, c_void};
use core::fmt;
use core::ptr::NonNull;

use crate::block::Block;
use crate::config::WORD;
use crate::live::live;
use crate::tlsf::Tlsf;

/// What a caller did wrong, as far as the headers show it in constant time.
///
/// ```
/// use memoman_core::Misuse;
/// assert_eq!(Misuse::DoubleFree.to_string(), "double free");
/// ```
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// The pointer is not a multiple of the quantum: no block starts there.
    Misaligned = 1,
    /// The pointer lies below the lowest or above the highest pool: a stack, static or foreign block.
    Foreign,
    /// The block is free already, alone or as part of a greater free block.
    DoubleFree,
    /// No live block starts here, or its header has been overwritten.
    NotABlock,
    /// The header behind the block has been overwritten: most often an overflow of this block.
    SmashedNext,
    /// The free block before this one has an overwritten header or ghost.
    SmashedPrev,
    /// A link of a free block has been overwritten: most often a write after free.
    SmashedLink,
    /// No misuse: the instance is intercepted, and the call did nothing. See `Tlsf::intercept`.
    Intercepted,
}

impl Misuse {
    /// The fixed message that the error handler is given.
    ///
    /// ```
    /// use memoman_core::Misuse;
    /// assert_eq!(Misuse::Foreign.message(), c"pointer outside every pool");
    /// ```
    pub const fn message(self) -> &'static CStr {
        match self {
            Misuse::Misaligned => c"misaligned pointer",
            Misuse::Foreign => c"pointer outside every pool",
            Misuse::DoubleFree => c"double free",
            Misuse::NotABlock => c"not a live block (or its header is overwritten)",
            Misuse::SmashedNext => c"header of the next block overwritten",
            Misuse::SmashedPrev => c"header of the previous block overwritten",
            Misuse::SmashedLink => c"free-list link overwritten",
            Misuse::Intercepted => c"call on an intercepted allocator",
        }
    }

    /// Ends a call that has no other way to tell.
    #[cold]
    pub(crate) fn panic(self) -> ! {
        panic!("memoman: {self}")
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().to_str().unwrap_or_default())
    }
}

impl core::error::Error for Misuse {}

/// Why an allocating call gives no block.
///
/// ```
/// use memoman_core::Refusal;
/// assert_eq!(Refusal::Exhausted.to_string(), "no free block is large enough");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No block is large enough. Counted in `failed_requests`.
    Exhausted,
    /// A size of zero or an alignment that is no power of two. Not counted.
    Invalid,
    /// The call found misuse; the address is that of the block at which it shows.
    Misuse(Misuse, *const u8),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Exhausted => f.write_str("no free block is large enough"),
            Refusal::Invalid => f.write_str("size of zero or alignment that is no power of two"),
            Refusal::Misuse(misuse, address) => write!(f, "{misuse}: {address:p}"),
        }
    }
}

impl core::error::Error for Refusal {}

/// A C error handler: the fixed message, the pointer, and the word registered with it.
pub type MisuseHandler = unsafe extern "C" fn(*const c_char, *const c_void, *mut c_void);

impl Tlsf {
    /// Makes the O(1) tests of [`Tlsf::free`] that a live block and its next neighbour pass, and changes nothing.
    ///
    /// # Safety
    /// As for [`Tlsf::free`], but nothing is given up.
    pub unsafe fn probe(self, ptr: NonNull<u8>) -> Result<(), Misuse> {
        // SAFETY: the same duties.
        unsafe { live(self.control(), ptr).map(|_| ()) }
    }

    /// Bytes of a live block, header included, after the tests of [`Tlsf::probe`]; 0 when they find misuse. For a layer that
    /// keeps freed blocks to itself: it is compiled into the caller.
    ///
    /// # Safety
    /// As for [`Tlsf::probe`].
    #[inline(always)]
    pub unsafe fn live_bytes(self, ptr: NonNull<u8>) -> usize {
        // SAFETY: the same duties.
        unsafe { live(self.control(), ptr).map_or(0, |live| live.header.size()) }
    }

    /// The seal in a header: what [`Tlsf::live_bytes_below`] wants to know. 0 on 32-bit targets, which have none.
    ///
    /// # Safety
    /// `block` is a block in use.
    pub unsafe fn seal_of(block: NonNull<u8>) -> usize {
        // SAFETY: the caller's duty.
        unsafe { Block::at(block.as_ptr()).seal() }
    }

    /// [`Tlsf::live_bytes`] of a block of fewer than `most` bytes, in the fewest steps: without the bounds of the instance, and
    /// without the bounds of a free next block's size. None for what is misused, or larger.
    ///
    /// # Safety
    /// `block` is an aligned address in one of the instance's pools, and `most` is at most the bytes from there that may be read.
    /// The seal is that of the instance ([`Tlsf::seal_of`]), or 0: then nothing passes where headers have one.
    #[inline(always)]
    pub unsafe fn live_bytes_below(
        self,
        seal: usize,
        block: NonNull<u8>,
        most: usize,
    ) -> Option<usize> {
        if WORD == 4 {
            // No seal vouches for a size.
            // SAFETY: the caller's duties.
            let size = unsafe { self.live_bytes(block) };
            return (size != 0 && size < most).then_some(size);
        }
        let block = Block::at(block.as_ptr());
        // SAFETY: the word before an address in a pool; the next header is read only when the seal vouches for the size.
        unsafe {
            let header = block.header(seal);
            // Taken before the test, since what the caller does next waits for it.
            let size = header.size();
            (header.is_used_below(most) && block.offset(size).header(seal).may_follow_used())
                .then_some(size)
        }
    }
}
