//! The process's mappings, as the kernel lists them.

use super::calls;

/// The mapping that an address lies in: its first address, and the first one behind it. `None`
/// without `/proc`.
pub(crate) fn around(address: usize) -> Option<(usize, usize)> {
    // SAFETY: a C string.
    let fd = unsafe {
        calls::open(
            c"/proc/self/maps".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        )
    };
    if fd < 0 {
        return None;
    }
    let found = search(fd, address);
    // SAFETY: the descriptor of above.
    unsafe { calls::close(fd) };
    found
}

fn search(fd: i32, address: usize) -> Option<(usize, usize)> {
    let mut buffer = [0u8; 1024];
    // A line begins with both addresses, `start-end`; the rest of it does not matter.
    let (mut start, mut number, mut in_numbers) = (0, 0, true);
    loop {
        let read = calls::read(fd, &mut buffer);
        let read = usize::try_from(read).ok().filter(|&read| read > 0)?;
        for &byte in &buffer[..read] {
            match byte {
                b'\n' => (number, in_numbers) = (0, true),
                _ if !in_numbers => {}
                b'-' => (start, number) = (number, 0),
                b' ' => {
                    if (start..number).contains(&address) {
                        return Some((start, number));
                    }
                    in_numbers = false;
                }
                _ => {
                    let digit = (byte as char).to_digit(16)?;
                    number = number << 4 | digit as usize;
                }
            }
        }
    }
}
