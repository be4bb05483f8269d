//! The calling thread's heap, one word of thread-local storage, and notice of the thread's end,
//! through the destructor of a pthread key.
//!
//! On x86-64 the word lies in the static TLS block (the initial-exec model) and is read by two
//! instructions: no allocation is ever made for it, however the library was loaded. Elsewhere it is
//! the value of the pthread key.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::system::key;
use crate::thread::heap::ThreadHeap;

/// The thread has no heap yet. Not 0, the map's word for an address outside all segments: such an
/// address must not pass for one of the thread's.
const NONE: usize = 1;
/// The thread has given its heap up and is ending. Like [`NONE`], the address of no heap.
const ENDED: usize = 2;

/// The thread's word.
#[derive(Clone, Copy)]
pub(crate) struct Current(usize);

impl Current {
    /// The thread's heap. While it has none, a value that is neither null nor a heap's address.
    #[inline(always)]
    pub(crate) fn heap(self) -> *mut ThreadHeap {
        ptr::with_exposed_provenance_mut(self.0)
    }

    #[inline(always)]
    pub(crate) fn is_heap(self) -> bool {
        is_heap(self.heap())
    }

    /// The thread is ending and gets no heap any more.
    pub(crate) fn is_ended(self) -> bool {
        self.0 == ENDED
    }
}

/// What [`Current::heap`] has returned is a heap.
#[inline(always)]
pub(crate) fn is_heap(heap: *mut ThreadHeap) -> bool {
    heap.addr() > ENDED
}

#[inline(always)]
pub(crate) fn current() -> Current {
    Current(word::get())
}

/// Sets the calling thread's heap.
pub(crate) fn set(heap: *mut ThreadHeap) {
    word::set(heap.expose_provenance());
}

/// The calling thread is ending: it has no heap and gets none.
pub(crate) fn end() {
    word::set(ENDED);
}

/// The key, or the value that no key has.
static KEY: AtomicUsize = AtomicUsize::new(NO_KEY);
const NO_KEY: usize = usize::MAX;

/// The key, if it exists.
fn known() -> Option<usize> {
    let key = KEY.load(Ordering::Acquire);
    (key != NO_KEY).then_some(key)
}

/// Creates the key, once, unless the process has no key left. `ended` is called at the end of a
/// thread that has called [`watch`], with the heap given there.
pub(crate) fn prepare(ended: unsafe extern "C" fn(*mut c_void)) {
    if known().is_some() {
        return;
    }
    // SAFETY: the destructor lives as long as the library, whose unloading deletes the key.
    let Some(new) = (unsafe { key::create(ended) }) else {
        return;
    };
    if KEY
        .compare_exchange(NO_KEY, new, Ordering::AcqRel, Ordering::Acquire)
        .is_err()
    {
        // SAFETY: created above, and known to this thread only.
        unsafe { key::delete(new) };
    }
}

/// Has the key's destructor run at the calling thread's end. May allocate.
pub(crate) fn watch(heap: *mut ThreadHeap) {
    if let Some(known) = known() {
        // SAFETY: the key exists.
        unsafe { key::set(known, heap.cast()) };
    }
}

/// The library is unloaded: the end of a thread must not call into it any more.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".fini_array.00101")]
static AT_UNLOAD: extern "C" fn() = {
    extern "C" fn at_unload() {
        let known = KEY.swap(NO_KEY, Ordering::AcqRel);
        if known != NO_KEY {
            // SAFETY: created by `prepare`, and no longer known.
            unsafe { key::delete(known) };
        }
    }
    at_unload
};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod word {
    use core::arch::{asm, global_asm};

    global_asm!(
        ".pushsection .tdata.memoman_thread_heap,\"awT\",@progbits",
        ".balign 8",
        ".globl memoman_thread_heap",
        ".hidden memoman_thread_heap",
        ".type memoman_thread_heap,@tls_object",
        ".size memoman_thread_heap,8",
        "memoman_thread_heap:",
        ".quad {none}",
        ".popsection",
        none = const super::NONE,
    );

    #[inline(always)]
    pub(super) fn get() -> usize {
        let value;
        // SAFETY: reads the thread's own word.
        unsafe {
            asm!(
                "mov {0}, qword ptr [rip + memoman_thread_heap@GOTTPOFF]",
                "mov {0}, qword ptr fs:[{0}]",
                out(reg) value,
                options(nostack, readonly, preserves_flags),
            );
        }
        value
    }

    pub(super) fn set(value: usize) {
        // SAFETY: writes the thread's own word.
        unsafe {
            asm!(
                "mov {0}, qword ptr [rip + memoman_thread_heap@GOTTPOFF]",
                "mov qword ptr fs:[{0}], {1}",
                out(reg) _,
                in(reg) value,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod word {
    use core::ptr;

    /// The key's value; a thread that has never set it reads 0, as does one without a key.
    pub(super) fn get() -> usize {
        let value = super::known().map_or(ptr::null_mut(), |known| {
            // SAFETY: the key exists.
            unsafe { crate::system::key::get(known) }
        });
        value.expose_provenance().max(super::NONE)
    }

    /// A value that is not 0 has the destructor called at the thread's end.
    pub(super) fn set(value: usize) {
        super::watch(ptr::with_exposed_provenance_mut(value));
    }
}
