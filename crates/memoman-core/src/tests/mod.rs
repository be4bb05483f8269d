//! The unit tests of private items. Tests of the public interface are in `tests/` beside `src/`.

mod control;
#[cfg(unix)]
mod corruption;
mod hash;
mod measure;
mod pool;
mod size_class;
