//! `memoman export`: the viewers themselves read the files.

mod common;

use common::{Recording, memoman, run};
use std::process::Command;

/// `scripts/setup.sh check` installs them.
fn needs(viewer: &str) {
    let found = Command::new(viewer).arg("--help").output().is_ok();
    assert!(
        found,
        "{viewer} is not installed: run scripts/setup.sh check"
    );
}

fn recorded() -> Recording {
    Recording::work(&["--stacks", "24"], &["stacks"]).succeeded()
}

fn export(recording: &Recording, format: &str, file: &str, more: &[&str]) -> std::path::PathBuf {
    let path = recording.folder.path().join(file);
    let output = run(memoman()
        .args(["export", "--to", format])
        .args(more)
        .arg(recording.path())
        .arg("-o")
        .arg(&path));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    path
}

#[test]
fn folded_stacks_have_the_sums() {
    let recording = recorded();
    let path = export(&recording, "folded", "f.txt", &[]);
    let text = std::fs::read_to_string(path).unwrap();
    let line = |end: &str| text.lines().filter(|line| line.ends_with(end)).count();
    assert_eq!(
        line("main;run_stacks;outer;middle;inner 101200"),
        1,
        "{text}"
    );
    assert_eq!(line("main;run_stacks;middle;inner 101300"), 1, "{text}");
    let path = export(&recording, "folded", "b.txt", &["--measure", "blocks"]);
    assert!(
        std::fs::read_to_string(path)
            .unwrap()
            .contains("outer;middle;inner 100\n")
    );
    let path = export(&recording, "folded", "l.txt", &["--measure", "live"]);
    assert!(!std::fs::read_to_string(path).unwrap().contains("inner"));
}

/// A reset ends what is live, and what lives then does not add to the peak.
#[test]
fn a_reset_ends_its_blocks() {
    use memoman_trace::{Builder, Ended, Event, Header, Kind};
    let folder = tempfile::tempdir().unwrap();
    let (trace, folded) = (folder.path().join("r.mmt"), folder.path().join("r.txt"));
    let mut builder = Builder::create(&trace, &Header::default()).unwrap();
    for (time, kind, pointer, size) in [
        (1, Kind::Malloc, 0x1000, 1000),
        (2, Kind::Reset, 0, 0),
        (3, Kind::Malloc, 0x1000, 600),
    ] {
        let event = Event {
            time,
            thread: 1,
            heap: 1,
            kind,
            pointer,
            size,
            ..Event::default()
        };
        builder.push(&event).unwrap();
    }
    builder.finish(Ended::Complete, 0).unwrap();
    let output = run(memoman()
        .args(["export", "--to", "folded", "--measure", "peak"])
        .arg(&trace)
        .arg("-o")
        .arg(&folded));
    assert!(output.status.success());
    let text = std::fs::read_to_string(folded).unwrap();
    assert!(text.trim_end().ends_with(" 1000"), "{text}");
}

#[test]
fn pprof_reads_a_profile() {
    let recording = recorded();
    let path = export(&recording, "pprof", "p.pb.gz", &[]);
    needs("go");
    let output = run(Command::new("go")
        .args([
            "tool",
            "pprof",
            "-sample_index=alloc_space",
            "-unit=b",
            "-traces",
        ])
        .arg(&path)
        .env("HOME", recording.folder.path()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let words: Vec<&str> = text.split_whitespace().collect();
    let position = words
        .iter()
        .position(|word| *word == "101200B")
        .expect(&text);
    assert_eq!(
        words[position + 1..position + 4],
        ["inner", "middle", "outer"],
        "{text}"
    );
    assert!(words.contains(&"101300B"), "{text}");
}

#[test]
fn heaptrack_reads_its_format() {
    let recording = recorded();
    needs("heaptrack_print");
    // It takes a file for compressed by its name.
    for name in ["h.gz", "h.heaptrack"] {
        let path = export(&recording, "heaptrack", name, &[]);
        let output = run(Command::new("heaptrack_print").arg(&path));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            text.contains("200 calls to allocation functions with 1.01K peak"),
            "{text}"
        );
        for function in ["inner", "middle", "outer", "run_stacks"] {
            assert!(
                text.lines().any(|line| line.trim() == function),
                "{function}: {text}"
            );
        }
        let leaked = text
            .lines()
            .find(|line| line.starts_with("total memory leaked"))
            .unwrap();
        assert!(!leaked.contains("K"), "{leaked}");
    }
}

#[test]
fn dhat_has_what_its_viewer_needs() {
    let recording = recorded();
    let path = export(&recording, "dhat", "d.json", &[]);
    let document: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for key in [
        "mode", "verb", "bklt", "bkacc", "tu", "Mtu", "tuth", "cmd", "pid", "te", "tg",
    ] {
        assert!(!document[key].is_null(), "{key}");
    }
    assert_eq!(document["dhatFileVersion"], 2);
    let table = document["ftbl"].as_array().unwrap();
    let points = document["pps"].as_array().unwrap();
    let point = points.iter().find(|point| point["tb"] == 101_200).unwrap();
    assert_eq!(
        (point["tbk"].clone(), point["eb"].clone()),
        (100.into(), 0.into())
    );
    assert_eq!(point["mb"], 1012);
    let first = point["fs"][0].as_u64().unwrap() as usize;
    assert!(
        table[first].as_str().unwrap().contains(": inner ("),
        "{}",
        table[first]
    );
}

#[test]
fn csv_has_a_line_for_each_event() {
    let recording = recorded();
    let path = export(&recording, "csv", "e.csv", &[]);
    let text = std::fs::read_to_string(path).unwrap();
    let events = common::events(&recording.trace());
    assert_eq!(text.lines().count(), events.len() + 1);
    assert_eq!(
        text.lines()
            .filter(|line| line.contains(",malloc,"))
            .count(),
        {
            events
                .iter()
                .filter(|e| e.kind == memoman_trace::Kind::Malloc)
                .count()
        }
    );
}

#[test]
fn a_trace_without_stacks_says_what_to_do() {
    let recording = Recording::work(&[], &["stacks"]).succeeded();
    let output = run(memoman()
        .args(["export", "--to", "folded"])
        .arg(recording.path()));
    assert!(output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("no stacks were recorded"), "{errors}");
    assert_eq!(errors.lines().count(), 1);
    let missing = run(memoman().args(["export", "--to", "csv", "/no/such.mmt"]));
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&missing.stderr).lines().count(), 1);
}
