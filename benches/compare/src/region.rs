//! The memory that all pool allocators are given, one after the other; and the processor that all run on.

use std::ptr;

use crate::peers::CONTROL;

/// Control structures at the front, then a pool, all of it touched.
pub(crate) struct Region {
    start: *mut u8,
    bytes: usize,
}

impl Region {
    pub(crate) fn new(pool: usize) -> Region {
        let bytes = CONTROL + pool;
        // SAFETY: a new mapping, placed by the system.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
                -1,
                0,
            )
        };
        assert!(start != libc::MAP_FAILED, "no {bytes} bytes of memory");
        Region {
            start: start.cast(),
            bytes,
        }
    }

    pub(crate) fn control(&self) -> *mut u8 {
        self.start
    }

    /// The pool, which must have `bytes` bytes.
    pub(crate) fn pool(&self, bytes: usize) -> *mut u8 {
        assert!(CONTROL + bytes <= self.bytes);
        self.start.wrapping_add(CONTROL)
    }
}

/// Keeps this thread on the processor that it is on.
pub(crate) fn pin() {
    // SAFETY: the set is a plain bit set, all zero at first; the calls read and write nothing else.
    unsafe {
        let processor = libc::sched_getcpu();
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if let Ok(processor) = usize::try_from(processor) {
            libc::CPU_SET(processor, &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        }
    }
}

/// Nanoseconds that this thread has run: what others do on the machine meanwhile does not count.
pub(crate) fn thread_time() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the structure that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
