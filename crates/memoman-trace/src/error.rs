//! Why a trace cannot be read or written.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Why a trace cannot be read or written; its text is one line.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Io(&'static str, io::Error),
    Foreign,
    Newer(u32),
    Damaged(u64, &'static str),
    Invalid(&'static str),
    TooManyStacks,
}

impl Error {
    pub(crate) fn new(path: &Path, what: What) -> Error {
        Error {
            path: path.to_owned(),
            what,
        }
    }

    /// The file is none of this format at all.
    pub fn is_foreign(&self) -> bool {
        matches!(self.what, What::Foreign)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.what {
            What::Io(doing, error) => write!(f, "cannot {doing}: {error}"),
            What::Foreign => write!(f, "not a trace; `memoman record` writes one"),
            What::Newer(version) => write!(
                f,
                "a trace of version {version}, which needs a newer memoman"
            ),
            What::Damaged(at, what) => {
                write!(f, "damaged at byte {at} ({what})")
            }
            What::TooManyStacks => write!(
                f,
                "its stacks need more than 700 MB; record with a smaller --stacks, or a --sample"
            ),
            What::Invalid(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.what {
            What::Io(_, error) => Some(error),
            _ => None,
        }
    }
}
