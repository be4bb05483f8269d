//! One record, at the end of a lane.

use core::sync::atomic::{Ordering, compiler_fence};

use memoman_trace_format::layout::op;
use memoman_trace_format::number;

use super::stream::Lane;
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

/// Writes a number: where the next one goes. Lengths of addresses and sizes follow no pattern, so
/// that a loop over the bytes would be mispredicted at nearly every number.
///
/// # Safety
/// `at` is valid for writes of ten bytes.
#[inline(always)]
pub(crate) unsafe fn put_number(at: *mut u8, value: u64) -> *mut u8 {
    if value >> 28 != 0 {
        // SAFETY: a number has at most ten bytes (the caller's duty).
        return unsafe { put_long_number(at, value) };
    }
    // Halves of 14 bits, then seven bits a byte.
    let value = value as u32;
    let mut spread = value & 0x3fff | (value & 0x0fff_c000) << 2;
    spread = spread & 0x007f_007f | (spread & 0x3f80_3f80) << 1;
    let last = (31 - (spread | 1).leading_zeros()) & !7;
    let more = 0x0080_8080 & !(u32::MAX << last);
    // SAFETY: four bytes (the caller's duty); those behind the number are zeros.
    unsafe {
        at.cast::<u32>().write_unaligned((spread | more).to_le());
        at.add(last as usize / 8 + 1)
    }
}

/// # Safety
/// As of [`put_number`].
#[cold]
#[inline(never)]
unsafe fn put_long_number(at: *mut u8, value: u64) -> *mut u8 {
    let mut bytes = [0; number::NUMBER_MAX];
    let length = number::write(&mut bytes, value);
    // SAFETY: the caller's duty.
    unsafe {
        at.copy_from_nonoverlapping(bytes.as_ptr(), length);
        at.add(length)
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
