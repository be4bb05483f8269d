//! Every allocator of the build serves the same calls; the figures are those of the runs.

use clap::ValueEnum;

use super::allocators::has;
use super::{Name, replay};
use crate::calls::{Call, Calls, What};

/// One call more, a microsecond after the one before.
fn push(calls: &mut Calls, block: u32, size: u64, what: What) {
    calls.list.push(Call {
        size,
        block,
        thread: 0,
        what,
        align: 0,
    });
    calls.times.push(1000 * calls.times.len() as u64);
}

fn calls() -> Calls {
    let mut calls = Calls {
        threads: 1,
        ..Calls::default()
    };
    let mut push = |block, size, what| push(&mut calls, block, size, what);
    for n in 0..300u32 {
        push(n, 1 + u64::from(n * 37 % 900), What::Malloc);
        if n % 3 == 2 {
            push(n - 1, 2000, What::Realloc);
            push(n - 2, 0, What::Free);
        }
    }
    calls.blocks = 300;
    calls.count();
    calls
}

#[test]
fn every_allocator_serves_the_calls() {
    let with: Vec<Name> = Name::value_variants()
        .iter()
        .copied()
        .filter(|n| has(*n))
        .collect();
    assert!(with.len() >= 2);
    let calls = calls();
    let result = replay(&calls, &with, None, 1).unwrap();
    for row in &result.rows {
        assert!(row.refused.is_none(), "{:?}", row.allocator);
        assert!(row.ns_per_call > 0.0);
        if row.allocator != Name::Glibc {
            assert!(
                row.footprint.unwrap() >= calls.facts.peak_live,
                "{:?}",
                row.allocator
            );
        }
    }
    assert!(result.worst.is_some() != result.no_worst.is_some());
    if let Some(worst) = result.worst {
        assert!(
            worst.instructions > 10 && worst.instructions < 10_000,
            "{worst:?}"
        );
    }
}

/// Calls that copy much do not keep the others from being counted; that a count has ended early is
/// said.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn long_copies_leave_the_other_calls_counted() {
    let mut calls = Calls {
        threads: 1,
        blocks: 400,
        ..Calls::default()
    };
    let mut push = |block, size, what| push(&mut calls, block, size, what);
    // Two blocks that move past each other, each time with all that they hold.
    for n in 0..100 {
        push(2 * n, 30_000, What::Malloc);
        push(2 * n + 1, 16, What::Malloc);
        push(2 * n, 60_000, What::Realloc);
    }
    for n in 0..100 {
        push(2 * n + 1, 0, What::Free);
    }
    calls.count();
    let result = replay(&calls, &[Name::Memoman], None, 1).unwrap();
    let Some(worst) = result.worst else {
        assert!(result.no_worst.is_some());
        return;
    };
    if worst.counted < calls.list.len() {
        assert_eq!(worst.counted, 3 * 25, "{worst:?}");
        assert!(worst.at_least, "{worst:?}");
    }
}

/// A pool of the footprint serves; in half of it the first refusal is named.
#[test]
fn a_pool_that_is_too_small_refuses() {
    let calls = calls();
    let footprint = replay(&calls, &[Name::Memoman], None, 1).unwrap().rows[0].footprint;
    let enough = replay(&calls, &[Name::Memoman], footprint, 1).unwrap();
    assert!(enough.rows[0].refused.is_none());
    let half = replay(&calls, &[Name::Memoman], footprint.map(|f| f / 2), 1).unwrap();
    let refused = half.rows[0].refused.as_ref().unwrap();
    assert_eq!(refused.time, 1000 * refused.call as u64);
    assert_eq!(refused.size, calls.list[refused.call].size);
}
