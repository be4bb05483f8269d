//! `memoman_published`: where the process-wide heap's figures lie, for a reader in another process
//! or a debugger. docs/book/live-figures.md describes it.

#[cfg(not(memoman_debug))]
use core::mem::offset_of;
#[cfg(memoman_debug)]
use core::ptr;
use core::sync::atomic::AtomicPtr;

use memoman_core::{LAYOUT, Layout};

#[cfg(not(memoman_debug))]
use crate::process::{heap, mapping_spares, registry};
#[cfg(not(memoman_debug))]
use crate::thread::cache::{CLASSES, CLASSES_AT, ROOMS_AT};
#[cfg(not(memoman_debug))]
use crate::thread::heap::{CACHE_AT, CONTROL_AT, ThreadHeap};

/// The object. Later versions add members at the end; a member that changes its meaning gets
/// another version.
#[repr(C)]
pub struct Published {
    magic: [u8; 8],
    version: u32,
    /// Bytes of this structure.
    bytes: u32,
    layout: Layout,
    /// Offsets in a thread heap, and in its cache's classes; all zero in the debug library.
    heap_next: u32,
    heap_control: u32,
    heap_classes: u32,
    class_bytes: u32,
    class_left: u32,
    heap_rooms: u32,
    classes: u32,
    /// Bytes before the control structure that `process` leads to (debug library), else 0.
    before_control: u32,
    /// The process-wide instance's control structure. It is all-zero before the first call.
    process: *const u8,
    /// The word that holds the thread heap made last.
    heaps: *const AtomicPtr<u8>,
    /// Words: bytes of the instance in segments, their number, requests refused.
    shared: [*const usize; 3],
    /// Words: bytes of live large blocks, numbers of large blocks allocated and freed.
    large: [*const usize; 3],
}

// SAFETY: constant; the addresses are for readers outside.
unsafe impl Sync for Published {}

/// Found by its name: in the symbol table of whatever contains the library.
#[unsafe(no_mangle)]
#[used]
#[allow(non_upper_case_globals, reason = "a C name")]
pub static memoman_published: Published = Published {
    magic: *b"memoman\0",
    version: 2,
    bytes: size_of::<Published>() as u32,
    layout: LAYOUT,
    #[cfg(not(memoman_debug))]
    heap_next: offset_of!(ThreadHeap, next) as u32,
    #[cfg(not(memoman_debug))]
    heap_control: CONTROL_AT as u32,
    #[cfg(not(memoman_debug))]
    heap_classes: (CACHE_AT + CLASSES_AT) as u32,
    #[cfg(not(memoman_debug))]
    class_bytes: crate::thread::cache::CLASS_BYTES as u32,
    #[cfg(not(memoman_debug))]
    class_left: crate::thread::cache::LEFT_AT as u32,
    #[cfg(not(memoman_debug))]
    heap_rooms: (CACHE_AT + ROOMS_AT) as u32,
    #[cfg(not(memoman_debug))]
    classes: CLASSES as u32,
    #[cfg(not(memoman_debug))]
    before_control: 0,
    #[cfg(not(memoman_debug))]
    process: heap::published().0,
    #[cfg(not(memoman_debug))]
    heaps: registry::published(),
    #[cfg(not(memoman_debug))]
    shared: heap::published().1,
    #[cfg(not(memoman_debug))]
    large: mapping_spares::published(),
    #[cfg(memoman_debug)]
    heap_next: 0,
    #[cfg(memoman_debug)]
    heap_control: 0,
    #[cfg(memoman_debug)]
    heap_classes: 0,
    #[cfg(memoman_debug)]
    class_bytes: 0,
    #[cfg(memoman_debug)]
    class_left: 0,
    #[cfg(memoman_debug)]
    heap_rooms: 0,
    #[cfg(memoman_debug)]
    classes: 0,
    #[cfg(memoman_debug)]
    before_control: memoman_debug::BEFORE_CONTROL as u32,
    #[cfg(memoman_debug)]
    process: crate::process::heap::published(),
    #[cfg(memoman_debug)]
    heaps: ptr::null(),
    #[cfg(memoman_debug)]
    shared: [ptr::null(); 3],
    #[cfg(memoman_debug)]
    large: [ptr::null(); 3],
};
