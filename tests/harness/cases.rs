//! Many kinds of misuse, each with blocks of several sizes, under the shims: the program
//! c_tests/cases, a process for each kind and size. `expected.txt` beside it has the required end
//! of each run:
//!
//! ```text
//! // kind     release  debug     a letter for each of the sizes in its first line
//! double_free SSSSSS   SSSSSS
//! ```
//! * `S` stopped: one line of the shim, and SIGABRT
//! * `F` stopped, or a fault at the address
//! * `V` visible: the program reads the shim's fill; or better
//! * `N` noticed: listed as a leak at exit
//! * `-` nothing is promised
//!
//! A kind without a line, or a line without a kind, fails.

use super::build::Workshop;
use super::process::{Ended, run, shown, without_settings};
use super::results::Results;
use libtest_mimic::{Failed, Trial};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A shim, and its column of the table.
struct Shim {
    name: &'static str,
    build: &'static str,
    file: &'static str,
    /// The least runs that it must stop, and those that must be stopped, visible or noticed.
    least: [usize; 2],
}

const SHIMS: [Shim; 2] = [
    Shim {
        name: "cases",
        build: "release",
        file: "libmemoman_preload.so",
        least: [514, 521],
    },
    Shim {
        name: "cases-debug",
        build: "debug",
        file: "libmemoman_preload-debug.so",
        least: [660, 696],
    },
];

/// One kind: its name, and a letter for each size under each shim.
struct Row {
    kind: String,
    expected: [Vec<char>; 2],
}

struct Table {
    sizes: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    fn read(text: &str) -> Result<Table, String> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let first = lines.next().ok_or("no sizes")?;
        let sizes: Vec<String> = first.split_whitespace().map(str::to_owned).collect();
        let rows = lines
            .map(|line| {
                let mut words = line.split_whitespace();
                let mut next = || words.next().ok_or(format!("`{line}`: too short"));
                let kind = next()?.to_owned();
                let expected = [next()?, next()?].map(|word| word.chars().collect::<Vec<_>>());
                let fits = |word: &Vec<char>| {
                    word.len() == sizes.len() && word.iter().all(|one| "SFVN-".contains(*one))
                };
                if expected.iter().all(fits) {
                    Ok(Row { kind, expected })
                } else {
                    Err(format!("`{line}`: not a letter for each size"))
                }
            })
            .collect::<Result<_, String>>()?;
        Ok(Table { sizes, rows })
    }
}

/// What became of a run, as a letter.
fn letter(ended: &Ended) -> char {
    let said = ended
        .stderr
        .lines()
        .any(|line| line.starts_with("memoman: "));
    match ended.status.signal() {
        Some(6) if said && !ended.timed_out => 'S',
        Some(7 | 11) => 'F',
        None if ended.status.code() == Some(3) => 'V',
        None if ended.status.success() && ended.stderr.contains(" in use at exit") => 'N',
        None if ended.status.success() => '-',
        _ => '?',
    }
}

/// What became of a run is what is expected, or better.
fn holds(expected: char, found: char) -> bool {
    match expected {
        'F' => "SF".contains(found),
        'V' => "SFV".contains(found),
        '-' => found != '?',
        _ => found == expected,
    }
}

/// A trial for each kind under each shim, and one for the table itself.
pub(crate) fn trials(workshop: &Arc<Workshop>, results: &Arc<Results>) -> Vec<Trial> {
    let folder = workshop.root.join("c_tests/cases");
    let made = std::fs::read_to_string(folder.join("expected.txt"))
        .map_err(|error| error.to_string())
        .and_then(|text| Table::read(&text))
        .and_then(|table| {
            let program = workshop.stranger(&folder.join("cases.cpp"), &[])?;
            Ok((table, program))
        });
    let (table, program) = match made {
        Ok(made) => made,
        Err(error) => return vec![note("table", "cases", results, move || Err(error.clone()))],
    };
    let mut trials = Vec::new();
    let listed: Vec<String> = table.rows.iter().map(|row| row.kind.clone()).collect();
    let kinds = program.clone();
    trials.push(note("table", "cases", results, move || {
        let ended = run(&mut Command::new(&kinds), LIMIT)?;
        let there: Vec<&str> = ended.stdout.lines().collect();
        if there == listed {
            Ok(())
        } else {
            Err("the program's kinds are not those of expected.txt, in its order".into())
        }
    }));
    for (column, shim) in SHIMS.iter().enumerate() {
        let letters = || table.rows.iter().flat_map(|row| &row.expected[column]);
        let stopped = letters().filter(|one| "SF".contains(**one)).count();
        let found = letters().filter(|one| **one != '-').count();
        let all = letters().count();
        // Guards edits of the table: its letters are what the runs below must do.
        trials.push(note("counts", shim.name, results, move || {
            println!("{}: {stopped} of {all} stopped, {found} found", shim.name);
            let [least_stopped, least_found] = shim.least;
            if stopped >= least_stopped && found >= least_found {
                Ok(())
            } else {
                Err(format!(
                    "{stopped} stopped and {found} found: fewer than before"
                ))
            }
        }));
        for row in &table.rows {
            let (kind, expected) = (row.kind.clone(), row.expected[column].clone());
            let (sizes, program) = (table.sizes.clone(), program.clone());
            let workshop = Arc::clone(workshop);
            let name = row.kind.clone();
            trials.push(note(&name, shim.name, results, move || {
                let library = workshop.library(shim.build)?.join(shim.file);
                for (size, expected) in sizes.iter().zip(&expected) {
                    check(&program, &library, [&kind, size], *expected)?;
                }
                Ok(())
            }));
        }
    }
    trials
}

fn check(
    program: &PathBuf,
    library: &PathBuf,
    arguments: [&str; 2],
    expected: char,
) -> Result<(), String> {
    let mut command = Command::new(program);
    without_settings(&mut command);
    command.args(arguments).env("LD_PRELOAD", library);
    if arguments[0].starts_with("leak") {
        command.env("MEMOMAN_LEAKS", "1");
    }
    let ended = run(&mut command, LIMIT)?;
    let found = letter(&ended);
    if holds(expected, found) {
        return Ok(());
    }
    let report = ended.report(&shown(&command));
    Err(format!("expected {expected}, found {found}\n{report}"))
}

/// A trial whose result is noted.
fn note(
    name: &str,
    variant: &'static str,
    results: &Arc<Results>,
    body: impl Fn() -> Result<(), String> + Send + 'static,
) -> Trial {
    let results = Arc::clone(results);
    let name = format!("case_{name}");
    let full = format!("misuse_{name}");
    Trial::test(full, move || {
        let outcome = body();
        results.note(variant, "misuse", &name, outcome.is_ok());
        outcome.map_err(Failed::from)
    })
    .with_kind(variant)
}
