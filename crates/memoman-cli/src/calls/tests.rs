//! What of a trace can be repeated, and what is counted instead.

use memoman_trace::{Builder, Ended, Event, Header, Kind, Trace};

use super::{Call, What, load};

fn trace(header: &Header, events: &[Event]) -> (tempfile::TempDir, Trace) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mmt");
    let mut builder = Builder::create(&path, header).unwrap();
    for (time, event) in events.iter().enumerate() {
        let time = time as u64;
        builder.push(&Event { time, ..*event }).unwrap();
    }
    builder.finish(Ended::Complete, 0).unwrap();
    (folder, Trace::open(&path).unwrap())
}

fn call(what: What, block: u32, size: u64) -> Call {
    Call {
        size,
        block,
        thread: 0,
        what,
        align: 0,
    }
}

#[test]
fn addresses_become_blocks() {
    let base = Event::default();
    let (_folder, trace) = trace(
        &Header::default(),
        &[
            // A block of a parent, which the trace does not have.
            Event {
                kind: Kind::Free,
                old: 0x900,
                ..base
            },
            Event {
                pointer: 0x100,
                size: 10,
                ..base
            },
            // Nothing was allocated: a request for 0 bytes still takes a block.
            Event {
                pointer: 0x200,
                size: 0,
                ..base
            },
            Event {
                kind: Kind::Realloc,
                old: 0x100,
                pointer: 0x300,
                size: 20,
                ..base
            },
            Event {
                kind: Kind::Realloc,
                old: 0x900,
                pointer: 0x400,
                size: 30,
                ..base
            },
            // The block's free was lost: the address is handed out again.
            Event {
                pointer: 0x200,
                size: 40,
                ..base
            },
            Event {
                kind: Kind::Memalign,
                pointer: 0x1000,
                size: 50,
                align: 256,
                ..base
            },
            Event {
                kind: Kind::Memalign,
                pointer: 0x1100,
                size: 60,
                align: 8,
                ..base
            },
            Event {
                kind: Kind::Failed,
                size: 1 << 40,
                ..base
            },
            Event {
                kind: Kind::Free,
                old: 0x300,
                ..base
            },
            Event {
                kind: Kind::Reset,
                ..base
            },
        ],
    );
    let (calls, chosen) = load(&trace, None).unwrap();
    assert_eq!(chosen.heap, 0);
    let expected = [
        call(What::Malloc, 0, 10),
        call(What::Malloc, 1, 1),
        call(What::Realloc, 0, 20),
        call(What::Malloc, 2, 30),
        call(What::Free, 1, 0),
        call(What::Malloc, 3, 40),
        Call {
            align: 8,
            ..call(What::Memalign, 4, 50)
        },
        call(What::Malloc, 5, 60),
        call(What::Free, 0, 0),
        call(What::Free, 2, 0),
        call(What::Free, 3, 0),
        call(What::Free, 4, 0),
        call(What::Free, 5, 0),
    ];
    assert_eq!(calls.list, expected);
    let facts = calls.facts;
    assert_eq!((facts.unknown, facts.doubled), (2, 1));
    assert_eq!((facts.failed, facts.largest_failed), (1, 1 << 40));
    assert_eq!(
        (facts.peak_live, facts.peak_blocks),
        (20 + 30 + 40 + 50 + 60, 5)
    );
    assert_eq!((facts.align, facts.reallocs, facts.largest), (256, 1, 60));
}

#[test]
fn the_heap_with_most_events_is_chosen() {
    let base = Event {
        pointer: 0x100,
        size: 1,
        ..Event::default()
    };
    let events = [
        base,
        Event { heap: 3, ..base },
        Event {
            heap: 3,
            pointer: 0x200,
            ..base
        },
    ];
    let (_folder, trace) = trace(&Header::default(), &events);
    let (calls, chosen) = load(&trace, None).unwrap();
    assert_eq!((chosen.heap, calls.list.len()), (3, 2));
    assert_eq!(load(&trace, Some(0)).unwrap().0.list.len(), 1);
    assert!(load(&trace, Some(7)).is_err());
}

#[test]
fn a_sample_and_a_damaged_size_are_refused() {
    let event = Event {
        pointer: 0x100,
        size: 1 << 60,
        ..Event::default()
    };
    let (_folder, damaged) = trace(&Header::default(), &[event]);
    assert!(load(&damaged, None).is_err());
    let header = Header {
        sample: 4096,
        ..Header::default()
    };
    let (_folder, sampled) = trace(&header, &[Event { size: 1, ..event }]);
    assert!(load(&sampled, None).is_err());
}
