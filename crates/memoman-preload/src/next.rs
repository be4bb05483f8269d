//! The definition of a name that comes after this library's in the search order.

use core::ffi::{CStr, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

/// A name, and its next definition once it has been looked up.
pub(crate) struct Next {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
    searched: AtomicU8,
}

impl Next {
    pub(crate) const fn of(name: &'static CStr) -> Next {
        Next {
            name,
            found: AtomicPtr::new(ptr::null_mut()),
            searched: AtomicU8::new(0),
        }
    }

    pub(crate) fn name(&self) -> &CStr {
        self.name
    }

    /// The next definition, looked up at the first call; null when there is none. Not to be called
    /// within `malloc`: the lookup takes the dynamic linker's lock, and allocates when it fails.
    pub(crate) fn definition(&self) -> *const c_void {
        if self.searched.load(Ordering::Acquire) == 0 {
            return self.search();
        }
        self.found.load(Ordering::Relaxed)
    }

    /// The next definition if it has been looked up; else null. For functions that the program's
    /// own allocator may call, where a lookup would wait for a lock of that allocator.
    pub(crate) fn known(&self) -> *const c_void {
        self.found.load(Ordering::Relaxed)
    }

    /// [`definition`](Next::definition), looked up again if there was none: a library may have been
    /// loaded meanwhile.
    pub(crate) fn search(&self) -> *const c_void {
        let mut found = self.found.load(Ordering::Relaxed);
        if found.is_null() {
            // SAFETY: a C string; the thread holds no lock.
            found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
            self.found.store(found, Ordering::Relaxed);
            self.searched.store(1, Ordering::Release);
        }
        found
    }
}
