//! Regions of memory from the operating system.

use core::ptr;

/// Rounding unit of regions. At least the OS page on every Linux target that uses 4, 16 or 64 KiB pages.
pub(crate) const PAGE: usize = 1 << 16;

/// A region of `bytes` (a multiple of [`PAGE`]) zero bytes; `prefault`: its memory is there at once. None when
/// the system refuses. Leaves errno as it was.
pub(crate) fn map(bytes: usize, prefault: bool) -> Option<*mut u8> {
    let populate = if prefault { libc::MAP_POPULATE } else { 0 };
    let saved = errno();
    // SAFETY: a fresh anonymous mapping touches no memory of ours.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | populate,
            -1,
            0,
        )
    };
    set_errno(saved);
    (start != libc::MAP_FAILED).then_some(start.cast())
}

/// Gives a region back.
///
/// # Safety
/// The region came from [`map`] and nothing in it is used any more.
pub(crate) unsafe fn unmap(start: *mut u8, bytes: usize) {
    let saved = errno();
    // SAFETY: the caller's duty.
    unsafe { libc::munmap(start.cast(), bytes) };
    set_errno(saved);
}

/// Lets the system take the pages that lie wholly inside; they are zero when touched again. Gives the bytes let go.
///
/// # Safety
/// The bytes are part of a region from [`map`], and their contents are not needed.
pub(crate) unsafe fn discard(start: *mut u8, bytes: usize, page: usize) -> usize {
    let skip = start.addr().wrapping_neg() & (page - 1);
    let inside = bytes.saturating_sub(skip) & !(page - 1);
    if inside == 0 {
        return 0;
    }
    let saved = errno();
    // SAFETY: whole pages inside the caller's bytes.
    unsafe { libc::madvise(start.wrapping_add(skip).cast(), inside, libc::MADV_DONTNEED) };
    set_errno(saved);
    inside
}

/// The OS page size, from the auxiliary vector: no system call.
pub(crate) fn page_size() -> usize {
    // SAFETY: getauxval has no precondition.
    let size = unsafe { libc::getauxval(libc::AT_PAGESZ) } as usize;
    if size.is_power_of_two() { size } else { 4096 }
}

/// Keeps a region in memory; false, with the reason in errno, when the system refuses.
pub(crate) fn lock(start: *mut u8, bytes: usize) -> bool {
    // SAFETY: mlock touches no memory of ours.
    unsafe { libc::mlock(start.cast(), bytes) == 0 }
}

/// Has every thread of the process pass a full memory barrier, wherever it is. Leaves errno as it was.
#[cfg(not(memoman_debug))]
pub(crate) fn fence_all_threads() {
    const PRIVATE_EXPEDITED: libc::c_long = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_long = 1 << 4;
    let saved = errno();
    // SAFETY: membarrier touches no memory.
    let ask =
        |command: libc::c_long| unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } == 0;
    // The first time, the process has to say that it will ask for this.
    let mut done = ask(PRIVATE_EXPEDITED);
    if !done && ask(REGISTER_PRIVATE_EXPEDITED) {
        done = ask(PRIVATE_EXPEDITED);
    }
    if !done {
        // An old system, or a filter. Taking a touched page away interrupts every processor that runs this process.
        if let Some(page) = map(PAGE, true) {
            // SAFETY: just mapped, and nobody else's.
            unsafe {
                page.write_volatile(1);
                unmap(page, PAGE);
            }
        }
    }
    set_errno(saved);
}

/// Writes to stderr: what write(2) gives. Not the C library's `write`, which is a cancellation point: the lock may be taken.
pub(crate) fn write(bytes: &[u8]) -> isize {
    // SAFETY: the bytes are readable.
    unsafe { libc::syscall(libc::SYS_write, 2, bytes.as_ptr(), bytes.len()) as isize }
}

/// Lets other threads run.
#[cfg(not(memoman_debug))]
pub(crate) fn pause(turn: u32) {
    let saved = errno();
    // SAFETY: sched_yield and clock_nanosleep touch no memory but the struct given.
    unsafe {
        if turn < 16 {
            libc::sched_yield();
        } else {
            // Whoever is waited for may have a lower priority.
            let time = libc::timespec {
                tv_sec: 0,
                tv_nsec: 50_000,
            };
            // Not the C library's nanosleep, which is a cancellation point: whoever waits here has the lock.
            libc::syscall(
                libc::SYS_clock_nanosleep,
                libc::CLOCK_MONOTONIC,
                0,
                &raw const time,
                ptr::null_mut::<libc::timespec>(),
            );
        }
    }
    set_errno(saved);
}

/// The calling thread's errno.
pub(crate) fn errno() -> i32 {
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() }
}

/// Sets the calling thread's errno.
pub(crate) fn set_errno(value: i32) {
    // SAFETY: as for `errno`.
    unsafe { *libc::__errno_location() = value };
}
