//! Programs that use the C library's names only, under `LD_PRELOAD`. Comments on their first lines
//! say how to run them:
//!
//! ```text
//! // env: NAME=value
//! // args: one two
//! // args-tsan: one        replaces args in that variant or under that shim
//! // also-linked: asan     runs also with this variant's library linked in: linked.rs
//! // only-linked: plain    runs only so, not under a shim
//! // link: -ldl
//! // library: name.c -lx     built as name.so beside the program, from c_tests/preload/libraries
//! // expect-signal: SIGABRT
//! // expect-stderr: text   a line on stderr must contain the text; `*` stands for any text,
//! //                       `SITE` for a place in the program: `0x* (program+0x*)`
//! ```
//! Without `expect-signal` the program must end with status 0. Each prints `ok H name` for each
//! passed test, and `skip H name why` for a test that this machine does not permit.
//!
//! MM_SECONDS=n: programs of variable length run for n seconds; the time limit grows with it.

use super::build::{Workshop, files, in_parallel, program_name};
use super::misuse::{fits, is_misuse};
use super::process::{Ended, run, shown, without_settings};
use super::results::Results;
use super::variant::Exceptions;
use libtest_mimic::{Failed, Trial};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How long a program may take.
fn limit() -> Duration {
    let asked = std::env::var("MM_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(240 + asked.unwrap_or(0))
}

/// The settings on a program's first lines.
#[derive(Clone, Default)]
pub(crate) struct Directives {
    pub(crate) environment: Vec<(String, String)>,
    arguments: Vec<String>,
    /// Arguments that replace them in the variant or under the shim of that name.
    arguments_in: BTreeMap<String, Vec<String>>,
    /// Variants whose library is linked.
    pub(crate) also_linked: Vec<String>,
    /// Not under a shim.
    only_linked: bool,
    pub(crate) link: Vec<String>,
    /// A file of c_tests/preload/libraries, and the arguments to link it.
    libraries: Vec<Vec<String>>,
    pub(crate) signal: Option<i32>,
    pub(crate) stderr: Vec<String>,
    /// For a misuse program and a debug library: see misuse.rs.
    pub(crate) debug_signal: Option<i32>,
    pub(crate) debug_stderr: Vec<String>,
    pub(crate) debug_details: Vec<String>,
    debug_modes: Vec<String>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn signal_number(name: &str) -> Option<i32> {
    [
        ("SIGABRT", 6),
        ("SIGSEGV", 11),
        ("SIGILL", 4),
        ("SIGTRAP", 5),
        ("SIGBUS", 7),
        ("SIGKILL", 9),
    ]
    .into_iter()
    .find(|(known, _)| *known == name.trim())
    .map(|(_, number)| number)
}

impl Directives {
    pub(crate) fn read(source: &Path) -> Result<Directives, String> {
        let text = std::fs::read_to_string(source).map_err(|error| error.to_string())?;
        let site = format!("0x* ({}+0x*)", program_name(source));
        let mut found = Directives::default();
        let comments = text
            .lines()
            .take_while(|line| line.starts_with("//") || line.trim().is_empty());
        for line in comments.filter_map(|line| line.strip_prefix("//")) {
            let Some((name, value)) = line.trim().split_once(':') else {
                continue;
            };
            let value = &value.trim().replace("SITE", &site);
            match name {
                "env" => match value.split_once('=') {
                    Some((variable, value)) => {
                        found.environment.push((variable.into(), value.into()))
                    }
                    None => return Err(format!("env: {value}: no `=`")),
                },
                "args" => found.arguments.extend(words(value)),
                "also-linked" => found.also_linked.extend(words(value)),
                "only-linked" => {
                    found.only_linked = true;
                    found.also_linked.extend(words(value));
                }
                "link" => found.link.extend(words(value)),
                "library" => found.libraries.push(words(value)),
                "expect-signal" | "debug-signal" => match signal_number(value) {
                    Some(number) if name == "debug-signal" => found.debug_signal = Some(number),
                    Some(number) => found.signal = Some(number),
                    None => return Err(format!("{name}: {value}: unknown")),
                },
                "debug-stderr" => found.debug_stderr.push(value.into()),
                "debug-detail" => found.debug_details.push(value.into()),
                "debug-modes" => found.debug_modes = words(value),
                "expect-stderr" => found.stderr.push(value.into()),
                _ => {
                    if let Some(kind) = name.strip_prefix("args-") {
                        found.arguments_in.insert(kind.into(), words(value));
                    }
                }
            }
        }
        Ok(found)
    }

    /// A debug library can run the program in this mode: in every mode unless `debug-modes` is
    /// given.
    pub(crate) fn debug_modes_have(&self, mode: &str) -> bool {
        self.debug_modes.is_empty() || self.debug_modes.iter().any(|one| one == mode)
    }

    /// Why the end is not the expected one.
    fn complaint(&self, ended: &Ended) -> Option<String> {
        if ended.timed_out {
            return Some("did not end in time".into());
        }
        if ended.status.signal() != self.signal
            || (self.signal.is_none() && !ended.status.success())
        {
            return Some(format!(
                "ended with {}, expected {:?}",
                ended.status, self.signal
            ));
        }
        if ended.stdout.lines().any(|line| line.starts_with("FAIL ")) {
            return Some("a check failed".into());
        }
        self.stderr
            .iter()
            .find(|text| {
                let pattern = format!("*{text}*");
                !ended.stderr.lines().any(|line| fits(&pattern, line))
            })
            .map(|text| format!("stderr does not contain `{text}`"))
    }
}

/// A shim under which the programs run.
pub(crate) struct Shim {
    /// Its name in results and in `MEMOMAN_VARIANTS`.
    pub(crate) name: &'static str,
    /// What `scripts/build-lib.sh` calls its build.
    library: &'static str,
    file: &'static str,
    /// A folder of programs for this shim only.
    folder: Option<&'static str>,
    /// Programs that cannot hold under this shim, by reason.
    except: Exceptions,
}

/// Every shim.
pub(crate) const SHIMS: [Shim; 2] = [
    Shim {
        name: "preload",
        library: "release",
        file: "libmemoman_preload.so",
        folder: None,
        except: &[],
    },
    Shim {
        name: "preload-debug",
        library: "debug",
        file: "libmemoman_preload-debug.so",
        folder: Some("c_tests/debug/preload"),
        except: super::debug::SHIM_EXCEPTIONS,
    },
];

/// A trial for each program in c_tests/preload, apart from those of misuse.rs.
pub(crate) fn trials(
    workshop: &Arc<Workshop>,
    under: &'static Shim,
    results: &Arc<Results>,
) -> Vec<Trial> {
    let mut sources = files(&workshop.root.join("c_tests/preload"), &["c", "cpp"]);
    if let Some(folder) = under.folder {
        sources.extend(files(&workshop.root.join(folder), &["c", "cpp"]));
    }
    let excluded: Vec<&str> = under
        .except
        .iter()
        .flat_map(|(_, names)| names.iter().copied())
        .collect();
    let name_of = |source: &PathBuf| source.file_name().map(|name| name.display().to_string());
    let mut left_out = Vec::new();
    sources.retain(|source| {
        let name = name_of(source).unwrap_or_default();
        let is_excluded = excluded.contains(&name.as_str());
        if is_excluded {
            left_out.push(name);
        }
        let only_linked = Directives::read(source).is_ok_and(|directives| directives.only_linked);
        !is_misuse(source) && !is_excluded && !only_linked
    });
    // An exception without its program is out of date.
    let missing: Vec<_> = excluded
        .into_iter()
        .filter(|name| !left_out.iter().any(|found| found == name))
        .collect();
    let built = in_parallel(&sources, |source| {
        let directives = Directives::read(source)?;
        for library in &directives.libraries {
            workshop.strangers_library(library)?;
        }
        let program = workshop.stranger(source, &directives.link)?;
        let shim = workshop.library(under.library)?.join(under.file);
        Ok((directives, program, shim))
    });
    let mut trials: Vec<Trial> = sources
        .iter()
        .zip(built)
        .map(|(source, built)| trial(workshop, under.name, results, source, built))
        .collect();
    for name in missing {
        let results = Arc::clone(results);
        let missing = Trial::test(format!("H_exception_{name}"), move || {
            results.note(under.name, "H", name, false);
            Err(Failed::from(format!(
                "{name} is an exception, and there is no such program"
            )))
        });
        trials.push(missing.with_kind(under.name));
    }
    if trials.is_empty() {
        let results = Arc::clone(results);
        let nothing = Trial::test("H_programs", move || {
            results.note(under.name, "H", "programs", false);
            Err(Failed::from("c_tests/preload has no programs"))
        });
        trials.push(nothing.with_kind(under.name));
    }
    trials
}

fn trial(
    workshop: &Arc<Workshop>,
    kind: &'static str,
    results: &Arc<Results>,
    source: &Path,
    built: Result<(Directives, PathBuf, PathBuf), String>,
) -> Trial {
    let name = source
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("?")
        .replace('.', "_");
    let results = Arc::clone(results);
    let folder = workshop.out.join("preload");
    let full = format!("H_{name}");
    Trial::test(full, move || {
        let (directives, program, shim) = match built {
            Ok(built) => built,
            Err(error) => {
                results.note(kind, "H", &name, false);
                return Err(Failed::from(error));
            }
        };
        let mut command = Command::new(program);
        command.current_dir(folder).env("LD_PRELOAD", shim);
        run_and_note(command, &directives, kind, &name, &results)
    })
    .with_kind(kind)
}

/// Runs the program by its directives, notes each of its result lines, and returns the failure.
pub(crate) fn run_and_note(
    mut command: Command,
    directives: &Directives,
    kind: &str,
    name: &str,
    results: &Results,
) -> Result<(), Failed> {
    let arguments = directives.arguments_in.get(kind);
    command.args(arguments.unwrap_or(&directives.arguments));
    without_settings(&mut command);
    for (variable, value) in &directives.environment {
        command.env(variable, value);
    }
    let ended = run(&mut command, limit())?;
    let mut seen = 0;
    for line in ended.stdout.lines() {
        if let Some(test) = line.strip_prefix("ok H ") {
            results.note(kind, "H", test, true);
            seen += 1;
        } else if let Some(test) = line.strip_prefix("skip H ") {
            results.skip(kind, "H", test);
            seen += 1;
        }
    }
    let complaint = directives
        .complaint(&ended)
        .or_else(|| (seen == 0).then(|| "no `ok H name` line was printed".to_owned()));
    match complaint {
        None => Ok(()),
        Some(complaint) => {
            results.note(kind, "H", name, false);
            Err(Failed::from(format!(
                "{complaint}\n{}",
                ended.report(&shown(&command))
            )))
        }
    }
}
