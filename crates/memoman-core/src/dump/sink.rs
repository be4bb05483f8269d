//! Text for the caller's writer, in pieces of at most [`PIECE`] bytes: no allocation, no formatting
//! machinery.

use core::num::NonZero;

/// Bytes of one piece at most.
const PIECE: usize = 96;

/// Takes text; false stops the dump.
pub type Writer<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

pub(super) struct Sink<'a> {
    write: Writer<'a>,
    piece: [u8; PIECE],
    filled: usize,
    open: bool,
}

impl<'a> Sink<'a> {
    pub(super) fn new(write: Writer<'a>) -> Sink<'a> {
        Sink {
            write,
            piece: [0; PIECE],
            filled: 0,
            open: true,
        }
    }

    /// The writer has taken everything.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    #[inline(never)]
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.piece.get_mut(self.filled) {
            *place = byte;
            self.filled += 1;
        }
        if self.filled == PIECE {
            self.flush();
        }
    }

    /// Writes `text` with each `%` replaced by the next of the numbers in decimal, and each `@` in
    /// hexadecimal.
    #[inline(never)]
    pub(super) fn print(&mut self, text: &str, numbers: &[usize]) {
        let mut numbers = numbers.iter();
        for byte in text.bytes() {
            let base = match byte {
                b'%' => const { NonZero::new(10usize).unwrap() },
                b'@' => const { NonZero::new(16usize).unwrap() },
                _ => {
                    self.byte(byte);
                    continue;
                }
            };
            let mut number = numbers.next().copied().unwrap_or(0);
            let mut digits = [0u8; 20];
            let mut used = 0;
            for place in &mut digits {
                let digit = (number % base) as u8;
                *place = if digit < 10 { b'0' } else { b'a' - 10 } + digit;
                number /= base;
                used += 1;
                if number == 0 {
                    break;
                }
            }
            for &digit in digits.iter().take(used).rev() {
                self.byte(digit);
            }
        }
    }

    /// Writes bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.byte(byte));
    }

    /// Writes a fixed text. (Its many calls are short if it is a function.)
    #[inline(never)]
    pub(super) fn text(&mut self, text: &str) {
        self.print(text, &[]);
    }

    /// Passes what is there to the writer.
    #[inline(never)]
    pub(super) fn flush(&mut self) {
        if self.open && self.filled > 0 {
            self.open = (self.write)(self.piece.get(..self.filled).unwrap_or_default());
        }
        self.filled = 0;
    }
}
