//! At exit, the heap of the thread that ends the process is looked through for damage that no call
//! has met: headers of live blocks, links of free ones, marks of cached ones and of kept mappings.
//!
//! It costs no call anything. The work is bounded, takes no lock, waits for no thread and reads the
//! thread's own heap and the kept mappings only.

use core::cell::Cell;
use core::ptr::{self, NonNull};

use memoman_core::{Cursor, Invariant, Step};

use crate::allocator::Misuse;
use crate::process::lock::LOCK;
use crate::process::{mapping_spares, misuse};
use crate::thread::cache::Cache;
use crate::thread::heap::{ThreadHeap, belongs};
use crate::thread::{gate, lifetime};

/// The most blocks that are looked at, and the most cached ones.
const BLOCKS_MOST: usize = 4096;

/// After the program's own functions for its end, and before the C library's.
#[used]
#[unsafe(link_section = ".fini_array.00102")]
static AT_EXIT: extern "C" fn() = {
    extern "C" fn at_exit() {
        // A section of the lock that this call has interrupted may be changing the heap.
        if LOCK.is_away() {
            return;
        }
        if let Some((misuse, address)) = damage() {
            misuse::report_global(misuse, address);
        }
        mapping_spares::test_all();
    }
    at_exit
};

/// The first damage in the calling thread's heap.
fn damage() -> Option<(Misuse, *const u8)> {
    let current = lifetime::current();
    if !current.is_heap() {
        return None;
    }
    let heap = current.heap();
    // SAFETY: the calling thread's heap. The owner is in it between `enter` and `leave`, unless a
    // signal handler has interrupted a call in it: then nothing is looked at.
    unsafe {
        if !(*heap).gate.is_left() || (*heap).gate.enter(gate::INSIDE).is_err() {
            return None;
        }
        let found = look(heap);
        ThreadHeap::leave(heap);
        found
    }
}

/// # Safety
/// The caller is in the heap.
unsafe fn look(heap: *mut ThreadHeap) -> Option<(Misuse, *const u8)> {
    let mut cursor = Cursor::START;
    // SAFETY: in the heap (caller), whose pools stay as they are meanwhile.
    unsafe {
        if let Step::Broken(found) = ThreadHeap::tlsf(heap).validate_step(&mut cursor, BLOCKS_MOST)
        {
            let misuse = match found.invariant {
                Invariant::List | Invariant::Listed => Misuse::SmashedLink,
                Invariant::PrevPhys => Misuse::SmashedPrev,
                _ => Misuse::NotABlock,
            };
            return Some((misuse, found.address));
        }
        let cache = ThreadHeap::cache(heap);
        let last = Cell::new(ptr::null());
        let is_own = |block: NonNull<u8>, _| {
            let is_own = belongs(heap, block.as_ptr().addr());
            if is_own {
                last.set(block.as_ptr().cast_const());
            }
            is_own
        };
        let few = Cache::contents(cache).1 <= BLOCKS_MOST;
        (few && !Cache::is_sound(cache, is_own)).then(|| (Misuse::SmashedLink, last.get()))
    }
}
