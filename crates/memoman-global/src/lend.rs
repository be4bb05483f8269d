//! What the process-wide instance does for the thread heaps: it lends them segments, and serves single requests that no
//! segment is to be had for. Under the lock, all of it.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use memoman_debug::allocator::{Misuse, Refusal, Tlsf};

use crate::core_calls;
use crate::default::{LARGE, State};
use crate::os::{self, PAGE};
use crate::segment::{self, UNIT};
use crate::thread_heap::{ALIGN, HEADER, ThreadHeap};
use crate::world;

/// The first heap's memory, and so no system call for a process with one thread.
struct First(UnsafeCell<MaybeUninit<ThreadHeap>>);

// SAFETY: handed out once, under the lock.
unsafe impl Sync for First {}

static FIRST: First = First(UnsafeCell::new(MaybeUninit::zeroed()));

/// The part of the process-wide state that has to do with thread heaps.
pub(crate) struct Lent {
    /// What lent segments take of the instance, headers included, and their number.
    bytes: usize,
    segments: usize,
    /// The most that was in use without them.
    peak: usize,
    /// Requests refused after everything was tried.
    refused: usize,
    /// Misuse found under the lock, to be told without it.
    noted: Option<(Misuse, *const u8)>,
    /// Heaps without an owner.
    idle: *mut ThreadHeap,
    /// Zeroed memory for new heaps.
    memory: *mut u8,
    left: usize,
}

impl Lent {
    pub(crate) const fn new() -> Lent {
        Lent {
            bytes: 0,
            segments: 0,
            peak: 0,
            refused: 0,
            noted: None,
            idle: ptr::null_mut(),
            memory: FIRST.0.get().cast(),
            left: size_of::<ThreadHeap>(),
        }
    }
}

/// The figures that the thread heaps' own ones are added to.
pub(crate) struct Figures {
    pub(crate) lent: usize,
    pub(crate) segments: usize,
    pub(crate) peak: usize,
    pub(crate) refused: usize,
}

impl State {
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            lent: self.lent.bytes,
            segments: self.lent.segments,
            peak: self.lent.peak,
            refused: self.lent.refused,
        }
    }

    /// A request that nobody can serve.
    pub(crate) fn count_refusal(&mut self) {
        self.lent.refused = self.lent.refused.wrapping_add(1);
    }

    pub(crate) fn note(&mut self, met: (Misuse, *const u8)) {
        self.lent.noted = Some(met);
    }

    pub(crate) fn take_noted(&mut self) -> Option<(Misuse, *const u8)> {
        self.lent.noted.take()
    }

    /// A successful allocation from the instance itself.
    pub(crate) fn count_allocation(&mut self, tlsf: Tlsf) {
        self.allocations = self.allocations.wrapping_add(1);
        // SAFETY: live, and under the lock.
        let used = unsafe { tlsf.stats() }.used - self.lent.bytes;
        self.lent.peak = self.lent.peak.max(used);
    }

    /// The instance's answer; exhaustion does not count as a refused request yet. With `grow`, from a new region if need be.
    pub(crate) fn ask(
        &mut self,
        tlsf: Tlsf,
        align: usize,
        bytes: usize,
        grow: bool,
    ) -> Result<NonNull<u8>, Refusal> {
        let result = self.ask_for(tlsf, align, bytes, grow);
        if result.is_ok() {
            self.count_allocation(tlsf);
        }
        result
    }

    fn ask_for(
        &mut self,
        tlsf: Tlsf,
        align: usize,
        bytes: usize,
        grow: bool,
    ) -> Result<NonNull<u8>, Refusal> {
        // SAFETY: live, and under the lock.
        let ask = || unsafe { core_calls::allocate(tlsf, align, bytes) };
        let result = ask();
        if !grow || result != Err(Refusal::Exhausted) {
            return result;
        }
        let gap = if align <= ALIGN { 0 } else { align };
        let need = bytes
            .checked_add(gap)
            .and_then(|bytes| bytes.checked_add(4 * ALIGN + HEADER));
        match need {
            Some(need) if self.grow(tlsf, need, need < LARGE) => ask(),
            _ => result,
        }
    }

    /// Lends a segment of `bytes`, whole units, at a whole unit. Its last word is not part of it.
    pub(crate) fn lend(&mut self, tlsf: Tlsf, bytes: usize, grow: bool) -> Option<NonNull<u8>> {
        let mut start = self.ask_for(tlsf, UNIT, bytes - HEADER, false);
        if grow
            && start == Err(Refusal::Exhausted)
            && self.grow(tlsf, bytes + UNIT + 4 * ALIGN, true)
        {
            start = self.ask_for(tlsf, UNIT, bytes - HEADER, false);
        }
        let start = start.ok()?;
        // SAFETY: just allocated.
        self.lent.bytes += unsafe { Tlsf::block_size(start.as_ptr()) } + HEADER;
        self.lent.segments += 1;
        Some(start)
    }

    /// Takes a segment back.
    ///
    /// # Safety
    /// It was lent, and nobody uses it.
    pub(crate) unsafe fn take_back(&mut self, tlsf: Tlsf, start: NonNull<u8>) {
        // SAFETY: a live block of the instance (caller), under the lock.
        unsafe {
            self.lent.bytes -= Tlsf::block_size(start.as_ptr()) + HEADER;
            self.lent.segments -= 1;
            match core_calls::free(tlsf, start) {
                Ok(Some(pool)) => self.emptied(tlsf, pool),
                Ok(None) => {}
                Err(misuse) => self.note((misuse, start.as_ptr())),
            }
        }
    }

    /// A heap without an owner, or a new one. Null when the system has no memory.
    pub(crate) fn heap_for_thread(&mut self) -> *mut ThreadHeap {
        let idle = self.lent.idle;
        if !idle.is_null() {
            // SAFETY: heaps are never given back, and this list changes under the lock only.
            self.lent.idle = unsafe { (*idle).next_idle };
            return idle;
        }
        const SIZE: usize = size_of::<ThreadHeap>();
        if self.lent.left < SIZE {
            let Some(memory) = os::map(PAGE, self.settings.reserve.is_some()) else {
                return ptr::null_mut();
            };
            if self.settings.lock {
                os::lock(memory, PAGE);
            }
            self.lent.memory = memory;
            self.lent.left = PAGE;
        }
        let heap: *mut ThreadHeap = self.lent.memory.cast();
        self.lent.memory = self.lent.memory.wrapping_add(SIZE);
        self.lent.left -= SIZE;
        // SAFETY: fresh zeroed memory, large enough, and aligned: the size is a multiple of the alignment.
        unsafe {
            ThreadHeap::open(heap);
            world::enlist(heap);
        }
        heap
    }

    /// There is a heap without an owner.
    pub(crate) fn has_idle(&self) -> bool {
        !self.lent.idle.is_null()
    }

    /// Enters a heap among those without an owner.
    ///
    /// # Safety
    /// It has no owner, and is not among them.
    pub(crate) unsafe fn lay_by(&mut self, heap: *mut ThreadHeap) {
        // SAFETY: heaps are never given back (caller, and the lock).
        unsafe { (*heap).next_idle = self.lent.idle };
        self.lent.idle = heap;
    }

    /// In the real-time configuration, brings into memory what threads will need.
    pub(crate) fn prepare_for_threads(&self) {
        let Some(first) = self.first else {
            return;
        };
        if self.settings.reserve.is_none() {
            return;
        }
        // SAFETY: the first pool is never given back.
        let (start, bytes) = unsafe { first.memory() };
        segment::prefault(start.addr(), bytes, self.settings.lock);
        let first_heap: *mut u8 = FIRST.0.get().cast();
        for offset in (0..size_of::<ThreadHeap>()).step_by(1 << 10) {
            // SAFETY: not handed out yet, and zero: written so that it is there.
            unsafe { first_heap.wrapping_add(offset).write_volatile(0) };
        }
        if self.settings.lock {
            os::lock(first_heap, size_of::<ThreadHeap>());
        }
    }
}
