//! Executed instructions, counted by one trap each, grow with the turns that the other tests bound,
//! and with nothing else.

use core::arch::asm;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr;
use std::println;

use super::heap::Heap;
use super::{AT, fault, turns_of};
use crate::validate::Invariant;

std::thread_local! {
    static TRAPS: Cell<usize> = const { Cell::new(0) };
}

extern "C" fn count(_signal: i32, _info: *mut libc::siginfo_t, _context: *mut c_void) {
    TRAPS.set(TRAPS.get() + 1);
}

/// Instructions that `f` executes.
fn instructions_of<T>(f: impl FnOnce() -> T) -> (usize, T) {
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void) = count;
    // SAFETY: a zeroed sigaction is valid; the handler only counts.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(
            libc::sigaction(libc::SIGTRAP, &raw const action, ptr::null_mut()),
            0
        );
    }
    let before = TRAPS.get();
    // SAFETY: with the trap flag set, each instruction raises SIGTRAP, which is handled; nothing
    // else changes.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    let result = f();
    // SAFETY: clears the trap flag.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
    (TRAPS.get() - before, result)
}

#[test]
fn group_i_instructions_grow_with_the_turns_and_nothing_else() {
    let mut rates = (usize::MAX, 0);
    // Few bins and large blocks, and the seventeen passes over a broken heap on the small one only:
    // a trap takes a thousand times as long as an instruction.
    for (index, pages) in [1, 3].into_iter().enumerate() {
        let at = AT[3] + index * (1 << 24);
        let heap = Heap::with_requests(at, &[1; 3][..pages], 5, (250, 250));
        let free = heap
            .blocks
            .iter()
            .rfind(|seen| seen.header.is_free())
            .unwrap()
            .at();
        for (what, at, value, expected) in [
            ("sound heap", free, heap.original(free), None),
            ("broken link", free, 16, Some(Invariant::List)),
        ]
        .into_iter()
        .take(if pages == 1 { 2 } else { 1 })
        {
            let _testing = fault::while_testing(what);
            heap.write(at, value);
            let (turns, _) = turns_of(|| heap.diagnose());
            let (instructions, found) = instructions_of(|| heap.diagnose());
            heap.restore();
            assert_eq!(found.map(|found| found.invariant), expected, "{what}");
            let rate = instructions / turns;
            println!(
                "{} blocks, {what}: {turns} turns, {instructions} instructions, {rate} each",
                heap.blocks.len()
            );
            rates = (rates.0.min(rate), rates.1.max(rate));
        }
    }
    // Kinds of turns differ; an uncounted loop would make a turn of the largest heap cost six times
    // that of the smallest.
    assert!(
        rates.0 > 0 && rates.1 <= 3 * rates.0,
        "{rates:?} instructions a turn"
    );
}
