//! Text for stderr, put together on the stack and written with one `write(2)`: nothing here
//! allocates, locks or formats through the standard library.

use crate::os;

/// Text under construction. What does not fit is dropped.
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

    pub(crate) fn text(mut self, text: &[u8]) -> Line {
        self.add(text);
        self
    }

    #[inline(never)]
    fn add(&mut self, text: &[u8]) {
        for &byte in text {
            if let Some(place) = self.bytes.get_mut(self.used) {
                *place = byte;
                self.used += 1;
            }
        }
    }

    /// A number, right-aligned to `width` characters.
    pub(crate) fn number(self, value: usize, width: usize) -> Line {
        self.digits(value, 10, width)
    }

    /// An address, as C's `%p` prints it.
    pub(crate) fn address(self, address: usize) -> Line {
        self.text(b"0x").digits(address, 16, 0)
    }

    fn digits(mut self, value: usize, base: usize, width: usize) -> Line {
        self.add_digits(value, base, width);
        self
    }

    #[inline(never)]
    fn add_digits(&mut self, mut value: usize, base: usize, width: usize) {
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
        self.add(digits.get(padded..).unwrap_or_default());
    }

    /// Writes it to stderr, in one call where the system takes it in one. Leaves errno as it was.
    pub(crate) fn print(&self) {
        let saved = os::errno();
        let mut rest = self.as_bytes();
        while !rest.is_empty() {
            let written = os::write(rest);
            if written <= 0 {
                if written < 0 && os::errno() == libc::EINTR {
                    continue;
                }
                break;
            }
            rest = rest.get(written as usize..).unwrap_or_default();
        }
        os::set_errno(saved);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn numbers_and_addresses() {
        let line = Line::new()
            .text(b"[")
            .number(0, 0)
            .text(b"|")
            .number(1234, 8)
            .text(b"|");
        let line = line
            .number(usize::MAX, 3)
            .text(b"|")
            .address(0xdead_beef)
            .text(b"]");
        let expected = std::format!("[0|    1234|{}|0xdeadbeef]", usize::MAX);
        assert_eq!(line.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn what_does_not_fit_is_dropped() {
        let line = Line::new().text(&[b'x'; 3000]);
        assert_eq!(line.as_bytes().len(), 1024);
    }
}
