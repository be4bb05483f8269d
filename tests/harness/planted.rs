//! Self-tests of the sanitizers: programs with a planted bug, in C or in the Rust library, that
//! must be reported. With a sanitizer that is off the whole suite would pass.

use super::build::Workshop;
use super::process::{run, shown};
use super::results::Results;
use super::variant::{self, Variant};
use libtest_mimic::{Failed, Trial};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A program in c_tests/planted, the variant that must find its bug, and texts of the report.
struct Planted {
    program: &'static str,
    variant: &'static str,
    report: &'static [&'static str],
}

const PLANTED: [Planted; 7] = [
    Planted {
        program: "c_overflow",
        variant: "asan",
        report: &["AddressSanitizer: heap-buffer-overflow", "planted_in_c"],
    },
    Planted {
        program: "rust_overflow",
        variant: "asan",
        report: &[
            "AddressSanitizer: heap-buffer-overflow",
            "mm_planted_overflow",
        ],
    },
    Planted {
        program: "rust_use_after_free",
        variant: "asan",
        report: &["AddressSanitizer: heap-use-after-free", "mm_planted_"],
    },
    Planted {
        program: "c_undefined",
        variant: "asan",
        report: &["runtime error: signed integer overflow"],
    },
    Planted {
        program: "c_race",
        variant: "tsan",
        report: &["ThreadSanitizer: data race", "planted_in_c"],
    },
    Planted {
        program: "rust_race",
        variant: "tsan",
        report: &["ThreadSanitizer: data race", "mm_planted_race"],
    },
    Planted {
        program: "shared_allocator",
        variant: "tsan",
        report: &["ThreadSanitizer: data race", "mm_"],
    },
];

/// A trial for each planted bug.
pub(crate) fn trials(workshop: &Arc<Workshop>, results: &Arc<Results>) -> Vec<Trial> {
    PLANTED
        .iter()
        .map(|planted| trial(workshop, results, planted))
        .collect()
}

fn trial(workshop: &Arc<Workshop>, results: &Arc<Results>, planted: &'static Planted) -> Trial {
    let (workshop, results) = (Arc::clone(workshop), Arc::clone(results));
    let name = format!("{}_is_reported_by_{}", planted.program, planted.variant);
    let full = format!("sanitizer_{name}");
    Trial::test(full, move || {
        let outcome = check(&workshop, planted);
        results.note("planted", "sanitizer", &name, outcome.is_ok());
        outcome.map_err(Failed::from)
    })
    .with_kind("planted")
}

fn check(workshop: &Workshop, planted: &Planted) -> Result<(), String> {
    let Some(variant) = variant::all()
        .into_iter()
        .find(|variant| variant.name == planted.variant)
    else {
        return Err(format!("no variant {}", planted.variant));
    };
    let variant = Variant {
        programs: None,
        ..variant
    };
    let source = workshop
        .root
        .join("c_tests/planted")
        .join(planted.program)
        .with_extension("c");
    let mut command = Command::new(workshop.program(&source, &variant)?);
    for (variable, value) in variant.environment {
        command.env(variable, value);
    }
    let ended = run(&mut command, Duration::from_secs(60))?;
    if ended.timed_out {
        return Err(format!(
            "did not end in time\n{}",
            ended.report(&shown(&command))
        ));
    }
    if ended.status.success() {
        return Err(format!(
            "the bug was not reported\n{}",
            ended.report(&shown(&command))
        ));
    }
    match planted
        .report
        .iter()
        .find(|text| !ended.stderr.contains(**text))
    {
        None => Ok(()),
        Some(text) => Err(format!(
            "the report does not contain `{text}`\n{}",
            ended.report(&shown(&command))
        )),
    }
}
