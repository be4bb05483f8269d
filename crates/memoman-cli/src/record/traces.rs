//! The traces that a recording writes: that of the program, and those of its children beside it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use memoman_trace::{Ended, Origin, Trace};

use crate::error::Error;
use crate::input;
use crate::text::bytes;

/// Removes the traces of an earlier recording of this name. Files that are no traces stay, and are
/// named.
pub(super) fn remove(output: &Path) -> Result<(), Error> {
    let mut old = children(output);
    if output.exists() {
        old.push(output.to_owned());
    }
    for path in old {
        match Trace::open(&path) {
            Err(error) if error.is_foreign() && path.metadata().is_ok_and(|m| m.len() > 0) => {
                return Err(Error::failed(format_args!(
                    "{} exists and is not a trace; it stays: choose another name",
                    path.display()
                )));
            }
            _ => std::fs::remove_file(&path).map_err(|error| {
                Error::failed(format_args!("cannot replace {}: {error}", path.display()))
            })?,
        }
    }
    Ok(())
}

/// `app.PID.mmt` and `app.PID-n.mmt` beside `app.mmt`, by name.
fn children(output: &Path) -> Vec<PathBuf> {
    let name = output
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let (stem, end) = name
        .strip_suffix(".mmt")
        .map_or((name.as_str(), ""), |stem| (stem, ".mmt"));
    let folder = output.parent().unwrap_or(Path::new("."));
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let middle = name
                .strip_prefix(stem)
                .and_then(|rest| rest.strip_prefix('.'))
                .and_then(|rest| rest.strip_suffix(end));
            middle.is_some_and(|middle| {
                let (pid, count) = middle.split_once('-').unwrap_or((middle, "2"));
                let number =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                number(pid) && number(count)
            })
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Writes the wait status into the program's trace.
pub(super) fn store_status(output: &Path, status: ExitStatus) {
    use memoman_trace::EXIT_FIELD;
    let is_trace = Trace::open(output).is_ok();
    if let Ok(file) = OpenOptions::new().write(true).open(output)
        && is_trace
    {
        let (at, known) = EXIT_FIELD;
        // A trace without the status is whole in all else.
        let _ = file.write_all_at(&(status.into_raw() as u32 | known).to_le_bytes(), at);
    }
}

/// Says what was recorded.
pub(super) fn report(
    output: &Path,
    program: &Path,
    status: ExitStatus,
    stacks: u32,
) -> Result<(), Error> {
    if output.exists() {
        describe(output, "", status, stacks)?;
    } else if children(output).is_empty() {
        return Err(Error::failed(format_args!(
            "nothing was recorded: {} has never allocated under the recorder \
             (a script's interpreter may be static, or the environment was cleared)",
            program.display()
        )));
    }
    let mut children: Vec<(u64, PathBuf)> = children(output)
        .into_iter()
        .map(|path| (path.metadata().map_or(0, |about| about.len()), path))
        .collect();
    children.sort_by(|one, other| other.cmp(one));
    const SHOWN: usize = 4;
    for (_, path) in children.iter().take(SHOWN) {
        // It may still run, or have just begun: the program's own status counts.
        if let Err(error) = describe(path, "child: ", status, stacks) {
            let _ = error.report();
        }
    }
    if children.len() > SHOWN {
        eprintln!(
            "memoman: and {} smaller traces of child processes beside it",
            children.len() - SHOWN
        );
    }
    Ok(())
}

/// One line about a trace, and one for each thing that it lacks.
fn describe(path: &Path, what: &str, status: ExitStatus, stacks: u32) -> Result<(), Error> {
    let trace = Trace::open(path)?;
    let header = trace.header();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let args = header.args.join(" ");
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let args: String = args.chars().take(60).map(plain).collect();
    let killed = match status.signal() {
        Some(signal) if what.is_empty() => format!(", ended by signal {signal}"),
        _ => String::new(),
    };
    eprintln!(
        "memoman: {name}: {what}{args} (process {}), {}{killed}",
        header.pid,
        bytes(trace.bytes()),
    );
    if stacks > 0 && header.stacks == 0 {
        let why = if matches!(header.origin, Origin::Forked { .. }) {
            "its parent had threads, and every unwinder here takes a lock that one may hold"
        } else {
            "install libunwind8 or libgcc-s1"
        };
        eprintln!("memoman: {name}: without stacks: {why}");
    }
    if matches!(header.ended, Ended::Cut(_)) || header.lost > 0 {
        input::warn(&trace);
    }
    Ok(())
}
