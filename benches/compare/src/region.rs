//! The memory of the pool allocators, one heap at a time; the processor and the clock of all runs.

use std::ptr;

/// Bytes of control structure that a peer may use outside its pool.
pub(crate) const CONTROL: usize = 64 << 10;

/// A control structure at the front, then a pool; every page is touched.
pub(crate) struct Region {
    start: *mut u8,
    bytes: usize,
}

impl Region {
    pub(crate) fn new(pool: usize) -> Region {
        let bytes = CONTROL + pool;
        // SAFETY: a new anonymous mapping at an address that the kernel chooses.
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

    /// The pool. Panics if it has fewer than `bytes` bytes.
    pub(crate) fn pool(&self, bytes: usize) -> *mut u8 {
        assert!(CONTROL + bytes <= self.bytes);
        self.start.wrapping_add(CONTROL)
    }
}

/// Binds this thread to its current processor.
pub(crate) fn pin() {
    // SAFETY: all zeros is a valid, empty `cpu_set_t`; the calls access nothing but the set.
    unsafe {
        let processor = libc::sched_getcpu();
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if let Ok(processor) = usize::try_from(processor) {
            libc::CPU_SET(processor, &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        }
    }
}

/// Processor time of this thread, ns: other programs on the machine do not count.
pub(crate) fn thread_time() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a live, writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
