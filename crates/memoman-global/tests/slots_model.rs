//! The slots of kept mappings under loom: which thread gets a mapping, and that its contents come
//! with it. The library's own sources are compiled here once more, over loom's atomics
//! (`model/sync.rs`); a mapping's contents lie in a cell in which loom reports two accesses that
//! are not ordered.
//!
//! Run: `RUSTFLAGS="--cfg loom" cargo test -p memoman-global --test slots_model`; without the flag
//! this file is empty.
#![cfg(loom)]
#![allow(dead_code, reason = "the model uses a part of each source")]

#[path = "../src/process/mapping_slots.rs"]
mod mapping_slots;
#[path = "../src/process/mapping_word.rs"]
mod mapping_word;
#[path = "model/sync.rs"]
mod sync;

/// The paths by which the library's sources import each other.
mod system {
    pub(crate) use crate::sync;
}
mod process {
    pub(crate) mod map {
        pub(crate) enum Owner {}
        pub(crate) const UNIT: usize = 1 << 14;
    }
    pub(crate) use crate::{mapping_slots, mapping_word};
}

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use mapping_slots::Slots;
use mapping_word::Mapping;
use sync::{AtomicUsize, Ordering};

const BYTES: usize = 1 << 20;

/// Two mappings' contents: the owner of a mapping may write to it.
struct Memory([UnsafeCell<usize>; 2]);

impl Memory {
    fn new() -> Memory {
        Memory([UnsafeCell::new(0), UnsafeCell::new(0)])
    }

    fn write(&self, mapping: Mapping) {
        let index = mapping.start / BYTES - 1;
        // SAFETY: loom fails the test if another thread accesses the contents meanwhile.
        self.0[index].with_mut(|contents| unsafe { *contents += 1 });
    }
}

fn nth(index: usize) -> Mapping {
    Mapping {
        start: (index + 1) * BYTES,
        bytes: BYTES,
    }
}

/// Each thread takes what there is, uses it and puts it back; at the end all is there once, or was
/// returned to one thread.
fn takes_and_puts(threads: usize) {
    loom::model(move || {
        let shared = Arc::new((Slots::new(), Memory::new()));
        for index in 0..2 {
            shared.1.write(nth(index));
            assert_eq!(shared.0.put(nth(index)), None);
        }
        let run = |shared: Arc<(Slots, Memory)>| {
            move || {
                let mapping = shared.0.take(BYTES, None)?;
                shared.1.write(mapping);
                // (A slot just emptied may look full.)
                shared.0.put(mapping)
            }
        };
        let others: Vec<_> = (1..threads)
            .map(|_| thread::spawn(run(shared.clone())))
            .collect();
        let mut found: Vec<_> = run(shared.clone())().into_iter().collect();
        for other in others {
            found.extend(other.join().unwrap());
        }
        while let Some(mapping) = shared.0.take(0, None) {
            found.push(mapping);
        }
        found.sort_by_key(|mapping| mapping.start);
        assert_eq!(found, [nth(0), nth(1)]);
        shared.1.write(nth(0));
        shared.1.write(nth(1));
    });
}

#[test]
fn a_mapping_has_one_taker_who_sees_what_was_written() {
    takes_and_puts(2);
}

#[test]
fn a_neighbour_is_taken_once() {
    loom::model(|| {
        let shared = Arc::new((Slots::new(), Memory::new()));
        shared.1.write(nth(1));
        assert_eq!(shared.0.put(nth(1)), None);
        let run = |shared: Arc<(Slots, Memory)>| {
            move || {
                let beside = shared.0.take_beside(nth(0));
                if let Some(mapping) = beside {
                    shared.1.write(mapping);
                }
                beside.is_some()
            }
        };
        let other = thread::spawn(run(shared.clone()));
        let mine = run(shared.clone())();
        assert!(mine != other.join().unwrap());
    });
}

#[test]
fn a_full_house_gives_the_smaller_one_to_one_thread() {
    loom::model(|| {
        let slots = Arc::new(Slots::new());
        for start in [1, 2] {
            let small = Mapping {
                start: start << 30,
                bytes: 1 << 14,
            };
            assert_eq!(slots.put(small), None);
        }
        let run = |slots: Arc<Slots>, index| move || slots.put(nth(index));
        let other = thread::spawn(run(slots.clone(), 0));
        let mine = run(slots.clone(), 1)();
        let given = [mine, other.join().unwrap()];
        // No mapping is lost: what was put back and what is in the slots are the four.
        let mut all: Vec<_> = given.into_iter().flatten().collect();
        while let Some(mapping) = slots.take(0, None) {
            all.push(mapping);
        }
        all.sort_by_key(|mapping| mapping.start);
        all.dedup();
        assert_eq!(all.len(), 4);
    });
}

/// A slot that is emptied by a load and a store: two threads get the same mapping.
#[test]
#[should_panic]
fn self_test_a_slot_emptied_without_an_exchange_is_found() {
    loom::model(|| {
        let shared = Arc::new((AtomicUsize::new(1), Memory::new()));
        let run = |shared: Arc<(AtomicUsize, Memory)>| {
            move || {
                if shared.0.load(Ordering::Acquire) == 1 {
                    shared.0.store(0, Ordering::Release);
                    shared.1.write(nth(0));
                }
            }
        };
        let other = thread::spawn(run(shared.clone()));
        run(shared)();
        other.join().unwrap();
    });
}
