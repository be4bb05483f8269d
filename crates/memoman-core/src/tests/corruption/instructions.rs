//! That the turns which the other tests bound are what validation does: the processor's own count of executed instructions,
//! one trap for each, grows with them and with nothing else.

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
    // SAFETY: a zeroed sigaction is a valid one; the handler counts only.
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
    // SAFETY: the trap flag changes nothing but that each instruction raises SIGTRAP, which is handled.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    let result = f();
    // SAFETY: clears it again.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
    (TRAPS.get() - before, result)
}

#[test]
fn group_i_instructions_grow_with_the_turns_and_nothing_else() {
    let mut rates = (usize::MAX, 0);
    // Few bins and great blocks: a trap takes a thousand times as long as an instruction. For
    // the same reason the seventeen passes over a broken heap are made over the small one only.
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
    // The kinds of turns differ; a loop that is not counted would make a turn of the largest heap six times one of the smallest.
    assert!(
        rates.0 > 0 && rates.1 <= 3 * rates.0,
        "{rates:?} instructions a turn"
    );
}
