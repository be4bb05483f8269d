//! Builds the recorder and the programs of `tests/programs`, records them, reads the traces.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use memoman_trace::{Event, Kind, Trace};

/// A command's output; its failure to start is the test's.
pub(crate) fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn must(command: &mut Command) {
    let output = run(command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}

fn built() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// The recorder: MEMOMAN_RECORDER, or built here, once a test binary. A folder of its own: cargo
/// holds the lock of the other one.
pub(crate) fn recorder() -> &'static Path {
    static RECORDER: OnceLock<PathBuf> = OnceLock::new();
    RECORDER.get_or_init(|| {
        if let Some(given) = std::env::var_os("MEMOMAN_RECORDER") {
            return given.into();
        }
        let folder = built().join("recorder");
        must(
            Command::new(env!("CARGO"))
                .args([
                    "build",
                    "--quiet",
                    "--release",
                    "--package",
                    "memoman-record",
                ])
                .arg("--target-dir")
                .arg(&folder)
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")),
        );
        folder.join("release/libmemoman_record.so")
    })
}

/// A program or library of `tests/programs`, built with these arguments under this name.
pub(crate) fn build(source: &str, name: &str, arguments: &[&str]) -> PathBuf {
    let folder = built().join(format!("programs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    let compiler = if source.ends_with(".cpp") {
        "c++"
    } else {
        "cc"
    };
    let part = folder.join(format!("{name}.{:?}", std::thread::current().id()));
    must(
        Command::new(compiler)
            .args(["-O1", "-g", "-pthread", "-o"])
            .arg(&part)
            .arg(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs")).join(source))
            .args(arguments)
            .args(["-ldl", "-Wno-unused-result"]),
    );
    std::fs::rename(part, &path).unwrap();
    path
}

/// The program most tests run.
pub(crate) fn work() -> PathBuf {
    static WORK: OnceLock<PathBuf> = OnceLock::new();
    WORK.get_or_init(|| build("work.c", "work", &["-fno-builtin-malloc", "-fno-builtin"]))
        .clone()
}

/// The tool.
pub(crate) fn memoman() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memoman"));
    command.env_remove("LD_PRELOAD");
    command
}

/// A recording in a folder of its own.
pub(crate) struct Recording {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) output: Output,
}

impl Recording {
    /// `memoman record OPTIONS -o t.mmt -- PROGRAM…`, with these libraries preloaded behind.
    pub(crate) fn new(options: &[&str], program: &[&str], behind: &[&Path]) -> Recording {
        let folder = tempfile::tempdir().unwrap();
        let mut command = memoman();
        command
            .arg("record")
            .arg("--recorder")
            .arg(recorder())
            .args(options)
            .arg("-o")
            .arg(folder.path().join("t.mmt"))
            .arg("--")
            .args(program);
        if let Some(library) = behind.first() {
            command.env("LD_PRELOAD", library);
        }
        let output = run(&mut command);
        Recording { folder, output }
    }

    pub(crate) fn work(options: &[&str], arguments: &[&str]) -> Recording {
        let work = work();
        let mut program = vec![work.to_str().unwrap()];
        program.extend(arguments);
        Recording::new(options, &program, &[])
    }

    pub(crate) fn succeeded(self) -> Recording {
        let errors = String::from_utf8_lossy(&self.output.stderr);
        assert!(
            self.output.status.success(),
            "{:?} {errors}",
            self.output.status
        );
        self
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("t.mmt")
    }

    pub(crate) fn trace(&self) -> Trace {
        Trace::open(self.path()).unwrap()
    }

    /// The traces of child processes, by name.
    pub(crate) fn children(&self) -> Vec<Trace> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| *path != self.path() && path.extension().is_some_and(|e| e == "mmt"))
            .collect();
        paths.sort();
        paths
            .iter()
            .map(|path| Trace::open(path).unwrap())
            .collect()
    }
}

/// All events, in the order of time.
pub(crate) fn events(trace: &Trace) -> Vec<Event> {
    let events: Vec<Event> = trace.events().collect::<Result<_, _>>().unwrap();
    assert!(events.is_sorted_by_key(|event| event.time));
    events
}

/// The number of allocations of a size.
pub(crate) fn allocations(events: &[Event], size: u64) -> usize {
    let counts = |e: &&Event| e.size == size && !matches!(e.kind, Kind::Free | Kind::Failed);
    events.iter().filter(counts).count()
}

/// The number of frees of blocks that were allocated with a size. Each free must be of a live block
/// or of one from before the recording.
pub(crate) fn frees(events: &[Event], size: u64) -> usize {
    let mut live = std::collections::HashMap::new();
    let mut count = 0;
    for event in events {
        if event.old != 0 && event.kind != Kind::Failed && live.remove(&event.old) == Some(size) {
            count += 1;
        }
        if event.pointer != 0 && event.heap == 0 {
            let before = live.insert(event.pointer, event.size);
            assert_eq!(before, None, "a live block is allocated again: {event:?}");
        }
    }
    count
}
