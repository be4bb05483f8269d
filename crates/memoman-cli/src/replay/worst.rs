//! The instructions of memoman's worst call, by the processor's counter.

use perf_event::events::Hardware;
use perf_event::{Builder, Counter};
use serde::Serialize;

use super::allocators::Pool;
use crate::calls::{Allocator, Calls, Core, What, run};

/// The worst call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Worst {
    pub(super) instructions: u64,
    pub(super) call: usize,
    #[serde(skip)]
    pub(super) what: What,
    pub(super) size: u64,
}

/// Counts every call. The error is the reason why it cannot be done.
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
    let mut counter = Builder::new()
        .kind(Hardware::INSTRUCTIONS)
        .build()
        .map_err(refused)?;
    counter.enable().map_err(refused)?;
    let mut empty = u64::MAX;
    for _ in 0..1000 {
        let before = counter.read().map_err(refused)?;
        empty = empty.min(counter.read().map_err(refused)?.saturating_sub(before));
    }
    let Some(heap) = pool.heap(calls) else {
        return Err("no pool".to_string());
    };
    let mut counted = Counted {
        core: Core::new(heap),
        counter,
        number: 0,
        worst: (0, 0),
    };
    run(&calls.list, &mut counted, &mut pool_slots(calls));
    let (instructions, call) = counted.worst;
    Ok(Worst {
        instructions: instructions.saturating_sub(empty),
        call,
        what: calls.list[call].what,
        size: calls.list[call].size,
    })
}

fn pool_slots(calls: &Calls) -> Vec<crate::calls::Slot> {
    vec![Default::default(); calls.blocks as usize]
}

/// memoman's core, each call counted.
struct Counted<'m> {
    core: Core<'m>,
    counter: Counter,
    number: usize,
    worst: (u64, usize),
}

impl Counted<'_> {
    fn counted<R>(&mut self, call: impl FnOnce(&mut Core<'_>) -> R) -> R {
        let before = self.counter.read().unwrap_or(0);
        let result = call(&mut self.core);
        let after = self.counter.read().unwrap_or(before);
        self.worst = self.worst.max((after.saturating_sub(before), self.number));
        self.number += 1;
        result
    }
}

// SAFETY: memoman's core returns such blocks.
#[allow(unsafe_code, reason = "repeats the core's calls")]
unsafe impl Allocator for Counted<'_> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.counted(|core| core.malloc(size))
    }

    fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        self.counted(|core| core.memalign(align, size))
    }

    unsafe fn realloc(&mut self, block: *mut u8, align: usize, old: usize, new: usize) -> *mut u8 {
        // SAFETY: a live block, given up on success (caller).
        self.counted(|core| unsafe { core.realloc(block, align, old, new) })
    }

    unsafe fn free(&mut self, block: *mut u8, align: usize, size: usize) {
        // SAFETY: a live block, given up (caller).
        self.counted(|core| unsafe { core.free(block, align, size) });
    }
}
