//! Memory checkers: AddressSanitizer and valgrind's memcheck learn from the release library which
//! bytes of a pool the program may touch. The debug library finds the same mistakes by itself.
//!
//! | file | what |
//! |---|---|
//! | `marks.rs` | finding a checker, and the marks that it gets |
//! | `watched.rs` | the calls of a watched program |
//! | `unwatched.rs` | the same calls in the debug library, without marks |

#[cfg(not(memoman_debug))]
mod marks;
#[cfg(not(memoman_debug))]
mod watched;
#[cfg(not(memoman_debug))]
use watched as imp;

#[cfg(memoman_debug)]
mod unwatched;
#[cfg(memoman_debug)]
use unwatched as imp;

pub(super) use imp::*;
