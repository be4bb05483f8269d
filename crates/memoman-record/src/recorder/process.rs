//! The start of the recording, forks, and its end.
//!
//! A process has a *life*: a number that its threads compare with their own at each event. It lies
//! in a page that the kernel clears in the child of a fork, however that was made: the child's
//! first event begins a trace of its own.

use core::ffi::{CStr, c_void};
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::file::{self, Origin};
use super::path::Path;
use super::thread::{self, Thread};
use super::{clock, handles, loader, modules, names, next, operators, sample, settings};
use super::{stream, unwind};

/// Nothing was recorded in this process yet.
const NEW: u32 = 0;
/// A thread starts the recording. 1 is [`thread::NO_LIFE`].
const STARTING: u32 = 2;
/// Nothing is recorded any more.
const OFF: u32 = 3;
/// The first number of a life.
const FIRST: u32 = 4;

/// Alone in its page, for `MADV_WIPEONFORK`.
#[repr(C, align(4096))]
struct Page {
    life: AtomicU32,
    rest: [u8; 4092],
}

static LIFE: Page = Page {
    life: AtomicU32::new(NEW),
    rest: [0; 4092],
};
/// The number of the last life; 0 in a process that never recorded, nor its parents.
static LIVES: AtomicU32 = AtomicU32::new(0);
static THREADS: AtomicU32 = AtomicU32::new(0);
static KEY: AtomicU32 = AtomicU32::new(NO_KEY);
const NO_KEY: u32 = u32::MAX;
/// Ticks at the latest fork of the process, or of its parent.
static FORK: AtomicU64 = AtomicU64::new(0);

/// The calling thread's words, when its events are recorded.
#[inline(always)]
pub(crate) fn recording() -> Option<*mut Thread> {
    let thread = thread::current();
    // SAFETY: the thread's own words.
    let own = unsafe { (*thread).life };
    if own == LIFE.life.load(Ordering::Relaxed) {
        return Some(thread);
    }
    first_event(thread)
}

/// The thread has recorded nothing in this life.
#[cold]
#[inline(never)]
fn first_event(thread: *mut Thread) -> Option<*mut Thread> {
    let mut life = LIFE.life.load(Ordering::Acquire);
    if life == NEW {
        next::look_up();
        if !settings::known() || !next::are_known() {
            return None;
        }
        if LIFE
            .life
            .compare_exchange(NEW, STARTING, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return None;
        }
        let error = next::Errno::save();
        // A signal handler would find a recording that has not begun.
        let signals = Signals::block();
        // SAFETY: this thread alone has come from NEW to STARTING, in which none records.
        life = unsafe { start() };
        LIFE.life.store(life, Ordering::Release);
        signals.restore();
        error.restore();
    }
    if life == STARTING || life == OFF {
        return None;
    }
    // SAFETY: the thread's own words; a signal handler that comes in between finds another life.
    unsafe {
        for owner in &(*thread).owners {
            owner.store(0, Ordering::Relaxed);
        }
        (*thread).stream = ptr::null_mut();
        (*thread).left = 0;
        (*thread).random = 0;
        (*thread).number = THREADS.fetch_add(1, Ordering::Relaxed);
        (&raw mut (*thread).life).write_volatile(life);
    }
    Some(thread)
}

/// The thread's signals, which wait meanwhile.
pub(crate) struct Signals(libc::sigset_t);

impl Signals {
    pub(crate) fn block() -> Signals {
        // SAFETY: zeros are a valid set; the calls write to the sets.
        unsafe {
            let mut all: libc::sigset_t = core::mem::zeroed();
            let mut before: libc::sigset_t = core::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            Signals(before)
        }
    }

    pub(crate) fn restore(self) {
        // SAFETY: the set that was valid before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Begins a trace: the life in which threads record, or [`OFF`].
///
/// # Safety
/// One thread at a time, while none records.
unsafe fn start() -> u32 {
    let lives = LIVES.load(Ordering::Relaxed);
    let threads = THREADS.swap(0, Ordering::Relaxed);
    let created = if lives == 0 {
        let Some(path) = settings::read() else {
            return OFF;
        };
        prepare();
        // SAFETY: the caller's duty.
        let created = unsafe { file::create(Origin::Started(path)) };
        if let Err(error) = created {
            complain(path, error);
        }
        created
    } else {
        loader::forked(threads);
        unwind::forked();
        let known = FORK.load(Ordering::Relaxed);
        let forked = if known == 0 { clock::ticks() } else { known };
        // SAFETY: this is the only thread of the child.
        unsafe {
            stream::forget_all();
            file::create(Origin::Forked(forked))
        }
    };
    if created.is_err() {
        return OFF;
    }
    if settings::stacks() > 0 {
        // SAFETY: no thread records, in a child no other one runs.
        unsafe { modules::start_again() };
    }
    let life = lives.max(FIRST - 1) + 1;
    LIVES.store(life, Ordering::Relaxed);
    life
}

/// Once in a program.
fn prepare() {
    loader::prepare();
    names::look_up();
    operators::look_up();
    handles::look_up();
    unwind::prepare();
    sample::prepare();
    const WIPE_ON_FORK: libc::c_int = 18;
    // SAFETY: the page holds the life alone, and is anonymous: it lies behind the initialised data.
    let wiped = unsafe {
        let page = (&raw const LIFE).cast_mut().cast::<c_void>();
        libc::madvise(page, size_of::<Page>(), WIPE_ON_FORK) == 0
    };
    let child: unsafe extern "C" fn() = forked;
    // SAFETY: the handlers live as long as the process: the library is never unloaded.
    unsafe {
        // Linux before 4.14 does not clear the page.
        libc::pthread_atfork(Some(forking), None, (!wiped).then_some(child));
        let mut key = NO_KEY;
        if libc::pthread_key_create(&mut key, Some(thread_ends)) == 0 {
            KEY.store(key, Ordering::Relaxed);
        }
    }
}

unsafe extern "C" fn forking() {
    loader::forking();
    FORK.store(clock::ticks(), Ordering::Relaxed);
}

unsafe extern "C" fn forked() {
    if LIFE.life.load(Ordering::Relaxed) >= FIRST {
        LIFE.life.store(NEW, Ordering::Relaxed);
    }
}

/// [`thread_ends`] is called at the end of the thread.
pub(crate) fn watch(thread: &mut Thread) {
    let key = KEY.load(Ordering::Relaxed);
    if key != NO_KEY {
        // SAFETY: the key exists. What the call allocates is recorded in lane 1.
        unsafe { libc::pthread_setspecific(key, (&raw mut *thread).cast()) };
    }
}

unsafe extern "C" fn thread_ends(_: *mut c_void) {
    let thread = thread::current();
    // SAFETY: the thread's own words, and none of its events is being written.
    unsafe {
        if (*thread).life == LIFE.life.load(Ordering::Relaxed) {
            stream::release(&mut *thread);
        }
    }
}

/// The recording ends before the process does.
#[cold]
pub(crate) fn cut(why: u32, error: i32) {
    if LIFE.life.swap(OFF, Ordering::Relaxed) != OFF {
        file::cut(why, error);
    }
}

/// One line, where a program would look for it.
fn complain(path: &CStr, error: i32) {
    let mut line = Path::new();
    line.add(b"memoman: cannot record into ");
    line.add(path.to_bytes());
    line.add(match error {
        libc::ENOSPC => b": no space left on the device".as_slice(),
        libc::EACCES | libc::EROFS | libc::EPERM => b": permission denied",
        libc::ENOENT | libc::ENOTDIR => b": no such folder",
        _ => b": it cannot be created",
    });
    line.add(b"; the program runs without\n");
    line.print();
}

/// The process ends in good order, and this is the one that began the trace.
pub(crate) fn end() {
    // SAFETY: no precondition.
    let pid = unsafe { libc::getpid() } as u32;
    if LIFE.life.load(Ordering::Relaxed) >= FIRST && file::pid() == pid {
        if settings::stacks() > 0 {
            modules::write_if_new();
        }
        file::complete();
    }
}

/// At the exit of the process.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = {
    extern "C" fn at_exit() {
        end();
    }
    at_exit
};
