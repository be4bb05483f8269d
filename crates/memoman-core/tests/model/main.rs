//! Random programs over the whole API, with a shadow of the live blocks (group L), as a proptest
//! state machine.
//!
//! Checked after every operation: no overlap, alignment, containment, contents of every live block,
//! every counter, `largest` allocatable and one byte more not, all other memory unchanged. A walk
//! predicts whether a call succeeds; a failed call changes nothing but `failed_requests`. At the
//! end all blocks are freed, and the memory must equal, bit for bit, that of a new instance over
//! the same pools.
//!
//! The seed is fixed; `PROPTEST_RNG_SEED=n` sets another, `PROPTEST_CASES=n` runs more. A failing
//! program is shrunk and printed.

mod arena;
mod ops;
mod pools;
mod run;
mod shadow;
#[path = "../support/mod.rs"]
mod support;

use ops::{Program, Setup};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use shadow::Shadow;

/// Connects the programs to the shadow.
struct Model;

impl StateMachineTest for Model {
    type SystemUnderTest = Shadow;
    type Reference = Program;

    fn init_test(setup: &Setup) -> Shadow {
        Shadow::new(setup)
    }

    fn apply(mut shadow: Shadow, _: &Setup, op: ops::Op) -> Shadow {
        shadow.run(&op);
        shadow
    }

    fn teardown(shadow: Shadow, _: Setup) {
        shadow.end();
    }
}

const SEED: u64 = 2026;

fn run(cases: u32, length: std::ops::Range<usize>) {
    let mut config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    println!("{:?}, {} programs", config.rng_seed, config.cases);
    let mut runner = TestRunner::new(config.clone());
    let programs = Program::sequential_strategy(length);
    let result = runner.run(&programs, |(setup, ops, seen)| {
        Model::test_sequential(config.clone(), setup, ops, seen);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{:?}: {failure}", config.rng_seed);
    }
}

#[test]
fn group_l_short_programs_match_the_shadow() {
    run(200, 1..40);
}

#[test]
fn group_l_long_programs_match_the_shadow() {
    run(40, 200..400);
}
