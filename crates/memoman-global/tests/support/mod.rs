//! Each scenario runs in a process of its own: the heap, its settings and what it prints at exit
//! are the process's.
#![allow(dead_code, reason = "each test file uses its part")]

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

/// Which scenario this process is: set for the child only.
const SCENARIO: &str = "MEMOMAN_TEST_SCENARIO";

/// How a scenario ended: exit status or signal, and what it printed on stderr.
pub(crate) struct End {
    pub(crate) signal: Option<i32>,
    pub(crate) stderr: String,
}

/// Runs the test `name`, which no other test's name contains, again in a child with these
/// variables, where `body` is called; None in that child. The child is ended by an alarm if it
/// hangs. In the parent, a child that failed fails the test, unless by a signal.
pub(crate) fn alone(name: &str, variables: &[(&str, &str)], body: fn()) -> Option<End> {
    if env::var(SCENARIO).as_deref() == Ok(name) {
        // SAFETY: alarm has no precondition.
        unsafe { libc::alarm(60) };
        body();
        return None;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args([name, "--nocapture", "--test-threads=1"]);
    for variable in ["RESERVE", "GROW", "LOCK", "STATS", "LEAKS"] {
        child.env_remove(format!("MEMOMAN_{variable}"));
    }
    child.env_remove("MM_DEBUG_VALIDATE_SHIFT");
    child.envs(variables.iter().copied()).env(SCENARIO, name);
    let Output {
        status,
        stdout,
        stderr,
    } = child.output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout).into_owned(),
        String::from_utf8_lossy(&stderr).into_owned(),
    );
    let signal = status.signal();
    assert!(
        signal.is_some() || (status.success() && stdout.contains("ok. 1 passed")),
        "{name} failed: {status}\n{stdout}{stderr}"
    );
    assert_ne!(signal, Some(libc::SIGALRM), "{name} hangs\n{stdout}");
    Some(End { signal, stderr })
}

/// Runs a scenario that ends well and prints nothing.
pub(crate) fn quietly(name: &str, variables: &[(&str, &str)], body: fn()) {
    if let Some(end) = alone(name, variables, body) {
        assert_eq!(end.signal, None, "{}", end.stderr);
        assert_eq!(end.stderr, "");
    }
}

/// Numbers below a bound, the same in each run.
pub(crate) fn random() -> impl FnMut(usize) -> usize {
    let mut state = 88_172_645_463_325_252_u64;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    }
}

/// Regions are multiples of this.
pub(crate) const PAGE: usize = 64 << 10;

pub(crate) fn pool_pages() -> usize {
    let bytes = memoman_global::stats().pool_bytes;
    assert_eq!(bytes % PAGE, 0);
    bytes / PAGE
}

/// A figure in kB of /proc/self/status.
pub(crate) fn status(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

pub(crate) fn free(block: *mut u8) {
    // SAFETY: a live block, given up by the caller, or NULL.
    unsafe { memoman_global::free(block) };
}

/// Forks; the child runs `work` and gives its verdict. A child that hangs is ended by its alarm.
pub(crate) fn child_succeeds(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls what a forked child may and ends without returning.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            libc::alarm(20);
            libc::_exit(if work() { 0 } else { 1 });
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}
