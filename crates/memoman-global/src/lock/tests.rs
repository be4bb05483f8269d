//! The lock on real threads.

use super::Lock;
use core::cell::UnsafeCell;
use std::boxed::Box;
use std::thread;
use std::vec::Vec;

#[test]
fn excludes_other_threads_from_the_first_use_on() {
    let lock: &'static Lock = Box::leak(Box::new(Lock::new()));
    struct Counter(UnsafeCell<usize>);
    // SAFETY: touched under the lock only.
    unsafe impl Sync for Counter {}
    let counter: &'static Counter = Box::leak(Box::new(Counter(UnsafeCell::new(0))));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                for _ in 0..10_000 {
                    // SAFETY: under the lock.
                    lock.with(|| unsafe { *counter.0.get() += 1 });
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    // SAFETY: all threads are gone.
    assert_eq!(unsafe { *counter.0.get() }, 40_000);
}

#[test]
fn the_forking_thread_enters_again_and_the_child_side_is_usable() {
    let lock = Lock::new();
    lock.prefork();
    assert_eq!(lock.with(|| lock.with(|| 7)), 7);
    lock.postfork_child();
    assert_eq!(lock.with(|| 8), 8);
    lock.prefork();
    lock.postfork_parent();
    assert_eq!(lock.with(|| 9), 9);
}
