//! Running a program to its end, or to a time limit.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program's status and output.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) timed_out: bool,
}

impl Ended {
    /// Ended by itself with status 0.
    pub(crate) fn is_success(&self) -> bool {
        self.status.success() && !self.timed_out
    }

    /// The command, the status and the end of the output, for a failure.
    pub(crate) fn report(&self, command: &str) -> String {
        let how = match (self.timed_out, self.status.signal()) {
            (true, _) => "did not end in time".to_owned(),
            (false, Some(signal)) => format!("ended by signal {signal}"),
            (false, None) => format!("{}", self.status),
        };
        format!(
            "{command}\n{how}\n{}{}",
            tail(&self.stdout),
            tail(&self.stderr)
        )
    }
}

/// The last part of a long text.
fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(6000);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// The command as a shell line.
pub(crate) fn shown(command: &Command) -> String {
    let mut text = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            text += &format!("{}='{}' ", name.to_string_lossy(), value.to_string_lossy());
        }
    }
    text += &command.get_program().to_string_lossy();
    for argument in command.get_args() {
        text += &format!(" {}", argument.to_string_lossy());
    }
    text
}

/// Removes the variables that change a program's heap, and those of the harness itself, which the
/// library would report as unknown: the caller's shell may have set them.
pub(crate) fn without_settings(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("MEMOMAN_") {
            command.env_remove(variable);
        }
    }
}

/// Runs `command`; kills it after `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Ended, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", shown(command)))?;
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    let mut timed_out = false;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if start.elapsed() > limit && !timed_out => {
                timed_out = true;
                let _ = child.kill();
            }
            None => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
        }
    };
    let text = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Ended {
        status,
        stdout: text(out),
        stderr: text(err),
        timed_out,
    })
}

/// Reads a pipe to its end on a thread of its own, so that the program never blocks on it.
fn drain<R: Read + Send + 'static>(pipe: Option<R>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
