//! What other threads give back while a thread forks: blocks, segments, and the heaps of threads
//! that end.
//! The forking thread gives them back after the fork, so that no call of another thread waits.
//!
//! A block is put aside by a node of the side heap that names it: nothing is read or written at an
//! address that has not been tested yet.

use core::ptr::{self, NonNull};

use crate::process::aside::Aside;
use crate::process::lock::LOCK;
use crate::process::side;
use crate::system::sync;

static ASIDE: Aside = Aside::new();

/// Nodes that are freed together.
const SPENT: usize = 32;

/// A block, a heap, or, in both fields, a segment; with neither, to be freed.
#[repr(C)]
struct Node {
    link: usize,
    block: *mut u8,
    heap: *mut u8,
}

/// Puts a block aside, to be freed after the fork. False if no thread forks any more.
#[cold]
#[inline(never)]
pub(crate) fn free(block: NonNull<u8>) -> bool {
    put(block.as_ptr(), ptr::null_mut())
}

/// Puts the heap of a thread that ends aside. False if no thread forks any more.
#[cold]
pub(crate) fn give_up(heap: *mut u8) -> bool {
    put(ptr::null_mut(), heap)
}

/// Puts a segment aside that is part of no heap. False if no thread forks any more.
#[cold]
pub(crate) fn give_back(segment: NonNull<u8>) -> bool {
    put(segment.as_ptr(), segment.as_ptr())
}

fn put(block: *mut u8, heap: *mut u8) -> bool {
    if LOCK.is_lost() {
        // No fork's end follows: the block is lost, too.
        return true;
    }
    let Some(node) = side::allocate(Node::ALIGN, size_of::<Node>()) else {
        // No memory for the node: the block is lost, which is better than to wait for the fork.
        return LOCK.is_away();
    };
    let link = 0;
    // SAFETY: a fresh block of that size and alignment; after `put` returns false it is still this
    // thread's.
    unsafe {
        node.cast::<Node>().write(Node { link, block, heap });
        let put = ASIDE.put(node.as_ptr().expose_provenance(), || LOCK.is_away());
        if !put {
            let _ = side::free(node);
        }
        put
    }
}

impl Node {
    const ALIGN: usize = align_of::<Node>();
}

/// After a fork: calls `free` with each block, `give_up` with each heap, and `give_back` with each
/// segment, that was put aside.
pub(crate) fn settle(
    free: impl Fn(NonNull<u8>),
    give_up: impl Fn(*mut u8),
    give_back: impl Fn(NonNull<u8>),
) {
    for turn in 0.. {
        // Before the list is read: what is added after this has seen the end of the fork.
        let quiet = ASIDE.is_quiet();
        let mut next = ASIDE.take_all();
        let mut spent = [NonNull::dangling(); SPENT];
        let mut count = 0;
        while let Some(node) = NonNull::new(ptr::with_exposed_provenance_mut::<u8>(next)) {
            // SAFETY: a node that `put` has added, out of the list.
            let Node { block, heap, .. } = unsafe {
                next = Aside::before(next);
                node.cast::<Node>().read()
            };
            if let Some(place) = spent.get_mut(count) {
                *place = node;
                count += 1;
            }
            if count == SPENT || next == 0 {
                free_nodes(spent.get(..count).unwrap_or_default());
                count = 0;
            }
            match NonNull::new(block) {
                Some(block) if heap.is_null() => free(block),
                Some(segment) => give_back(segment),
                None if heap.is_null() => {}
                None => give_up(heap),
            }
        }
        // A thread that forks now does the rest.
        if quiet || LOCK.is_away() {
            return;
        }
        sync::pause(turn);
    }
}

/// Frees nodes that are read. While other threads are in the side heap, which may take a time slice
/// of each thread, they go back to the list, without content, until the end of the next fork.
fn free_nodes(spent: &[NonNull<u8>]) {
    // SAFETY: nodes out of the list, which are not used any more; or this thread's until they are
    // in the list again.
    unsafe {
        if side::free_now(spent) {
            return;
        }
        for node in spent {
            node.cast::<Node>().write(Node {
                link: 0,
                block: ptr::null_mut(),
                heap: ptr::null_mut(),
            });
            ASIDE.put(node.as_ptr().expose_provenance(), || true);
        }
    }
}

/// In the child of a fork: what was put aside meanwhile is lost.
pub(crate) fn forget() {
    ASIDE.forget();
}
