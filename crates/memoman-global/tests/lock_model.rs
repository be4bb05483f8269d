//! The lock under loom: every order in which a few threads can meet at its first use, at its later ones and around a
//! fork, with every value that the memory model lets a load see. The lock's own source is compiled here once more, over
//! loom's atomics and a model of the mutex (`src/sync.rs`); the heap behind it is a real one of the core, in a cell in which
//! loom reports two threads at once.
//!
//! Run: `RUSTFLAGS="--cfg loom" cargo test -p memoman-global --test lock_model`; without the flag there is nothing here.
#![cfg(loom)]
#![allow(
    dead_code,
    unused_imports,
    reason = "the lock is made of a part of `sync.rs`"
)]

#[path = "../src/lock.rs"]
mod lock;
#[path = "../src/sync.rs"]
mod sync;

use lock::Lock;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use memoman_debug::allocator::Tlsf;
use std::ptr::NonNull;
use sync::{AtomicU8, Mutex, Ordering};

const CONTROL: usize = Tlsf::control_size(512);

/// A heap of the core, as the process-wide allocator has one.
struct Heap {
    tlsf: UnsafeCell<Tlsf>,
    // The words that the heap lies in.
    _control: Box<[usize]>,
    _pool: Box<[usize]>,
}

// SAFETY: that the lock keeps threads apart is what these tests are about.
unsafe impl Sync for Heap {}
// SAFETY: as above; loom's threads are one thread of the system.
unsafe impl Send for Heap {}

impl Heap {
    fn new() -> Heap {
        let mut control = vec![0usize; CONTROL / size_of::<usize>()].into_boxed_slice();
        let mut pool = vec![0usize; 128].into_boxed_slice();
        // SAFETY: both are as large as said, and stay where they are while the heap is used.
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

    /// What happens under the lock: blocks are taken from the free lists and given back to them.
    fn update(&self) -> NonNull<u8> {
        self.tlsf.with_mut(|tlsf| {
            // SAFETY: live, and nobody else is here, or loom ends the test.
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
            // SAFETY: as above.
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

fn explore(model: impl Fn() + Send + Sync + 'static) {
    loom::model::Builder::new().check(model);
}

#[test]
fn two_threads_race_for_the_first_use() {
    explore(|| {
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
    let more: usize = std::env::var("MEMOMAN_PREEMPTIONS").map_or(0, |more| more.parse().unwrap());
    let mut builder = loom::model::Builder::new();
    // Every order with up to this many switches away from a thread that could go on, and as many more as the variable says.
    builder.preemption_bound = Some(2 + more);
    builder.check(|| {
        let shared = shared();
        // Made before they meet: two that spin for a third one have no end of orders.
        shared.lock.with(|| ());
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

#[test]
fn the_parent_keeps_others_out_until_it_releases() {
    explore(|| {
        let shared = shared();
        let other = spawn(&shared, |shared| {
            shared.lock.with(|| shared.heap.update());
        });
        shared.lock.prefork();
        // Handlers of other libraries allocate while the lock is held: the forking thread enters again.
        shared.lock.with(|| shared.heap.update());
        shared.lock.with(|| shared.heap.update());
        shared.lock.postfork_parent();
        shared.lock.with(|| shared.heap.update());
        other.join().unwrap();
        shared.lock.with(|| shared.heap.assert_sound(4));
    });
}

/// The child is the forking thread alone, with the memory as it was: whatever the others had done by then.
#[test]
fn the_child_finds_the_lock_usable() {
    explore(|| {
        let shared = shared();
        let other = spawn(&shared, |shared| {
            shared.lock.with(|| shared.heap.update());
        });
        other.join().unwrap();
        shared.lock.prefork();
        shared.lock.with(|| shared.heap.update());
        shared.lock.postfork_child();
        shared.lock.with(|| shared.heap.update());
        // It may have threads and children of its own.
        let other = spawn(&shared, |shared| {
            shared.lock.with(|| shared.heap.update());
        });
        shared.lock.prefork();
        shared.lock.postfork_parent();
        other.join().unwrap();
        shared.lock.with(|| shared.heap.assert_sound(4));
    });
}

// That the model sees what it is there to see.

#[test]
#[should_panic(expected = "Causality violation")]
fn notices_an_update_behind_the_unlock() {
    explore(|| {
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
    explore(|| {
        let shared = Arc::new((AtomicU8::new(0), Mutex::new()));
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // SAFETY: the other thread waits for the word below.
                unsafe { shared.1.init() };
                shared.0.store(1, Ordering::Relaxed);
            })
        };
        if shared.0.load(Ordering::Acquire) == 1 {
            // SAFETY: made, as it seems.
            unsafe { shared.1.lock() };
        }
        other.join().unwrap();
    });
}
