//! A heap for each thread, used by its owner without a lock.
//!
//! | file | what |
//! |---|---|
//! | `calls.rs` | the owner's malloc, free and realloc |
//! | `remote.rs` | free and usable size of a block of another thread's heap |
//! | `reclaim.rs` | memory of idle threads: a thread that frees or needs much visits their heaps |
//! | `entry.rs` | the owner waits where its gate is closed |
//! | `attach.rs` | a thread gets a heap, and gives it up when it ends |
//! | `lifetime.rs` | the calling thread's heap in thread-local storage, notice of the thread's end |
//! | `heap.rs` | the heap: an instance of the core, with the cache in front and the inbox beside it |
//! | `turned_away.rs` | how much the cache may have: what is too much, or too old, goes to the core |
//! | `cache.rs` | freed blocks by size, for the next malloc |
//! | `cache_walks.rs` | the cache's contents, and whether it is sound |
//! | `chains.rs` | blocks of other heaps into their inboxes, and out of the own one |
//! | `outbox.rs` | freed blocks of other heaps, until they go there |
//! | `inbox.rs` | blocks freed by other threads |
//! | `idleness.rs` | the figures by which threads see that an owner is idle |
//! | `gate.rs` | keeps the owner, a visitor and a holder of the lock apart |
//! | `last_look.rs` | the shim: damage in the calling thread's heap is looked for at exit |

pub(crate) mod attach;
pub(crate) mod cache;
pub(crate) mod cache_walks;
pub(crate) mod calls;
pub(crate) mod chains;
pub(crate) mod entry;
pub(crate) mod gate;
pub(crate) mod heap;
pub(crate) mod idleness;
pub(crate) mod inbox;
#[cfg(all(feature = "late-checks", target_os = "linux"))]
pub(crate) mod last_look;
pub(crate) mod lifetime;
pub(crate) mod outbox;
pub(crate) mod reclaim;
pub(crate) mod remote;
pub(crate) mod turned_away;
