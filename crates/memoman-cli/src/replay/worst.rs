//! The instructions of memoman's worst call: of all calls by the processor's counter, else of the
//! slowest calls by single steps.

use perf_event::events::Hardware;
use perf_event::{Builder, Counter};
use serde::Serialize;

use super::allocators::{Plain, Pool};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use super::steps::Steps;
use crate::calls::{Allocator, Calls, Slot, What, run};

/// The worst call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Worst {
    pub(super) instructions: u64,
    /// The count of a call has ended before the call: the worst one may take more.
    pub(super) at_least: bool,
    pub(super) call: usize,
    #[serde(skip)]
    pub(super) what: What,
    pub(super) size: u64,
    /// How many calls were counted: all, or the slowest ones of each kind.
    pub(super) counted: usize,
}

/// Counts the calls. The error is the reason why it cannot be done.
pub(super) fn count(calls: &Calls, pool: &mut Pool) -> Result<Worst, String> {
    let refused = |error: std::io::Error| match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => {
            "not permitted: set kernel.perf_event_paranoid to 2 or less".to_string()
        }
        Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP) => {
            "this machine has no such counter".to_string()
        }
        _ => error.to_string(),
    };
    match by_counter(calls, pool) {
        Ok(worst) => worst.ok_or_else(|| "no call".to_string()),
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        Err(error) => by_steps(calls, pool).ok_or_else(|| refused(error)),
        #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
        Err(error) => Err(refused(error)),
    }
}

fn by_counter(calls: &Calls, pool: &mut Pool) -> std::io::Result<Option<Worst>> {
    let mut counter = Builder::new().kind(Hardware::INSTRUCTIONS).build()?;
    counter.enable()?;
    let mut empty = u64::MAX;
    for _ in 0..1000 {
        let before = counter.read()?;
        empty = empty.min(counter.read()?.saturating_sub(before));
    }
    let count = |counter: &mut Counter| counter.read().unwrap_or(0);
    let mut worst = (0, 0);
    let counted = measured(calls, pool, |number, make: &mut dyn FnMut()| {
        let before = count(&mut counter);
        make();
        let passed = count(&mut counter).saturating_sub(before);
        worst = worst.max((passed.saturating_sub(empty), number));
    });
    Ok(counted.and_then(|counted| named(calls, worst, counted)))
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn by_steps(calls: &Calls, pool: &mut Pool) -> Option<Worst> {
    use crate::progress::Progress;
    use std::time::Instant;

    /// Slowest calls of a kind that are counted by single steps; fewer in tests.
    const SLOWEST: usize = if cfg!(debug_assertions) { 25 } else { 250 };

    // The least time of each call in a few runs.
    let mut times = vec![u64::MAX; calls.list.len()];
    for _ in 0..3 {
        measured(calls, pool, |number, make| {
            let began = Instant::now();
            make();
            let passed = began.elapsed().as_nanos() as u64;
            times[number] = times[number].min(passed);
        })?;
    }
    let mut chosen = vec![false; calls.list.len()];
    for what in [What::Malloc, What::Memalign, What::Realloc, What::Free] {
        let of_kind = |&number: &usize| calls.list[number].what == what;
        let mut numbers: Vec<usize> = (0..times.len()).filter(of_kind).collect();
        numbers.sort_by_key(|&number| std::cmp::Reverse(times[number]));
        for &number in numbers.iter().take(SLOWEST) {
            chosen[number] = true;
        }
    }
    let steps = Steps::new()?;
    let all = chosen.iter().filter(|chosen| **chosen).count();
    let mut progress = Progress::new("counting", all as u64);
    let (mut worst, mut whole, mut counted) = ((0, 0), true, 0);
    measured(calls, pool, |number, make| {
        if !chosen[number] {
            make();
            return;
        }
        let stepped = steps.of(make);
        worst = worst.max((stepped.instructions, number));
        whole &= stepped.whole;
        counted += 1;
        progress.at(counted as u64);
    })?;
    named(calls, worst, counted).map(|worst| Worst {
        at_least: !whole,
        ..worst
    })
}

fn named(calls: &Calls, (instructions, call): (u64, usize), counted: usize) -> Option<Worst> {
    let of = calls.list.get(call)?;
    Some(Worst {
        instructions,
        at_least: false,
        call,
        what: of.what,
        size: of.size,
        counted,
    })
}

/// Repeats the calls in memoman's core, each one by `meter`, which makes it: how many there were.
/// None without room.
fn measured(
    calls: &Calls,
    pool: &mut Pool,
    meter: impl FnMut(usize, &mut dyn FnMut()),
) -> Option<usize> {
    let heap = pool.heap(calls)?;
    let mut metered = Metered {
        core: Plain(heap),
        meter,
        number: 0,
    };
    let mut slots = vec![Slot::default(); calls.blocks as usize];
    run(&calls.list, &mut metered, &mut slots);
    Some(metered.number)
}

/// memoman's core, each call by the meter.
struct Metered<'m, M> {
    core: Plain<'m>,
    meter: M,
    number: usize,
}

impl<M: FnMut(usize, &mut dyn FnMut())> Metered<'_, M> {
    #[inline]
    fn metered<R: Default>(&mut self, call: impl Fn(&mut Plain<'_>) -> R) -> R {
        let mut result = R::default();
        let core = &mut self.core;
        (self.meter)(self.number, &mut || result = call(core));
        self.number += 1;
        result
    }
}

/// A block, or none.
struct Block(*mut u8);

impl Default for Block {
    fn default() -> Block {
        Block(std::ptr::null_mut())
    }
}

// SAFETY: memoman's core returns such blocks, and the meter makes each call once.
#[allow(unsafe_code, reason = "repeats the core's calls")]
unsafe impl<M: FnMut(usize, &mut dyn FnMut())> Allocator for Metered<'_, M> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.metered(|core| Block(core.malloc(size))).0
    }

    fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        self.metered(|core| Block(core.memalign(align, size))).0
    }

    unsafe fn realloc(&mut self, block: *mut u8, align: usize, old: usize, new: usize) -> *mut u8 {
        // SAFETY: a live block, given up on success (caller).
        self.metered(|core| Block(unsafe { core.realloc(block, align, old, new) }))
            .0
    }

    unsafe fn free(&mut self, block: *mut u8, align: usize, size: usize) {
        // SAFETY: a live block, given up (caller).
        self.metered(|core| unsafe { core.free(block, align, size) });
    }
}
