//! A child that no fork handler has prepared: of `_Fork`, or of the system calls `fork` and `clone`
//! themselves. Shim only.
//!
//! A page of which the system gives each child a cleared copy (`MADV_WIPEONFORK`, Linux 4.14) has a
//! word that is 1 in a process that is prepared. Calls look at it before they wait, and nowhere
//! else. A child that shares its parent's memory, as `vfork` makes it, shares the page, too.

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::system::{memory, sandbox};

/// The word; null where the system does not clear it, and in a process with one thread.
static PREPARED: AtomicPtr<AtomicUsize> = AtomicPtr::new(ptr::null_mut());

/// What prepares the process.
static PREPARE: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Has `prepare` called in each child that waits and that no fork handler has prepared. Before the
/// second thread starts.
pub(crate) fn watch(prepare: fn()) {
    let page = memory::page_size();
    if !sandbox::permits_advice() || !PREPARED.load(Ordering::Relaxed).is_null() {
        return;
    }
    let Some(word) = memory::map(page, false) else {
        return;
    };
    // SAFETY: this thread's fresh page.
    unsafe {
        if !memory::wipe_in_children(word, page) {
            memory::unmap(word, page);
            return;
        }
    }
    PREPARE.store(prepare as *mut (), Ordering::Relaxed);
    // Release: `PREPARE` is stored.
    PREPARED.store(word.cast(), Ordering::Release);
    is_prepared();
}

/// The process is prepared: in the child's fork handler.
pub(crate) fn is_prepared() {
    // SAFETY: null, or the word, which is never unmapped.
    if let Some(word) = unsafe { PREPARED.load(Ordering::Acquire).as_ref() } {
        word.store(1, Ordering::Relaxed);
    }
}

/// Before a wait: prepares the process if it is a child that no handler has prepared. True if it
/// was: what the caller waits for has changed.
#[cold]
#[inline(never)]
pub(crate) fn settle() -> bool {
    // SAFETY: null, or the word, which is never unmapped.
    let word = unsafe { PREPARED.load(Ordering::Acquire).as_ref() };
    if word.is_none_or(|word| word.swap(1, Ordering::Relaxed) == 1) {
        return false;
    }
    // SAFETY: `watch` has stored a function of this type.
    let prepare: fn() = unsafe { core::mem::transmute(PREPARE.load(Ordering::Relaxed)) };
    prepare();
    true
}
