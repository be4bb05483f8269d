//! The debug library: it serves every thread from the process-wide instance, under the lock.
//!
//! | file | what |
//! |---|---|
//! | `calls.rs` | malloc and the rest |
//! | `report.rs` | the report of a fault on stderr |
//! | `sanitizer.rs` | the stack of a report, from a sanitizer's runtime |
//! | `leaks.rs` | validation and the list of leaks at exit |
//! | `settings.rs` | `MM_DEBUG_VALIDATE_SHIFT` |

pub(crate) mod calls;
pub(crate) mod leaks;
pub(crate) mod report;
mod sanitizer;
pub(crate) mod settings;

pub use leaks::list_leaks_of;
pub use report::print;
pub use settings::validate_shift;
