//! Another process: its memory, and the addresses of its symbols.

use std::collections::HashSet;
use std::path::PathBuf;

use object::{Object, ObjectKind, ObjectSymbol};

use crate::error::Error;

/// A running process.
pub(super) struct Process {
    pid: u32,
}

impl Process {
    pub(super) fn open(pid: u32) -> Result<Process, Error> {
        let process = Process { pid };
        if !process.runs() {
            return Err(Error::failed(format_args!("there is no process {pid}")));
        }
        Ok(process)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn runs(&self) -> bool {
        // A zombie has no memory map.
        std::fs::read(format!("/proc/{}/statm", self.pid))
            .is_ok_and(|text| !text.starts_with(b"0 "))
    }

    /// Reads memory.
    #[allow(unsafe_code, reason = "process_vm_readv has no safe form")]
    pub(super) fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Error> {
        let local = libc::iovec {
            iov_base: into.as_mut_ptr().cast(),
            iov_len: into.len(),
        };
        let remote = libc::iovec {
            iov_base: std::ptr::without_provenance_mut(address as usize),
            iov_len: into.len(),
        };
        // SAFETY: the kernel writes at most `into.len()` bytes to `into`; the remote address is
        // only looked up in the other process.
        let read =
            unsafe { libc::process_vm_readv(self.pid as libc::pid_t, &local, 1, &remote, 1, 0) };
        if usize::try_from(read) == Ok(into.len()) {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        Err(match error.raw_os_error() {
            Some(libc::EPERM) if read < 0 => Error::failed(format_args!(
                "no permission to read process {}: run memoman as its user, or as root with \
                 CAP_SYS_PTRACE where /proc/sys/kernel/yama/ptrace_scope is not 0",
                self.pid
            )),
            Some(libc::ESRCH) if read < 0 => {
                Error::failed(format_args!("process {} has ended", self.pid))
            }
            _ => Error::failed(format_args!(
                "process {} has no heap at {address:#x}: wrong address, or it has ended",
                self.pid
            )),
        })
    }

    /// The addresses of a symbol in all files that are mapped.
    pub(super) fn symbols(&self, name: &str) -> Result<Vec<u64>, Error> {
        let maps =
            std::fs::read_to_string(format!("/proc/{}/maps", self.pid)).map_err(|error| {
                Error::failed(format_args!(
                    "no permission to look at process {}: {error}; run memoman as its user, or \
                     with CAP_SYS_PTRACE",
                    self.pid
                ))
            })?;
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for line in maps.lines() {
            // start-end rights offset device inode path
            let mut words = line.split_ascii_whitespace();
            let (Some(range), Some(_), Some(offset)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let path = words.skip(2).collect::<Vec<_>>().join(" ");
            let first = u64::from_str_radix(offset, 16) == Ok(0);
            if !first || !path.starts_with('/') || !seen.insert(path.clone()) {
                continue;
            }
            let start = range
                .split('-')
                .next()
                .and_then(|hex| u64::from_str_radix(hex, 16).ok());
            let Some(start) = start else { continue };
            // As the process sees it: it may have a root of its own.
            let file = PathBuf::from(format!("/proc/{}/root{path}", self.pid));
            if let Ok(bytes) = std::fs::read(file)
                && let Some(address) = symbol(&bytes, name, start)
            {
                found.push(address);
            }
        }
        Ok(found)
    }
}

/// Where a symbol of a file lies that is mapped at `start`.
fn symbol(bytes: &[u8], name: &str, start: u64) -> Option<u64> {
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    let file = object::File::parse(bytes).ok()?;
    let found = file
        .dynamic_symbols()
        .chain(file.symbols())
        .find(|symbol| symbol.is_definition() && symbol.name() == Ok(name))?;
    Some(match file.kind() {
        ObjectKind::Executable => found.address(),
        _ => start.wrapping_add(found.address()),
    })
}
