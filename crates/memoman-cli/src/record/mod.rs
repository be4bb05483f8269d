//! `memoman record`: runs a program with the recorder in front of its allocator.

mod program;
mod traces;

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::error::Error;

/// Records a program's heap: every allocation and free, whatever allocator it uses.
#[derive(clap::Args)]
#[command(after_help = "\
Example: memoman record -o app.mmt --stacks 32 -- ./app --fast

A child process has a trace of its own beside the first: app.PID.mmt.
The exit status is the program's.")]
pub(crate) struct Args {
    /// The trace to write; one that exists is replaced. Default: the program's name and .mmt.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Return addresses to record with each allocation, at most 255.
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=255))]
    stacks: u32,
    /// Record one allocation every so many bytes on average, and its free. 524288 costs little.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    sample: u64,
    /// The recorder, when it is not in the lib folder beside the tool's.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    recorder: Option<PathBuf>,
    /// Say nothing about what was recorded.
    #[arg(short, long)]
    quiet: bool,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true)]
    program: Vec<OsString>,
}

const RECORDER: &str = "libmemoman_record.so";

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Error::failed(
            "the recorder is for Linux on x86-64; the other commands work on its traces here",
        ));
    }
    let name = Path::new(&args.program[0]);
    let output = match &args.output {
        Some(output) => output.clone(),
        None => PathBuf::from(name.file_name().unwrap_or(name.as_os_str())).with_extension("mmt"),
    };
    let output = std::path::absolute(&output)
        .map_err(|error| Error::failed(format_args!("{}: {error}", output.display())))?;
    if output.as_os_str().len() > 900 {
        return Err(Error::usage(
            "the path of the trace is longer than 900 bytes",
        ));
    }
    let recorder = match &args.recorder {
        Some(recorder) => recorder.clone(),
        None => find_recorder()?,
    };
    let file = program::find(name)?;
    program::can_be_recorded(&file)?;
    traces::remove(&output)?;
    let status = start(args, &recorder, &output)?;
    traces::store_status(&output, status);
    if !args.quiet {
        if program::has_own_heaps(&file) {
            eprintln!(
                "memoman: {}: its own handle heaps are not in the trace: link libmemoman.so, or \
                 send its records (memoman/record.h, memoman import)",
                file.display()
            );
        }
        traces::report(&output, &file, status, args.stacks)?;
    }
    exit_as(status)
}

fn start(args: &Args, recorder: &Path, output: &Path) -> Result<ExitStatus, Error> {
    let mut preload = recorder.as_os_str().to_owned();
    if let Some(before) = std::env::var_os("LD_PRELOAD").filter(|before| !before.is_empty()) {
        preload.push(":");
        preload.push(before);
    }
    let mut child = Command::new(&args.program[0]);
    child
        .args(&args.program[1..])
        .env("LD_PRELOAD", preload)
        .env("MMT_FILE", output)
        .env("MMT_PARENT", std::process::id().to_string())
        .env("MMT_STACKS", args.stacks.to_string())
        .env("MMT_SAMPLE", args.sample.to_string());
    // An interrupt from the terminal is the program's to handle: the tool waits for its end.
    let mut child = crate::signals::ignored(|| child.spawn()).map_err(|error| {
        let name = args.program[0].to_string_lossy();
        Error::failed(format_args!("cannot start {name}: {error}"))
    })?;
    child.wait().map_err(Error::failed)
}

/// The recorder: in the lib folder beside the tool's, or beside the tool.
fn find_recorder() -> Result<PathBuf, Error> {
    let tool = std::env::current_exe().map_err(Error::failed)?;
    let folder = tool.parent().unwrap_or(Path::new("/"));
    let places = ["../lib", "../lib/memoman", "."];
    for place in places {
        // A space or a colon would end the name in LD_PRELOAD.
        if let Ok(found) = folder.join(place).join(RECORDER).canonicalize() {
            if has_separator(found.as_os_str()) {
                return Err(Error::failed(format_args!(
                    "{}: the path holds a space or a colon, which LD_PRELOAD cannot name; \
                     move it, or give a link by --recorder",
                    found.display()
                )));
            }
            return Ok(found);
        }
    }
    Err(Error::failed(format_args!(
        "{RECORDER} is not in {}/../lib; `make tools` builds it, --recorder names another place",
        folder.display()
    )))
}

fn has_separator(path: &OsStr) -> bool {
    path.as_encoded_bytes()
        .iter()
        .any(|byte| matches!(byte, b' ' | b':'))
}

/// The tool ends as the program did.
fn exit_as(status: ExitStatus) -> Result<(), Error> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Error::Exit(code as u8)),
        (None, signal) => Err(Error::Exit(128u8.wrapping_add(signal.unwrap_or(0) as u8))),
    }
}
