//! The debug library: it serves every thread from the process-wide instance, under the lock.
//!
//! | file | what |
//! |---|---|
//! | `calls.rs` | malloc and the rest |
//! | `report.rs` | the report of a fault on stderr |
//! | `leaks.rs` | validation and the list of leaks at exit |
//! | `settings.rs` | `MM_DEBUG_VALIDATE_SHIFT` |

pub(crate) mod calls;
pub(crate) mod leaks;
pub(crate) mod report;
pub(crate) mod settings;

pub use report::print;
pub use settings::validate_shift;
