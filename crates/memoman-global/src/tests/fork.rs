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
