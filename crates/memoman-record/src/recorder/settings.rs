//! What the environment says: `memoman record` sets it.
//!
//! | variable | what |
//! |---|---|
//! | `MEMOMAN_RECORD` | the trace's path; nothing is recorded without it |
//! | `MEMOMAN_RECORD_PARENT` | the process whose child has the trace of that name; others add theirs |
//! | `MEMOMAN_RECORD_STACKS` | return addresses of an event, at most 255; 0 without stacks |
//! | `MEMOMAN_RECORD_SAMPLE` | mean bytes between two recorded allocations; 0 for all |

use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memoman_trace_format::layout::STACK_MAX;

static STACKS: AtomicU32 = AtomicU32::new(0);
static SAMPLE: AtomicU64 = AtomicU64::new(0);

/// Return addresses of an event.
#[inline(always)]
pub(crate) fn stacks() -> u32 {
    STACKS.load(Ordering::Relaxed)
}

/// Mean bytes between two recorded allocations.
#[inline(always)]
pub(crate) fn sample() -> u64 {
    SAMPLE.load(Ordering::Relaxed)
}

/// Whether this process may have the trace of the settings' name.
pub(crate) fn is_first() -> bool {
    let parent = number(c"MEMOMAN_RECORD_PARENT");
    // SAFETY: no precondition.
    parent == 0 || parent == unsafe { libc::getppid() } as u64
}

/// Stacks cannot be had.
pub(crate) fn without_stacks() {
    STACKS.store(0, Ordering::Relaxed);
}

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

/// Whether the C library knows the environment: not before its own start.
pub(crate) fn known() -> bool {
    // SAFETY: the C library's variable, written before the program runs.
    unsafe { !environ.is_null() }
}

fn variable(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: a C string; the value stays until the program changes the variable, and is used
    // before the program runs.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value))
    }
}

fn number(name: &CStr) -> u64 {
    let mut value = 0u64;
    for &digit in variable(name).map_or(&b""[..], CStr::to_bytes) {
        if !digit.is_ascii_digit() {
            return 0;
        }
        value = value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'));
    }
    value
}

/// Reads the variables: the trace's path, when there is something to record.
pub(crate) fn read() -> Option<&'static CStr> {
    let path = variable(c"MEMOMAN_RECORD")?;
    let stacks = number(c"MEMOMAN_RECORD_STACKS").min(STACK_MAX as u64);
    STACKS.store(stacks as u32, Ordering::Relaxed);
    SAMPLE.store(number(c"MEMOMAN_RECORD_SAMPLE"), Ordering::Relaxed);
    Some(path)
}
