//! The answer against brute force: every size of pool, for small random runs.

use super::size::{Bench, QUANTUM, smallest};
use super::{advise, split, text};
use crate::calls::{Call, Calls, Core, What, run};
use crate::heap::{FIRST_PAYLOAD, Memory, PoolHeap};
use proptest::prelude::*;

/// What a random run calls.
#[derive(Clone, Copy, Debug)]
struct Mix {
    realloc: bool,
    memalign: bool,
    largest: u64,
}

/// Calls from random numbers.
fn calls(numbers: &[(u16, u16)], mix: Mix) -> Calls {
    let mut calls = Calls {
        threads: 1,
        ..Calls::default()
    };
    let mut live: Vec<u32> = Vec::new();
    for &(what, number) in numbers {
        let size = 1 + u64::from(number) * 7919 % mix.largest;
        let (what, block, align) = match what % 10 {
            0..4 if !live.is_empty() => {
                let block = live.swap_remove(number as usize % live.len());
                (What::Free, block, 0)
            }
            4..6 if mix.realloc && !live.is_empty() => {
                (What::Realloc, live[number as usize % live.len()], 0)
            }
            kind => {
                let block = calls.blocks;
                calls.blocks += 1;
                live.push(block);
                if mix.memalign && kind == 6 {
                    (What::Memalign, block, 5 + (number % 5) as u8)
                } else {
                    (What::Malloc, block, 0)
                }
            }
        };
        let size = if what == What::Free { 0 } else { size };
        let thread = 0;
        calls.list.push(Call {
            size,
            block,
            thread,
            what,
            align,
        });
        calls.times.push(calls.times.len() as u64);
    }
    calls.count();
    calls
}

/// Whether a pool serves the calls.
fn serves(calls: &Calls, memory: &mut Memory, bytes: usize) -> bool {
    let Some(heap) = PoolHeap::new(memory, calls.facts.max_block as usize, 0, bytes) else {
        return false;
    };
    let mut slots = vec![Default::default(); calls.blocks as usize];
    run(&calls.list, &mut Core::new(heap), &mut slots).is_none()
}

/// Sizes up to `most` that serve, by trying them all.
fn brute_force(calls: &Calls, most: usize) -> Vec<usize> {
    let mut memory = Memory::reserve(most + 4096).unwrap();
    let least = FIRST_PAYLOAD + 2 * QUANTUM;
    (least..=most)
        .step_by(QUANTUM)
        .filter(|&bytes| serves(calls, &mut memory, bytes))
        .collect()
}

fn found(calls: &Calls) -> super::size::Smallest {
    smallest(&mut Bench::new(calls).unwrap(), &mut || {}).unwrap()
}

fn numbers() -> impl Strategy<Value = Vec<(u16, u16)>> {
    prop::collection::vec(any::<(u16, u16)>(), 20..160)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..Default::default()
    })]

    /// Plain requests below the sizes that are cut to a bin's edge: the footprint is the answer,
    /// and it is the smallest.
    #[test]
    fn plain_requests_have_their_smallest_pool(numbers in numbers()) {
        let mix = Mix { realloc: false, memalign: false, largest: 600 };
        let calls = calls(&numbers, mix);
        prop_assume!(calls.blocks > 0);
        let found = found(&calls);
        prop_assert_eq!(found.pool, found.footprint);
        let sizes = brute_force(&calls, found.footprint + 512);
        prop_assert_eq!(sizes.first(), Some(&found.pool));
        prop_assert_eq!(found.above_refused, 0);
    }

    /// With everything: the answer serves, and none of the sizes that it claims were refused does.
    #[test]
    fn the_answer_serves_and_its_neighbours_are_as_stated(
        numbers in numbers(),
        realloc in any::<bool>(),
        memalign in any::<bool>(),
    ) {
        let calls = calls(&numbers, Mix { realloc, memalign, largest: 6000 });
        prop_assume!(calls.blocks > 0);
        let found = found(&calls);
        let sizes = brute_force(&calls, found.pool.max(found.footprint) + 512);
        prop_assert!(sizes.contains(&found.pool));
        for near in 1..=found.below {
            prop_assert!(!sizes.contains(&(found.pool - near * QUANTUM)));
        }
    }
}

/// How often the answer is the very smallest, over runs of all kinds: almost always.
#[test]
fn nearly_always_it_is_the_smallest_of_all() {
    let mut random = 1u64;
    let mut next = || {
        random = random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((random >> 48) as u16, (random >> 32) as u16)
    };
    let (mut runs, mut smallest, mut worst) = (0, 0, 1.0f64);
    for round in 0..60 {
        let numbers: Vec<_> = (0..40 + round * 2).map(|_| next()).collect();
        let mix = Mix {
            realloc: round % 2 == 0,
            memalign: round % 3 == 0,
            largest: 3000,
        };
        let calls = calls(&numbers, mix);
        let found = found(&calls);
        let first = brute_force(&calls, found.pool)[0];
        runs += 1;
        smallest += usize::from(first == found.pool);
        worst = worst.max(found.pool as f64 / first as f64);
    }
    println!("{smallest} of {runs} the smallest of all, at worst {worst:.3} times it");
    assert!(smallest * 10 >= runs * 8, "{smallest} of {runs}");
    assert!(worst < 1.25);
}

/// The whole heap is sound after each call of a repeated run.
#[test]
fn the_repeated_heap_stays_sound() {
    let numbers: Vec<(u16, u16)> = (0..400u32)
        .map(|n| ((n * 7 + n / 3) as u16, (n * n) as u16))
        .collect();
    let calls = calls(
        &numbers,
        Mix {
            realloc: true,
            memalign: true,
            largest: 5000,
        },
    );
    let mut memory = Memory::reserve(1 << 22).unwrap();
    let mut slots = vec![Default::default(); calls.blocks as usize];
    for end in 1..=calls.list.len() {
        let max_block = calls.facts.max_block as usize;
        let heap = PoolHeap::new(&mut memory, max_block, 0, 1 << 22).unwrap();
        let mut core = Core::new(heap);
        assert_eq!(run(&calls.list[..end], &mut core, &mut slots), None);
        assert!(core.heap.is_sound());
    }
}

/// Small blocks that outlive large ones between them: two pools take less than one.
#[test]
fn two_pools_are_advised_where_they_pay() {
    let mut calls = Calls {
        threads: 1,
        ..Calls::default()
    };
    let mut push = |block, size, what| {
        calls.list.push(Call {
            size,
            block,
            thread: 0,
            what,
            align: 0,
        });
        calls.times.push(0);
    };
    for n in 0..200 {
        push(2 * n, 32, What::Malloc);
        push(2 * n + 1, 1000, What::Malloc);
    }
    for n in 0..200 {
        push(2 * n + 1, 0, What::Free);
    }
    for n in 0..150 {
        push(400 + n, 1300, What::Malloc);
    }
    calls.blocks = 550;
    calls.count();
    let advice = advise(&calls).unwrap();
    let split = advice.split.unwrap();
    assert!(advice.split_pays, "{split:?} {}", advice.served);
    assert!((32..=1024).contains(&split.at), "{split:?}");
    assert_eq!(split::rows(&calls).len(), 3);
    let report = text::report(&advice);
    for words in [
        "Two pools take less",
        "Your pool: ",
        "mm_create_for(",
        "median life",
    ] {
        assert!(report.contains(words), "{words}\n{report}");
    }
    assert!(advice.pool as f64 >= advice.served as f64 * 1.05);
}
