//! The unit tests: what only the crate's own names reach. Everything else is in `tests/` beside `src/`.

mod control;
#[cfg(unix)]
mod corruption;
mod hash;
mod pool;
mod size_class;
