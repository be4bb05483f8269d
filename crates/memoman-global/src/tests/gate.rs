//! A fork in a signal handler that has interrupted the owner inside.

use crate::thread::gate::{FORK, Gate, INSIDE, PUTTING};

#[test]
fn a_fork_in_a_signal_handler_keeps_the_owners_purpose() {
    for (purpose, may_be_left_behind) in [(INSIDE, true), (PUTTING, false)] {
        // SAFETY: an all-zero gate is open.
        let gate: Gate = unsafe { core::mem::zeroed() };
        assert!(gate.try_enter(purpose));
        gate.fork_begins();
        assert!(gate.is_interrupted());
        gate.fork_ends();
        assert!(!gate.is_interrupted() && !gate.is_left());
        // Another thread's fork waits for the end of a put.
        gate.close(FORK);
        assert_eq!(gate.leave_behind(), may_be_left_behind);
    }
    // SAFETY: as above.
    let gate: Gate = unsafe { core::mem::zeroed() };
    gate.fork_begins();
    gate.fork_ends();
    assert!(gate.is_left());
}
