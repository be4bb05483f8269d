//! A word of each thread, and notice of the thread's end, for Windows: fiber-local storage, whose
//! callbacks run for a library and a program alike.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::system::windows::{
    FlsAlloc, FlsFree, FlsGetValue, FlsSetValue, NO_INDEX, in_ntdll, keeping_error,
};

/// A thread gives its heap up in the first call of `ended` of [`create`], which is the only one.
#[cfg(not(memoman_debug))]
pub(crate) const ROUNDS: u8 = 1;

/// What is called at the end of a thread.
static ENDED: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
/// `RtlDllShutdownInProgress`, looked up before the first callback, which must not.
static IS_ENDING: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Creates a key, whose word is null in each thread. `ended` is called at the end of a thread that
/// has set its word to another value, with that value. None if the process has no key left.
///
/// # Safety
/// `ended` lives as long as the key.
pub(crate) unsafe fn create(ended: unsafe extern "C" fn(*mut c_void)) -> Option<usize> {
    let is_ending = in_ntdll(c"RtlDllShutdownInProgress");
    IS_ENDING.store(is_ending, Ordering::Relaxed);
    ENDED.store(ended as *mut c_void, Ordering::Relaxed);
    // SAFETY: the callback lives as long as the key (caller).
    let key = unsafe { FlsAlloc(Some(thread_ended)) };
    (key != NO_INDEX).then_some(key as usize)
}

/// The end of the process ends the other threads wherever they are, in a section of the lock, too,
/// before it calls this for the last thread, whose heap then needs no new owner.
unsafe extern "system" fn thread_ended(value: *mut c_void) {
    let ended = ENDED.load(Ordering::Relaxed);
    if ended.is_null() || is_process_ending() {
        return;
    }
    // SAFETY: the function that `create` has stored, for the word that `set` was given.
    unsafe {
        core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(ended)(value);
    }
}

fn is_process_ending() -> bool {
    let function = IS_ENDING.load(Ordering::Relaxed);
    // SAFETY: the type of the function that `create` has looked up, which has no precondition.
    !function.is_null()
        && unsafe {
            core::mem::transmute::<*mut c_void, unsafe extern "system" fn() -> u8>(function)() != 0
        }
}

/// # Safety
/// The key exists, and nothing uses it any more.
pub(crate) unsafe fn delete(key: usize) {
    // SAFETY: an existing key (caller).
    unsafe { FlsFree(key as u32) };
}

/// Sets the calling thread's word. May allocate, but not from here.
///
/// # Safety
/// The key exists.
pub(crate) unsafe fn set(key: usize, value: *mut c_void) {
    // SAFETY: an existing key (caller).
    keeping_error(|| unsafe { FlsSetValue(key as u32, value) });
}

/// The calling thread's word.
///
/// # Safety
/// The key exists.
pub(crate) unsafe fn get(key: usize) -> *mut c_void {
    // SAFETY: an existing key (caller).
    keeping_error(|| unsafe { FlsGetValue(key as u32) })
}
