//! What this crate uses of Windows: kernel32's functions and their constants. The C library's are
//! those of every program: the `libc` crate has them.

use core::ffi::{CStr, c_char, c_void};

pub(crate) const MEM_COMMIT: u32 = 0x1000;
pub(crate) const MEM_RESERVE: u32 = 0x2000;
pub(crate) const MEM_DECOMMIT: u32 = 0x4000;
pub(crate) const MEM_RELEASE: u32 = 0x8000;
pub(crate) const PAGE_READWRITE: u32 = 4;
pub(crate) const NO_INDEX: u32 = u32::MAX;
pub(crate) const INFINITE: u32 = u32::MAX;
pub(crate) const STD_ERROR: u32 = -12_i32 as u32;
pub(crate) const FILE_APPEND_DATA: u32 = 4;
pub(crate) const FILE_SHARE_READ_WRITE: u32 = 3;
pub(crate) const OPEN_ALWAYS: u32 = 4;
pub(crate) const INVALID_HANDLE: isize = -1;

/// What `VirtualQuery` says about the pages from an address on that are alike.
#[repr(C)]
pub(crate) struct MemoryInformation {
    pub(crate) base: *mut c_void,
    /// The start of the allocation that they are part of.
    pub(crate) allocation: *mut c_void,
    pub(crate) allocation_protect: u32,
    pub(crate) partition: u16,
    pub(crate) bytes: usize,
    pub(crate) state: u32,
    pub(crate) protect: u32,
    pub(crate) kind: u32,
}

#[link(name = "kernel32")]
unsafe extern "system" {
    pub(crate) fn VirtualAlloc(at: *mut c_void, bytes: usize, how: u32, access: u32)
    -> *mut c_void;
    pub(crate) fn VirtualFree(start: *mut c_void, bytes: usize, how: u32) -> i32;
    pub(crate) fn VirtualLock(start: *mut c_void, bytes: usize) -> i32;
    pub(crate) fn VirtualQuery(
        at: *const c_void,
        out: *mut MemoryInformation,
        size_of_out: usize,
    ) -> usize;
    pub(crate) fn AcquireSRWLockExclusive(lock: *mut *mut c_void);
    pub(crate) fn ReleaseSRWLockExclusive(lock: *mut *mut c_void);
    pub(crate) fn SleepConditionVariableSRW(
        sleepers: *mut *mut c_void,
        lock: *mut *mut c_void,
        milliseconds: u32,
        flags: u32,
    ) -> i32;
    pub(crate) fn WakeConditionVariable(sleepers: *mut *mut c_void);
    pub(crate) fn WakeAllConditionVariable(sleepers: *mut *mut c_void);
    pub(crate) fn FlushProcessWriteBuffers();
    pub(crate) fn Sleep(milliseconds: u32);
    pub(crate) fn GetTickCount64() -> u64;
    pub(crate) fn FlsAlloc(ended: Option<unsafe extern "system" fn(*mut c_void)>) -> u32;
    pub(crate) fn FlsFree(index: u32) -> i32;
    pub(crate) fn FlsGetValue(index: u32) -> *mut c_void;
    pub(crate) fn FlsSetValue(index: u32, value: *mut c_void) -> i32;
    pub(crate) fn GetModuleHandleA(name: *const c_char) -> *mut c_void;
    pub(crate) fn GetProcAddress(library: *mut c_void, name: *const c_char) -> *mut c_void;
    pub(crate) fn GetCurrentThreadId() -> u32;
    pub(crate) fn GetCurrentProcessId() -> u32;
    pub(crate) fn GetLastError() -> u32;
    pub(crate) fn SetLastError(error: u32);
    pub(crate) fn GetEnvironmentVariableA(name: *const c_char, out: *mut u8, bytes: u32) -> u32;
    pub(crate) fn GetEnvironmentStringsA() -> *mut c_char;
    pub(crate) fn FreeEnvironmentStringsA(strings: *mut c_char) -> i32;
    pub(crate) fn GetModuleFileNameA(module: *mut c_void, out: *mut u8, bytes: u32) -> u32;
    pub(crate) fn GetStdHandle(which: u32) -> isize;
    pub(crate) fn WriteFile(
        file: isize,
        bytes: *const u8,
        count: u32,
        written: *mut u32,
        overlapped: *mut c_void,
    ) -> i32;
    pub(crate) fn CreateFileA(
        path: *const c_char,
        access: u32,
        sharing: u32,
        security: *mut c_void,
        creation: u32,
        flags: u32,
        template: isize,
    ) -> isize;
    pub(crate) fn CloseHandle(handle: isize) -> i32;
}

/// The function of that name in ntdll.dll, which every process has loaded; null if there is none.
/// Takes the loader's lock. A thread that ends holds it while it waits for the lock under which the
/// callbacks of fiber-local storage run, so a callback must not call this.
pub(crate) fn in_ntdll(name: &CStr) -> *mut c_void {
    // SAFETY: two C strings.
    keeping_error(|| unsafe {
        GetProcAddress(GetModuleHandleA(c"ntdll.dll".as_ptr()), name.as_ptr())
    })
}

/// Runs `work` and keeps the thread's last error: `malloc` and `free` leave it as it is.
pub(crate) fn keeping_error<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: no precondition.
    let saved = unsafe { GetLastError() };
    let result = work();
    // SAFETY: no precondition.
    unsafe { SetLastError(saved) };
    result
}
