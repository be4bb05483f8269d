//! The calling thread's heap: one word of thread-local storage.
//!
//! On x86-64 it is a word of the static block (the initial-exec model), read by two instructions: nothing is ever
//! allocated for it, however the library was loaded. Elsewhere it is the value of the pthread key that also tells of a
//! thread's end.

use crate::thread_heap::ThreadHeap;

/// The thread has no heap yet. Not 0, so that what is nobody's in the map of segments is never taken for the thread's.
const NONE: usize = 1;
/// The thread has given its heap up and is ending. Neither is the address of a heap.
pub(crate) const ENDED: usize = 2;

/// What the word says.
#[derive(Clone, Copy)]
pub(crate) struct Current(usize);

impl Current {
    /// The thread's heap; no heap's address, and not null, while it has none.
    #[inline(always)]
    pub(crate) fn heap(self) -> *mut ThreadHeap {
        core::ptr::with_exposed_provenance_mut(self.0)
    }

    #[inline(always)]
    pub(crate) fn is_heap(self) -> bool {
        self.0 > ENDED
    }

    /// The thread is ending and gets no heap any more.
    pub(crate) fn is_ended(self) -> bool {
        self.0 == ENDED
    }
}

#[inline(always)]
pub(crate) fn current() -> Current {
    Current(word::get())
}

/// Gives the calling thread a heap.
pub(crate) fn set(heap: *mut ThreadHeap) {
    word::set(heap.expose_provenance());
}

/// The calling thread's heap is gone.
pub(crate) fn end() {
    word::set(ENDED);
}

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
    use crate::exit;

    pub(super) fn get() -> usize {
        // A thread that has never set it reads 0.
        exit::key_value().max(super::NONE)
    }

    pub(super) fn set(value: usize) {
        exit::set_key_value(value);
    }
}
