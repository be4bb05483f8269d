//! Other allocators that manage the caller's memory: rlsf, talc, o1heap.

use std::alloc::Layout;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

use super::Name;
use crate::calls::{ALIGN, Allocator, Calls, Slot, run};

pub(super) fn measure(
    name: Name,
    calls: &Calls,
    pool: *mut u8,
    bytes: usize,
    slots: &mut [Slot],
) -> (Option<usize>, Option<u64>) {
    fn noted<A: Allocator>(
        allocator: Option<A>,
        calls: &Calls,
        pool: *mut u8,
        slots: &mut [Slot],
    ) -> (Option<usize>, Option<u64>) {
        let Some(allocator) = allocator else {
            return (Some(0), None);
        };
        let mut noted = Noted {
            allocator,
            end: pool.addr(),
        };
        let refused = run(&calls.list, &mut noted, slots);
        (refused, Some((noted.end - pool.addr()) as u64))
    }
    match name {
        Name::Rlsf => noted(Rlsf::new(pool, bytes), calls, pool, slots),
        Name::Talc => noted(Talc::new(pool, bytes), calls, pool, slots),
        _ => noted(O1heap::new(pool, bytes), calls, pool, slots),
    }
}

pub(super) fn time(name: Name, calls: &Calls, pool: *mut u8, bytes: usize, slots: &mut [Slot]) {
    fn timed<A: Allocator>(allocator: Option<A>, calls: &Calls, slots: &mut [Slot]) {
        if let Some(mut allocator) = allocator {
            run(&calls.list, &mut allocator, slots);
        }
    }
    match name {
        Name::Rlsf => timed(Rlsf::new(pool, bytes), calls, slots),
        Name::Talc => timed(Talc::new(pool, bytes), calls, slots),
        _ => timed(O1heap::new(pool, bytes), calls, slots),
    }
}

/// An allocator, and the end of its farthest block.
struct Noted<A> {
    allocator: A,
    end: usize,
}

impl<A> Noted<A> {
    fn note(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        if !block.is_null() {
            self.end = self.end.max(block.addr() + size);
        }
        block
    }
}

// SAFETY: the allocator within returns such blocks.
unsafe impl<A: Allocator> Allocator for Noted<A> {
    fn malloc(&mut self, size: usize) -> *mut u8 {
        let block = self.allocator.malloc(size);
        self.note(block, size)
    }
    fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        let block = self.allocator.memalign(align, size);
        self.note(block, size)
    }
    unsafe fn realloc(&mut self, block: *mut u8, align: usize, old: usize, new: usize) -> *mut u8 {
        // SAFETY: a live block, given up on success (caller).
        let block = unsafe { self.allocator.realloc(block, align, old, new) };
        self.note(block, new)
    }
    unsafe fn free(&mut self, block: *mut u8, align: usize, size: usize) {
        // SAFETY: a live block, given up (caller).
        unsafe { self.allocator.free(block, align, size) }
    }
}

fn layout(size: usize, align: usize) -> Option<Layout> {
    Layout::from_size_align(size, align).ok()
}

fn give(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// 32 first levels of 32 bytes and more.
struct Rlsf(rlsf::Tlsf<'static, u32, u32, 32, 32>);

impl Rlsf {
    fn new(pool: *mut u8, bytes: usize) -> Option<Rlsf> {
        let mut tlsf = rlsf::Tlsf::new();
        let pool = NonNull::new(ptr::slice_from_raw_parts_mut(pool, bytes))?;
        // SAFETY: the memory is this allocator's while it lives: the caller runs one at a time.
        unsafe { tlsf.insert_free_block_ptr(pool)? };
        Some(Rlsf(tlsf))
    }
}

// SAFETY: rlsf returns such blocks.
unsafe impl Allocator for Rlsf {
    #[inline]
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.memalign(ALIGN, size)
    }
    #[inline]
    fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        give(layout(size, align).and_then(|layout| self.0.allocate(layout)))
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, align: usize, _: usize, new: usize) -> *mut u8 {
        let (Some(block), Some(layout)) = (NonNull::new(block), layout(new, align)) else {
            return ptr::null_mut();
        };
        // SAFETY: a live block of this alignment, given up on success (caller).
        give(unsafe { self.0.reallocate(block, layout) })
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8, align: usize, _: usize) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: a live block of this alignment, given up (caller).
            unsafe { self.0.deallocate(block, align) }
        }
    }
}

struct Talc(talc::base::Talc<talc::source::Manual, talc::DefaultBinning>);

impl Talc {
    fn new(pool: *mut u8, bytes: usize) -> Option<Talc> {
        let mut talc = talc::base::Talc::new(talc::source::Manual);
        // SAFETY: the memory is this allocator's while it lives: the caller runs one at a time.
        unsafe { talc.claim(pool, bytes)? };
        Some(Talc(talc))
    }
}

// SAFETY: talc returns such blocks.
unsafe impl Allocator for Talc {
    #[inline]
    fn malloc(&mut self, size: usize) -> *mut u8 {
        self.memalign(ALIGN, size)
    }
    #[inline]
    fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        let Some(layout) = layout(size, align) else {
            return ptr::null_mut();
        };
        // SAFETY: the size is not zero: loaded calls have sizes of 1 and more.
        give(unsafe { self.0.allocate(layout) })
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, align: usize, old: usize, new: usize) -> *mut u8 {
        let Some(was) = layout(old, align) else {
            return ptr::null_mut();
        };
        // SAFETY: a live block of this layout, given up on success (caller); both blocks have the
        // copied bytes and do not overlap.
        unsafe {
            if self.0.try_realloc_in_place(block, was, new) {
                return block;
            }
            let moved = self.memalign(align, new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, old.min(new));
                self.0.deallocate(block, was);
            }
            moved
        }
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8, align: usize, size: usize) {
        if let Some(layout) = layout(size, align) {
            // SAFETY: a live block of this layout, given up (caller).
            unsafe { self.0.deallocate(block, layout) }
        }
    }
}

unsafe extern "C" {
    fn o1heapInit(base: *mut c_void, size: usize) -> *mut c_void;
    fn o1heapAllocate(handle: *mut c_void, amount: usize) -> *mut c_void;
    fn o1heapFree(handle: *mut c_void, block: *mut c_void);
}

/// o1heap has neither alignment nor realloc: aligned requests are refused, blocks always move.
struct O1heap(*mut c_void);

impl O1heap {
    fn new(pool: *mut u8, bytes: usize) -> Option<O1heap> {
        // SAFETY: the memory is this allocator's while it lives: the caller runs one at a time; it
        // starts at a page.
        let handle = unsafe { o1heapInit(pool.cast(), bytes) };
        (!handle.is_null()).then_some(O1heap(handle))
    }
}

// SAFETY: o1heap returns such blocks.
unsafe impl Allocator for O1heap {
    #[inline]
    fn malloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the handle is live.
        unsafe { o1heapAllocate(self.0, size).cast() }
    }
    #[inline]
    fn memalign(&mut self, _: usize, _: usize) -> *mut u8 {
        ptr::null_mut()
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, _: usize, old: usize, new: usize) -> *mut u8 {
        let moved = self.malloc(new);
        if !moved.is_null() {
            // SAFETY: a live block, given up on success (caller); both blocks have the copied
            // bytes and do not overlap.
            unsafe {
                ptr::copy_nonoverlapping(block, moved, old.min(new));
                o1heapFree(self.0, block.cast());
            }
        }
        moved
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8, _: usize, _: usize) {
        // SAFETY: a live block of this heap, given up (caller).
        unsafe { o1heapFree(self.0, block.cast()) }
    }
}
