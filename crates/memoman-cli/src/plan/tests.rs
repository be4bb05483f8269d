//! The bound against the core: every order of calls for small promises, hill climbing for larger
//! ones. A formula that is a quantum too small fails here.

use super::bound::{Argument, partition, single};
use super::input::{Class, Lifetime, Order, Promise};
use super::{attack, code, evidence, game, input, text};

fn class(size: u64, count: u64) -> Class {
    Class {
        name: format!("c{size}"),
        size,
        count,
        align: 16,
        varies: false,
        lifetime: Lifetime::Any,
    }
}

fn promise(classes: Vec<Class>) -> Promise {
    Promise {
        bits: 64,
        order: Order::Any,
        realloc: false,
        classes,
    }
}

fn of(sizes: &[(u64, u64)]) -> Promise {
    promise(
        sizes
            .iter()
            .map(|&(size, count)| class(size, count))
            .collect(),
    )
}

/// Plays the whole game in a pool of the size by formula; the states visited and the worst size.
fn assert_holds(promise: &Promise, cap: usize) -> (usize, u64, bool) {
    let bound = single(promise);
    let played = game::play(promise, bound.usable, cap).unwrap();
    assert_eq!(played.refused, None, "{promise:?} {bound:?}");
    assert!(played.worst <= bound.usable);
    let plus = if played.complete { "" } else { "+" };
    println!(
        "{:?}: {}{plus} states, worst {}, bound {} ({:?})",
        promise
            .classes
            .iter()
            .map(|c| (c.size, c.count, c.align))
            .collect::<Vec<_>>(),
        played.states,
        played.worst,
        bound.usable,
        bound.argument
    );
    (played.states, played.worst, played.complete)
}

#[test]
fn no_order_of_calls_refutes_the_bound() {
    let sets: &[&[(u64, u64)]] = &[
        &[(24, 2), (40, 2)],
        &[(24, 3), (88, 2)],
        &[(24, 4), (56, 2)],
        &[(40, 3), (72, 2)],
        &[(24, 2), (40, 1), (56, 1)],
        &[(56, 2), (88, 2)],
        &[(24, 3), (1032, 2)],
        &[(1016, 2), (1032, 2)],
        &[(1032, 2), (1064, 2)],
        &[(2056, 2), (2120, 2)],
        &[(2048, 2), (24, 2)],
        &[(4000, 2), (1000, 2)],
    ];
    let (mut states, mut finished) = (0, 0);
    for set in sets {
        let (visited, _, complete) = assert_holds(&of(set), 6_000);
        states += visited;
        finished += usize::from(complete);
    }
    println!(
        "{states} states, {finished} of {} games to the end",
        sets.len()
    );
    assert!(finished >= 8, "{finished}");
}

#[test]
fn nor_with_alignment_realloc_and_permanent_blocks() {
    let mut aligned = of(&[(24, 2), (40, 2)]);
    aligned.classes[1].align = 64;
    assert_holds(&aligned, 6_000);

    let mut resized = of(&[(24, 2), (40, 2), (88, 1)]);
    resized.realloc = true;
    assert_holds(&resized, 6_000);

    let mut both = of(&[(24, 2), (40, 1)]);
    both.realloc = true;
    both.classes[1].align = 32;
    assert_holds(&both, 6_000);

    let mut permanent = of(&[(24, 2), (40, 2), (104, 3)]);
    permanent.classes[2].lifetime = Lifetime::Permanent;
    let bound = single(&permanent);
    assert_eq!(bound.terms.permanent, 3 * 112);
    assert_holds(&permanent, 6_000);
}

/// One size takes exactly its blocks; of two sizes, the game's size is exact.
#[test]
fn the_terms_are_needed() {
    // One class of one size: exactly n blocks.
    let one = of(&[(40, 4)]);
    let bound = single(&one);
    assert_eq!((bound.argument, bound.usable), (Argument::Divisor, 4 * 48));
    assert_eq!(assert_holds(&one, 10_000).1, 4 * 48);
    let less = game::play(&one, bound.usable - 16, 10_000).unwrap();
    assert!(less.refused.is_some());

    // 3 x 32 and 2 x 96: the game's size is exact, and below the bound.
    let two = of(&[(24, 3), (88, 2)]);
    let exact = game::exact(
        &two,
        assert_holds(&two, 10_000).1,
        single(&two).usable,
        10_000,
    );
    let exact = exact.unwrap();
    assert_eq!(exact.usable, 384);
    assert!(exact.one_less.is_some());
}

/// In a large pool blocks go farther than they must: a large one is cut at its bin's edge, a
/// resized one moves where it could stay.
#[test]
fn the_exact_size_is_looked_for_below_what_the_blocks_took() {
    let large = of(&[(4480, 3), (120, 1)]);
    let mut resized = of(&[(72, 1), (88, 1)]);
    resized.realloc = true;
    for set in [large, resized] {
        let worst = assert_holds(&set, 1_000).1;
        let exact = game::exact(&set, worst, single(&set).usable, 1_000).unwrap();
        assert!(exact.usable < worst, "{} {worst}", exact.usable);
        assert!(exact.one_less.is_some());
    }
}

/// Within 1 to 2 KiB a bin holds two sizes, and the search reads its head only: a free block that
/// would do can be missed.
#[test]
fn a_block_that_would_do_is_missed() {
    let geometry = of(&[]).geometry();
    // Blocks of 1024 and 1040 bytes share a bin.
    assert_eq!(geometry.bin(1024), geometry.bin(1040));
    let set = of(&[(1016, 1), (1032, 1), (24, 3)]);
    let bound = single(&set);
    assert_eq!(bound.terms.missed, 1040);
    assert_holds(&set, 6_000);
}

#[test]
fn hill_climbing_does_not_break_it() {
    let mut sets = vec![
        of(&[(24, 30), (88, 20), (200, 10)]),
        of(&[(1032, 12), (1064, 12), (2056, 6)]),
        of(&[(100, 40), (1500, 16), (5000, 4)]),
    ];
    let mut aligned = of(&[(100, 20), (500, 10)]);
    aligned.classes[1].align = 256;
    sets.push(aligned);
    let mut varied = of(&[(100, 30), (1000, 10)]);
    varied.classes[1].varies = true;
    sets.push(varied);
    for set in &sets {
        let bound = single(set);
        let found = attack::search(set, bound.usable, 300_000, 1).unwrap();
        println!("{:?}: {found:?}, bound {}", set.classes, bound.usable);
        assert!(!found.refused, "{set:?}");
        let sum: u64 = set.classes.iter().map(|c| c.count * c.size).sum();
        assert!(
            found.worst > sum * 9 / 10,
            "the search is an adversary: {found:?}"
        );
        // It finds what a pool without room for gaps refuses.
        let blocks = set
            .classes
            .iter()
            .map(|c| c.count * set.geometry().block(c.size))
            .sum();
        assert!(
            attack::search(set, blocks, 300_000, 1).unwrap().refused,
            "{set:?}"
        );
    }
}

#[test]
fn stack_order_takes_the_sum() {
    let mut stack = of(&[(24, 3), (88, 2)]);
    stack.order = Order::Stack;
    let bound = single(&stack);
    assert_eq!(
        (bound.argument, bound.usable),
        (Argument::Stack, 3 * 32 + 2 * 96)
    );
}

/// The cheapest division: no other one into runs costs less.
#[test]
fn the_partition_is_the_cheapest() {
    let set = of(&[(24, 10), (40, 1), (1000, 2), (1040, 50), (9000, 3)]);
    let parts = partition(&set);
    let total: u64 = parts.iter().map(|part| part.total()).sum();
    let count = set.classes.len();
    for cuts in 0..1 << (count - 1) {
        let mut sum = 0;
        let mut start = 0;
        for end in 1..=count {
            if end == count || cuts >> (end - 1) & 1 == 1 {
                let one = of(&[(
                    set.classes[end - 1].size,
                    set.classes[start..end].iter().map(|c| c.count).sum(),
                )]);
                sum += partition(&one)[0].total();
                start = end;
            }
        }
        assert!(total <= sum, "{total} {sum}");
    }
    let mut names: Vec<usize> = parts.iter().flat_map(|part| part.classes.clone()).collect();
    names.sort_unstable();
    assert_eq!(names, [0, 1, 2, 3, 4]);
}

/// Blocks of a pool for an aligned class are aligned, and exactly `count` fit.
#[test]
fn a_pool_of_one_size_serves_its_count() {
    use crate::heap::{Memory, PoolHeap};
    for (size, count, align) in [(40, 5, 16), (100, 7, 64), (3000, 4, 128), (5000, 3, 4096)] {
        let mut one = of(&[(size, count)]);
        one.classes[0].align = align;
        let part = partition(&one).remove(0);
        let mut memory = Memory::reserve(1 << 20).unwrap();
        let (lead, pool) = (part.lead as usize, part.pool as usize);
        let mut heap = PoolHeap::new(&mut memory, part.request as usize, lead, pool).unwrap();
        for _ in 0..count {
            let block = heap.malloc(part.request as usize).unwrap();
            assert_eq!(block.as_ptr().addr() as u64 % align, 0);
        }
        assert!(heap.malloc(part.request as usize).is_none());
    }
}

/// The C code compiles as it is pasted, without a warning.
#[test]
fn the_code_compiles() {
    let folder = std::env::temp_dir().join(format!("memoman-plan-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../../include");
    let two = "[[class]]\nname = \"small\"\nsize = 24\ncount = 3\n\
               [[class]]\nname = \"big\"\nsize = 88\nalign = 64\ncount = 2\n";
    let varied = "[[class]]\nname = \"any\"\nsize = 3\ncount = 1\nvaries = true\n";
    for (number, text) in [two, &format!("order = \"stack\"\n{varied}"), varied]
        .iter()
        .enumerate()
    {
        for advice in [super::Advice::Parts, super::Advice::Single] {
            let promise = input::parse(text, None).unwrap();
            let mut plan = super::plan("a.toml".into(), promise, 1_000).unwrap();
            plan.advice = advice;
            let file = folder.join(format!("{number}.c"));
            let main = "int main(void) { return heap_init(); }\n";
            std::fs::write(&file, code::header(&plan) + main).unwrap();
            let status = std::process::Command::new("cc")
                .args([
                    "-std=c11",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-Wno-unused-function",
                ])
                .args(["-fsyntax-only", "-I", include])
                .arg(&file)
                .status()
                .unwrap();
            assert!(status.success(), "{}", code::header(&plan));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn report_and_page_state_the_figures() {
    let text = "[[class]]\nname = \"small\"\nsize = 24\ncount = 3\n\
                [[class]]\nname = \"big\"\nsize = 88\ncount = 2\n";
    let plan = super::plan("a.toml".into(), input::parse(text, None).unwrap(), 10_000).unwrap();
    let report = text::report(&plan);
    for words in [
        "192 live + 4 x 64 gaps + 96 requested = 544",
        "384 bytes for blocks serve every order",
        "exact: with 16 bytes less some order is refused",
        "Not covered: mm_realloc",
    ] {
        assert!(report.contains(words), "{words}\n{report}");
    }
    let page = evidence::page(&plan);
    for words in [
        "## Fragmentation",
        "## Exhaustion",
        "## Timing",
        "**432 bytes**",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["single"]["usable"], 544);
    assert_eq!(json["game"]["result"], "exact");
    assert_eq!(json["game"]["usable"], 384);
}
