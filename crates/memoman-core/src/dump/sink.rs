//! Text for the caller's writer, in pieces of at most [`PIECE`] bytes: no allocation, no formatting
//! machinery.

use core::num::NonZero;

/// Bytes of one piece at most.
const PIECE: usize = 96;

/// Takes text; false stops the dump.
pub type Writer<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

pub(super) struct Sink<'a> {
    write: Writer<'a>,
    json: bool,
    piece: [u8; PIECE],
    filled: usize,
    open: bool,
}

impl<'a> Sink<'a> {
    pub(super) fn new(write: Writer<'a>, json: bool) -> Sink<'a> {
        Sink {
            write,
            json,
            piece: [0; PIECE],
            filled: 0,
            open: true,
        }
    }

    /// The format is that of docs/book/dump-format.md.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// The writer has taken everything.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Writes one byte.
    #[inline(never)]
    pub(super) fn byte(&mut self, byte: u8) {
        if let Some(place) = self.piece.get_mut(self.filled) {
            *place = byte;
            self.filled += 1;
        }
        if self.filled == PIECE {
            self.flush();
        }
    }

    /// Writes a line of `texts`, which has a form for JSON, or that, a NUL and a form for people.
    /// Each `%` is replaced by the next of the numbers in decimal, each `@` in hexadecimal; `*`
    /// omits a number. (A NUL at the end would put the text into the section of C strings, which a
    /// linker keeps whole: into each firmware, with a dump or without.)
    #[inline(never)]
    pub(super) fn print(&mut self, texts: &str, numbers: &[usize]) {
        let mut shown = self.json;
        let mut rest = numbers.iter();
        for byte in texts.bytes() {
            if byte == 0 {
                shown = !shown;
                rest = numbers.iter();
            }
            if !shown || byte == 0 {
                continue;
            }
            let base = match byte {
                b'%' => const { NonZero::new(10usize).unwrap() },
                b'@' => const { NonZero::new(16usize).unwrap() },
                b'*' => {
                    rest.next();
                    continue;
                }
                _ => {
                    self.byte(byte);
                    continue;
                }
            };
            let mut number = rest.next().copied().unwrap_or(0);
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

    /// The elements of an array, up to the last that is not 0, and its end. `key` is what stands
    /// before them.
    #[inline(never)]
    pub(super) fn array(&mut self, key: &str, numbers: &[usize]) {
        self.text(key);
        let last = numbers.iter().rposition(|&number| number != 0);
        for (index, &number) in numbers.iter().enumerate() {
            if last.is_none_or(|last| index > last) {
                break;
            }
            self.print(if index > 0 { ",%" } else { "%" }, &[number]);
        }
        self.text("]");
    }

    /// Writes bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.byte(byte));
    }

    /// [`Sink::print`] without numbers. (Its many calls are short if it is a function.)
    #[inline(never)]
    pub(super) fn text(&mut self, texts: &str) {
        self.print(texts, &[]);
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
