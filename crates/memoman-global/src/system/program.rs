//! The process: its environment, its files, its end and its forks.

use core::ffi::{CStr, c_char};

use crate::system::errno::{errno, set_errno};

unsafe extern "C" {
    /// glibc's and musl's getenv that finds nothing in a set-user-id program. The `libc` crate
    /// lacks it.
    fn secure_getenv(name: *const c_char) -> *const c_char;
    /// The environment: pointers to C strings, and a null pointer after them; or null.
    static environ: *const *const c_char;
    /// glibc's and musl's; the `libc` crate lacks it.
    static program_invocation_short_name: *const c_char;
}

/// Room for a variable's value: none is needed here.
pub(crate) struct Room(());

impl Room {
    #[inline]
    pub(crate) fn new() -> Room {
        Room(())
    }
}

/// A variable's value, if it is set. In a set-user-id program none is: its caller has no influence
/// on it.
#[inline]
pub(crate) fn variable<'a>(name: &CStr, _: &'a mut Room) -> Option<&'a [u8]> {
    // SAFETY: the name is a C string, and so is a result that is not null. No thread changes the
    // environment meanwhile, as getenv requires of every program.
    unsafe {
        let text = secure_getenv(name.as_ptr());
        (!text.is_null()).then(|| CStr::from_ptr(text).to_bytes())
    }
}

/// Passes each entry of the environment to `use_entry`; none of a set-user-id program's.
#[inline]
pub(crate) fn each_variable(mut use_entry: impl FnMut(&[u8])) {
    // SAFETY: getauxval has no precondition.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return;
    }
    // SAFETY: the C library's variable. No thread changes the environment meanwhile, as getenv
    // requires of every program.
    let mut next = unsafe { environ };
    while !next.is_null() {
        // SAFETY: within the array, whose last entry is null.
        let entry = unsafe { *next };
        if entry.is_null() {
            break;
        }
        next = next.wrapping_add(1);
        // SAFETY: entries are C strings.
        use_entry(unsafe { CStr::from_ptr(entry) }.to_bytes());
    }
}

/// The program's name, without its folder.
#[inline]
pub(crate) fn name(use_name: impl FnOnce(&[u8])) {
    // SAFETY: null or a C string, which lives as long as the process.
    let name = unsafe {
        let name = program_invocation_short_name;
        if name.is_null() {
            b"?"
        } else {
            CStr::from_ptr(name).to_bytes()
        }
    };
    use_name(name);
}

/// The process's number.
pub(crate) fn number() -> usize {
    // SAFETY: getpid has no precondition.
    unsafe { libc::syscall(libc::SYS_getpid) as usize }
}

/// Device and inode of an open file. Keeps errno.
pub(crate) fn identity(file: i32) -> [usize; 2] {
    let saved = errno();
    // SAFETY: all-zero is a valid struct, which the call writes. (By number, where the C library's
    // struct is the system's: a name to look up takes more of the library's file.)
    let status = unsafe {
        let mut status: libc::stat = core::mem::zeroed();
        #[cfg(target_arch = "x86_64")]
        libc::syscall(libc::SYS_fstat, file, &raw mut status);
        #[cfg(not(target_arch = "x86_64"))]
        libc::fstat(file, &mut status);
        status
    };
    set_errno(saved);
    [status.st_dev as usize, status.st_ino as usize]
}

/// Opens a file to append to it, and makes it if there is none. The reason for None is in errno.
///
/// # Safety
/// The path is a C string.
pub(crate) unsafe fn open_to_append(path: *const c_char) -> Option<i32> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC | libc::O_NOCTTY;
    // SAFETY: a C string (caller). (A system call, as in `write`: no cancellation point.)
    let file = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, 0o666) };
    (file >= 0).then_some(file as i32)
}

/// Closes a file from [`open_to_append`].
pub(crate) fn close(file: i32) {
    // SAFETY: an open file, which nothing uses any more.
    unsafe { libc::syscall(libc::SYS_close, file) };
}

/// Returns what write(2) does, after interruptions. A raw system call: the C library's `write` is a
/// cancellation point, and the calling thread may hold the lock.
pub(crate) fn write(file: i32, bytes: &[u8]) -> isize {
    loop {
        // SAFETY: the bytes are readable.
        let written = unsafe { libc::syscall(libc::SYS_write, file, bytes.as_ptr(), bytes.len()) };
        if written >= 0 || errno() != libc::EINTR {
            return written as isize;
        }
    }
}

/// Passes the file of the program or library that has this address to `use_image`, where it begins,
/// and the exported function that the address lies in.
#[cfg(memoman_debug)]
pub(crate) fn image(address: usize, use_image: impl FnOnce(&[u8], usize, Option<&[u8]>)) {
    let mut info = core::mem::MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: dladdr writes `info` when it succeeds; the names in it are C strings of the dynamic
    // linker, which has the library loaded.
    unsafe {
        if libc::dladdr(address as *const _, info.as_mut_ptr()) == 0 {
            return;
        }
        let info = info.assume_init();
        if !info.dli_fname.is_null() {
            use_image(
                CStr::from_ptr(info.dli_fname).to_bytes(),
                info.dli_fbase.addr(),
                (!info.dli_sname.is_null()).then(|| CStr::from_ptr(info.dli_sname).to_bytes()),
            );
        }
    }
}

/// Registers a function for the end of the process. May allocate.
pub(crate) fn at_exit(work: extern "C" fn()) {
    // SAFETY: a function without parameters that lives as long as the library.
    unsafe { libc::atexit(work) };
}

/// Registers what runs in each fork: before it, then in the parent and in the child. May allocate.
/// False if the system has no memory for that.
pub(crate) fn at_fork(
    before: extern "C" fn(),
    parent: extern "C" fn(),
    child: extern "C" fn(),
) -> bool {
    // SAFETY: three functions without parameters that live as long as the library.
    unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) == 0 }
}

/// Ends the process as failed: the C library's function itself, for a jump to it.
pub(crate) const ABORT: unsafe extern "C" fn() -> ! = libc::abort;
