//! The lock under loom: every interleaving of a few threads that take it, sleep on it and fork,
//! with every value that the memory model lets a load return. The library's own source of the lock
//! is compiled here once more, over loom's atomics and models of futex and mutex (`model/sync.rs`);
//! the heap behind the lock is an instance of the core, in a cell in which loom reports two threads
//! at once.
//!
//! Run: `RUSTFLAGS="--cfg loom" cargo test -p memoman-global --test lock_model`; without the flag
//! this file is empty.
#![cfg(loom)]
#![allow(
    dead_code,
    unused_imports,
    reason = "the lock uses a part of `sync.rs`"
)]

#[path = "model/explore.rs"]
mod explore;
#[path = "../src/process/lock.rs"]
mod lock;
#[path = "model/sync.rs"]
mod sync;

/// The path by which the library's sources import `sync`.
mod system {
    pub(crate) use crate::sync;
}

use explore::explore;
use lock::Lock;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use memoman_core::Tlsf;
use std::ptr::NonNull;
use sync::{AtomicU8, Futex, Mutex, Ordering};

const CONTROL: usize = Tlsf::control_size(512);

/// A heap of the core, as the process-wide allocator has one.
struct Heap {
    tlsf: UnsafeCell<Tlsf>,
    // The memory of the instance and of its pool.
    _control: Box<[usize]>,
    _pool: Box<[usize]>,
}

// SAFETY: these tests are to show that the lock keeps threads apart.
unsafe impl Sync for Heap {}
// SAFETY: loom runs its threads one at a time, on one thread of the system.
unsafe impl Send for Heap {}

impl Heap {
    fn new() -> Heap {
        let mut control = vec![0usize; CONTROL / size_of::<usize>()].into_boxed_slice();
        let mut pool = vec![0usize; 128].into_boxed_slice();
        // SAFETY: both have the sizes given, and stay in place while the heap is used.
        let tlsf = unsafe {
            let tlsf = Tlsf::create(control.as_mut_ptr().cast(), 512).unwrap();
            tlsf.add_pool(pool.as_mut_ptr().cast(), size_of_val(&*pool))
                .unwrap();
            tlsf
        };
        Heap {
            tlsf: UnsafeCell::new(tlsf),
            _control: control,
            _pool: pool,
        }
    }

    /// The work under the lock: takes blocks from the free lists and gives one back.
    fn update(&self) -> NonNull<u8> {
        self.tlsf.with_mut(|tlsf| {
            // SAFETY: the instance is live; loom fails the test if another thread is in it.
            unsafe {
                let kept = (*tlsf).malloc(40).unwrap();
                let passing = (*tlsf).malloc(100).unwrap();
                let _ = (*tlsf).free(passing).map_err(drop).unwrap();
                kept
            }
        })
    }

    fn assert_sound(&self, live_blocks: usize) {
        self.tlsf.with(|tlsf| {
            // SAFETY: the instance is live; loom fails the test if another thread is in it.
            unsafe {
                assert_eq!((*tlsf).diagnose(), None);
                assert_eq!((*tlsf).stats().live_blocks, live_blocks);
            }
        });
    }
}

struct Shared {
    lock: Lock,
    heap: Heap,
}

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        lock: Lock::new(),
        heap: Heap::new(),
    })
}

fn spawn(shared: &Arc<Shared>, work: impl FnOnce(&Shared) + 'static) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || work(&shared))
}

#[test]
fn two_threads_take_turns() {
    explore(None, || {
        let shared = shared();
        let other = spawn(&shared, |shared| {
            shared.lock.with(|| shared.heap.update());
            shared.lock.with(|| shared.heap.update());
        });
        shared.lock.with(|| shared.heap.update());
        other.join().unwrap();
        shared.lock.with(|| shared.heap.assert_sound(3));
    });
}

#[test]
fn three_threads_take_turns() {
    explore(Some(2), || {
        let shared = shared();
        let others = [(); 2].map(|()| {
            spawn(&shared, |shared| {
                shared.lock.with(|| shared.heap.update());
            })
        });
        shared.lock.with(|| shared.heap.update());
        for other in others {
            other.join().unwrap();
        }
        shared.lock.with(|| shared.heap.assert_sound(3));
    });
}

/// The mutex comes into use while another thread may be at the word.
#[test]
fn priority_inheritance_begins_under_the_lock() {
    explore(Some(3), || {
        let shared = shared();
        let other = spawn(&shared, |shared| {
            shared.lock.with(|| shared.heap.update());
        });
        shared.lock.with(|| shared.lock.inherit_priority());
        shared.lock.with(|| shared.heap.update());
        other.join().unwrap();
        shared.lock.with(|| shared.heap.assert_sound(2));
    });
}

/// A section of the other thread is over before the fork, begins after it, or is refused. The other
/// thread waits for none of the forking thread's steps: it ends while the fork is in progress.
#[test]
fn a_fork_refuses_and_never_delays() {
    for inherits in [false, true] {
        explore(Some(3), move || {
            let shared = shared();
            if inherits {
                shared.lock.with(|| shared.lock.inherit_priority());
            }
            let done = std::sync::Arc::new(loom::sync::atomic::AtomicUsize::new(0));
            let count = std::sync::Arc::clone(&done);
            let other = spawn(&shared, move |shared| {
                for _ in 0..2 {
                    let updated = shared.lock.try_with(|| shared.heap.update());
                    count.fetch_add(usize::from(updated.is_some()), Ordering::Relaxed);
                }
            });
            shared.lock.prefork();
            shared.lock.closed();
            shared.lock.with(|| shared.heap.update());
            other.join().unwrap();
            shared.lock.with(|| shared.heap.update());
            shared.lock.postfork();
            let done = done.load(Ordering::Relaxed);
            shared.lock.with(|| shared.heap.assert_sound(2 + done));
        });
    }
}

/// A section that cannot be refused waits for the end of the fork, and then runs.
#[test]
fn what_is_not_refused_runs_after_the_fork() {
    explore(Some(3), || {
        let shared = shared();
        let other = spawn(&shared, |shared| {
            shared.lock.with(|| shared.heap.update());
        });
        shared.lock.prefork();
        // Fork handlers of other libraries allocate while the lock is held: the forking thread
        // takes it again. A fork handler may fork.
        shared.lock.with(|| shared.heap.update());
        shared.lock.prefork();
        shared.lock.postfork();
        shared.lock.with(|| shared.heap.update());
        shared.lock.postfork();
        shared.lock.with(|| shared.heap.update());
        other.join().unwrap();
        shared.lock.with(|| shared.heap.assert_sound(4));
    });
}

/// Two sections wait for the end of the fork, which wakes one of them.
#[test]
fn every_sleeper_wakes_after_the_fork() {
    explore(Some(2), || {
        let shared = shared();
        shared.lock.prefork();
        let others = [(); 2].map(|()| {
            spawn(&shared, |shared| {
                shared.lock.with(|| shared.heap.update());
            })
        });
        shared.lock.postfork();
        others.into_iter().for_each(|other| other.join().unwrap());
        shared.lock.with(|| shared.heap.assert_sound(2));
    });
}

/// The end of a fork leaves the wake to the lookout, which may be about to leave.
#[test]
fn the_lookout_wakes_the_sleepers() {
    explore(Some(3), || {
        let shared = shared();
        shared.lock.prefork();
        let lookout = spawn(&shared, |shared| shared.lock.look_out());
        let sleeper = spawn(&shared, |shared| {
            shared.lock.with(|| shared.heap.update());
        });
        shared.lock.postfork();
        lookout.join().unwrap();
        sleeper.join().unwrap();
        shared.lock.with(|| shared.heap.assert_sound(1));
    });
}

#[test]
fn two_threads_fork() {
    explore(Some(3), || {
        let shared = shared();
        let fork = |shared: &Shared| {
            shared.lock.prefork();
            shared.lock.with(|| shared.heap.update());
            shared.lock.postfork();
        };
        let other = spawn(&shared, fork);
        fork(&shared);
        other.join().unwrap();
        shared.lock.with(|| shared.heap.assert_sound(2));
    });
}

/// Two threads sleep on the lock when a fork begins that interrupts the section they wait for.
#[test]
fn a_fork_wakes_every_sleeper() {
    explore(Some(2), || {
        let shared = shared();
        let taken = shared.lock.take().unwrap();
        let others = [(); 2].map(|()| {
            spawn(&shared, |shared| {
                shared.lock.try_with(|| shared.heap.update());
            })
        });
        shared.lock.prefork();
        shared.lock.closed();
        assert!(shared.lock.is_nested());
        assert_eq!(shared.lock.try_with(|| ()), None);
        for other in others {
            other.join().unwrap();
        }
        shared.lock.postfork();
        shared.heap.update();
        shared.lock.put_back(taken);
        shared.lock.with(|| shared.heap.assert_sound(1));
    });
}

/// The child is the forking thread alone, with the memory as the other threads had left it.
#[test]
fn the_child_finds_the_lock_usable() {
    explore(Some(3), || {
        let shared = shared();
        let other = spawn(&shared, |shared| {
            shared.lock.with(|| shared.heap.update());
        });
        other.join().unwrap();
        shared.lock.prefork();
        shared.lock.with(|| shared.heap.update());
        shared.lock.postfork_child(false);
        shared.lock.with(|| shared.heap.update());
        // The child may have threads and children of its own.
        let other = spawn(&shared, |shared| {
            shared.lock.with(|| shared.heap.update());
        });
        shared.lock.prefork();
        shared.lock.postfork();
        other.join().unwrap();
        shared.lock.with(|| shared.heap.assert_sound(4));
    });
}

// The model reports the faults that it is there to find.

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_an_update_behind_the_unlock() {
    explore(None, || {
        let shared = shared();
        let other = spawn(&shared, |shared| {
            shared.lock.with(|| ());
            shared.heap.update();
        });
        shared.lock.with(|| shared.heap.update());
        other.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_a_mutex_that_is_published_without_order() {
    explore(None, || {
        let shared = Arc::new((AtomicU8::new(0), Mutex::new()));
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // SAFETY: the other thread uses the mutex only after it reads 1.
                unsafe { shared.1.init() };
                shared.0.store(1, Ordering::Relaxed);
            })
        };
        if shared.0.load(Ordering::Acquire) == 1 {
            // SAFETY: it seems initialised; loom reports that the order is missing.
            unsafe { shared.1.lock() };
        }
        other.join().unwrap();
    });
}

/// A release that changes the word and wakes no sleeper.
#[test]
#[should_panic(expected = "deadlock")]
fn notices_a_sleeper_that_is_never_woken() {
    explore(None, || {
        let word: &'static Futex = Box::leak(Box::new(Futex::new(1)));
        let other = thread::spawn(|| {
            while word.load(Ordering::Acquire) == 1 {
                word.wait(1);
            }
        });
        word.swap(0, Ordering::Release);
        other.join().unwrap();
    });
}

/// The thread that a section would wait for waits for that section.
#[test]
#[should_panic(expected = "deadlock")]
fn notices_a_section_that_waits_for_a_fork() {
    explore(Some(2), || {
        // Never dropped: loom's objects cannot be while it reports a deadlock.
        let lock: &'static Lock = Box::leak(Box::new(Lock::new()));
        let other = thread::spawn(|| lock.with(|| ()));
        lock.prefork();
        other.join().unwrap();
        lock.postfork();
    });
}
