//! The C suite: each test of each program is one trial, in a process of its own.

use super::build::{Workshop, files, in_parallel, stem};
use super::other_targets::command_for;
use super::process::{run, shown, without_settings};
use super::results::Results;
use super::variant::Variant;
use libtest_mimic::{Failed, Trial};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

/// Builds the variant and gives a trial for each test that its programs list.
pub(crate) fn trials(
    workshop: &Arc<Workshop>,
    variant: Variant,
    results: &Arc<Results>,
) -> Vec<Trial> {
    let variant = Arc::new(variant);
    let sources: Vec<PathBuf> = files(&workshop.root.join("c_tests"), &["c"])
        .into_iter()
        .filter(|source| {
            variant
                .programs
                .is_none_or(|programs| programs.contains(&stem(source)))
        })
        .collect();
    let listed = in_parallel(&sources, |source| {
        workshop
            .program(source, &variant)
            .and_then(|program| Ok((list(&variant, &program)?, program)))
    });
    let mut excluded: BTreeSet<&str> = variant
        .except
        .iter()
        .flat_map(|(_, tests)| tests.iter().copied())
        .collect();
    let mut trials = Vec::new();
    for (source, listed) in sources.iter().zip(listed) {
        match listed {
            Ok((tests, program)) => {
                for (group, name) in tests {
                    if excluded.remove(format!("{group}_{name}").as_str()) {
                        continue;
                    }
                    trials.push(trial(workshop, &variant, results, &program, group, name));
                }
            }
            Err(error) => trials.push(broken(&variant, results, stem(source), error)),
        }
    }
    // An exception without its test is out of date.
    for name in excluded {
        let error = format!("excluded from {}, but not there", variant.name);
        trials.push(broken(&variant, results, name, error));
    }
    if trials.is_empty() {
        trials.push(broken(
            &variant,
            results,
            "nothing",
            "no C test found".into(),
        ));
    }
    trials
}

/// The tests that a program has, as (group, name).
fn list(variant: &Variant, program: &Path) -> Result<Vec<(String, String)>, String> {
    let mut command = command_for(variant, program);
    command.arg("--list");
    let ended = run(&mut command, LIMIT)?;
    let tests: Vec<(String, String)> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(group, name)| (group.to_owned(), name.to_owned()))
        .collect();
    if ended.is_success() && !tests.is_empty() {
        Ok(tests)
    } else {
        Err(ended.report(&shown(&command)))
    }
}

/// A program that does not build is a failed test, not a missing one.
fn broken(variant: &Variant, results: &Arc<Results>, name: &str, error: String) -> Trial {
    let (variant_name, results, name) =
        (variant.name, Arc::clone(results), format!("{name}_builds"));
    Trial::test(format!("build_{name}"), move || {
        results.note(variant_name, "build", &name, false);
        Err(Failed::from(error))
    })
    .with_kind(variant.name)
}

fn trial(
    workshop: &Arc<Workshop>,
    variant: &Arc<Variant>,
    results: &Arc<Results>,
    program: &Path,
    group: String,
    name: String,
) -> Trial {
    let (variant, results, program) = (
        Arc::clone(variant),
        Arc::clone(results),
        program.to_path_buf(),
    );
    let logs = workshop.out.join("logs");
    let kind = variant.name;
    let full = format!("{group}_{name}");
    let test = full.clone();
    Trial::test(full, move || {
        let mut command = command_for(&variant, &program);
        command
            .arg(&test)
            .current_dir(&logs)
            .env("MM_LOG_DIR", &logs);
        for (variable, value) in variant.environment {
            if std::env::var_os(variable).is_none() {
                command.env(variable, value);
            }
        }
        command.env_remove("LD_PRELOAD");
        without_settings(&mut command);
        let ended = run(&mut command, LIMIT)?;
        let said_ok = ended
            .stdout
            .lines()
            .any(|line| line == format!("ok {group} {name}"));
        let passed = ended.is_success() && said_ok;
        results.note(variant.name, &group, &name, passed);
        if passed {
            Ok(())
        } else {
            Err(Failed::from(ended.report(&shown(&command))))
        }
    })
    .with_kind(kind)
}
