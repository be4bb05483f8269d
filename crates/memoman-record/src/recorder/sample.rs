//! One allocation every so many bytes: a Poisson process over the bytes, so that an allocation of n
//! bytes is recorded with probability `1 - exp(-n / mean)`, whatever came before.
//!
//! The addresses of recorded blocks stand in a table, so that their frees are recorded too. A small
//! table of counts before it answers for nearly all others.

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

use super::thread::Thread;
use super::{clock, settings};

const SLOTS: usize = 1 << 20;
/// An address is at most so many slots behind its own.
const REACH: usize = 64;
const FILTER: usize = 1 << 14;

static TABLE: AtomicPtr<AtomicUsize> = AtomicPtr::new(ptr::null_mut());
static COUNTS: [AtomicU8; FILTER] = [const { AtomicU8::new(0) }; FILTER];

const EMPTY: usize = 0;
/// An address was here, and those behind it may still be.
const LEFT: usize = 1;

/// Once in a program.
pub(crate) fn prepare() {
    if settings::sample() == 0 {
        return;
    }
    // SAFETY: a new mapping, of zeros.
    let mapped = unsafe {
        libc::mmap(
            ptr::null_mut(),
            SLOTS * size_of::<AtomicUsize>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if mapped != libc::MAP_FAILED {
        TABLE.store(mapped.cast(), Ordering::Release);
    }
}

fn hash(block: usize) -> u64 {
    (block as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn slots(block: usize) -> Option<impl Iterator<Item = &'static AtomicUsize>> {
    let table = TABLE.load(Ordering::Acquire);
    let first = (hash(block) >> 44) as usize;
    (!table.is_null()).then(|| {
        (first..first + REACH).map(move |at| {
            // SAFETY: the table has SLOTS slots, and is never unmapped.
            unsafe { &*table.add(at % SLOTS) }
        })
    })
}

fn count(block: usize) -> &'static AtomicU8 {
    &COUNTS[(hash(block) >> 50) as usize % FILTER]
}

/// Counts the bytes of an allocation: whether it is to be recorded.
#[inline(always)]
pub(crate) fn due(thread: &mut Thread, bytes: usize) -> bool {
    thread.left = thread.left.wrapping_sub(bytes as i64);
    thread.left < 0 && draw(thread)
}

#[cold]
#[inline(never)]
fn draw(thread: &mut Thread) -> bool {
    // A thread's first allocation ends no interval: it only begins one, which is as long as any.
    let first = thread.random == 0;
    let overdrawn = thread.left;
    if first {
        thread.random = (clock::ticks() ^ u64::from(thread.number) << 40)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            | 1;
    }
    let mean = settings::sample() as f64;
    let mut next = || {
        thread.random ^= thread.random << 13;
        thread.random ^= thread.random >> 7;
        thread.random ^= thread.random << 17;
        let uniform = ((thread.random >> 11) + 1) as f64 * (1.0 / 9_007_199_254_740_993.0);
        (-libm::log(uniform) * mean) as i64
    };
    let interval = next();
    if first && interval + overdrawn >= 0 {
        thread.left = interval + overdrawn;
        return false;
    }
    thread.left = if first { next() } else { interval };
    true
}

/// Remembers a recorded block: whether there is room.
pub(crate) fn remember(block: usize) -> bool {
    let count = count(block);
    // A count that has reached its end stays there.
    let _ = count.try_update_or_stay(1);
    for slot in slots(block).into_iter().flatten() {
        let found = slot.load(Ordering::Relaxed);
        if (found == EMPTY || found == LEFT)
            && slot
                .compare_exchange(found, block, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            return true;
        }
    }
    let _ = count.try_update_or_stay(-1);
    false
}

/// Forgets a block that is freed: whether it was recorded.
#[inline(always)]
pub(crate) fn forget(block: usize) -> bool {
    count(block).load(Ordering::Relaxed) != 0 && find_and_forget(block)
}

#[cold]
#[inline(never)]
fn find_and_forget(block: usize) -> bool {
    for slot in slots(block).into_iter().flatten() {
        let found = slot.load(Ordering::Relaxed);
        if found == EMPTY {
            return false;
        }
        if found == block {
            slot.store(LEFT, Ordering::Relaxed);
            let _ = count(block).try_update_or_stay(-1);
            return true;
        }
    }
    false
}

/// Counting that stops at its end.
trait Sticky {
    fn try_update_or_stay(&self, by: i8) -> Result<u8, u8>;
}

impl Sticky for AtomicU8 {
    fn try_update_or_stay(&self, by: i8) -> Result<u8, u8> {
        self.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count != u8::MAX).then(|| count.wrapping_add_signed(by))
        })
    }
}
