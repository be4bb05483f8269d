//! The instructions of a call by single steps, where the processor's counter cannot be read: each
//! instruction ends in a trap, which takes the kernel some microseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Traps of a call, at most: each byte that one instruction copies is one.
const LIMIT: u64 = 2_000;

/// The flag that has each instruction trapped.
const TRAP: i32 = 0x100;

/// The signal's action and the counters belong to the process: one thread at a time.
static ALONE: Mutex<()> = Mutex::new(());
static TRAPS: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Where the latest trap was: an instruction that repeats itself is trapped each time.
static LAST: AtomicU64 = AtomicU64::new(0);

extern "C" fn trapped(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context: *mut libc::ucontext_t = context.cast();
    // SAFETY: the context of the signal, which the kernel has written and will read.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    let at = registers[libc::REG_RIP as usize] as u64;
    if LAST.swap(at, Ordering::Relaxed) != at {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    if TRAPS.fetch_add(1, Ordering::Relaxed) + 1 >= LIMIT {
        registers[libc::REG_EFL as usize] &= !libc::greg_t::from(TRAP);
    }
}

/// What a call took.
pub(super) struct Stepped {
    pub(super) instructions: u64,
    /// The count has not ended before the call.
    pub(super) whole: bool,
}

/// Counts, until it is dropped.
pub(super) struct Steps {
    before: libc::sigaction,
    /// What a call of nothing takes.
    empty: u64,
    /// Released after the action of before is back.
    _alone: MutexGuard<'static, ()>,
}

impl Steps {
    /// None when the signal cannot be had.
    pub(super) fn new() -> Option<Steps> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: zeros are a valid action; SA_SIGINFO is for a handler of this type.
        let before = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let mut before: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = trapped as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            if libc::sigaction(libc::SIGTRAP, &action, &mut before) != 0 {
                return None;
            }
            before
        };
        let mut steps = Steps {
            before,
            empty: 0,
            _alone: alone,
        };
        let nothing: &mut dyn FnMut() = &mut || {};
        let nothing = std::hint::black_box(nothing);
        let least = (0..100).map(|_| steps.of(&mut *nothing).instructions);
        steps.empty = least.min().unwrap_or(0);
        (steps.empty > 0).then_some(steps)
    }

    /// Makes the call.
    pub(super) fn of(&self, call: &mut dyn FnMut()) -> Stepped {
        for word in [&TRAPS, &COUNT, &LAST] {
            word.store(0, Ordering::Relaxed);
        }
        // SAFETY: sets the flag; SIGTRAP has a handler as long as `self` lives.
        unsafe {
            std::arch::asm!("pushfq", "or dword ptr [rsp], {}", "popfq", const TRAP);
        }
        call();
        // SAFETY: clears it.
        unsafe {
            std::arch::asm!("pushfq", "and dword ptr [rsp], {}", "popfq", const !TRAP);
        }
        Stepped {
            instructions: COUNT.load(Ordering::Relaxed).saturating_sub(self.empty),
            whole: TRAPS.load(Ordering::Relaxed) < LIMIT,
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        // SAFETY: the action of before.
        unsafe { libc::sigaction(libc::SIGTRAP, &self.before, std::ptr::null_mut()) };
    }
}
