//! `fork` while another thread holds the lock.

use crate::process::lock::LOCK;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn a_fork_waits_for_the_holder_of_the_lock() {
    static HELD: AtomicBool = AtomicBool::new(false);
    static DONE: AtomicBool = AtomicBool::new(false);
    // The first use registers the handlers.
    assert!(!crate::imp::malloc(1).is_null());
    let holder = thread::spawn(|| {
        LOCK.with(|| {
            HELD.store(true, Ordering::SeqCst);
            // Longer than a fork takes that does not wait; one that waits sees the end in any case.
            thread::sleep(Duration::from_millis(300));
            DONE.store(true, Ordering::SeqCst);
        });
    });
    while !HELD.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    // SAFETY: the child ends at once.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            libc::_exit(i32::from(!DONE.load(Ordering::SeqCst)));
        }
        let mut status = -1;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert_eq!(status, 0, "forked in the middle of a call");
    }
    holder.join().unwrap();
    // Released in the parent: another thread enters.
    thread::spawn(|| LOCK.with(|| ())).join().unwrap();
}

#[test]
#[cfg(not(memoman_debug))]
fn misuse_is_reported_while_another_thread_forks() {
    use crate::allocator::Misuse;
    use crate::process::{heap, misuse};
    use core::ffi::{c_char, c_void};

    static FORKS: AtomicBool = AtomicBool::new(false);
    static REPORTED: AtomicBool = AtomicBool::new(false);
    unsafe extern "C" fn note(_: *const c_char, _: *const c_void, _: *mut c_void) {
        REPORTED.store(true, Ordering::SeqCst);
    }
    let tlsf = heap::instance().unwrap();
    // SAFETY: the instance is live, and the handler has no precondition.
    unsafe { tlsf.set_misuse_handler(Some(note), std::ptr::null_mut()) };
    let forking = thread::spawn(|| {
        LOCK.prefork();
        LOCK.closed();
        FORKS.store(true, Ordering::SeqCst);
        // As in a fork handler that waits for a mutex of the other thread.
        let mut turns = 0;
        while !REPORTED.load(Ordering::SeqCst) && turns < 5000 {
            thread::sleep(Duration::from_millis(1));
            turns += 1;
        }
        LOCK.postfork();
        turns < 5000
    });
    while !FORKS.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    misuse::report_global(Misuse::Foreign, &raw const FORKS as *const u8);
    assert!(forking.join().unwrap(), "the report waits for the fork");
    // SAFETY: as above.
    unsafe { tlsf.set_misuse_handler(None, std::ptr::null_mut()) };
}

/// The other threads are in the side heap, and lose their processor there.
#[test]
#[cfg(not(memoman_debug))]
fn the_end_of_a_fork_waits_for_no_thread_in_the_side_heap() {
    use super::support::quietly;
    use crate::process::{later, side};
    use core::ptr::NonNull;

    let name = "the_end_of_a_fork_waits_for_no_thread_in_the_side_heap";
    quietly(name, &[], || {
        static HELD: AtomicBool = AtomicBool::new(false);
        static DONE: AtomicBool = AtomicBool::new(false);
        let freed = || {
            let count = core::cell::Cell::new(0);
            later::settle(|_| count.set(count.get() + 1), |_| (), |_| ());
            count.get()
        };
        LOCK.prefork();
        LOCK.closed();
        let aside = thread::spawn(|| (0..100).all(|_| later::free(NonNull::dangling())));
        assert!(aside.join().unwrap());
        LOCK.postfork();
        let other = thread::spawn(|| {
            side::in_use(|| {
                HELD.store(true, Ordering::SeqCst);
                let mut turns = 0;
                while !DONE.load(Ordering::SeqCst) && turns < 5000 {
                    thread::sleep(Duration::from_millis(1));
                    turns += 1;
                }
                turns < 5000
            })
        });
        while !HELD.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        assert_eq!(freed(), 100);
        DONE.store(true, Ordering::SeqCst);
        assert!(other.join().unwrap(), "it waits");
        // The nodes alone are left.
        assert_eq!(freed(), 0);
    });
}

/// To look at other heaps may sleep, and releases pages.
#[test]
#[cfg(not(memoman_debug))]
fn the_end_of_a_fork_looks_at_no_other_heap() {
    use super::support::quietly;
    use crate::imp::{free, malloc};
    use crate::process::later;
    use crate::thread::lifetime;
    use core::ptr::{self, NonNull};
    use core::sync::atomic::AtomicUsize;
    use std::vec::Vec;

    const BLOCKS: usize = 600;
    let name = "the_end_of_a_fork_looks_at_no_other_heap";
    quietly(name, &[], || {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        static FREED: AtomicBool = AtomicBool::new(false);
        // SAFETY: a live block, and the calling thread's heap.
        let sent = || unsafe {
            free(malloc(1));
            (*lifetime::current().heap()).sent.blocks
        };
        assert_eq!(sent(), 0);
        let owner = thread::spawn(|| {
            let blocks: Vec<_> = (0..BLOCKS).map(|_| malloc(1000)).collect();
            assert!(blocks.iter().all(|block| !block.is_null()));
            let first = blocks.as_ptr().expose_provenance();
            TAKEN.store(first, Ordering::SeqCst);
            while !FREED.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        while TAKEN.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        LOCK.prefork();
        LOCK.closed();
        let aside = thread::spawn(|| {
            let blocks: *const *mut u8 = ptr::with_exposed_provenance(TAKEN.load(Ordering::SeqCst));
            // SAFETY: the owner keeps its array until FREED.
            (0..BLOCKS).all(|at| unsafe { later::free(NonNull::new_unchecked(*blocks.add(at))) })
        });
        assert!(aside.join().unwrap());
        LOCK.postfork();
        // SAFETY: the child ends at once.
        unsafe {
            let child = libc::fork();
            assert!(child >= 0);
            if child == 0 {
                libc::_exit(0);
            }
            assert_eq!(libc::waitpid(child, ptr::null_mut(), 0), child);
        }
        // A look begins the count anew.
        let sent = sent();
        FREED.store(true, Ordering::SeqCst);
        owner.join().unwrap();
        assert_eq!(sent, BLOCKS);
    });
}

/// As in a signal handler that has interrupted a section of the lock: the process forks twice in
/// it, and its first child, which is in the section too, once.
#[test]
#[cfg(not(memoman_debug))]
fn two_forks_in_one_section_leave_every_process_its_heaps() {
    use super::support::quietly;
    use crate::imp::{free, malloc};
    use crate::process::map;
    use core::sync::atomic::AtomicUsize;
    use std::vec::Vec;

    let name = "two_forks_in_one_section_leave_every_process_its_heaps";
    quietly(name, &[], || {
        static ADDRESS: AtomicUsize = AtomicUsize::new(0);
        static DONE: AtomicBool = AtomicBool::new(false);
        let other = thread::spawn(|| {
            ADDRESS.store(malloc(1000).expose_provenance(), Ordering::SeqCst);
            while !DONE.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        while ADDRESS.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let theirs = ADDRESS.load(Ordering::SeqCst);
        assert!(!malloc(1).is_null());
        let mut children = Vec::with_capacity(2);
        let mut is_child = false;
        LOCK.with(|| {
            for _ in 0..2 {
                // SAFETY: the child goes on as its parent does, and ends below.
                let child = unsafe { libc::fork() };
                assert!(child >= 0);
                is_child |= child == 0;
                if child == 0 {
                    children.clear();
                } else {
                    children.push(child);
                }
                // Not from the lock's instance, which is in the middle of a change.
                let block = malloc(200 << 10);
                assert!(!block.is_null());
                // SAFETY: a live block.
                unsafe { free(block) };
            }
        });
        for bytes in [100, 100 << 10, 1 << 20] {
            let blocks: Vec<_> = (0..20).map(|_| malloc(bytes)).collect();
            assert!(blocks.iter().all(|block| !block.is_null()));
            // SAFETY: live blocks.
            blocks.into_iter().for_each(|block| unsafe { free(block) });
        }
        if is_child {
            // A new thread takes the heap of the thread that this process lacks.
            let block = thread::spawn(|| malloc(1000).expose_provenance());
            let owner = |address| map::owner_outlined(address);
            assert_eq!(owner(block.join().unwrap()), owner(theirs));
        }
        // SAFETY: a live block.
        unsafe { free(core::ptr::with_exposed_provenance_mut(theirs)) };
        for child in children {
            let mut status = -1;
            // SAFETY: writes the status.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
        if is_child {
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) };
        }
        DONE.store(true, Ordering::SeqCst);
        other.join().unwrap();
    });
}
