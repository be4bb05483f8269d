//! `cargo test` for the C suite: compiles c_tests with the C compiler, links each program with the
//! prelinked `libmemoman.a` of every variant, and runs every C test in a process of its own, as one
//! test here.
//!
//! ```text
//! cargo test -p memoman-tests                            all variants
//! MEMOMAN_VARIANTS=plain cargo test -p memoman-tests     one of them
//! cargo test -p memoman-tests -- G_                      the tests of one group
//! MM_SEED=7 MM_OPS=1000000 cargo test -p memoman-tests -- stress_
//! ```
//!
//! Variants: plain, dev, asan, watched, tsan, debug, preload, preload-debug, misuse, misuse-debug,
//! cases, planted; on request only: i686, arm, small, misuse-small, i686-small.

mod build;
mod cases;
mod debug;
mod linked;
mod misuse;
mod other_targets;
mod planted;
mod preload;
mod process;
mod results;
mod suite;
mod variant;
mod watched;

use build::Workshop;
use libtest_mimic::{Arguments, Trial};
use results::Results;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let workshop = Arc::new(Workshop::new());
    let results = Arc::new(Results::create(&workshop.out.join("results.tsv")));
    let wanted = variant::wanted();
    let mut unknown = wanted.clone();
    let mut wants = |name: &str| {
        unknown.remove(name);
        wanted.contains(name)
    };

    let mut trials: Vec<Trial> = Vec::new();
    for variant in variant::all()
        .into_iter()
        .chain(other_targets::all())
        .filter(|variant| wants(variant.name))
    {
        trials.extend(linked::trials(&workshop, &variant, &results));
        trials.extend(suite::trials(&workshop, variant, &results));
    }
    for shim in &preload::SHIMS {
        if wants(shim.name) {
            trials.extend(preload::trials(&workshop, shim, &results));
        }
    }
    if wants("watched") {
        trials.extend(watched::trials(&workshop, &results));
    }
    for detector in &misuse::DETECTORS {
        if wants(detector.name) {
            trials.extend(misuse::trials(&workshop, detector, &results));
        }
    }
    if wants("cases") {
        trials.extend(cases::trials(&workshop, &results));
    }
    if wants("planted") {
        trials.extend(planted::trials(&workshop, &results));
    }
    if trials.is_empty() || !unknown.is_empty() {
        eprintln!("MEMOMAN_VARIANTS: no variant is called {unknown:?}");
        return ExitCode::FAILURE;
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    results.print_table();
    conclusion.exit_code()
}
