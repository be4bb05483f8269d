//! Results files: csv, after one comment line with command, date, commit and versions.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("benches/record lies two levels below the checkout")
        .to_path_buf()
}

/// The first line that a command prints; "?" when the command fails.
pub fn first_line(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| {
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .next()
                .map(str::to_owned)
        })
        .unwrap_or_else(|| "?".to_owned())
}

/// The commit; with "+changes" when the allocator's sources differ from it.
pub fn commit() -> String {
    let clean = Command::new("git")
        .args([
            "diff",
            "--quiet",
            "HEAD",
            "--",
            "src",
            "crates",
            "Cargo.toml",
            "Cargo.lock",
        ])
        .current_dir(root())
        .status()
        .is_ok_and(|status| status.success());
    first_line("git", &["rev-parse", "--short", "HEAD"]) + if clean { "" } else { "+changes" }
}

/// The host's target triple.
pub fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output();
    output
        .ok()
        .and_then(|output| {
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        })
        .unwrap_or_else(|| "?".to_owned())
}

/// The processor's name.
pub fn processor() -> String {
    fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("model name"))
                .and_then(|rest| rest.split_once(": "))
                .map(|(_, name)| name.to_owned())
        })
        .unwrap_or_else(|| "?".to_owned())
}

/// The version of glibc, as "glibc 2.36".
pub fn glibc() -> String {
    let version = first_line("getconf", &["GNU_LIBC_VERSION"]);
    if version.starts_with("glibc ") {
        version
    } else {
        "glibc ?".to_owned()
    }
}

/// The comment line: command, date, commit, target, versions, processor, and what `more` adds. The
/// crate `plots` reads these parts by their places.
pub fn comment(command: &str, more: &[String]) -> String {
    let mut parts = vec![
        command.to_owned(),
        first_line("date", &["-u", "+%F"]),
        format!("commit {}", commit()),
        host(),
        first_line("rustc", &["--version"]),
        first_line("gcc", &["--version"]),
        glibc(),
        processor(),
    ];
    parts.extend_from_slice(more);
    format!("# {}\n", parts.join("; "))
}

/// Writes a results file: the comment, the names of the columns, the rows.
pub fn write(path: &Path, comment: &str, columns: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    file.write_all(comment.as_bytes())?;
    let mut csv = csv::Writer::from_writer(file);
    csv.write_record(columns)?;
    for row in rows {
        csv.write_record(row)?;
    }
    csv.flush()
}
