//! Paths: those of the traces of a process, and of its program.

/// Bytes of a path, its zero byte included.
pub(crate) const PATH: usize = 1024;

/// A path that grows at its end.
pub(crate) struct Path {
    bytes: [u8; PATH],
    length: usize,
}

impl Path {
    pub(crate) const fn new() -> Path {
        Path {
            bytes: [0; PATH],
            length: 0,
        }
    }

    /// Adds bytes; a path that becomes too long is cut, and names no file that can be created.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.length < PATH - 1 {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
        self.bytes[self.length] = 0;
    }

    fn add_number(&mut self, number: u32) {
        let mut digits = [0; 10];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.add(&digits[at..]);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// What stands behind the last slash.
    pub(crate) fn name(&self) -> &[u8] {
        let slash = self.bytes().iter().rposition(|&byte| byte == b'/');
        &self.bytes()[slash.map_or(0, |at| at + 1)..]
    }

    /// Writes it to stderr, as a line of text that it may also be.
    pub(crate) fn print(&self) {
        // SAFETY: an array of at least this length.
        unsafe { libc::write(2, self.bytes.as_ptr().cast(), self.length) };
    }

    pub(crate) fn as_ptr(&self) -> *const libc::c_char {
        self.bytes.as_ptr().cast()
    }
}

/// The names of a process's traces: that of the settings, then with the process, then with a count.
pub(crate) fn name(base: &Path, pid: u32, attempt: u32) -> Path {
    let mut path = Path::new();
    if attempt == 0 {
        path.add(base.bytes());
        return path;
    }
    let (stem, end) = match base.bytes().strip_suffix(b".mmt") {
        Some(stem) => (stem, &b".mmt"[..]),
        None => (base.bytes(), &b""[..]),
    };
    path.add(stem);
    path.add(b".");
    path.add_number(pid);
    if attempt > 1 {
        path.add(b"-");
        path.add_number(attempt);
    }
    path.add(end);
    path
}

/// The program's file, without a zero byte: its length.
pub(crate) fn program(into: &mut [u8]) -> usize {
    // SAFETY: a C string, and the stated number of bytes to write to.
    let length = unsafe {
        libc::readlink(
            c"/proc/self/exe".as_ptr(),
            into.as_mut_ptr().cast(),
            into.len() - 1,
        )
    };
    usize::try_from(length).unwrap_or(0)
}

/// The arguments, each with its zero byte; those that do not fit are left out.
pub(crate) fn arguments(into: &mut [u8]) -> usize {
    // SAFETY: a C string; the stated number of bytes is written to.
    let read = unsafe {
        let fd = libc::open(
            c"/proc/self/cmdline".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        );
        if fd < 0 {
            return 0;
        }
        let read = libc::read(fd, into.as_mut_ptr().cast(), into.len());
        libc::close(fd);
        usize::try_from(read).unwrap_or(0)
    };
    let end = into[..read].iter().rposition(|&byte| byte == 0);
    let whole = end.map_or(0, |at| at + 1);
    into[whole..read].fill(0);
    whole
}
