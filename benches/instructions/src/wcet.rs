//! `make wcet`: instructions of every call in every state.

use std::path::PathBuf;
use std::process::Command;

use crate::callgrind::Library;

/// A build of the library.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// As `make` builds it
    Release,
    /// For x86-64-v3 processors: lzcnt, tzcnt, andn
    V3,
    /// With opt-level "s"
    Size,
}

impl Build {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Build::Release => "release",
            Build::V3 => "x86-64-v3",
            Build::Size => "size",
        }
    }

    /// Builds the library into a folder of its own under `work`.
    pub(crate) fn library(self, work: &std::path::Path) -> Result<Library, String> {
        let root = record::root();
        let work = work.join(self.name());
        let folder = work.join("dist");
        let mut command = Command::new(root.join("scripts/build-lib.sh"));
        command.arg(&folder).arg("release").current_dir(&root);
        match self {
            Build::Release => {}
            Build::V3 => {
                command
                    .env("RUSTFLAGS", "-Ctarget-cpu=x86-64-v3")
                    .env("CARGO_TARGET_DIR", work.join("target"));
            }
            Build::Size => {
                command
                    .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
                    .env("CARGO_TARGET_DIR", work.join("target"));
            }
        }
        let status = command.status().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err("scripts/build-lib.sh fails".to_owned());
        }
        Ok(Library { folder, work })
    }
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Builds to count; the first one's counts are printed
    #[arg(long, value_delimiter = ',', default_value = "release")]
    builds: Vec<Build>,
    /// The folder of programs and builds
    #[arg(long, default_value = "target/instructions")]
    work: PathBuf,
    /// The results file
    #[arg(long, default_value = "benches/results/wcet.csv")]
    out: PathBuf,
    /// The command to name in the results file
    #[arg(long, default_value = "make wcet")]
    command: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let root = record::root();
    let mut rows = Vec::new();
    for (index, build) in arguments.builds.iter().enumerate() {
        let library = build.library(&root.join(&arguments.work))?;
        let counts = library.count(&library.program("wcet")?, &[], &[])?;
        for count in counts {
            if index == 0 {
                println!("wcet {} {}", count.name, count.instructions);
            }
            rows.push(vec![
                build.name().to_owned(),
                count.name,
                count.instructions.to_string(),
            ]);
        }
    }
    let comment = record::comment(
        &arguments.command,
        &[
            record::first_line("valgrind", &["--version"]),
            "C program: gcc -O2".to_owned(),
        ],
    );
    record::write(
        &root.join(&arguments.out),
        &comment,
        &["build", "state", "instructions"],
        &rows,
    )
    .map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    Ok(true)
}
