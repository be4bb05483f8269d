//! The small build (`--cfg memoman_small`), for kilobytes of flash: one path through each call,
//! each step one function. See docs/adr/0009-small-build.md.

pub(crate) mod allocate;
mod control;
pub(crate) mod free;
pub(crate) mod free_list;
pub(crate) mod realloc;
