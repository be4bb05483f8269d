//! The hosted side of the debug library: its variables, its reports, and what it does at exit.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use memoman_debug::allocator::Tlsf;
use memoman_debug::{Fault, Kind, Known};

use crate::line::Line;
use crate::{default, env, fatal};

/// Call sites that the leak listing tells apart, and lines that it prints.
const SITES: usize = 256;
const LINES: usize = 40;

/// `MM_DEBUG_VALIDATE_SHIFT`: validate the whole heap every 2^N operations.
pub fn validate_shift() -> Option<u32> {
    env::value(c"MM_DEBUG_VALIDATE_SHIFT", shift, b"a number from 0 to 31")
}

fn shift(text: &[u8]) -> Option<u32> {
    let number = match text {
        [digit @ b'0'..=b'9'] => u32::from(digit - b'0'),
        [tens @ b'1'..=b'9', digit @ b'0'..=b'9'] => {
            10 * u32::from(tens - b'0') + u32::from(digit - b'0')
        }
        _ => return None,
    };
    (number <= 31).then_some(number)
}

/// Sets the process-wide instance up. Under the lock.
pub(crate) fn prepare(tlsf: Tlsf) {
    // SAFETY: just created, and under the lock.
    unsafe {
        tlsf.set_grows();
        if let Some(shift) = validate_shift() {
            tlsf.set_validate_shift(shift);
        }
    }
}

/// Prints what is known of a fault on stderr, in one `write`. Without the lock: symbols are asked for.
pub fn print(fault: &Fault) {
    let mut line = fatal::headline(fault.message().to_bytes(), fault.address);
    if let Some(block) = &fault.block {
        if !fault.place.is_null() {
            line = line.place(fault, block);
        }
        line = line.text(b"memoman:   ");
        if fault.address != block.payload && !matches!(fault.kind, Kind::Broken(_)) {
            line = line
                .number(fault.address.addr().wrapping_sub(block.payload.addr()), 0)
                .text(b" bytes into a ");
        }
        line = line
            .text(b"block of ")
            .number(block.size, 0)
            .text(b" bytes");
        line = line.text(b" allocated at ").site(block.allocated);
        if block.is_freed {
            line = line.text(b", freed at ").site(block.freed);
        }
        if block.number != 0 {
            line = line.text(b"; allocation number ").number(block.number, 0);
        }
        line = line.text(b"\n");
    }
    line.print();
}

impl Line {
    /// The first overwritten byte, and where it lies.
    fn place(self, fault: &Fault, block: &Known) -> Line {
        let (place, start) = (fault.place.addr(), block.payload.addr());
        // SAFETY: the place was read when the fault was found, and lies in a pool.
        let value = unsafe { fault.place.read_volatile() };
        let line = self
            .text(b"memoman:   first overwritten byte: ")
            .address(place)
            .text(b", ");
        let line = if place < start {
            line.number(start - place, 0)
                .text(b" before the block's start")
        } else if place < start + block.size {
            line.number(place - start, 0)
                .text(b" behind the block's start")
        } else {
            line.number(place - start - block.size, 0)
                .text(b" behind the block's end")
        };
        line.text(b", is now ").address(value.into()).text(b"\n")
    }

    /// A return address, and where it lies in its program or library.
    fn site(self, site: usize) -> Line {
        if site == 0 {
            return self.text(b"an unknown place");
        }
        let line = self.address(site);
        let mut info = MaybeUninit::<libc::Dl_info>::uninit();
        // SAFETY: dladdr writes `info` when it succeeds; the names that it gives are C strings of the dynamic linker.
        unsafe {
            if libc::dladdr(site as *const _, info.as_mut_ptr()) == 0 {
                return line;
            }
            let info = info.assume_init();
            if info.dli_fname.is_null() {
                return line;
            }
            let path = core::ffi::CStr::from_ptr(info.dli_fname).to_bytes();
            let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
            line.text(b" (")
                .text(name.get(..96).unwrap_or(name))
                .text(b"+")
                .address(site.wrapping_sub(info.dli_fbase.addr()))
                .text(b")")
        }
    }
}

/// Registers the validation and the leak listing for the end of the process. Called without the lock.
pub(crate) fn at_exit() {
    // SAFETY: a function without parameters that lives as long as the library.
    unsafe { libc::atexit(end) };
}

extern "C" fn end() {
    let found = default::with(|tlsf| {
        // SAFETY: live, and under the lock.
        unsafe { (tlsf, tlsf.diagnose()) }
    });
    if let Some((tlsf, Some(violation))) = found {
        // SAFETY: live; the lock is released.
        unsafe { fatal::report(tlsf, violation.fault, violation.address) };
    }
    if env::value(c"MEMOMAN_LEAKS", env::switch, b"0 or 1") == Some(true) {
        list_leaks();
    }
}

/// Blocks that one place has allocated and nobody has freed.
#[derive(Clone, Copy)]
struct Leak {
    site: usize,
    blocks: usize,
    bytes: usize,
}

/// Prints what is still in use, by call site, most bytes first.
fn list_leaks() {
    static LISTED: AtomicBool = AtomicBool::new(false);
    if LISTED.swap(true, Ordering::Relaxed) {
        return;
    }
    const NONE: Leak = Leak {
        site: 0,
        blocks: 0,
        bytes: 0,
    };
    let mut leaks = [NONE; SITES];
    let (mut all, mut rest) = (NONE, NONE);
    // Collected under the lock, printed without it.
    default::with(|tlsf| {
        // SAFETY: live, and under the lock.
        unsafe {
            tlsf.live_blocks(&mut |known| {
                let place = leaks
                    .iter_mut()
                    .find(|leak| leak.blocks == 0 || leak.site == known.allocated);
                let entry = place.unwrap_or(&mut rest);
                entry.site = known.allocated;
                for sum in [entry, &mut all] {
                    sum.blocks += 1;
                    sum.bytes += known.size;
                }
            });
        }
    });
    leaks.sort_unstable_by_key(|leak| core::cmp::Reverse((leak.bytes, leak.blocks)));
    for (line, leak) in leaks.iter().enumerate() {
        if leak.blocks == 0 {
            break;
        }
        if line < LINES {
            row(leak)
                .text(b" allocated at ")
                .site(leak.site)
                .text(b"\n")
                .print();
        } else {
            rest.blocks += leak.blocks;
            rest.bytes += leak.bytes;
        }
    }
    if rest.blocks > 0 {
        row(&rest).text(b" allocated elsewhere\n").print();
    }
    row(&all).text(b" in use at exit\n").print();
}

fn row(leak: &Leak) -> Line {
    Line::new()
        .text(b"memoman: ")
        .number(leak.bytes, 0)
        .text(b" bytes in ")
        .number(leak.blocks, 0)
        .text(b" blocks")
}

#[cfg(test)]
mod tests {
    use super::shift;

    #[test]
    fn shifts() {
        for (text, value) in [("0", 0), ("9", 9), ("10", 10), ("31", 31)] {
            assert_eq!(shift(text.as_bytes()), Some(value));
        }
        for text in ["", "-1", "32", "007", "1 ", "99", "100", "x"] {
            assert_eq!(shift(text.as_bytes()), None, "{text}");
        }
    }
}
