//! `memoman record`: forks, replaced programs, and processes that end in any way.

mod common;

use common::{Recording, allocations, events, frees, work};
use memoman_trace::{Ended, Origin};

#[test]
fn a_forked_child_has_a_trace_of_its_own() {
    // The second fork is made past every handler of the C library.
    for how in ["fork", "rawfork"] {
        let recording = Recording::work(&[], &[how]).succeeded();
        let trace = recording.trace();
        let parents = events(&trace);
        assert_eq!(allocations(&parents, 1003), 5);
        assert_eq!(allocations(&parents, 1006), 20_000);
        assert_eq!(allocations(&parents, 1004), 0);
        assert_eq!(trace.header().ended, Ended::Complete);
        let children = recording.children();
        assert_eq!(children.len(), 1, "{how}");
        let header = children[0].header();
        assert_eq!(header.ended, Ended::Complete);
        assert_eq!(header.parent, trace.header().pid);
        let Origin::Forked { trace: from, time } = &header.origin else {
            panic!("{how}: {:?}", header.origin)
        };
        assert_eq!(from, "t.mmt");
        let blocks: Vec<_> = parents.iter().filter(|e| e.size == 1003).collect();
        // The fork, or the child's first event past all handlers, is between two of the parent's
        // events, whatever runs when. The clocks of two traces agree to a thousandth.
        let behind = if how == "fork" { 1006 } else { 1028 };
        let behind = parents.iter().find(|e| e.size == behind).unwrap().time;
        assert!(
            time + time / 1000 >= blocks[4].time && time - time / 1000 <= behind,
            "{how}: {} {time} {behind}",
            blocks[4].time
        );
        let own = events(&children[0]);
        assert_eq!(allocations(&own, 1004), 7);
        let freed = own
            .iter()
            .filter(|e| blocks.iter().any(|b| b.pointer == e.old))
            .count();
        assert_eq!(freed, 5, "{how}");
    }
}

#[test]
fn nothing_is_lost_however_the_process_ends() {
    for (end, ended, status) in [
        ("kill", Ended::Killed, 137),
        ("exit", Ended::Complete, 0),
        ("", Ended::Complete, 0),
    ] {
        let recording = Recording::work(&[], &["many", end]);
        assert_eq!(recording.output.status.code(), Some(status), "{end}");
        let trace = recording.trace();
        assert_eq!(trace.header().ended, ended, "{end}");
        let events = events(&trace);
        assert_eq!(allocations(&events, 1017), 50_001, "{end}");
        assert_eq!(frees(&events, 1017), 33_333, "{end}");
        assert_eq!(trace.header().lost, 0);
    }
}

#[test]
fn a_replaced_program_leaves_its_trace_beside() {
    let recording = Recording::work(&[], &["many", "exec"]).succeeded();
    let trace = recording.trace();
    let after = events(&trace);
    assert_eq!(trace.header().args[1..], ["many", "after"]);
    assert_eq!(allocations(&after, 1018), 4);
    assert_eq!(allocations(&after, 1017), 50_001);
    let before = &recording.children()[0];
    assert_eq!(before.header().ended, Ended::Complete);
    assert_eq!(before.header().pid, trace.header().pid);
    assert_eq!(allocations(&events(before), 1017), 50_001);
    let name = before
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    assert_eq!(trace.header().origin, Origin::Executed { trace: name });
}

#[test]
fn a_child_needs_no_lock_of_the_dynamic_linker() {
    for how in ["fork", "raw"] {
        let recording = Recording::work(&["--stacks", "16"], &["locked", how]).succeeded();
        let children = recording.children();
        assert_eq!(children.len(), 1, "{how}");
        let child = &children[0];
        assert_eq!(child.header().ended, Ended::Complete);
        let own = events(child);
        assert_eq!(allocations(&own, 1025), 1);
        // The table is the parent's.
        assert_eq!(child.modules(), recording.trace().modules());
        let stack = own.iter().find(|e| e.size == 1024).unwrap().stack;
        if child.header().stacks == 0 {
            // glibc before 2.35, or another unwinder.
            let errors = String::from_utf8_lossy(&recording.output.stderr);
            assert!(errors.contains("without stacks"), "{errors}");
            continue;
        }
        let program = work();
        let module = child.modules().iter();
        let module = module
            .clone()
            .find(|m| m.path == program.to_str().unwrap())
            .unwrap();
        let inside = |address: &u64| (module.start..module.end).contains(address);
        // inner, middle, outer, run_locked, main.
        let own = child.stack(stack).iter().take_while(|a| inside(a));
        assert!(own.count() >= 4, "{how}");
    }
}

#[test]
fn other_processes_are_no_harm() {
    let recording = Recording::work(&[], &["system"]).succeeded();
    assert_eq!(allocations(&events(&recording.trace()), 1020), 3);
    assert_eq!(recording.trace().header().ended, Ended::Complete);
}
