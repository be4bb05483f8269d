//! What the interposed functions report: allocations after the call, frees before it.

use core::ffi::c_void;
use core::sync::atomic::{Ordering, compiler_fence};

use memoman_trace_format::layout::op;

use super::next::Errno;
use super::process::recording;
use super::thread::Thread;
use super::write::{Call, write};
use super::{clock, file, sample, settings, stream};

/// Writes a call into the calling thread's stream.
#[inline(always)]
fn put(thread: *mut Thread, call: &Call) {
    // SAFETY: the thread's own words. A signal handler that interrupts this finds the depth raised
    // and uses the other lane; it leaves the depth as it was.
    unsafe {
        let depth = (*thread).depth.load(Ordering::Relaxed);
        (*thread).depth.store(depth + 1, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        if depth == 0 && !(*thread).stream.is_null() {
            let stream = (*thread).stream;
            let lane = &mut (*stream).lanes[0];
            if lane.at <= lane.last_start && !lane.at.is_null() {
                if settings::stacks() == 0 {
                    write(lane, None, call);
                } else {
                    put_with_stack(thread, call);
                }
                compiler_fence(Ordering::SeqCst);
                (*thread).depth.store(depth, Ordering::Relaxed);
                return;
            }
        }
        put_slowly(thread, depth as usize, call);
        compiler_fence(Ordering::SeqCst);
        (*thread).depth.store(depth, Ordering::Relaxed);
    }
}

/// With the stack of the call, at depth 0 with room in the lane.
///
/// # Safety
/// `thread` are the calling thread's words, its stream is there and has room in lane 0.
#[inline(never)]
unsafe fn put_with_stack(thread: *mut Thread, call: &Call) {
    let error = Errno::save();
    // SAFETY: the caller's duty; lane and stacks are different fields.
    unsafe {
        let stream = (*thread).stream;
        let lane = &mut (*stream).lanes[0];
        write(lane, Some(&mut (*stream).stacks), call);
    }
    error.restore();
}

/// Where a chunk must be begun, or a signal handler has interrupted a record.
#[cold]
#[inline(never)]
unsafe fn put_slowly(thread: *mut Thread, depth: usize, call: &Call) {
    let error = Errno::save();
    if depth > 1 {
        file::lose();
    } else {
        // SAFETY: the thread's own words; a handler that interrupts this uses the other lane.
        unsafe {
            if let Some(lane) = stream::make_room(&mut *thread, depth) {
                if depth == 0 && settings::stacks() > 0 {
                    put_with_stack(thread, call);
                } else {
                    write(lane, None, call);
                }
            }
        }
    }
    error.restore();
}

/// An allocation of the process's malloc, or its refusal; C++'s operators too.
#[inline(always)]
pub(crate) fn allocated(operation: u8, block: *mut c_void, size: usize, align: usize) {
    let Some(thread) = recording() else { return };
    let mut call = Call::new(operation);
    call.pointer = block.addr() as u64;
    call.size = size as u64;
    call.align = align as u64;
    if block.is_null() {
        call.op = op::FAILED;
    }
    if settings::sample() > 0 {
        allocated_sampled(thread, &call);
        return;
    }
    put(thread, &call);
}

#[inline(always)]
fn allocated_sampled(thread: *mut Thread, call: &Call) {
    // SAFETY: the thread's own words.
    if call.op == op::FAILED || unsafe { sample::due(&mut *thread, call.size as usize) } {
        put_sampled(thread, call);
    }
}

#[cold]
#[inline(never)]
fn put_sampled(thread: *mut Thread, call: &Call) {
    if call.op == op::FAILED || sample::remember(call.pointer as usize) {
        put(thread, call);
    } else {
        file::lose();
    }
}

/// A block of the process's malloc is about to be freed.
#[inline(always)]
pub(crate) fn freed(block: *mut c_void) {
    let Some(thread) = recording() else { return };
    if settings::sample() > 0 && !sample::forget(block.addr()) {
        return;
    }
    let mut call = Call::new(op::FREE);
    call.pointer = block.addr() as u64;
    put(thread, &call);
}

/// What is known before a `realloc`.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    ticks: u64,
    /// The block was sampled.
    sampled: bool,
}

/// A block is about to be reallocated.
#[inline(always)]
pub(crate) fn before(old: *mut c_void) -> Before {
    Before {
        ticks: clock::ticks(),
        sampled: settings::sample() > 0 && recording().is_some() && sample::forget(old.addr()),
    }
}

/// A block was reallocated. Size 0 with a null result has freed it.
#[inline(always)]
pub(crate) fn reallocated(old: *mut c_void, new: *mut c_void, size: usize, before: Before) {
    let Some(thread) = recording() else { return };
    let mut call = Call::new(op::REALLOC);
    call.pointer = new.addr() as u64;
    call.old = old.addr() as u64;
    call.size = size as u64;
    call.before = before.ticks;
    if new.is_null() {
        if size == 0 {
            call.op = op::FREE;
            call.pointer = call.old;
        } else {
            call.op = op::FAILED;
        }
    }
    if settings::sample() > 0 {
        reallocated_sampled(thread, &call, before.sampled);
        return;
    }
    put(thread, &call);
}

/// Sampled, a `realloc` is a free and an allocation.
#[cold]
#[inline(never)]
fn reallocated_sampled(thread: *mut Thread, call: &Call, sampled: bool) {
    if call.op == op::FAILED {
        if sampled && !sample::remember(call.old as usize) {
            file::lose();
        }
        put(thread, call);
        return;
    }
    if sampled {
        let mut free = Call::new(op::FREE);
        free.pointer = call.old;
        put(thread, &free);
    }
    if call.op == op::REALLOC {
        let mut call = *call;
        call.op = op::MALLOC;
        allocated_sampled(thread, &call);
    }
}

/// A request that no allocator was called for; `old` is null or lives on.
#[cold]
pub(crate) fn refused(old: *mut c_void, size: usize) {
    let Some(thread) = recording() else { return };
    let mut call = Call::new(op::FAILED);
    call.old = old.addr() as u64;
    call.size = size as u64;
    put(thread, &call);
}

/// An event of a handle heap.
pub(crate) fn heap(call: &Call) {
    let Some(thread) = recording() else { return };
    if settings::sample() > 0 && call.op != op::POOL {
        // Handle heaps are recorded in full or not at all.
        return;
    }
    put(thread, call);
}
