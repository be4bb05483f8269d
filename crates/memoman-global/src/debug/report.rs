//! The debug library's report of a fault on stderr.

use memoman_debug::{Fault, Kind, Known};

use crate::system::stderr::Line;
use crate::system::{memory, program, sanitizer};

/// Prints a fault and its block on stderr, in one `write`, and the stack, if the program has a
/// sanitizer. Called without the lock: a symbol's lookup may take the dynamic linker's.
pub fn print(fault: &Fault) {
    let mut line = Line::headline(fault.message().to_bytes(), fault.address);
    if let Some(block) = &fault.block {
        if !fault.place.is_null() {
            line.place(fault, block);
        }
        line.text(b"memoman:   ");
        if fault.address != block.payload && !matches!(fault.kind, Kind::Broken(_)) {
            line.number(fault.address.addr().wrapping_sub(block.payload.addr()), 0)
                .text(b" bytes into a ");
        }
        line.text(b"block of ")
            .number(block.size, 0)
            .text(b" bytes");
        line.text(b" allocated at ").site(block.allocated);
        if block.is_freed {
            line.text(b", freed at ").site(block.freed);
        }
        if block.number != 0 {
            line.text(b"; allocation number ").number(block.number, 0);
        }
        line.text(b"\n");
    }
    line.print();
    if let Some(block) = &fault.block {
        callers(block, 0, b"allocation");
        if block.is_freed {
            callers(block, block.frames, b"free");
        }
    }
    sanitizer::print_stack();
}

/// Prints the callers of one of a block's two calls, a line each, from the first one of the block's
/// return addresses on.
fn callers(block: &Known, first: usize, what: &[u8]) {
    for index in first..first + block.frames {
        // Through the system: without the lock, another thread may give the block's memory back.
        let address = match memory::read(block.stacks.wrapping_add(index).addr()) {
            None | Some([0]) => break,
            Some([address]) => address,
        };
        Line::new()
            .text(b"memoman:     ")
            .text(what)
            .text(b" called from ")
            .site(address)
            .text(b"\n")
            .print();
    }
}

impl Line {
    /// Appends the first overwritten byte, and where it lies.
    fn place(&mut self, fault: &Fault, block: &Known) {
        let (place, start) = (fault.place.addr(), block.payload.addr());
        // SAFETY: the place lies in a pool: it was read when the fault was found.
        let value = unsafe { fault.place.read_volatile() };
        self.text(b"memoman:   first overwritten byte: ")
            .address(place)
            .text(b", ");
        let (distance, whence): (_, &[u8]) = if place < start {
            (start - place, b" before the start")
        } else if place < start + block.size {
            (place - start, b" into the block")
        } else {
            (place - start - block.size, b" past the end")
        };
        self.number(distance, 0)
            .text(if distance == 1 { b" byte" } else { b" bytes" })
            .text(whence)
            .text(b", is now ")
            .address(value.into())
            .text(b"\n");
    }

    /// Appends a return address, where it lies in its program or library, and the function, if that
    /// is exported.
    pub(crate) fn site(&mut self, site: usize) -> &mut Line {
        if site == 0 {
            return self.text(b"an unknown place");
        }
        let line = self.address(site);
        program::image(site, |path, base, function| {
            let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
            line.text(b" (")
                .text(name.get(..96).unwrap_or(name))
                .text(b"+")
                .address(site.wrapping_sub(base));
            if let Some(name) = function {
                line.text(b", in ").text(name.get(..96).unwrap_or(name));
            }
            line.text(b")");
        });
        line
    }
}
