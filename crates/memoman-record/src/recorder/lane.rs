//! One of the two places that a stream's records go to.

/// One lane of a stream: a chunk that is mapped, and the place in it.
pub(crate) struct Lane {
    /// Where the next record goes.
    pub(crate) at: *mut u8,
    /// No record may begin behind this.
    pub(crate) last_start: *mut u8,
    /// The ticks that the next record counts from.
    pub(crate) ticks: u64,
    /// The pointer that the next one is a difference from.
    pub(crate) pointer: u64,
    /// The mapped chunk, or null.
    pub(crate) base: *mut u8,
    /// Its bytes.
    pub(crate) bytes: usize,
    /// The sequence number of the next chunk.
    pub(crate) sequence: u64,
}
