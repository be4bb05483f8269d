//! The lock on real threads.

use crate::process::lock::{Lock, MAKING, READY};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU8, Ordering};
use std::boxed::Box;
use std::thread;
use std::vec::Vec;

#[test]
fn excludes_other_threads_from_the_first_use_on() {
    let lock: &'static Lock = Box::leak(Box::new(Lock::new()));
    struct Counter(UnsafeCell<usize>);
    // SAFETY: accessed under the lock only.
    unsafe impl Sync for Counter {}
    let counter: &'static Counter = Box::leak(Box::new(Counter(UnsafeCell::new(0))));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                for _ in 0..10_000 {
                    // SAFETY: the lock is held.
                    lock.with(|| unsafe { *counter.0.get() += 1 });
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    // SAFETY: all threads have ended.
    assert_eq!(unsafe { *counter.0.get() }, 40_000);
}

#[test]
fn the_forking_thread_takes_the_lock_again_and_the_child_can_use_it() {
    let lock = Lock::new();
    lock.prefork();
    assert_eq!(lock.with(|| lock.with(|| 7)), 7);
    lock.postfork_child();
    assert_eq!(lock.with(|| 8), 8);
    lock.prefork();
    lock.postfork_parent();
    assert_eq!(lock.with(|| 9), 9);
}

/// Another thread takes the lock only after `release`.
fn waits_for(lock: &'static Lock, release: impl FnOnce()) {
    let entered: &'static AtomicU8 = Box::leak(Box::new(AtomicU8::new(0)));
    let other = thread::spawn(|| lock.with(|| entered.store(1, Ordering::SeqCst)));
    thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(entered.load(Ordering::SeqCst), 0);
    release();
    other.join().unwrap();
    assert_eq!(entered.load(Ordering::SeqCst), 1);
}

#[test]
fn other_threads_wait_until_the_fork_is_over() {
    let lock: &'static Lock = Box::leak(Box::new(Lock::new()));
    lock.prefork();
    waits_for(lock, || lock.postfork_parent());
}

#[test]
fn other_threads_wait_until_the_mutex_is_initialised() {
    let lock: &'static Lock = Box::leak(Box::new(Lock::new()));
    lock.state.store(MAKING, Ordering::Release);
    waits_for(lock, || {
        // SAFETY: no thread uses the mutex before READY.
        unsafe { lock.mutex.init() };
        lock.state.store(READY, Ordering::Release);
    });
}

#[test]
fn a_thread_waits_for_a_held_lock_after_its_tries() {
    let lock: &'static Lock = Box::leak(Box::new(Lock::new()));
    for _ in 0..2 {
        lock.with(|| ());
    }
    assert!(!lock.contended.load(Ordering::Relaxed));
    let taken = lock.take();
    waits_for(lock, || {
        // The other thread may start late.
        while !lock.contended.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        lock.put_back(taken);
    });
    // From here on a thread tries before it sleeps.
    let taken = lock.take();
    assert!(taken && !lock.try_to_take());
    waits_for(lock, || lock.put_back(taken));
    assert!(!lock.held.load(Ordering::Relaxed));
    assert!(lock.try_to_take());
    lock.put_back(true);
}
