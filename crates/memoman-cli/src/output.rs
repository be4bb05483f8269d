//! The file that a command writes. It appears under its name when it is whole.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// A file, or the standard output for `-`.
pub(crate) struct Output {
    path: PathBuf,
    /// Where it is written until it is whole.
    part: Option<PathBuf>,
    to: Box<dyn Write>,
}

impl Output {
    /// Begins the file.
    pub(crate) fn create(path: &Path) -> Result<Output, Error> {
        if path == Path::new("-") {
            return Ok(Output {
                path: "standard output".into(),
                part: None,
                to: Box::new(BufWriter::new(io::stdout().lock())),
            });
        }
        let mut part = path.as_os_str().to_owned();
        // A device or a pipe is written as it is.
        let special = path.metadata().is_ok_and(|about| !about.is_file());
        if !special {
            part.push(".part");
        }
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(|error| {
            Error::failed(format_args!("cannot write {}: {error}", path.display()))
        })?;
        Ok(Output {
            path: path.to_owned(),
            part: (!special).then_some(part),
            to: Box::new(BufWriter::with_capacity(1 << 16, file)),
        })
    }

    /// Writes a whole file.
    pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
        let mut output = Output::create(path)?;
        output.bytes(text.as_bytes())?;
        output.finish()
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) -> Result<(), Error> {
        let written = self
            .to
            .write_fmt(line)
            .and_then(|()| self.to.write_all(b"\n"));
        written.map_err(|error| self.fails(&error))
    }

    /// Writes bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.to.write_all(bytes).map_err(|error| self.fails(&error))
    }

    /// The file is whole.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.to.flush().map_err(|error| self.fails(&error))?;
        if let Some(part) = self.part.take() {
            std::fs::rename(part, &self.path).map_err(|error| self.fails(&error))?;
        }
        Ok(())
    }

    /// Writes a value as JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value).map_err(Error::failed)?;
        self.line(format_args!("{text}"))
    }

    fn fails(&self, error: &io::Error) -> Error {
        // The reader has seen enough, as with `| head`.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Error::Silent;
        }
        Error::failed(format_args!(
            "cannot write {}: {error}",
            self.path.display()
        ))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(part) = self.part.take() {
            let _ = std::fs::remove_file(part);
        }
    }
}
