//! The trace's file: its name, its header, space in it.
//!
//! Records are stored into shared mappings of the file, whose pages are the kernel's: what is there
//! survives the process. Space is allocated before it is mapped, so that a full disk is an error of
//! `fallocate` and no SIGBUS.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use memoman_trace_format::layout::{self, HEADER, chunk, cut, header as at, origin, state};

use super::path::{PATH, Path, arguments, name, program};
use super::{calls, clock, settings};

/// Written while one thread starts the recording, read afterwards.
struct Names {
    /// The path of the settings.
    base: Path,
    /// The path of this process's trace.
    path: Path,
}

struct Shared(UnsafeCell<Names>);
// SAFETY: `create` alone writes, which `process` calls in one thread at a time, before it publishes
// the life in which others read.
unsafe impl Sync for Shared {}

static NAMES: Shared = Shared(UnsafeCell::new(Names {
    base: Path::new(),
    path: Path::new(),
}));
static FD: AtomicI32 = AtomicI32::new(-1);
static DEVICE: AtomicU64 = AtomicU64::new(0);
static INODE: AtomicU64 = AtomicU64::new(0);
static USED: AtomicU64 = AtomicU64::new(0);
static MAPPED: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static START: AtomicU64 = AtomicU64::new(0);
/// Ticks a second; 0 before they were measured.
static RATE: AtomicU64 = AtomicU64::new(0);

/// Ticks at the start of this process's trace.
pub(crate) fn start() -> u64 {
    START.load(Ordering::Relaxed)
}

fn errno() -> i32 {
    // SAFETY: the thread's own word.
    unsafe { *libc::__errno_location() }
}

/// A word of the header that is mapped.
fn word(offset: usize) -> Option<&'static AtomicU32> {
    let header = MAPPED.load(Ordering::Acquire);
    // SAFETY: the mapping has HEADER bytes and stays; offsets are those of aligned words in it.
    (!header.is_null()).then(|| unsafe { AtomicU32::from_ptr(header.add(offset).cast()) })
}

fn long(offset: usize) -> Option<&'static AtomicU64> {
    let header = MAPPED.load(Ordering::Acquire);
    // SAFETY: as in `word`.
    (!header.is_null()).then(|| unsafe { AtomicU64::from_ptr(header.add(offset).cast()) })
}

/// Counts an event that is not in the trace.
#[cold]
pub(crate) fn lose() {
    if let Some(lost) = long(at::LOST) {
        lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// The recording ends here, before the process does.
pub(crate) fn cut(why: u32, error: i32) {
    if let (Some(state), Some(cut), Some(errno)) = (word(at::STATE), word(at::CUT), word(at::ERRNO))
    {
        cut.store(why, Ordering::Relaxed);
        errno.store(error as u32, Ordering::Relaxed);
        state.store(state::CUT, Ordering::Release);
    }
}

/// The process ends in good order.
pub(crate) fn complete() {
    let (Some(state), Some(ticks), Some(ns)) =
        (word(at::STATE), long(at::END_TICKS), long(at::END_NS))
    else {
        return;
    };
    let (ticks_now, ns_now) = clock::both();
    ticks.store(ticks_now, Ordering::Relaxed);
    ns.store(ns_now, Ordering::Relaxed);
    let _ = state.compare_exchange(
        state::RUNNING,
        state::COMPLETE,
        Ordering::Release,
        Ordering::Relaxed,
    );
}

/// The process that the mapped header belongs to.
pub(crate) fn pid() -> u32 {
    word(at::PID).map_or(0, |pid| pid.load(Ordering::Relaxed))
}

/// How the process came to be.
pub(crate) enum Origin {
    /// A program was started, with this path in the settings.
    Started(&'static CStr),
    /// The process forked at this tick.
    Forked(u64),
}

/// Creates the trace of this process, or says why not.
///
/// # Safety
/// No other thread records or starts to.
pub(crate) unsafe fn create(origin: Origin) -> Result<(), i32> {
    // SAFETY: no other thread is here (the caller's duty), and none reads before it is published.
    let names = unsafe { &mut *NAMES.0.get() };
    // SAFETY: no precondition.
    let pid = unsafe { libc::getpid() } as u32;
    let mut parent = Path::new();
    let mut kind = origin::STARTED;
    let mut forked = 0;
    let old = FD.swap(-1, Ordering::Relaxed);
    match origin {
        Origin::Started(base) => {
            names.base = Path::new();
            names.base.add(base.to_bytes());
        }
        Origin::Forked(ticks) => {
            parent.add(names.path.name());
            kind = origin::FORKED;
            forked = ticks.saturating_sub(start());
            if is_ours(old) {
                // SAFETY: the parent's file, by a descriptor that this process has inherited.
                unsafe { libc::close(old) };
            }
        }
    }
    let mut fd = -1;
    let first = kind == origin::STARTED && settings::is_first();
    for attempt in u32::from(!first)..1000 {
        let path = name(&names.base, pid, attempt);
        fd = open_new(&path);
        if fd >= 0 {
            names.path = path;
            break;
        }
        if errno() != libc::EEXIST {
            return Err(errno());
        }
        if kind != origin::FORKED && is_predecessor(&path, pid) {
            kind = origin::EXECUTED;
            parent = Path::new();
            parent.add(path.name());
            // The name of the settings is that of the first process's last program.
            if attempt == 0
                && let Some(aside) = set_aside(&path, &names.base, pid)
            {
                parent = Path::new();
                parent.add(aside.name());
                fd = open_new(&path);
                if fd >= 0 {
                    names.path = path;
                    break;
                }
            }
        }
    }
    if fd < 0 {
        return Err(libc::EEXIST);
    }
    // SAFETY: a descriptor that was opened above; the program does not expect one that low.
    unsafe {
        let high = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 700);
        if high >= 0 {
            libc::close(fd);
            fd = high;
        }
        let mut about: libc::stat = core::mem::zeroed();
        libc::fstat(fd, &mut about);
        DEVICE.store(about.st_dev, Ordering::Relaxed);
        INODE.store(about.st_ino, Ordering::Relaxed);
    }
    FD.store(fd, Ordering::Relaxed);
    USED.store(0, Ordering::Relaxed);
    let header = map(HEADER).map_err(|(_, error)| error)?;
    // SAFETY: HEADER bytes of zeros that no other thread reaches.
    unsafe { fill(header, kind, pid, forked, &parent) };
    MAPPED.store(header, Ordering::Release);
    Ok(())
}

/// Creates a file that does not exist.
fn open_new(path: &Path) -> i32 {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    // SAFETY: a C string.
    unsafe { libc::open(path.as_ptr(), flags, 0o644) }
}

/// Gives a trace another name of the process: that name.
fn set_aside(path: &Path, base: &Path, pid: u32) -> Option<Path> {
    for attempt in 1..1000 {
        let aside = name(base, pid, attempt);
        // SAFETY: C strings.
        unsafe {
            if libc::link(path.as_ptr(), aside.as_ptr()) == 0 {
                libc::unlink(path.as_ptr());
                return Some(aside);
            }
        }
        if errno() != libc::EEXIST {
            return None;
        }
    }
    None
}

/// The trace of this process before it replaced its program: marked as ended by that.
fn is_predecessor(path: &Path, pid: u32) -> bool {
    let mut head = [0u8; 32];
    let u32_at = |head: &[u8; 32], at: usize| {
        u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
    };
    // SAFETY: a C string; reads into and writes from arrays of the stated lengths.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if fd < 0 {
            return false;
        }
        let read = libc::pread(fd, head.as_mut_ptr().cast(), head.len(), 0);
        let found = read == head.len() as isize
            && head[..8] == layout::MAGIC
            && u32_at(&head, at::PID) == pid
            && u32_at(&head, at::STATE) != state::COMPLETE;
        if found && u32_at(&head, at::STATE) == state::RUNNING {
            let ended = state::EXECUTED.to_le_bytes();
            libc::pwrite(
                fd,
                ended.as_ptr().cast(),
                ended.len(),
                at::STATE as libc::off_t,
            );
        }
        libc::close(fd);
        found
    }
}

/// Writes the header.
///
/// # Safety
/// `header` has HEADER bytes of zeros that no other thread reaches.
unsafe fn fill(header: *mut u8, kind: u32, pid: u32, forked: u64, parent: &Path) {
    // SAFETY: valid for writes as a whole (the caller's duty).
    let bytes = unsafe { core::slice::from_raw_parts_mut(header, HEADER) };
    // A child counts as its parent does: the moment of the fork is one of the parent's.
    let rate = match RATE.load(Ordering::Relaxed) {
        0 => clock::rate(),
        known => known,
    };
    RATE.store(rate, Ordering::Relaxed);
    let (ticks, ns) = clock::both();
    let wall = clock::wall();
    START.store(ticks, Ordering::Relaxed);
    // SAFETY: no precondition.
    let parent_pid = unsafe { libc::getppid() } as u32;
    for (offset, value) in [
        (at::VERSION, layout::VERSION),
        (at::BYTES, HEADER as u32),
        (at::PID, pid),
        (at::PARENT, parent_pid),
        (at::ORIGIN, kind),
        (at::STACKS, settings::stacks()),
        (at::POINTER, size_of::<usize>() as u32),
    ] {
        bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }
    for (offset, value) in [
        (at::RATE, rate),
        (at::START_TICKS, ticks),
        (at::START_NS, ns),
        (at::START_WALL, wall),
        (at::SAMPLE, settings::sample()),
        (at::FORKED, forked),
    ] {
        bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    }
    let text = &mut bytes[at::TEXT..];
    let mut length = program(&mut text[..PATH]);
    text[length] = 0;
    length += 1;
    text[length..length + parent.name().len()].copy_from_slice(parent.name());
    length += parent.name().len() + 1;
    length += arguments(&mut text[length..]);
    bytes[at::TEXT_BYTES..at::TEXT_BYTES + 4].copy_from_slice(&(length as u32).to_le_bytes());
    bytes[..8].copy_from_slice(&layout::MAGIC);
}

/// Whether the descriptor is that of the file: the program may have closed it and got its number
/// for another file.
fn is_ours(fd: i32) -> bool {
    if fd < 0 {
        return false;
    }
    // SAFETY: zeros are valid; fstat writes to it.
    unsafe {
        let mut about: libc::stat = core::mem::zeroed();
        libc::fstat(fd, &mut about) == 0
            && about.st_dev == DEVICE.load(Ordering::Relaxed)
            && about.st_ino == INODE.load(Ordering::Relaxed)
    }
}

/// The file's descriptor, opened again if the program has closed it.
fn descriptor() -> i32 {
    let fd = FD.load(Ordering::Relaxed);
    // SAFETY: the path is a C string that stays.
    unsafe {
        if is_ours(fd) {
            return fd;
        }
        let path = &(*NAMES.0.get()).path;
        let again = calls::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if again >= 0 && !is_ours(again) {
            calls::close(again);
            return -1;
        }
        FD.store(again, Ordering::Relaxed);
        again
    }
}

/// Space of so many bytes at the end of the file, full of zeros and mapped: its address. Otherwise
/// why the recording must be cut, and the error number.
pub(crate) fn map(bytes: usize) -> Result<*mut u8, (u32, i32)> {
    let (fd, offset) = reserve(bytes)?;
    allocate(fd, offset, bytes)?;
    // SAFETY: a new mapping of allocated space.
    let mapped = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_POPULATE,
            fd,
            offset as libc::off_t,
        )
    };
    if mapped == libc::MAP_FAILED {
        return Err((cut::NO_MEMORY, errno()));
    }
    Ok(mapped.cast())
}

/// Writes a copy of a chunk of events to the end of the file. Its kind comes last: a process that
/// is killed leaves a copy that does not count.
///
/// # Safety
/// `base` is valid for reads of `bytes` bytes, which are no fewer than a head's.
pub(crate) unsafe fn append(base: *const u8, bytes: usize) -> Result<(), (u32, i32)> {
    let (fd, offset) = reserve(bytes)?;
    let mut head = [0; chunk::HEAD];
    // SAFETY: the head lies in what may be read (the caller's duty).
    unsafe {
        head.as_mut_ptr()
            .copy_from_nonoverlapping(base, chunk::HEAD)
    };
    let kind = chunk::KIND..chunk::KIND + 4;
    head[kind.clone()].copy_from_slice(&chunk::UNFINISHED.to_le_bytes());
    write(fd, &head, offset)?;
    // SAFETY: as above; no other thread writes there.
    let rest = unsafe { core::slice::from_raw_parts(base.add(chunk::HEAD), bytes - chunk::HEAD) };
    write(fd, rest, offset + chunk::HEAD as u64)?;
    write(
        fd,
        &chunk::EVENTS.to_le_bytes(),
        offset + chunk::KIND as u64,
    )
}

/// So many bytes at the end of the file: its descriptor, and where they begin.
fn reserve(bytes: usize) -> Result<(i32, u64), (u32, i32)> {
    let fd = descriptor();
    if fd < 0 {
        return Err((cut::WRITE, errno()));
    }
    let offset = USED.fetch_add(bytes as u64, Ordering::Relaxed);
    // Beyond the limit, the kernel would send SIGXFSZ.
    // SAFETY: zeros are valid; getrlimit writes to it.
    let limit = unsafe {
        let mut limit: libc::rlimit = core::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit);
        limit.rlim_cur
    };
    if offset + bytes as u64 > limit {
        return Err((cut::FILE_LIMIT, libc::EFBIG));
    }
    Ok((fd, offset))
}

/// What the recording is cut for when the file cannot be written.
fn why(error: i32) -> (u32, i32) {
    match error {
        libc::ENOSPC | libc::EDQUOT => (cut::DISK_FULL, error),
        libc::EFBIG => (cut::FILE_LIMIT, error),
        _ => (cut::WRITE, error),
    }
}

/// Interrupted calls are repeated so often.
const TRIES: u32 = 100;

/// Writes all of the bytes at an offset of the file.
fn write(fd: i32, mut bytes: &[u8], mut offset: u64) -> Result<(), (u32, i32)> {
    for _ in 0..TRIES {
        let written = calls::write(fd, bytes, offset);
        match usize::try_from(written) {
            Ok(0) => return Err((cut::DISK_FULL, libc::ENOSPC)),
            Ok(written) => {
                bytes = &bytes[written.min(bytes.len())..];
                offset += written as u64;
                if bytes.is_empty() {
                    return Ok(());
                }
            }
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return Err(why(errno())),
        }
    }
    Err((cut::WRITE, libc::EINTR))
}

/// Gives back a mapping of [`map`]; the file keeps what was written.
///
/// # Safety
/// The mapping is not used any more.
pub(crate) unsafe fn unmap(mapped: *mut u8, bytes: usize) {
    // SAFETY: the mapping is unused (the caller's duty).
    unsafe { libc::munmap(mapped.cast::<c_void>(), bytes) };
}

/// Allocates space in the file.
fn allocate(fd: i32, offset: u64, bytes: usize) -> Result<(), (u32, i32)> {
    for _ in 0..TRIES {
        if calls::allocate(fd, offset, bytes) {
            return Ok(());
        }
        match errno() {
            libc::EINTR => {}
            libc::EOPNOTSUPP | libc::ENOSYS => break,
            error => return Err(why(error)),
        }
    }
    // A file system without fallocate: zeros are written.
    static ZEROS: [u8; 4096] = [0; 4096];
    for at in (0..bytes as u64).step_by(ZEROS.len()) {
        write(fd, &ZEROS, offset + at)?;
    }
    Ok(())
}
