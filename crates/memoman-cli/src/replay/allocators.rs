//! The allocators, each behind [`Allocator`].

use std::ptr;

use super::Name;
use crate::calls::{Allocator, Calls, Core, Slot, run};
use crate::error::Error;
use crate::heap::{Memory, PoolHeap};

#[cfg(feature = "peers")]
mod peers;

/// Whether this build has the allocator.
pub(super) fn has(name: Name) -> bool {
    cfg!(feature = "peers") || matches!(name, Name::Memoman | Name::Glibc)
}

/// The memory in which pool allocators run, one after the other.
pub(super) struct Pool {
    memory: Memory,
    bytes: usize,
    slots: Vec<Slot>,
}

impl Pool {
    /// A pool of the chosen size, or one with more room than the calls need.
    pub(super) fn new(calls: &Calls, bytes: Option<u64>) -> Result<Pool, Error> {
        // Peers round up to powers of two.
        let bytes = bytes.unwrap_or(calls.facts.room().saturating_mul(2)) as usize & !15;
        let memory = Memory::reserve(bytes).map_err(|error| {
            Error::failed(format_args!(
                "no address space for a pool of {bytes} bytes: {error}"
            ))
        })?;
        Ok(Pool {
            memory,
            bytes,
            slots: vec![Slot::default(); calls.blocks as usize],
        })
    }

    /// memoman's heap in the pool.
    pub(super) fn heap(&mut self, calls: &Calls) -> Option<PoolHeap<'_>> {
        PoolHeap::new(
            &mut self.memory,
            calls.facts.max_block as usize,
            0,
            self.bytes,
        )
    }

    /// A run that notes how far the blocks reach: the first refused call, and the footprint.
    pub(super) fn measure(&mut self, calls: &Calls, name: Name) -> (Option<usize>, Option<u64>) {
        match name {
            Name::Memoman => {
                let Pool {
                    memory,
                    bytes,
                    slots,
                } = self;
                let max_block = calls.facts.max_block as usize;
                let Some(heap) = PoolHeap::new(memory, max_block, 0, *bytes) else {
                    return (Some(0), None);
                };
                let mut core = Core::new(heap);
                let refused = run(&calls.list, &mut core, slots);
                (refused, Some(core.reach as u64))
            }
            Name::Glibc => self.glibc(calls, true),
            #[cfg(feature = "peers")]
            Name::Rlsf | Name::Talc | Name::O1heap => {
                let Pool {
                    memory,
                    bytes,
                    slots,
                } = self;
                peers::measure(name, calls, memory.start(), *bytes, slots)
            }
            #[cfg(not(feature = "peers"))]
            Name::Rlsf | Name::Talc | Name::O1heap => (Some(0), None),
        }
    }

    /// A run to be timed; without a name, the loop alone.
    pub(super) fn time(&mut self, calls: &Calls, name: Option<Name>) {
        match name {
            None => {
                let mut nothing = Nothing(self.memory.start());
                run(&calls.list, &mut nothing, &mut self.slots);
            }
            Some(Name::Memoman) => {
                let Pool {
                    memory,
                    bytes,
                    slots,
                } = self;
                let max_block = calls.facts.max_block as usize;
                if let Some(heap) = PoolHeap::new(memory, max_block, 0, *bytes) {
                    run(&calls.list, &mut Plain(heap), slots);
                }
            }
            Some(Name::Glibc) => {
                self.glibc(calls, false);
            }
            #[cfg(feature = "peers")]
            Some(name) => {
                let Pool {
                    memory,
                    bytes,
                    slots,
                } = self;
                peers::time(name, calls, memory.start(), *bytes, slots);
            }
            #[cfg(not(feature = "peers"))]
            Some(_) => {}
        }
    }

    fn glibc(&mut self, calls: &Calls, measure: bool) -> (Option<usize>, Option<u64>) {
        let before = glibc_bytes();
        let (refused, peak) = if measure {
            let mut sampled = Sampled {
                live: 0,
                next: 0,
                step: (calls.facts.peak_live / 64).max(1),
                calls: 0,
                every: (calls.list.len() / 64).max(1),
                most: 0,
            };
            let refused = run(&calls.list, &mut sampled, &mut self.slots);
            (refused, sampled.most)
        } else {
            (run(&calls.list, &mut Glibc, &mut self.slots), 0)
        };
        for slot in &mut self.slots {
            let block = std::mem::take(slot);
            // SAFETY: a live block of glibc, or null.
            unsafe { libc::free(block.block().cast()) };
        }
        let footprint = before
            .filter(|_| measure)
            .map(|before| peak.saturating_sub(before))
            // Less has come from what this process had already.
            .filter(|&taken| taken >= calls.facts.peak_live);
        (refused, footprint)
    }
}

/// glibc, whose size is read whenever the live bytes have grown by a 64th of their peak, and after
/// every 64th of the calls.
struct Sampled {
    live: u64,
    next: u64,
    step: u64,
    calls: usize,
    every: usize,
    most: u64,
}

impl Sampled {
    fn change(&mut self, gone: usize, born: usize) {
        self.live = (self.live + born as u64).saturating_sub(gone as u64);
        self.calls += 1;
        if self.live >= self.next || self.calls.is_multiple_of(self.every) {
            self.next = self.next.max(self.live + self.step);
            self.most = self.most.max(glibc_bytes().unwrap_or(0));
        }
    }
}

// SAFETY: the C library returns such blocks.
unsafe impl Allocator for Sampled {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        let block = Glibc.malloc(size);
        self.change(0, size);
        block
    }
    fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        let block = Glibc.memalign(align, size);
        self.change(0, size);
        block
    }
    unsafe fn realloc(&mut self, block: *mut u8, align: usize, old: usize, new: usize) -> *mut u8 {
        // SAFETY: a live block, given up on success (caller).
        let block = unsafe { Glibc.realloc(block, align, old, new) };
        self.change(old, new);
        block
    }
    unsafe fn free(&mut self, block: *mut u8, align: usize, size: usize) {
        // SAFETY: a live block, given up (caller).
        unsafe { Glibc.free(block, align, size) }
        self.change(size, 0);
    }
}

/// Bytes that glibc has of the system.
#[cfg(target_env = "gnu")]
fn glibc_bytes() -> Option<u64> {
    // SAFETY: the call has no precondition.
    let info = unsafe { libc::mallinfo2() };
    Some((info.arena + info.hblkhd) as u64)
}

#[cfg(not(target_env = "gnu"))]
fn glibc_bytes() -> Option<u64> {
    None
}

/// No allocator: every request gets the same block.
struct Nothing(*mut u8);

// SAFETY: the blocks overlap, and nothing is ever written to them.
unsafe impl Allocator for Nothing {
    #[inline]
    fn malloc(&mut self, _: usize) -> *mut u8 {
        self.0
    }
    #[inline]
    fn memalign(&mut self, _: usize, _: usize) -> *mut u8 {
        self.0
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, _: usize, _: usize, _: usize) -> *mut u8 {
        block
    }
    #[inline]
    unsafe fn free(&mut self, _: *mut u8, _: usize, _: usize) {}
}

/// memoman's core, without notes.
pub(super) struct Plain<'m>(pub(super) PoolHeap<'m>);

// SAFETY: memoman's core returns such blocks.
unsafe impl Allocator for Plain<'_> {
    #[inline]
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.0
            .malloc(size)
            .map_or(ptr::null_mut(), |block| block.as_ptr())
    }
    #[inline]
    fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        self.0
            .memalign(align, size)
            .map_or(ptr::null_mut(), |block| block.as_ptr())
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, align: usize, _: usize, new: usize) -> *mut u8 {
        let Some(block) = ptr::NonNull::new(block) else {
            return ptr::null_mut();
        };
        // SAFETY: a live block, given up on success (caller).
        let block = unsafe {
            if align <= 16 {
                self.0.realloc(block, new)
            } else {
                self.0.realloc_aligned(block, align, new)
            }
        };
        block.map_or(ptr::null_mut(), |block| block.as_ptr())
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8, _: usize, _: usize) {
        if let Some(block) = ptr::NonNull::new(block) {
            // SAFETY: a live block, given up (caller).
            unsafe { self.0.free(block) }
        }
    }
}

struct Glibc;

// SAFETY: the C library returns such blocks.
unsafe impl Allocator for Glibc {
    #[inline]
    fn malloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the call has no precondition.
        unsafe { libc::malloc(size).cast() }
    }
    #[inline]
    fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        // SAFETY: the call has no precondition.
        unsafe { libc::memalign(align, size).cast() }
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, _: usize, _: usize, new: usize) -> *mut u8 {
        // SAFETY: a live block, given up on success (caller).
        unsafe { libc::realloc(block.cast(), new).cast() }
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8, _: usize, _: usize) {
        // SAFETY: a live block, given up (caller).
        unsafe { libc::free(block.cast()) }
    }
}
