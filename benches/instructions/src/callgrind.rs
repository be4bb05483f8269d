//! Builds a C program of benches/programs, runs it under callgrind, reads the counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One measured call.
pub(crate) struct Count {
    /// The state; after " @ " its surroundings, if they vary.
    pub(crate) name: String,
    /// From the call's first instruction to its return, both included.
    pub(crate) instructions: u64,
}

/// A library to link: the folder of its archive and header, and a folder for programs.
pub(crate) struct Library {
    pub(crate) folder: PathBuf,
    pub(crate) work: PathBuf,
}

impl Library {
    /// Compiles a program that measures the states.
    pub(crate) fn program(&self, main: &str) -> Result<PathBuf, String> {
        let files = [
            main,
            "bed",
            "states_malloc",
            "states_free",
            "states_realloc",
            "states_others",
            "states_cache",
        ];
        self.compile(main, &files)
    }

    /// Compiles files of benches/programs with -O2 and links the archive.
    pub(crate) fn compile(&self, name: &str, files: &[&str]) -> Result<PathBuf, String> {
        let programs = record::root().join("benches/programs");
        fs::create_dir_all(&self.work)
            .map_err(|error| format!("{}: {error}", self.work.display()))?;
        let binary = self.work.join(name);
        let compiler = std::env::var("CC").unwrap_or_else(|_| "gcc".to_owned());
        let mut command = Command::new(&compiler);
        command
            .args(["-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-I"])
            .arg(self.folder.join("include"));
        for file in files {
            command.arg(programs.join(file).with_extension("c"));
        }
        command
            .arg(self.folder.join("libmemoman.a"))
            .arg("-lpthread")
            .arg("-o")
            .arg(&binary);
        run(&mut command)?;
        Ok(binary)
    }

    /// Runs the program under callgrind. The first measured call must be the empty one, whose count
    /// is subtracted from all others.
    pub(crate) fn count(
        &self,
        binary: &Path,
        options: &[&str],
        arguments: &[String],
    ) -> Result<Vec<Count>, String> {
        let dump = binary.with_extension("callgrind");
        let _ = fs::remove_file(&dump);
        run(Command::new("valgrind")
            .args([
                "-q",
                "--tool=callgrind",
                "--collect-atstart=no",
                "--combine-dumps=yes",
            ])
            .arg(format!("--callgrind-out-file={}", dump.display()))
            .args(options)
            .arg(binary)
            .args(arguments))?;
        let text =
            fs::read_to_string(&dump).map_err(|error| format!("{}: {error}", dump.display()))?;
        parse(&text)
    }
}

/// Runs a command; its output becomes the error when it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{} ended with {}\n{}{}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// Reads a combined dump: for each call a "desc: Trigger" line with the name, then a "summary:"
/// line with the count.
fn parse(text: &str) -> Result<Vec<Count>, String> {
    let mut counts: Vec<Count> = Vec::new();
    let mut name = None;
    let mut frame = None;
    for line in text.lines() {
        if let Some(trigger) = line.strip_prefix("desc: Trigger: ") {
            name = trigger.strip_prefix("Client Request: ");
        } else if let Some(summary) = line.strip_prefix("summary: ")
            && let Some(name) = name.take()
        {
            let all: u64 = summary
                .trim()
                .parse()
                .map_err(|_| format!("callgrind's dump has no number for {name}: {summary}"))?;
            if name == "empty" && frame.is_some() {
                continue;
            }
            // The empty call is one instruction, its return, which every call has.
            let frame = *frame.get_or_insert(all.saturating_sub(1));
            let instructions = all.checked_sub(frame).filter(|&own| own > 0);
            counts.push(Count {
                name: name.to_owned(),
                instructions: instructions.ok_or(format!("{name} took less than an empty call"))?,
            });
        }
    }
    // `mm_block_size` reads one word, unless the library marks its memory for valgrind.
    let marked = |count: &Count| count.name.starts_with("block_size") && count.instructions > 40;
    match counts.first() {
        Some(first) if first.name == "empty" => {
            counts.remove(0);
            if counts.iter().any(marked) {
                return Err(
                    "the library takes callgrind for memcheck and marks its memory".to_owned(),
                );
            }
            Ok(counts)
        }
        _ => Err("callgrind's dump does not begin with the empty call".to_owned()),
    }
}
