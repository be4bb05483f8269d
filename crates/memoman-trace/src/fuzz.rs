//! The readers as functions of C, for the fuzzers `fuzz/trace.c` and `fuzz/records.c`: compiled
//! only with `--cfg memoman_fuzz`, which `scripts/fuzz.sh` sets.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use memoman_trace_format::layout::{HEADER, UNIT};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::{Trace, firmware};

/// Bytes of the header that an input gives.
const GIVEN: usize = 256;

/// The file of an input, which would be too large for a fuzzer: the start of the header, then for
/// each chunk two bytes with its length, and its start. What lies between them is zeros.
fn contents(mut input: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut put = |length: usize, whole: usize| {
        let (part, rest) = input.split_at(length.min(input.len()));
        file.extend_from_slice(part);
        file.resize(file.len().next_multiple_of(whole), 0);
        input = rest.get(2..).unwrap_or_default();
        rest.first_chunk()
            .map(|&length| usize::from(u16::from_le_bytes(length)))
    };
    let mut next = put(GIVEN, HEADER);
    while let Some(length) = next {
        next = put(length, UNIT);
    }
    file
}

/// Reads a trace of any content: the number of its events. The first byte is the logarithm of the
/// file's size; what the contents leave of it is a hole.
fn read(input: &[u8]) -> Option<usize> {
    let (&size, input) = input.split_first()?;
    let bytes = contents(input);
    let mut file = File::from(memfd_create("trace", MemfdFlags::CLOEXEC).ok()?);
    file.write_all(&bytes).ok()?;
    let size = 1u64 << (size & 63).min(62);
    if size > bytes.len() as u64 {
        file.set_len(size).ok()?;
    }
    let trace = Trace::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let (mut count, mut time) = (0, 0);
    for event in trace.events() {
        let Ok(event) = event else { continue };
        assert!(event.time >= time, "events are out of order");
        assert!(trace.stack(event.stack).len() < 256, "a stack is too deep");
        time = event.time;
        count += 1;
    }
    // A record of one byte has no event, and any other at most two.
    assert!(count <= bytes.len(), "more events than bytes");
    let sound = |module: &crate::Module| module.start < module.end;
    assert!(trace.modules().iter().all(sound), "an empty module");
    Some(count)
}

/// # Safety
/// `data` is valid for reads of `size` bytes, if that is not 0.
unsafe fn slice<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if size == 0 {
        return &[];
    }
    // SAFETY: valid for reads of `size` bytes (caller).
    unsafe { std::slice::from_raw_parts(data, size) }
}

/// Reads a trace: the number of its events.
///
/// # Safety
/// `data` is valid for reads of `size` bytes, if that is not 0.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memoman_fuzz_trace(data: *const u8, size: usize) -> usize {
    // SAFETY: the fuzzer's input (caller).
    read(unsafe { slice(data, size) }).unwrap_or(0)
}

/// Reads firmware's records: the number of their events.
///
/// # Safety
/// `data` is valid for reads of `size` bytes, if that is not 0.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memoman_fuzz_records(data: *const u8, size: usize) -> usize {
    // SAFETY: the fuzzer's input (caller).
    let Ok(found) = firmware::decode(unsafe { slice(data, size) }) else {
        return 0;
    };
    let in_order = found.events.is_sorted_by_key(|event| event.time);
    assert!(in_order, "events are out of order");
    assert!(found.events.len() <= size / 16, "more events than records");
    found.events.len()
}
