//! One record, at the end of a lane.

use core::sync::atomic::{Ordering, compiler_fence};

use memoman_trace_format::layout::op;
use memoman_trace_format::number;

use super::lane::Lane;
use super::number::put_number;
use super::{clock, settings, stack::Stacks};

/// An allocation, a free or a refusal.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// The operation's bits.
    pub(crate) op: u8,
    pub(crate) pointer: u64,
    pub(crate) old: u64,
    pub(crate) size: u64,
    pub(crate) align: u64,
    /// 0 for the process's malloc.
    pub(crate) heap: u32,
    pub(crate) block: u64,
    /// Ticks before a `realloc`.
    pub(crate) before: u64,
}

impl Call {
    #[inline(always)]
    pub(crate) const fn new(op: u8) -> Call {
        Call {
            op,
            pointer: 0,
            old: 0,
            size: 0,
            align: 0,
            heap: 0,
            block: 0,
            before: 0,
        }
    }
}

/// Writes a record. Its first byte comes last: what interrupts the write leaves no part of it.
///
/// # Safety
/// The lane has room for a record, which the calling thread alone writes to; and for a stack's
/// definition when there are `stacks`.
#[inline(always)]
pub(crate) unsafe fn write(lane: &mut Lane, stacks: Option<&mut Stacks>, call: &Call) {
    let mut first = op::PRESENT | call.op;
    let mut stack = 0;
    if let Some(stacks) = stacks
        && settings::stacks() > 0
        && call.op != op::FREE
    {
        stack = stacks.number(lane);
        if stack != 0 {
            first |= op::STACK;
        }
    }
    let start = lane.at;
    // SAFETY: the lane has room for a record (the caller's duty): its numbers are at most eight.
    unsafe {
        let mut at = start.add(1);
        let now = clock::ticks();
        if call.op == op::REALLOC {
            // Clocks of two processors may differ by a tick.
            let before = call.before.clamp(lane.ticks, now.max(lane.ticks));
            at = put_number(at, before - lane.ticks);
            lane.ticks = before;
        }
        let ticks = now.max(lane.ticks);
        let passed = ticks - lane.ticks;
        at = if passed < 0x80 {
            at.write(passed as u8);
            at.add(1)
        } else {
            put_number(at, passed)
        };
        lane.ticks = ticks;
        if call.heap != 0 || call.block != 0 {
            first |= op::EXTRA;
            at = put_number(at, u64::from(call.heap));
            at = put_number(at, call.block);
        }
        match call.op {
            op::FAILED => {
                at = put_number(at, call.old);
                at = put_number(at, call.size);
                at = put_number(at, call.align);
            }
            op::POOL => {
                at = put_number(at, call.align);
                at = put_number(at, call.pointer);
                at = put_number(at, call.size);
            }
            _ => {
                let exact = number::needs_exact(lane.pointer, call.pointer)
                    || call.op == op::REALLOC && number::needs_exact(call.pointer, call.old);
                if exact {
                    first |= op::EXACT;
                }
                at = put_number(at, number::difference(lane.pointer, call.pointer, exact));
                lane.pointer = call.pointer;
                if call.op != op::FREE {
                    at = put_number(at, call.size);
                }
                if call.op == op::MEMALIGN {
                    at = put_number(at, call.align);
                }
                if call.op == op::REALLOC {
                    at = put_number(at, number::difference(call.pointer, call.old, exact));
                }
            }
        }
        if stack != 0 {
            at = put_number(at, stack);
        }
        compiler_fence(Ordering::Release);
        start.write_volatile(first);
        compiler_fence(Ordering::Release);
        lane.at = at;
    }
}
