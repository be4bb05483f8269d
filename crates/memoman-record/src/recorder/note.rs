//! What the interposed functions report: allocations after the call, frees before it.

use core::ffi::c_void;
use core::sync::atomic::{Ordering, compiler_fence};

use memoman_trace_format::layout::op;

use super::next::Errno;
use super::process::recording;
use super::thread::{Thread, is_dead, stack_pointer};
use super::write::{Call, write};
use super::{clock, file, sample, settings, stream};

/// Writes a call into the calling thread's stream. The rare ways get a copy of the call, so that
/// the common one has it in registers.
#[inline(always)]
fn put(thread: *mut Thread, call: Call) {
    let now = stack_pointer();
    // SAFETY: the thread's own words. A signal handler that interrupts this finds the lane owned by
    // a frame above its own, and uses the other lane; it leaves the owner as it was.
    unsafe {
        if (*thread).owners[0].load(Ordering::Relaxed) == 0 {
            (*thread).owners[0].store(now, Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
            let stream = (*thread).stream;
            if !stream.is_null() {
                let lane = &mut (*stream).lanes[0];
                if lane.at <= lane.last_start && !lane.at.is_null() {
                    if settings::stacks() == 0 {
                        write(lane, None, &call);
                    } else {
                        put_with_stack(thread, &{ call });
                    }
                    compiler_fence(Ordering::SeqCst);
                    (*thread).owners[0].store(0, Ordering::Relaxed);
                    return;
                }
            }
            put_slowly(thread, 0, &{ call });
            compiler_fence(Ordering::SeqCst);
            (*thread).owners[0].store(0, Ordering::Relaxed);
            return;
        }
        put_nested(thread, now, &{ call });
    }
}

/// Where lane 0 has an owner: this is a signal handler that has interrupted it, or a `siglongjmp`
/// has left it.
///
/// # Safety
/// `thread` are the calling thread's words, `now` is a stack pointer of a frame that runs.
#[cold]
#[inline(never)]
unsafe fn put_nested(thread: *mut Thread, now: usize, call: &Call) {
    let error = Errno::save();
    // SAFETY: the thread's own words (the caller's duty).
    let owners = unsafe { &(*thread).owners };
    let free = |lane: usize| {
        let owner = owners[lane].load(Ordering::Relaxed);
        owner == 0 || is_dead(owner, now)
    };
    let lane = match (free(0), free(1)) {
        (true, _) => {
            // What has interrupted a dead call is dead too.
            owners[1].store(0, Ordering::Relaxed);
            0
        }
        (false, true) => 1,
        (false, false) => {
            file::lose();
            error.restore();
            return;
        }
    };
    owners[lane].store(now, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the caller's duty; the lane's owner is this call.
    unsafe { put_slowly(thread, lane, call) };
    compiler_fence(Ordering::SeqCst);
    owners[lane].store(0, Ordering::Relaxed);
    error.restore();
}

/// With the stack of the call, in lane 0, which has room.
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

/// Where a chunk may have to be begun.
///
/// # Safety
/// `thread` are the calling thread's words, and the caller owns the lane.
#[cold]
#[inline(never)]
unsafe fn put_slowly(thread: *mut Thread, lane: usize, call: &Call) {
    let error = Errno::save();
    // SAFETY: the caller's duty; a handler that interrupts this uses the other lane.
    unsafe {
        if let Some(room) = stream::make_room(&mut *thread, lane) {
            if lane == 0 && settings::stacks() > 0 {
                put_with_stack(thread, call);
            } else {
                write(room, None, call);
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
        if no_request(operation, size, align) {
            return;
        }
        call.op = op::FAILED;
    }
    if settings::sample() > 0 {
        allocated_sampled(thread, call);
        return;
    }
    put(thread, call);
}

/// Whether no allocator owes a block for this: none of no bytes, nor one whose alignment is wrong.
#[cold]
pub(crate) fn no_request(operation: u8, size: usize, align: usize) -> bool {
    size == 0 || operation == op::MEMALIGN && !align.is_power_of_two()
}

#[inline(always)]
fn allocated_sampled(thread: *mut Thread, call: Call) {
    // SAFETY: the thread's own words.
    if call.op == op::FAILED || unsafe { sample::due(&mut *thread, call.size as usize) } {
        put_sampled(thread, &{ call });
    }
}

#[cold]
#[inline(never)]
fn put_sampled(thread: *mut Thread, call: &Call) {
    if call.op == op::FAILED || sample::remember(call.pointer as usize) {
        put(thread, *call);
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
    put(thread, call);
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
        reallocated_sampled(thread, &{ call }, before.sampled);
        return;
    }
    put(thread, call);
}

/// Sampled, a `realloc` is a free and an allocation.
#[cold]
#[inline(never)]
fn reallocated_sampled(thread: *mut Thread, call: &Call, sampled: bool) {
    if call.op == op::FAILED {
        if sampled && !sample::remember(call.old as usize) {
            file::lose();
        }
        put(thread, *call);
        return;
    }
    if sampled {
        let mut free = Call::new(op::FREE);
        free.pointer = call.old;
        put(thread, free);
    }
    if call.op == op::REALLOC {
        let mut call = *call;
        call.op = op::MALLOC;
        allocated_sampled(thread, call);
    }
}

/// A request that no allocator was called for; `old` is null or lives on.
#[cold]
pub(crate) fn refused(old: *mut c_void, size: usize) {
    let Some(thread) = recording() else { return };
    let mut call = Call::new(op::FAILED);
    call.old = old.addr() as u64;
    call.size = size as u64;
    put(thread, call);
}

/// An event of a handle heap.
pub(crate) fn heap(call: &Call) {
    let Some(thread) = recording() else { return };
    if settings::sample() > 0 && call.op != op::POOL {
        // Handle heaps are recorded in full or not at all.
        return;
    }
    put(thread, *call);
}
