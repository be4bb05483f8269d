//! Text for stderr, composed on the stack and written with one `write(2)`: nothing here allocates,
//! locks or formats through the standard library.

use crate::system::errno::{errno, set_errno};
use crate::system::program;

/// Text under construction, of at most 1,024 bytes: the rest is dropped.
pub(crate) struct Line {
    bytes: [u8; 1024],
    used: usize,
}

impl Line {
    pub(crate) fn new() -> Line {
        Line {
            bytes: [0; 1024],
            used: 0,
        }
    }

    /// The first line of a report: the fault and its address.
    pub(crate) fn headline(message: &[u8], address: *const u8) -> Line {
        let mut line = Line::new();
        line.text(b"memoman: ")
            .text(message)
            .text(b": ")
            .address(address.addr())
            .text(b"\n");
        line
    }

    /// In place, like the ones below: a chain by value would copy the text at each link.
    #[inline(never)]
    pub(crate) fn text(&mut self, text: &[u8]) -> &mut Line {
        for &byte in text {
            if let Some(place) = self.bytes.get_mut(self.used) {
                *place = byte;
                self.used += 1;
            }
        }
        self
    }

    /// A number, right-aligned to `width` characters.
    pub(crate) fn number(&mut self, value: usize, width: usize) -> &mut Line {
        self.digits(value, 10, width)
    }

    /// An address, as C's `%p` prints it.
    pub(crate) fn address(&mut self, address: usize) -> &mut Line {
        self.text(b"0x").digits(address, 16, 0)
    }

    /// A number to this base, right-aligned to `width` characters.
    #[inline(never)]
    fn digits(&mut self, mut value: usize, base: usize, width: usize) -> &mut Line {
        let mut digits = [b' '; 24];
        let mut start = digits.len();
        for place in digits.iter_mut().rev() {
            *place = *b"0123456789abcdef".get(value % base).unwrap_or(&b'?');
            start -= 1;
            value /= base;
            if value == 0 {
                break;
            }
        }
        let padded = start.min(digits.len().saturating_sub(width));
        self.text(digits.get(padded..).unwrap_or_default())
    }

    /// Writes the text to stderr, in one call unless the system takes only part of it. Keeps errno.
    pub(crate) fn print(&self) {
        self.write_to(2);
    }

    /// [`print`](Line::print) to any file descriptor.
    #[inline(never)]
    pub(crate) fn write_to(&self, file: i32) {
        let saved = errno();
        let mut rest = self.as_bytes();
        while !rest.is_empty() {
            let written = program::write(file, rest);
            if written <= 0 {
                break;
            }
            rest = rest.get(written as usize..).unwrap_or_default();
        }
        set_errno(saved);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}
