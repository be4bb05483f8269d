//! Shared by all threads: the process-wide instance of the core, its lock, and its services for the
//! thread heaps.
//!
//! | file | what |
//! |---|---|
//! | `start.rs` | start-up: registers the fork handlers and what runs at exit |
//! | `figures/` | figures, validation and trim over every heap |
//! | `pages.rs` | releasing the pages inside free blocks |
//! | `segments.rs` | segments from the process-wide instance to a thread heap and back |
//! | `supply.rs` | memory for a request that the thread's heap cannot serve |
//! | `mapping.rs` | large blocks, each a mapping of its own: malloc, free, realloc |
//! | `mapping_spares.rs` | mappings kept for the next large blocks, figures of the large blocks |
//! | `mapping_room.rs` | how many bytes of them are kept, counts of the large blocks |
//! | `mapping_slots.rs` | slots of kept mappings, and which thread gets one |
//! | `mapping_changed.rs` | mappings of which the program has changed pages: not kept |
//! | `mapping_end.rs` | the bytes after a large block's request, which an overflow damages |
//! | `mapping_marks.rs` | marks in kept mappings, which a write after free damages |
//! | `mapping_word.rs` | a large block's word in the map |
//! | `large.rs` | blocks of the process-wide instance itself (large blocks: `mapping.rs`) |
//! | `empty.rs` | blocks of 0 bytes |
//! | `misuse.rs` | misuse: the error handler, or one line and abort |
//! | `heap.rs` | the process-wide instance: its state, under the lock |
//! | `regions.rs` | its pools: growing, giving back, what is kept empty |
//! | `fork.rs` | every heap survives `fork` |
//! | `later.rs` | what other threads give back while a thread forks, over `aside.rs`, a list |
//! | `side.rs` | the heap of the other threads while a thread forks |
//! | `registry.rs` | all thread heaps; stopping their owners |
//! | `map.rs` | which thread heap has an address |
//! | `core_calls.rs` | the core's malloc and free, one copy of each |
//! | `lock.rs` | the lock |
//! | `lock_fork.rs` | the lock in a fork |
//! | `lock_await.rs` | how threads wait for the fork of another |
//! | `published.rs` | where the figures lie, for readers outside |
//!
//! The debug library has no thread heaps: it serves every thread from the process-wide instance.

pub(crate) mod figures;
pub(crate) mod fork;
pub(crate) mod heap;
pub(crate) mod lock;
pub mod misuse;
pub(crate) mod pages;
pub(crate) mod published;
pub(crate) mod regions;
pub(crate) mod start;

#[cfg(not(memoman_debug))]
pub(crate) mod aside;
#[cfg(not(memoman_debug))]
pub(crate) mod core_calls;
#[cfg(not(memoman_debug))]
pub(crate) mod empty;
#[cfg(not(memoman_debug))]
pub(crate) mod large;
#[cfg(not(memoman_debug))]
pub(crate) mod later;
#[cfg(not(memoman_debug))]
pub(crate) mod map;
#[cfg(not(memoman_debug))]
pub(crate) mod mapping;
#[cfg(not(memoman_debug))]
pub(crate) mod mapping_changed;
#[cfg(not(memoman_debug))]
pub(crate) mod mapping_end;
#[cfg(not(memoman_debug))]
pub(crate) mod mapping_marks;
#[cfg(not(memoman_debug))]
pub(crate) mod mapping_room;
#[cfg(not(memoman_debug))]
pub(crate) mod mapping_slots;
#[cfg(not(memoman_debug))]
pub(crate) mod mapping_spares;
#[cfg(not(memoman_debug))]
pub(crate) mod mapping_word;
#[cfg(not(memoman_debug))]
pub(crate) mod registry;
#[cfg(not(memoman_debug))]
pub(crate) mod segments;
#[cfg(not(memoman_debug))]
pub(crate) mod side;
#[cfg(not(memoman_debug))]
pub(crate) mod supply;
