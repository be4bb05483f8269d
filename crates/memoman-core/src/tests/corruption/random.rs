//! Random corruptions: one to eleven words or ranges of words, anywhere in the pools and the
//! control structure, more often in words that validation reads. An independent check judges the
//! verdicts.
//!
//! `MEMOMAN_CORRUPTIONS` is the number of heaps to corrupt, `MEMOMAN_SEED` the first seed.

use core::mem::offset_of;
use std::format;
use std::println;
use std::string::String;
use std::vec::Vec;

use super::heap::{Heap, Random};
use super::reference::Reference;
use super::{AT, fault, one_pass, turns_of};
use crate::config::{HEADER, WORD};
use crate::control::Control;
use crate::validate::Invariant;

pub(super) fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Words that validation reads, except those under a hash.
fn telling_words(heap: &Heap) -> Vec<usize> {
    let mut words = Vec::new();
    for seen in &heap.blocks {
        words.push(seen.at() - HEADER);
        if seen.header.is_free() {
            words.extend([seen.at(), seen.at() + WORD, seen.next_at() - HEADER - WORD]);
        }
    }
    let control = heap.control().addr();
    for offset in [
        offset_of!(Control, used),
        offset_of!(Control, peak),
        offset_of!(Control, live_blocks),
        offset_of!(Control, fl_bitmap),
    ] {
        words.push(control + offset);
    }
    for word in 0..4 {
        words.push(control + offset_of!(Control, sl_bitmap) + word * WORD);
    }
    // SAFETY: a sound heap.
    let bins = unsafe { (*heap.control()).top_bin } + 1;
    words.extend(
        (0..bins)
            .step_by(7)
            .map(|bin| Control::head(heap.control(), bin).addr()),
    );
    words
}

/// Overwrites one place; describes how.
fn overwrite(heap: &Heap, random: &mut Random, words: &[usize]) -> String {
    let at = if random.below(4) > 0 {
        words[random.below(words.len())]
    } else {
        let part = heap.parts[random.below(heap.parts.len())];
        part.start + random.below(part.bytes / WORD) * WORD
    };
    let now = heap.word(at).unwrap();
    let value = match random.below(8) {
        0 => random.next(),
        1 => now ^ 1 << random.below(usize::BITS as usize),
        2 => now ^ (1 << random.below(8)),
        3 => heap.word(words[random.below(words.len())]).unwrap(),
        4 => words[random.below(words.len())],
        5 => heap.blocks[random.below(heap.blocks.len())].at(),
        6 => now & !(0xFF << (8 * random.below(WORD))),
        _ => [0, 1, usize::MAX, 16, 32][random.below(5)],
    };
    heap.write(at, value);
    if random.below(16) == 0 {
        // A range of words with one value.
        let part = *heap.parts.iter().find(|part| part.contains(at)).unwrap();
        let words = (part.start + part.bytes - at) / WORD;
        for word in 0..random.below(words.min(64)) {
            heap.write(at + word * WORD, value);
        }
        return format!("{at:#x}.. <- {value:#x}; ");
    }
    format!("{at:#x} <- {value:#x}; ")
}

#[test]
fn group_i_random_corruptions_get_the_verdict_of_an_independent_check() {
    let seed = setting("MEMOMAN_SEED", 0x5EED);
    let count = setting("MEMOMAN_CORRUPTIONS", 30_000);
    let heap = Heap::new(AT[1], &[1, 1, 1], 7);
    let reference = Reference::new(&heap);
    let words = telling_words(&heap);
    let pass = one_pass(&heap);
    let mut by_invariant = [0usize; 9];
    let mut overwritten = 0;
    assert_eq!(reference.judge(&heap), (true, heap.blocks.len()));
    assert_eq!(heap.diagnose(), None);
    for round in 0..count {
        // Each round has its own seed, so that one can be run alone.
        let mut random = Random((seed + round) as u64);
        let mut how = format!("MEMOMAN_SEED={} MEMOMAN_CORRUPTIONS=1: ", seed + round);
        // Half of the rounds overwrite one place, the hardest to detect.
        let places = if random.below(2) == 0 {
            1
        } else {
            1 + random.below(11)
        };
        for _ in 0..places {
            how += &overwrite(&heap, &mut random, &words);
        }
        overwritten += places;
        let _testing = fault::while_testing(&how);
        let (sound, blocks) = reference.judge(&heap);
        let (turns, found) = heap.read_only(|| turns_of(|| heap.diagnose()));
        assert!(turns <= 20 * pass, "{how}{turns} turns");
        assert_eq!(found.is_none(), sound, "{how}{found:x?}");
        by_invariant[found.map_or(0, |found| found.invariant.number().into())] += 1;
        let max_blocks = if round % 32 == 0 {
            1
        } else {
            [usize::MAX, 32][round % 2]
        };
        let (steps, in_steps) =
            heap.read_only(|| turns_of(|| heap.validate_in_steps(max_blocks)).1);
        assert!(steps <= 2 * pass, "{how}{steps} steps");
        match (in_steps, found) {
            (Some(in_steps), None) => panic!("{how}steps raise a false alarm: {in_steps:x?}"),
            // Only a view of the whole heap shows wrong counters, unlisted rings, and blocks inside
            // one in use.
            (None, Some(found)) => assert!(
                matches!(found.invariant, Invariant::Counters | Invariant::Listed)
                    || blocks < heap.blocks.len(),
                "{how}not found in steps of {max_blocks}: {found:x?}"
            ),
            _ => {}
        }
        for &pool in &heap.pools {
            let in_pool = heap.read_only(|| turns_of(|| heap.diagnose_pool(pool)).1);
            assert!(
                !(sound && in_pool.is_some()),
                "{how}false alarm: {in_pool:x?}"
            );
        }
        heap.restore();
    }
    println!(
        "{overwritten} words of {count} heaps overwritten, seed {seed}: sound {}, I1 to I8 {:?}",
        by_invariant[0],
        &by_invariant[1..]
    );
    if count >= 10_000 {
        // The rounds break every invariant, and hit harmless payload.
        assert!(
            by_invariant.iter().all(|&times| times > 0),
            "{by_invariant:?}"
        );
    }
}
