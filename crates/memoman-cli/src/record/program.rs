//! The program to record: where it is, and whether a library can be preloaded into it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The program's file, as the shell would find it.
pub(super) fn find(name: &Path) -> Result<PathBuf, Error> {
    let is_program = |path: &Path| {
        path.metadata()
            .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if name.components().count() > 1 || name.is_absolute() {
        if is_program(name) {
            return Ok(name.to_owned());
        }
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        for folder in std::env::split_paths(&folders) {
            let path = folder.join(name);
            if is_program(&path) {
                return Ok(path);
            }
        }
    }
    Err(Error::failed(format_args!(
        "{}: no such program, or it may not be executed",
        name.display()
    )))
}

/// Refuses a program that ignores LD_PRELOAD. What cannot be read here is the kernel's to judge.
pub(super) fn can_be_recorded(path: &Path) -> Result<(), Error> {
    let Ok(mut file) = File::open(path) else {
        return Ok(());
    };
    let mode = file
        .metadata()
        .map_or(0, |about| about.permissions().mode());
    if mode & 0o6000 != 0 && !crate::signals::is_root() {
        return Err(Error::failed(format_args!(
            "{}: a program that changes its user (set-user-id) ignores LD_PRELOAD; \
             record it as root",
            path.display()
        )));
    }
    let mut head = Vec::new();
    if file.by_ref().take(1 << 16).read_to_end(&mut head).is_err() {
        return Ok(());
    }
    if is_foreign(&head) {
        return Err(Error::failed(format_args!(
            "{}: a program of another processor or word size; the recorder is for 64-bit programs \
             on x86-64",
            path.display()
        )));
    }
    if is_static(&head) {
        return Err(Error::failed(format_args!(
            "{}: a statically linked program cannot be recorded from outside; \
             set an observer in it (mm_set_observer)",
            path.display()
        )));
    }
    Ok(())
}

/// An ELF program that is none of 64 bits on x86-64.
fn is_foreign(head: &[u8]) -> bool {
    const X86_64: [u8; 2] = [62, 0];
    head.starts_with(b"\x7fELF")
        && head.len() >= 20
        && (!head.starts_with(b"\x7fELF\x02\x01") || head[18..20] != X86_64)
}

/// Whether memoman is a part of the program, by its symbols: then its handle heaps are out of
/// reach.
pub(super) fn has_own_heaps(path: &Path) -> bool {
    use object::{Object, ObjectSymbol};
    let Ok(file) = File::open(path) else {
        return false;
    };
    let creates = |name| matches!(name, "mm_create" | "mm_create_for" | "mm_create_with_pool");
    let cache = object::ReadCache::new(file);
    object::File::parse(&cache).is_ok_and(|program| {
        program
            .symbols()
            .any(|symbol| symbol.is_definition() && symbol.name().is_ok_and(creates))
    })
}

/// An ELF program of 64 bits without an interpreter among its headers.
fn is_static(head: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let half = |at: usize| {
        head.get(at..at + 2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    let word = |at: usize| {
        head.get(at..at + 4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let (Some(start), Some(size), Some(count)) = (word(32), half(54), half(56)) else {
        return false;
    };
    let headers =
        (0..usize::from(count)).map(|index| word(start as usize + index * usize::from(size)));
    let mut known = true;
    for kind in headers {
        match kind {
            Some(INTERPRETER) => return false,
            Some(_) => {}
            None => known = false,
        }
    }
    known && count > 0
}
