//! The failures of a call: lack of memory, an argument that the contract refuses, misuse.

use core::ffi::{CStr, c_char, c_void};
use core::fmt;

/// A caller's mistake that the constant-time header checks detect.
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
    /// The pointer lies below the lowest or above the highest pool: a stack, static or foreign
    /// block.
    Foreign,
    /// The block is free already, by itself or as part of a larger free block.
    DoubleFree,
    /// No live block starts here, or its header has been overwritten.
    NotABlock,
    /// The header after the block has been overwritten: most often an overflow of this block.
    SmashedNext,
    /// The free block before this one has an overwritten header, or its boundary tag (`prev_phys`)
    /// is overwritten.
    SmashedPrev,
    /// A link of a free block has been overwritten: most often a write after free.
    SmashedLink,
    /// No misuse: the instance is intercepted (`Tlsf::intercept`), and the call did nothing.
    Intercepted,
    /// A call from a function that the instance has called: an observer or a handler of exhausted
    /// requests.
    Reentered,
    /// The words that name these functions have been overwritten.
    SmashedHooks,
}

impl Misuse {
    /// The fixed message that is passed to the error handler.
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
            Misuse::Reentered => c"call from a callback of the same allocator",
            Misuse::SmashedHooks => c"observer or cache overwritten",
            Misuse::Intercepted => c"call on an intercepted allocator",
        }
    }

    /// Panics with the message: for calls that cannot report misuse otherwise.
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

/// Why an allocating call returns no block.
///
/// ```
/// use memoman_core::Refusal;
/// assert_eq!(Refusal::Exhausted.to_string(), "no free block is large enough");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No free block is large enough. Counted in `failed_requests`.
    Exhausted,
    /// A size of zero or an alignment that is no power of two. Not counted.
    Invalid,
    /// The call found misuse. The address is that of the block at fault.
    Misuse(Misuse, *const u8),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Exhausted => f.write_str("no free block is large enough"),
            Refusal::Invalid => f.write_str("size of zero or alignment that is no power of two"),
            Refusal::Misuse(misuse, address) => write!(f, "{misuse}: {:p}", *address),
        }
    }
}

impl core::error::Error for Refusal {}

/// A C error handler. It takes the fixed message, the pointer, and the word registered with it.
pub type MisuseHandler = unsafe extern "C" fn(*const c_char, *const c_void, *mut c_void);
