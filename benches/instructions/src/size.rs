//! `make size`: bytes of code, of the control structure, and of a block's overhead.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::callgrind::Library;
use crate::wcet::Build;

/// The functions whose code is counted, with everything that they call.
const COUNTED: [&str; 6] = [
    "mm_create",
    "mm_add_pool",
    "mm_malloc",
    "mm_memalign",
    "mm_realloc",
    "mm_free",
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of programs and builds
    #[arg(long, default_value = "target/instructions")]
    work: PathBuf,
    /// The results file
    #[arg(long, default_value = "benches/results/size.csv")]
    out: PathBuf,
    /// The command to name in the results file
    #[arg(long, default_value = "make size")]
    command: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let root = record::root();
    let mut rows = Vec::new();
    for build in [Build::Size, Build::Release] {
        let library = build.library(&root.join(&arguments.work))?;
        for (part, bytes) in text(&library)? {
            if !part.contains(':') {
                println!("size text-{part}-{} {bytes}", build.name());
            }
            rows.push(vec![build.name().to_owned(), part, bytes.to_string()]);
        }
        if build == Build::Release {
            let program = library.compile("density", &["density"])?;
            let output = Command::new(&program)
                .output()
                .map_err(|error| error.to_string())?;
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                println!("size {line}");
                let (name, number) = line.split_once(' ').ok_or(format!("no figure: {line}"))?;
                rows.push(vec![
                    build.name().to_owned(),
                    name.to_owned(),
                    number.to_owned(),
                ]);
            }
        }
    }
    let comment = record::comment(&arguments.command, &[]);
    record::write(
        &root.join(&arguments.out),
        &comment,
        &["build", "what", "bytes_or_blocks"],
        &rows,
    )
    .map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    Ok(true)
}

/// Bytes of the .text sections that remain when only the counted functions are linked: first the
/// sums of the allocator and of the report of misuse (the line on stderr, the abort), then each
/// section as "section:name".
fn text(library: &Library) -> Result<Vec<(String, u64)>, String> {
    let object = library.work.join("counted.o");
    let mut link = Command::new("ld");
    link.args(["-r", "--gc-sections"]);
    for function in COUNTED {
        link.args(["-u", function]);
    }
    link.arg("-o")
        .arg(&object)
        .arg(library.folder.join("libmemoman.a"));
    crate::callgrind::run(&mut link)?;
    let sections = sections(&object)?;
    if !COUNTED
        .iter()
        .all(|function| sections.iter().any(|(name, _)| name.ends_with(function)))
    {
        return Err("a counted function has no section of its own".to_owned());
    }
    let is_report = |name: &str| name.contains("memoman_global");
    let sum = |report: bool| {
        sections
            .iter()
            .filter(|(name, _)| is_report(name) == report)
            .map(|(_, bytes)| bytes)
            .sum()
    };
    let mut parts = vec![
        ("create-to-realloc-and-free".to_owned(), sum(false)),
        ("report-of-misuse".to_owned(), sum(true)),
    ];
    parts.extend(
        sections
            .iter()
            .map(|(name, bytes)| (format!("section:{name}"), *bytes)),
    );
    Ok(parts)
}

fn sections(object: &Path) -> Result<Vec<(String, u64)>, String> {
    let output = Command::new("size")
        .args(["-A", "-d"])
        .arg(object)
        .output()
        .map_err(|error| format!("size: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.starts_with(".text"))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
        })
        .collect())
}
