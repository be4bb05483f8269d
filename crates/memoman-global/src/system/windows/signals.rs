//! Signals of the calling thread: Windows has none that interrupt it.

/// Runs `work`.
pub(crate) fn blocked<R>(work: impl FnOnce() -> R) -> R {
    work()
}
