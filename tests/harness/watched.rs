//! Programs with one bug each, linked with the *released* library, that AddressSanitizer and
//! valgrind must report at the line marked `/* bug */`; and a clean one, which they must not
//! report. A line `/* valgrind: TEXT */` is a text that valgrind's report must contain.

use super::build::{Workshop, files, stem};
use super::process::{run, shown};
use super::results::Results;
use libtest_mimic::{Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// A checker of memory accesses.
#[derive(Clone, Copy)]
enum Checker {
    Asan,
    Valgrind,
}

impl Checker {
    fn name(self) -> &'static str {
        match self {
            Checker::Asan => "asan",
            Checker::Valgrind => "valgrind",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Checker::Asan => &["-fsanitize=address"],
            Checker::Valgrind => &[],
        }
    }

    fn command(self, program: &Path) -> Command {
        match self {
            Checker::Asan => Command::new(program),
            Checker::Valgrind => {
                let mut command = Command::new("valgrind");
                command.args(["--error-exitcode=9"]).arg(program);
                command
            }
        }
    }
}

/// Two trials for each program in c_tests/watched; one for those that only valgrind can see.
pub(crate) fn trials(workshop: &Arc<Workshop>, results: &Arc<Results>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for source in files(&workshop.root.join("c_tests/watched"), &["c"]) {
        let stem = stem(&source).to_owned();
        for checker in [Checker::Asan, Checker::Valgrind] {
            if matches!(checker, Checker::Asan) && stem.ends_with("_valgrind") {
                continue;
            }
            let (workshop, results) = (Arc::clone(workshop), Arc::clone(results));
            let (source, name) = (source.clone(), format!("{stem}_by_{}", checker.name()));
            let trial = Trial::test(format!("watched_{name}"), move || {
                let outcome = check(&workshop, &source, checker);
                results.note("watched", "sanitizer", &name, outcome.is_ok());
                outcome.map_err(Failed::from)
            });
            trials.push(trial.with_kind("watched"));
        }
    }
    trials
}

fn check(workshop: &Workshop, source: &Path, checker: Checker) -> Result<(), String> {
    let text = std::fs::read_to_string(source).map_err(|error| error.to_string())?;
    let marked = text.lines().position(|line| line.contains("/* bug */"));
    let program: PathBuf = workshop.watched(source, checker.name(), checker.flags())?;
    let mut command = checker.command(&program);
    let ended = run(&mut command, LIMIT)?;
    let fail = |what: &str| Err(format!("{what}\n{}", ended.report(&shown(&command))));
    match marked {
        None if ended.is_success() && ended.stdout.contains("clean") => Ok(()),
        None => fail("something is reported, or the program did not reach its end"),
        Some(_) if ended.timed_out || ended.status.success() => fail("the bug was not reported"),
        Some(line) => {
            let file = source.file_name().and_then(|name| name.to_str());
            let place = format!("{}:{}", file.unwrap_or("?"), line + 1);
            let texts = text
                .lines()
                .filter_map(|line| line.strip_prefix("/* valgrind: ")?.strip_suffix(" */"))
                .filter(|_| matches!(checker, Checker::Valgrind));
            match texts
                .chain([place.as_str()])
                .find(|text| !ended.stderr.contains(text))
            {
                None => Ok(()),
                Some(text) => fail(&format!("the report does not contain `{text}`")),
            }
        }
    }
}
