//! What a command fails with: one line, and the exit status.

use std::fmt;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// Exit status 1: what happened, and what to do about it.
    Failed(String),
    /// Exit status 2: the arguments make no sense together.
    Usage(String),
    /// Exit status 0, without a line: the reader of the output has closed it.
    Silent,
    /// This exit status, without a line: that of a program that was run.
    Exit(u8),
}

impl Error {
    /// Exit status 1, with a line.
    pub(crate) fn failed(line: impl fmt::Display) -> Error {
        Error::Failed(line.to_string())
    }

    /// Exit status 2, with a line.
    pub(crate) fn usage(line: impl fmt::Display) -> Error {
        Error::Usage(line.to_string())
    }

    /// Prints the line: the process's exit status.
    pub(crate) fn report(self) -> ExitCode {
        let (line, status) = match self {
            Error::Failed(line) => (line, 1),
            Error::Usage(line) => (line, 2),
            Error::Silent => return ExitCode::SUCCESS,
            Error::Exit(status) => return ExitCode::from(status),
        };
        eprintln!("memoman: {line}");
        ExitCode::from(status)
    }
}

impl From<memoman_trace::Error> for Error {
    fn from(error: memoman_trace::Error) -> Error {
        Error::failed(error)
    }
}
