//! One event of a heap.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `malloc`, or C++'s `operator new`.
    Malloc,
    /// `calloc`: the memory is cleared.
    Calloc,
    /// Any call with an alignment.
    Memalign,
    /// `realloc` of a block: [`old`](Event::old) became [`pointer`](Event::pointer).
    Realloc,
    /// `free`, or C++'s `operator delete`.
    Free,
    /// A request was refused. With [`old`](Event::old), a `realloc`: the old block lives on.
    Failed,
    /// A pool joined the heap.
    PoolAdded,
    /// A pool grew at its end.
    PoolExtended,
    /// A pool left the heap.
    PoolRemoved,
    /// Every block of the heap was forgotten.
    Reset,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since the start.
    pub time: u64,
    /// The thread: 0 is the first that used the heap.
    pub thread: u32,
    /// 0 is the process's `malloc`, others are handle heaps.
    pub heap: u32,
    /// What happened.
    pub kind: Kind,
    /// The block that was allocated, or the start of the pool; 0 for `Free` and `Failed`.
    pub pointer: u64,
    /// The block that was freed or reallocated, or 0.
    pub old: u64,
    /// The requested bytes, or those of the pool; of `PoolExtended`, those that were added.
    pub size: u64,
    /// The bytes that the block has; 0 when unknown.
    pub block: u64,
    /// The requested alignment; 0 is the default.
    pub align: u64,
    /// The stack of the call, for [`Trace::stack`](crate::Trace::stack); 0 is none.
    pub stack: u32,
}

impl Default for Event {
    /// A `malloc` of nothing, for the fields that a literal leaves out.
    fn default() -> Event {
        Event {
            time: 0,
            thread: 0,
            heap: 0,
            kind: Kind::Malloc,
            pointer: 0,
            old: 0,
            size: 0,
            block: 0,
            align: 0,
            stack: 0,
        }
    }
}
