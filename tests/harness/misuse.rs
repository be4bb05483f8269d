//! One small program for each misuse, with its exact end.
//!
//! * c_tests/misuse: programs on the handle API, linked with a library. Each runs twice: `dies`,
//!   without an error handler, and `returns`, with one that prints the library's line and returns
//!   (see misuse.h).
//! * c_tests/debug: programs of the same form, for misuse that only a debug library finds.
//! * c_tests/preload/misuse_*: programs that use the C library's names only, under a shim.
//!
//! Comments on the first lines give a program's expected end; stderr must consist of exactly these
//! lines, in this order.
//!
//! ```text
//! // expect-signal: SIGABRT
//! // expect-stderr: memoman: double free: POINTER   the address printed as `pointer 0x…`
//! // debug-signal: SIGABRT                          replaces expect-signal, with a debug library
//! // debug-stderr: memoman: double free: POINTER*   `*` stands for any text
//! // debug-detail: memoman:   block of 48 bytes *   a line among those about the block; `SITE`
//! //                                                stands for `0x* (program+0x*)`
//! // debug-modes: dies                              the modes in which the debug library runs it
//! ```

use super::build::{Workshop, files, in_parallel, stem};
use super::preload::Directives;
use super::process::{Ended, run, shown, without_settings};
use super::results::Results;
use libtest_mimic::{Failed, Trial};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A library and a shim that must find every misuse.
pub(crate) struct Detector {
    /// Its name in test names, results and `MEMOMAN_VARIANTS`.
    pub(crate) name: &'static str,
    /// What `scripts/build-lib.sh` calls its build.
    pub(crate) library: &'static str,
    /// The library's file in the build's folder.
    pub(crate) archive: &'static str,
    /// The shim's file in the build's folder.
    pub(crate) shim: &'static str,
    /// The `debug-` lines apply.
    pub(crate) debug: bool,
}

/// Every library that the programs are run against.
pub(crate) const DETECTORS: [Detector; 3] = [
    Detector {
        name: "misuse",
        library: "release",
        archive: "libmemoman.a",
        shim: "libmemoman_preload.so",
        debug: false,
    },
    Detector {
        name: "misuse-debug",
        library: "debug",
        archive: "libmemoman-debug.a",
        shim: "libmemoman_preload-debug.so",
        debug: true,
    },
    Detector {
        name: "misuse-small",
        library: "small",
        archive: "libmemoman.a",
        shim: "libmemoman_preload.so",
        debug: false,
    },
];

/// How a program is run.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Handle API, no handler.
    Dies,
    /// Handle API, with a handler that returns.
    Returns,
    /// Under the shim.
    Shim,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Dies => "dies",
            Mode::Returns => "returns",
            Mode::Shim => "under_the_shim",
        }
    }
}

/// A program that was built, or why it was not.
type Built = Result<(Directives, PathBuf), String>;

/// A trial for each program and mode.
pub(crate) fn trials(
    workshop: &Arc<Workshop>,
    detector: &'static Detector,
    results: &Arc<Results>,
) -> Vec<Trial> {
    let mut handle = files(&workshop.root.join("c_tests/misuse"), &["c"]);
    if detector.debug {
        handle.extend(files(&workshop.root.join("c_tests/debug"), &["c"]));
    }
    let shim: Vec<PathBuf> = files(&workshop.root.join("c_tests/preload"), &["c", "cpp"])
        .into_iter()
        .filter(|source| is_misuse(source))
        .collect();
    let built = in_parallel(&handle, |source| -> Built {
        let directives = Directives::read(source)?;
        let folder = workshop.library(detector.library)?;
        let program = workshop.tiny(source, detector.name, &folder, detector.archive)?;
        Ok((directives, program))
    });
    let mut trials = Vec::new();
    let mut left_out = 0;
    for (source, built) in handle.iter().zip(built) {
        let applies = |mode: &Mode| {
            !built.as_ref().is_ok_and(|(directives, _)| {
                detector.debug && !directives.debug_modes_have(mode.name())
            })
        };
        let modes: Vec<Mode> = [Mode::Dies, Mode::Returns]
            .into_iter()
            .filter(applies)
            .collect();
        left_out += usize::from(modes.is_empty());
        for mode in modes {
            trials.push(trial(
                workshop,
                detector,
                results,
                source,
                mode,
                built.clone(),
            ));
        }
    }
    trials.push(counted(
        detector,
        results,
        [handle.len(), shim.len(), left_out],
    ));
    let built = in_parallel(&shim, |source| -> Built {
        let directives = Directives::read(source)?;
        let program = workshop.stranger(source, &directives.link)?;
        Ok((directives, program))
    });
    for (source, built) in shim.iter().zip(built) {
        trials.push(trial(
            workshop,
            detector,
            results,
            source,
            Mode::Shim,
            built,
        ));
    }
    trials
}

/// The programs of c_tests/preload that belong here.
pub(crate) fn is_misuse(source: &Path) -> bool {
    stem(source).starts_with("misuse_")
}

/// A missing folder must not pass for one without misuse, nor many programs with `debug-modes:
/// none` for few.
fn counted(
    detector: &'static Detector,
    results: &Arc<Results>,
    [handle, shim, left_out]: [usize; 3],
) -> Trial {
    let results = Arc::clone(results);
    Trial::test("misuse_programs_are_there", move || {
        let there = handle >= 100 && shim >= 35 && left_out <= 12;
        let counts = format!(
            "{handle} programs for the handle API ({left_out} do not apply), {shim} for the shim"
        );
        println!("{}: {counts}", detector.name);
        results.note(detector.name, "misuse", "programs_are_there", there);
        if there { Ok(()) } else { Err(counts.into()) }
    })
    .with_kind(detector.name)
}

fn trial(
    workshop: &Arc<Workshop>,
    detector: &'static Detector,
    results: &Arc<Results>,
    source: &Path,
    mode: Mode,
    built: Built,
) -> Trial {
    let short = stem(source).trim_start_matches("misuse_");
    let name = format!("{short}_{}", mode.name());
    let (workshop, results) = (Arc::clone(workshop), Arc::clone(results));
    let full = format!("misuse_{name}");
    Trial::test(full, move || {
        let outcome = built.and_then(|(directives, program)| {
            check(&workshop, detector, mode, &directives, &program)
        });
        results.note(detector.name, "misuse", &name, outcome.is_ok());
        outcome.map_err(Failed::from)
    })
    .with_kind(detector.name)
}

fn check(
    workshop: &Workshop,
    detector: &Detector,
    mode: Mode,
    directives: &Directives,
    program: &Path,
) -> Result<(), String> {
    let mut command = Command::new(program);
    command
        .current_dir(workshop.out.join("logs"))
        .env_remove("LD_PRELOAD");
    without_settings(&mut command);
    for (variable, value) in &directives.environment {
        command.env(variable, value);
    }
    match mode {
        Mode::Shim => {
            let shim = workshop.library(detector.library)?.join(detector.shim);
            command.env("LD_PRELOAD", shim);
        }
        Mode::Dies | Mode::Returns => {
            command.arg(mode.name());
            if detector.debug {
                command.arg("debug");
            }
        }
    }
    let ended = run(&mut command, LIMIT)?;
    match complaint(detector, mode, directives, &ended) {
        None => Ok(()),
        Some(complaint) => Err(format!("{complaint}\n{}", ended.report(&shown(&command)))),
    }
}

/// Why the end is not the expected one.
fn complaint(
    detector: &Detector,
    mode: Mode,
    directives: &Directives,
    ended: &Ended,
) -> Option<String> {
    if ended.timed_out {
        return Some("did not end in time".into());
    }
    if let Some(line) = ended.stdout.lines().find(|line| line.starts_with("FAIL ")) {
        return Some(line.to_owned());
    }
    let Some(pointer) = ended
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("pointer "))
    else {
        return Some("the program did not reach its misuse".into());
    };

    let signal = match mode {
        Mode::Returns => None,
        _ if detector.debug && directives.debug_signal.is_some() => directives.debug_signal,
        _ if directives.signal.is_none() => return Some("no expect-signal".into()),
        _ => directives.signal,
    };
    let as_expected = match signal {
        Some(signal) => ended.status.signal() == Some(signal),
        None => ended.status.success(),
    };
    if !as_expected {
        return Some(format!("ended with {}, expected {signal:?}", ended.status));
    }
    let said_sound = ended.stdout.lines().last() == Some("sound");
    if said_sound != (mode == Mode::Returns) {
        return Some(format!("heap reported as sound afterwards: {said_sound}"));
    }

    let debug = detector.debug && !directives.debug_stderr.is_empty();
    let expected = if debug {
        &directives.debug_stderr
    } else {
        &directives.stderr
    };
    if expected.is_empty() || (!debug && expected.iter().any(|line| line.contains('*'))) {
        return Some("the expected line must be given, and in full".into());
    }
    let mut lines: Vec<&str> = ended.stderr.lines().collect();
    if detector.debug {
        // A debug library prints details of the block after the first line, and calls the handler
        // last, which repeats the first line.
        let (details, mut rest): (Vec<&str>, Vec<&str>) = lines
            .into_iter()
            .partition(|line| line.starts_with("memoman:   "));
        if let Some(missing) = directives
            .debug_details
            .iter()
            .find(|pattern| !details.iter().any(|line| fits(pattern, line)))
        {
            return Some(format!("no line on stderr is `{missing}`"));
        }
        rest.dedup();
        lines = rest;
    }
    let matches = lines.len() == expected.len()
        && expected
            .iter()
            .zip(&lines)
            .all(|(pattern, line)| fits(&pattern.replace("POINTER", pointer), line));
    (!matches).then(|| format!("stderr is not `{}`", expected.join("` `")))
}

/// `line` is `pattern`, in which `*` stands for any text.
pub(crate) fn fits(pattern: &str, line: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| fits(rest, tail)))
        }),
    }
}
