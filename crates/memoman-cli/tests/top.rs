//! `memoman top`: the figures of another process, by its published object.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use common::{build, memoman, run};

/// A process, ended with the test.
struct Running {
    child: Child,
    /// The line that it has printed.
    line: String,
}

impl Running {
    fn start(program: &std::path::Path, arguments: &[&str]) -> Running {
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Running {
            child,
            line: line.trim().to_owned(),
        }
    }

    fn top(&self, arguments: &[&str]) -> std::process::Output {
        run(memoman()
            .arg("top")
            .arg(self.child.id().to_string())
            .args(arguments))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn json(output: &std::process::Output) -> serde_json::Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_figures_are_those_of_the_process() {
    for how in [&["-no-pie"][..], &["-pie", "-fPIE"]] {
        let program = build("published.c", &format!("published{}", how.len()), how);
        let running = Running::start(&program, &[]);
        let figures = json(&running.top(&["--json"]));
        // Cached: 3 blocks of 16 and 2 of 32 bytes in one heap, none in the other.
        let used = 10_000 - 8192 + (1 << 20) + 300 + 400 - (3 * 16 + 2 * 32);
        assert_eq!(figures["used"], used);
        assert_eq!(figures["live_blocks"], 50 - 2 + 1 + 3 + 9 - 5);
        assert_eq!(figures["cached_bytes"], 112);
        assert_eq!(figures["thread_heaps"], 2);
        assert_eq!(figures["failed_requests"], 7);
        assert_eq!(figures["pool_bytes"], 100_000 + (1 << 20));
        // Free: 96 and 160 bytes in one pool, 96 and 128 in the other.
        let gaps = [&figures["free_blocks"], &figures["largest_free"]];
        assert_eq!(gaps, [4, 160]);
        let sum = 96.0 + 160.0 + 96.0 + 128.0f64;
        let squares = 96.0f64.powi(2) * 2.0 + 160.0f64.powi(2) + 128.0f64.powi(2);
        let fragmentation = figures["fragmentation"].as_f64().unwrap();
        assert!((fragmentation - (1.0 - squares / sum.powi(2))).abs() < 1e-6);
        let heap = json(&running.top(&["--json", "--heap", &running.line]));
        assert_eq!((&heap["used"], &heap["peak"]), (&400.into(), &900.into()));
        assert_eq!(heap["free"], 4096 - 400 - 48);
        assert_eq!(
            (&heap["free_blocks"], &heap["fragmentation"]),
            (&0.into(), &0.0.into())
        );
        let table = running.top(&["-n", "2", "--interval", "0.01"]);
        assert_eq!(String::from_utf8_lossy(&table.stdout).lines().count(), 3);
    }
}

#[test]
fn a_heap_that_changes_meanwhile_has_no_fragmentation() {
    let program = build("published.c", "published4", &["-pie", "-fPIE"]);
    let running = Running::start(&program, &["changing"]);
    let figures = json(&running.top(&["--json"]));
    assert_eq!(figures["failed_requests"], 7);
    assert!(figures["fragmentation"].is_null() && figures["free_blocks"].is_null());
    let table = running.top(&[]);
    let table = String::from_utf8_lossy(&table.stdout);
    assert!(table.trim_end().ends_with('-'), "{table}");
}

#[test]
fn what_cannot_be_read_is_said_in_one_line() {
    let program = build("published.c", "published3", &["-pie", "-fPIE"]);
    let newer = Running::start(&program, &["newer"]);
    let plain = Running::start("/bin/sh".as_ref(), &["-c", "echo x; exec sleep 60"]);
    let known = Running::start(&program, &[]);
    for (running, arguments, text) in [
        (&newer, &[][..], "figures of version 9"),
        (&plain, &[], "has no memoman in it"),
        (&known, &["--heap", "0x10"], "has no heap at 0x10"),
    ] {
        let output = running.top(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(text), "{errors}");
        assert_eq!(errors.lines().count(), 1);
    }
    let gone = run(memoman().args(["top", "4194999"]));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no process"));
}
