//! The debug library: it serves every thread from the process-wide instance, under the lock.
//!
//! | file | what |
//! |---|---|
//! | `calls.rs` | malloc and the rest |
//! | `report.rs` | the report of a fault on stderr |
//! | `leaks.rs` | validation and the list of leaks at exit |
//! | `stack.rs` | the return addresses beyond the first one |
//! | `settings.rs` | `MM_DEBUG_VALIDATE_SHIFT`, `MM_DEBUG_STACK`, `MM_DEBUG_FAMILIES` |

pub(crate) mod calls;
pub(crate) mod leaks;
pub(crate) mod report;
pub(crate) mod settings;
mod stack;

pub use leaks::{list_blocks_of, list_leaks_of};
pub use report::print;
pub use settings::{configure, mix_families};
