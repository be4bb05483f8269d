//! Each scenario runs in a process of its own: the heap, its settings and its output at exit belong
//! to the process.
#![allow(dead_code, reason = "each test file uses a part")]

use std::env;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
// For the unit tests, which have no prelude of std.
use std::string::String;

/// Names the scenario of this process; set in a child only.
const SCENARIO: &str = "TEST_SCENARIO";

/// The end of a scenario: the signal, if it died of one, and its stderr.
pub(crate) struct End {
    pub(crate) signal: Option<i32>,
    pub(crate) stderr: String,
}

/// Runs the test `name`, a part of no other test's name, again in a child with these environment
/// variables, where `body` is called; returns None in the child. An alarm ends a child that hangs.
/// In the parent, a child that fails fails the test, except by a signal.
pub(crate) fn alone(name: &str, variables: &[(&str, &str)], body: fn()) -> Option<End> {
    if env::var(SCENARIO).as_deref() == Ok(name) {
        // SAFETY: alarm has no precondition.
        unsafe { libc::alarm(60) };
        body();
        return None;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args([name, "--nocapture", "--test-threads=1"]);
    for (variable, _) in env::vars_os() {
        if variable.to_string_lossy().starts_with("MEMOMAN_") {
            child.env_remove(variable);
        }
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

/// Runs a scenario that succeeds and prints nothing.
pub(crate) fn quietly(name: &str, variables: &[(&str, &str)], body: fn()) {
    if let Some(end) = alone(name, variables, body) {
        assert_eq!(end.signal, None, "{}", end.stderr);
        assert_eq!(end.stderr, "");
    }
}

/// Pseudo-random numbers below a bound, the same in each run.
pub(crate) fn random() -> impl FnMut(usize) -> usize {
    let mut state = 88_172_645_463_325_252_u64;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    }
}

/// The rounding unit of regions.
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

pub(crate) const OS_PAGE: usize = 4096;
/// Bytes of a large block's mapping after the request: in the shim.
pub(crate) const BEHIND: usize = if cfg!(feature = "late-checks") { 16 } else { 0 };

/// Limits a resource of this process.
pub(crate) fn limit(resource: libc::__rlimit_resource_t, bytes: usize) {
    let limit = libc::rlimit {
        rlim_cur: bytes as libc::rlim_t,
        rlim_max: bytes as libc::rlim_t,
    };
    // SAFETY: reads the struct.
    assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0);
}

/// Page faults of this thread so far that needed no reading.
pub(crate) fn faults() -> usize {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: writes the struct.
    unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()), 0);
        usage.assume_init().ru_minflt as usize
    }
}

pub(crate) fn resized(block: *mut u8, bytes: usize) -> *mut u8 {
    // SAFETY: a live block or NULL, not used any more if it is resized, or misuse, which is
    // reported.
    unsafe { memoman_global::realloc(block, bytes) }
}

/// The block, each byte 0x5A.
pub(crate) fn filled(block: *mut u8, bytes: usize) -> *mut u8 {
    assert!(!block.is_null());
    // SAFETY: a live block of that many bytes.
    unsafe { block.write_bytes(0x5A, bytes) };
    block
}

pub(crate) fn byte(block: *mut u8, at: usize) -> u8 {
    // SAFETY: an initialised byte of a live block.
    unsafe { block.add(at).read() }
}

pub(crate) fn free(block: *mut u8) {
    // SAFETY: a live block, which the caller does not use any more, or NULL.
    unsafe { memoman_global::free(block) };
}

/// Forks; the child runs `work` and exits with its result. An alarm ends a child that hangs.
pub(crate) fn child_succeeds(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls what a forked child may, and exits without returning.
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
