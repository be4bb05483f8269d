//! Memory checkers: AddressSanitizer and valgrind's memcheck learn from the release library which
//! bytes of a pool the program may touch. The debug library finds the same mistakes by itself.
//!
//! | file | what |
//! |---|---|
//! | `marks.rs` | finding a checker, and the marks that it gets |
//! | `watched.rs`, `watched/blocks.rs` | the calls of a watched program, or on an allocator with an observer |
//! | `unwatched.rs` | the same calls in the debug library and the small one, without marks |

#[cfg(not(any(memoman_debug, memoman_small)))]
mod marks;
#[cfg(not(any(memoman_debug, memoman_small)))]
mod watched;
#[cfg(not(any(memoman_debug, memoman_small)))]
use watched as imp;

#[cfg(any(memoman_debug, memoman_small))]
mod unwatched;
#[cfg(any(memoman_debug, memoman_small))]
use unwatched as imp;

pub(super) use imp::*;
