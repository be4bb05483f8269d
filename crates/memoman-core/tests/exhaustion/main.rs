//! Every sequence of operations on small heaps (group L).
//!
//! A state is the place, size and use of each block, and the order of the lists, not the history:
//! so states are few. The search does every operation once in every state, until no operation leads
//! to a new one: that covers every sequence of any length. A second search tests the reduction: it
//! runs all sequences up to a length one by one, unreduced, and each step must lead to the state
//! that the first search recorded.
//!
//! `MEMOMAN_EXHAUST_BYTES` is the pool's size (default: small), `MEMOMAN_EXHAUST_DEPTH` ends the
//! search at sequences of that length, `MEMOMAN_EXHAUST_RAW` is the length of the unreduced ones.

mod space;
#[path = "../support/mod.rs"]
mod support;

use space::{Op, Space, operations};
use std::collections::HashMap;
use std::time::Instant;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: not a number"))
    })
}

/// The state that each operation leads to from each state.
struct Graph {
    numbers: HashMap<Box<[u8]>, u32>,
    /// The index in `targets` of each searched state's first operation.
    first: Vec<usize>,
    /// The number of the state reached; after a refusal, that of the same state.
    targets: Vec<u32>,
    refused: usize,
    /// Numbers of states, by the length of the shortest sequence to them.
    levels: Vec<usize>,
    complete: bool,
}

impl Graph {
    /// Searches breadth first, to sequences of `depth` operations or until no new state is found.
    fn search(space: &Space, depth: usize) -> Graph {
        let mut graph = Graph {
            numbers: HashMap::from([(space.key(), 0)]),
            first: Vec::new(),
            targets: Vec::new(),
            refused: 0,
            levels: Vec::new(),
            complete: false,
        };
        let mut frontier = vec![space.image()];
        while !frontier.is_empty() && graph.levels.len() <= depth {
            graph.levels.push(frontier.len());
            let last = graph.levels.len() > depth;
            let mut found = Vec::new();
            for image in frontier {
                graph.leave(space, &image, last, &mut found);
            }
            frontier = found;
        }
        graph.complete = frontier.is_empty() && graph.levels.len() <= depth;
        graph
    }

    /// Does every operation in one state.
    fn leave(&mut self, space: &Space, image: &[u8], last: bool, found: &mut Vec<Vec<u8>>) {
        space.load(image);
        let live = space.live();
        space.tag(&live);
        let image = space.image();
        space.assert_ends_whole(&live);
        if last {
            return;
        }
        let from = self.first.len() as u32;
        self.first.push(self.targets.len());
        for op in operations(live.len()) {
            space.load(&image);
            if !space.apply(&image, &live, op) {
                self.refused += 1;
                self.targets.push(from);
                continue;
            }
            let next = self.numbers.len() as u32;
            let target = *self.numbers.entry(space.key()).or_insert_with(|| {
                found.push(space.reached());
                next
            });
            self.targets.push(target);
        }
    }

    fn operations_of(&self, state: usize) -> &[u32] {
        let end = self.first.get(state + 1).copied();
        &self.targets[self.first[state]..end.unwrap_or(self.targets.len())]
    }

    /// The number of sequences of exactly `length` operations.
    fn sequences(&self, length: usize) -> f64 {
        let mut ways = vec![1.0; self.first.len()];
        for _ in 0..length {
            ways = (0..self.first.len())
                .map(|state| {
                    let targets = self.operations_of(state).iter();
                    targets.map(|&target| ways[target as usize]).sum()
                })
                .collect();
        }
        ways[0]
    }
}

/// Runs every sequence of up to `left` more operations, unreduced; returns their number.
fn run_all(space: &Space, graph: &Graph, left: usize) -> usize {
    let live = space.live();
    space.tag(&live);
    let image = space.image();
    let state = graph.numbers[&space.key()] as usize;
    let mut count = 0;
    for (op, &target) in operations(live.len()).zip(graph.operations_of(state)) {
        count += 1;
        let went = space.apply(&image, &live, op);
        assert_eq!(
            graph.numbers[&space.key()],
            target,
            "{op:?} leads elsewhere with another history"
        );
        if left > 1 && went {
            count += run_all(space, graph, left - 1);
        }
        space.load(&image);
    }
    assert_eq!(
        operations(live.len()).count(),
        graph.operations_of(state).len()
    );
    count
}

/// Searches one heap; `raw` is the length of the unreduced sequences.
fn exhaust(pools: &[(usize, usize)], depth: usize, raw: usize) -> Graph {
    let began = Instant::now();
    let space = Space::new(pools);
    let start = space.image();
    let graph = Graph::search(&space, depth);
    let longest = graph.levels.len() - 1;
    println!(
        "pools {pools:?}: {} states, {} operations ({} refused), \
         farthest state {longest} operations away, {}",
        graph.numbers.len(),
        graph.targets.len(),
        graph.refused,
        if graph.complete {
            format!(
                "complete: every sequence of any length; of 20 operations there are {:.1e}",
                graph.sequences(20)
            )
        } else {
            format!("every sequence of up to {longest} operations")
        },
    );
    if raw > 0 && (graph.complete || raw < longest) {
        space.load(&start);
        let count = run_all(&space, &graph, raw);
        println!(
            "  unreduced: {count} sequences of up to {raw} operations lead to the same states"
        );
    }
    println!("  {:.1} s", began.elapsed().as_secs_f64());
    graph
}

const QUANTUM: usize = memoman_core::Tlsf::ALIGN;
/// 288 bytes on 64-bit targets take seconds. Two more quanta make nearly four times as many states.
const BYTES: usize = 18 * QUANTUM;
const RAW: usize = 4;

#[test]
fn group_l_every_sequence_in_one_small_pool() {
    let bytes = setting("MEMOMAN_EXHAUST_BYTES", BYTES);
    let depth = setting("MEMOMAN_EXHAUST_DEPTH", usize::MAX - 1);
    let raw = setting("MEMOMAN_EXHAUST_RAW", RAW);
    // The first payload at a multiple of twice the quantum, and between two of them.
    for offset in [0, QUANTUM] {
        let graph = exhaust(&[(bytes, offset)], depth, raw);
        assert!(graph.complete || graph.levels.len() > depth);
        assert!(graph.numbers.len() > 100, "too few states to mean anything");
    }
}

#[test]
fn group_l_every_sequence_in_two_small_pools() {
    let bytes = setting("MEMOMAN_EXHAUST_BYTES", BYTES);
    let depth = setting("MEMOMAN_EXHAUST_DEPTH", usize::MAX - 1);
    let graph = exhaust(
        &[(bytes * 5 / 8, 0), (bytes / 2, QUANTUM)],
        depth,
        setting("MEMOMAN_EXHAUST_RAW", RAW),
    );
    assert!(graph.complete || graph.levels.len() > depth);
    assert!(graph.numbers.len() > 100, "too few states to mean anything");
}

#[test]
fn operations_are_numbered_alike_in_every_state() {
    let all: Vec<Op> = operations(2).collect();
    assert_eq!(all.len(), 2 * 4 + 2 * (2 * 4 + 1));
    assert_eq!(operations(1).collect::<Vec<_>>(), all[..17]);
}
