//! Validation on overwritten heaps (group I): a catalogue of corruptions, each with the invariant
//! and place that must be named, and random ones, judged by an independent check. Unit tests,
//! because they use the layout's field names and count the turns of validation's loops.

mod catalogue;
mod damage;
mod fault;
mod heap;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod instructions;
mod random;
mod reference;
mod words;

use std::collections::BTreeMap;
use std::format;
use std::println;
use std::vec::Vec;

use self::catalogue::{ANYWHERE, Catalogue, Corruption, Expected};
use self::heap::Heap;
use crate::config::WORD;
use crate::validate::{Cursor, Step};
use crate::validate::{Invariant, TURNS_LEFT, Violation};

/// The address hints of the tests' heaps, so that addresses, seals and hashes are equal in each
/// run.
#[cfg(target_pointer_width = "64")]
const AT: [usize; 4] = [
    0x1111_0000_0000,
    0x2222_0000_0000,
    0x3333_0000_0000,
    0x4444_0000_0000,
];
#[cfg(target_pointer_width = "32")]
const AT: [usize; 4] = [0x4111_0000, 0x4222_0000, 0x4333_0000, 0x4444_0000];

/// Runs `f`; the turns that its validation made (at most `ENOUGH`), and its result.
fn turns_of<T>(f: impl FnOnce() -> T) -> (usize, T) {
    const ENOUGH: usize = 5_000_000;
    TURNS_LEFT.set(ENOUGH);
    let result = f();
    (ENOUGH - TURNS_LEFT.replace(usize::MAX), result)
}

/// The turns of one pass of validation: bins, blocks and pools.
fn one_pass(heap: &Heap) -> usize {
    // SAFETY: a sound heap.
    let bins = unsafe { (*heap.control()).top_bin } + 1;
    bins + heap.blocks.len() + 2 * heap.pools.len()
}

fn is_among(found: &Violation, expected: &[Expected]) -> bool {
    expected.iter().any(|&(invariant, at)| {
        invariant == found.invariant && (at == ANYWHERE || at == found.address.addr())
    })
}

/// Applies one corruption: all three kinds of validation must name it as expected, within the
/// bounded number of turns, without a write.
fn try_one(heap: &Heap, corruption: &Corruption, pass: usize, max_blocks: usize) {
    let kind = &corruption.kind;
    let _testing = fault::while_testing(kind);
    for &(at, value) in &corruption.writes {
        heap.write(at, value);
    }
    let before = heap.snapshot();
    let (turns, found) = heap.read_only(|| turns_of(|| heap.diagnose()));
    // Three passes prove a heap; for a broken link, eleven find its edge, five more the block to
    // name.
    assert!(
        turns <= 20 * pass,
        "{kind}: {turns} turns for {pass} bins, blocks and pools"
    );
    let mut in_pools = None;
    for &pool in &heap.pools {
        // A pool whose hash matches with another owner would be diagnosed in that owner's heap.
        // SAFETY: the pool's header is readable.
        if unsafe { pool.control() != heap.control() && pool.is_sound(pool.control()) } {
            continue;
        }
        in_pools = in_pools.or(heap.read_only(|| turns_of(|| heap.diagnose_pool(pool)).1));
    }
    let (steps, in_steps) = heap.read_only(|| turns_of(|| heap.validate_in_steps(max_blocks)).1);
    assert!(steps <= 2 * pass, "{kind}: {steps} steps");
    assert!(before == heap.snapshot(), "{kind}: validation wrote");
    heap.restore();

    let where_ = format!("{kind}, {:x?}", corruption.writes);
    let Some(found) = found else {
        assert!(
            corruption.expected.is_empty() && in_steps.is_none() && in_pools.is_none(),
            "{where_}: not found"
        );
        return;
    };
    assert!(
        is_among(&found, &corruption.expected),
        "{where_}: {found:x?}, not {:x?}",
        corruption.expected
    );
    if found.invariant != Invariant::Placement {
        // The pool named is the one that the address lies in.
        assert_eq!(
            found.pool,
            heap.pool_around(found.address.addr()),
            "{where_}: {found:x?}"
        );
    }
    // A check block by block sees neither counters nor unlisted rings, and that of a pool no heads.
    let no_pool = found.invariant == Invariant::List && found.pool.is_none();
    assert!(
        in_steps.is_some() || corruption.whole_heap,
        "{where_}: not found in steps of {max_blocks}"
    );
    assert!(
        in_pools.is_some() || corruption.whole_heap || no_pool,
        "{where_}: not found in a pool"
    );
    let one_by_one = corruption.one_by_one(heap);
    for found in in_steps.into_iter().chain(in_pools) {
        assert!(
            is_among(&found, &corruption.expected) || is_among(&found, &one_by_one),
            "{where_}: {found:x?} block by block, not {:x?} or {one_by_one:x?}",
            corruption.expected
        );
    }
}

#[test]
fn group_i_every_corruption_of_the_catalogue_is_named() {
    let heap = Heap::new(AT[0], &[2, 2, 1], 1);
    let pass = one_pass(&heap);
    assert_eq!(heap.diagnose(), None);
    let (turns, _) = turns_of(|| heap.diagnose());
    assert!(
        turns <= 3 * pass,
        "{turns} turns for a sound heap of {pass} bins, blocks and pools"
    );
    let catalogue = Catalogue::new(&heap);
    let mut kinds: BTreeMap<&str, Vec<&Corruption>> = BTreeMap::new();
    for corruption in &catalogue.entries {
        kinds.entry(&corruption.kind).or_default().push(corruption);
    }
    let most = random::setting("MEMOMAN_PLACES", 4).max(2);
    let (mut places, mut harmless) = (0, 0);
    for all in kinds.values() {
        // The first place, the last one, and some in between.
        let count = all.len().min(most);
        for turn in 0..count {
            let max_blocks = [usize::MAX, 16, usize::MAX, 1][places % 4];
            try_one(
                &heap,
                all[turn * (all.len() - 1) / (count - 1).max(1)],
                pass,
                max_blocks,
            );
            places += 1;
        }
        harmless += usize::from(all[0].expected.is_empty());
    }
    println!(
        "catalogue: {} corruptions at {places} of {} places, all named; {harmless} more harmless",
        kinds.len() - harmless,
        catalogue.entries.len()
    );
    assert!(
        kinds.len() > 800,
        "some of the heap's places have no kind any more"
    );
}

/// Whichever link is broken, turns do not grow with pools times blocks.
#[test]
fn group_i_turns_are_linear_with_many_pools() {
    let heap = Heap::new(AT[2], &[1; 100], 3);
    let pass = one_pass(&heap);
    let (turns, found) = turns_of(|| heap.diagnose());
    assert_eq!(found, None);
    assert!(
        turns <= 3 * pass,
        "{turns} turns for a sound heap of {pass} bins, blocks and pools"
    );
    let free: Vec<_> = heap
        .blocks
        .iter()
        .filter(|seen| seen.header.is_free())
        .collect();
    let mut most = 0;
    for seen in free.iter().step_by(free.len() / 20) {
        let pool_before_last = heap.pools[heap.pools.len() - 2].first_block().addr();
        for at in [seen.at(), seen.at() + WORD] {
            for value in [
                1,
                seen.at(),
                pool_before_last,
                heap.blocks[0].at(),
                usize::MAX,
            ] {
                let where_ = format!("{at:x} <- {value:x}");
                let _testing = fault::while_testing(&where_);
                heap.write(at, value);
                let (turns, found) = heap.read_only(|| turns_of(|| heap.diagnose()));
                heap.restore();
                assert!(
                    found.is_some_and(|found| found.invariant == Invariant::List),
                    "{where_}: {found:x?}"
                );
                most = most.max(turns);
                assert!(
                    turns <= 20 * pass,
                    "{where_}: {turns} turns for {pass} bins, blocks and pools"
                );
            }
        }
    }
    println!(
        "{} blocks in {} pools: {pass} in one pass, at most {most} turns",
        heap.blocks.len(),
        heap.pools.len()
    );
}

/// One step of stepwise validation visits all pools' headers, all heads, and one block's
/// neighbours.
#[test]
fn group_i_turns_of_a_step_do_not_grow_with_the_blocks() {
    let heap = Heap::new(AT[2] + (1 << 24), &[8; 20], 3);
    let (bins, pools) = (
        one_pass(&heap) - heap.blocks.len() - 2 * heap.pools.len(),
        heap.pools.len(),
    );
    let most = 2 * bins + 10 * pools;
    assert!(heap.blocks.len() > 2 * most, "else it shows nothing");
    let broken = heap
        .blocks
        .iter()
        .rfind(|seen| seen.header.is_free())
        .unwrap()
        .at();
    for value in [heap.original(broken), 16] {
        heap.write(broken, value);
        let mut cursor = Cursor::START;
        let mut steps = 0;
        loop {
            // SAFETY: the heap's memory may be read.
            let (turns, step) = turns_of(|| unsafe { heap.tlsf.validate_step(&mut cursor, 1) });
            assert!(
                turns <= most,
                "{turns} turns in one step with {bins} bins and {pools} pools"
            );
            steps += 1;
            if step != Step::More {
                assert_eq!(step == Step::Sound, value != 16, "{step:?}");
                break;
            }
        }
        assert!(steps > heap.blocks.len() / 3, "{steps}");
    }
}
