//! `memoman record --stacks`: each event has the stack of its own call, whatever the event before
//! it had.

mod common;

use std::collections::HashMap;

use common::{Recording, build, memoman, run};

const ROUNDS: u64 = 50;

/// Allocated bytes of each stack from `main` or the start of a context inwards.
fn allocated(recording: &Recording) -> HashMap<String, u64> {
    let mut export = memoman();
    export.args(["export", "--to", "folded", "--measure", "allocated"]);
    let output = run(export.arg(recording.path()));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found = HashMap::new();
    for line in text.lines() {
        let (stack, bytes) = line.rsplit_once(' ').unwrap();
        if !stack.ends_with(";leaf") {
            continue;
        }
        let start = ["main;", "on_other_stack;", "recurse;"]
            .iter()
            .filter_map(|name| stack.find(name))
            .min();
        let stack = &stack[start.unwrap_or(0)..];
        *found.entry(stack.to_owned()).or_default() += bytes.parse::<u64>().unwrap();
    }
    found
}

#[test]
fn each_event_has_its_own_stack() {
    let program = build("stacks.c", "stacks", &["-fno-builtin"]);
    for most in [100, 20] {
        let options = ["--stacks", &most.to_string()];
        let recording = Recording::new(&options, &[program.to_str().unwrap()], &[]).succeeded();
        let mut found = allocated(&recording);
        let mut take = |stack: &str| found.remove(stack).unwrap_or(0);
        assert_eq!(take("main;by_one;shared;leaf"), 2 * ROUNDS * 1101);
        assert_eq!(take("main;by_other;shared;leaf"), ROUNDS * 1102);
        assert_eq!(take("main;varying;leaf"), ROUNDS * 1400);
        assert_eq!(take("main;switches;leaf"), ROUNDS * 1501);
        assert_eq!(take("on_other_stack;leaf"), ROUNDS * 1500);
        let mut deeper = 0;
        for depth in 1..=60u64 {
            let bytes = ROUNDS * (1200 + depth);
            let frames = "recurse;".repeat(depth as usize);
            // main and what is below it take a few of the frames.
            if depth < most - 6 {
                assert_eq!(take(&format!("main;{frames}leaf")), bytes, "{depth}");
            } else {
                deeper += bytes;
            }
        }
        assert_eq!(found.values().sum::<u64>(), deeper, "{found:?}");
    }
}
