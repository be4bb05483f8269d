//! What the builder writes, the reader reads; and no content of a file does more than end in an
//! error.

use memoman_trace::{Builder, Cut, Ended, Event, Header, Kind, Module, Origin, Trace};
use memoman_trace_format::layout::{HEADER, UNIT, chunk};
use proptest::prelude::*;

fn event() -> impl Strategy<Value = Event> {
    let address = prop_oneof![
        Just(0u64),
        (1u64..1 << 20).prop_map(|n| n * 16 + (1 << 40)),
        (1u64..1 << 20).prop_map(|n| n * 8 + (1 << 40)),
        any::<u64>(),
    ];
    let size = prop_oneof![0u64..4096, any::<u64>()];
    let kind = prop_oneof![
        Just(Kind::Malloc),
        Just(Kind::Calloc),
        Just(Kind::Memalign),
        Just(Kind::Realloc),
        Just(Kind::Free),
        Just(Kind::Failed),
        Just(Kind::PoolAdded),
        Just(Kind::PoolExtended),
        Just(Kind::PoolRemoved),
        Just(Kind::Reset),
    ];
    let ids = (0u32..3, prop_oneof![Just(0u32), any::<u32>()], 0u32..4);
    let rest = (prop_oneof![Just(0u64), size.clone()], 0u64..8);
    (address.clone(), address, size, kind, ids, rest).prop_map(
        |(pointer, old, size, kind, (thread, heap, stack), (block, align))| {
            let aligned = matches!(kind, Kind::Memalign | Kind::Failed);
            let fails = matches!(kind, Kind::Free | Kind::Failed);
            let has_old = matches!(kind, Kind::Free | Kind::Failed | Kind::Realloc);
            Event {
                time: 0,
                thread,
                heap,
                kind,
                pointer: if fails { 0 } else { pointer },
                old: if has_old { old } else { 0 },
                size: if kind == Kind::Free { 0 } else { size },
                block,
                align: if aligned { align } else { 0 },
                stack,
            }
        },
    )
}

fn build(path: &std::path::Path, header: &Header, events: &[Event]) {
    let mut builder = Builder::create(path, header).unwrap();
    for stack in 1u64..4 {
        let addresses: Vec<u64> = (0..stack * 7)
            .map(|n| n.wrapping_mul(stack << 60) ^ n)
            .collect();
        assert_eq!(builder.stack(&addresses).unwrap(), stack as u32);
        assert_eq!(builder.stack(&addresses).unwrap(), stack as u32);
    }
    for event in events {
        builder.push(event).unwrap();
    }
    builder.finish(Ended::Complete, 7).unwrap();
}

fn header() -> Header {
    Header {
        program: "/bin/sh".to_owned(),
        args: vec!["sh".to_owned(), "-c".to_owned(), "a b\nc".to_owned()],
        pid: 17,
        parent: 1,
        origin: Origin::Forked {
            trace: "f.mmt".to_owned(),
            time: 12,
        },
        started: 1 << 60,
        exit: Some(9),
        ..Header::default()
    }
}

/// Reads all there is, whatever it is.
fn drain(path: &std::path::Path) -> Option<usize> {
    let trace = Trace::open(path).ok()?;
    let mut read = 0;
    for event in trace.events() {
        if let Ok(event) = event {
            assert!(trace.stack(event.stack).len() < 256);
        }
        read += 1;
    }
    Some(read + trace.modules().len())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    })]

    #[test]
    fn events_come_back(
        mut events in prop::collection::vec(event(), 0..400),
        step in 0u64..1 << 40,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.mmt");
        for (index, event) in events.iter_mut().enumerate() {
            event.time = index as u64 * step;
        }
        build(&path, &header(), &events);
        let trace = Trace::open(&path).unwrap();
        let read: Result<Vec<Event>, _> = trace.events().collect();
        prop_assert_eq!(read.unwrap(), events);
        prop_assert_eq!(trace.header(), &Header { stacks: 21, lost: 7, ..header() });
        prop_assert_eq!(trace.stacks(), 3);
        prop_assert_eq!(trace.stack(2).len(), 14);
        prop_assert_eq!(trace.stack(2)[3], 3u64.wrapping_mul(2 << 60) ^ 3);
        prop_assert!(trace.stack(0).is_empty() && trace.stack(4).is_empty());
    }

    /// Bytes that were changed, cut off or repeated: an error or other events, and an end.
    #[test]
    fn hostile_traces_end(
        mut events in prop::collection::vec(event(), 1..100),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        early in prop::option::of(any::<prop::sample::Index>()),
        heads in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.mmt");
        for (index, event) in events.iter_mut().enumerate() {
            event.time = index as u64;
        }
        build(&path, &header(), &events);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, value) in changes {
            // Half of the time where it matters most: the header and the chunk's head.
            let at = if heads { at.index(256) } else { at.index(bytes.len()) };
            let at = if heads && at >= 128 { 4096 - 128 + at } else { at };
            bytes[at] = value;
        }
        if let Some(early) = early {
            bytes.truncate(early.index(bytes.len()));
        }
        std::fs::write(&path, &bytes).unwrap();
        let read = drain(&path).unwrap_or(0);
        prop_assert!(read <= bytes.len());
    }
}

#[test]
fn a_truncated_trace_says_so_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.mmt");
    let events: Vec<Event> = (0..5000)
        .map(|n| Event {
            time: n * 1000,
            pointer: n * 32 + 16,
            size: 24,
            ..Event::default()
        })
        .collect();
    build(&path, &header(), &events);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(4096 + 8192 + 3).unwrap();
    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.header().ended, Ended::Cut(Cut::Truncated));
    assert!(!trace.is_whole());
    let read: Vec<Event> = trace.events().collect::<Result<_, _>>().unwrap();
    assert!(read.len() > 500 && read.len() < 5000);
    assert_eq!(read[..], events[..read.len()]);
}

#[test]
fn modules_come_back_and_repeats_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.mmt");
    let module = Module {
        path: "/usr/lib/libc.so.6".to_owned(),
        start: 0x7f00_0000_0000,
        end: 0x7f00_0020_0000,
        offset: 0x7f00_0000_0000,
        build_id: vec![1, 2, 3],
    };
    let other = Module {
        build_id: Vec::new(),
        ..module.clone()
    };
    let mut builder = Builder::create(&path, &Header::default()).unwrap();
    builder.module(&module).unwrap();
    builder.push(&Event::default()).unwrap();
    builder.module(&module).unwrap();
    builder.module(&other).unwrap();
    builder.finish(Ended::Killed, 0).unwrap();
    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.modules(), [module, other]);
    assert_eq!(trace.header().ended, Ended::Killed);
    assert_eq!(trace.events().count(), 1);
}

#[test]
fn a_table_of_very_many_modules_ends_in_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.mmt");
    let event = Event {
        pointer: 64,
        ..Event::default()
    };
    build(&path, &header(), &[event]);
    let mut table = Vec::new();
    for start in 0..70_000u64 {
        for word in [start, start + 1, 0, 0] {
            table.extend(u64::to_le_bytes(word));
        }
    }
    let bytes = (chunk::HEAD + table.len()).next_multiple_of(UNIT);
    let mut head = [0; chunk::HEAD];
    head[..4].copy_from_slice(&chunk::MAGIC.to_le_bytes());
    head[chunk::KIND] = chunk::MODULES as u8;
    head[chunk::BYTES..][..8].copy_from_slice(&(bytes as u64).to_le_bytes());
    let mut whole = std::fs::read(&path).unwrap();
    whole.extend(head);
    whole.extend(table);
    whole.resize(whole.len().next_multiple_of(UNIT), 0);
    std::fs::write(&path, whole).unwrap();
    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.modules().len(), 65_536);
    let error = trace.events().next().unwrap().unwrap_err().to_string();
    assert!(error.contains("more than 65,536 modules"), "{error}");
    assert_eq!(trace.events().filter(|e| e.is_ok()).count(), 1);
    assert!(!trace.is_whole());
}

/// 4,096 bytes at a time, this takes minutes.
#[test]
fn of_a_chunk_and_its_finished_copy_the_copy_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.mmt");
    let event = |time| Event {
        time,
        kind: Kind::Malloc,
        pointer: 64 * time,
        size: time,
        ..Event::default()
    };
    let events: Vec<Event> = (1..=100).map(event).collect();
    build(&path, &Header::default(), &events);
    let whole = std::fs::read(&path).unwrap();
    let kind_at = |start: usize| start + chunk::KIND..start + chunk::KIND + 4;
    let start = (HEADER..whole.len())
        .step_by(UNIT)
        .find(|&at| {
            whole[at..at + 4] == chunk::MAGIC.to_le_bytes()
                && whole[kind_at(at)] == chunk::EVENTS.to_le_bytes()
        })
        .unwrap();
    let length = u64::from_le_bytes(whole[start + 8..start + 16].try_into().unwrap()) as usize;
    let copy = whole[start..start + length].to_vec();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let trace = Trace::open(&path).unwrap();
        assert_eq!(trace.header().ended, Ended::Complete);
        let read: Vec<Event> = trace.events().collect::<Result<_, _>>().unwrap();
        assert_eq!(read.len(), events.len());
    };
    read(&whole);
    // The writer clears the original when the copy is finished, and may be killed meanwhile.
    let mut cleared = [&whole[..], &copy].concat();
    cleared[start + chunk::HEAD..start + length].fill(0);
    read(&cleared);
    // Killed before that: the copy is not finished, and as short as it may be.
    let end = whole.len();
    let mut unfinished = [&whole[..], &copy].concat();
    unfinished[kind_at(end)].copy_from_slice(&chunk::UNFINISHED.to_le_bytes());
    unfinished[end + chunk::HEAD + 9..].fill(0);
    read(&unfinished);
    read(&unfinished[..end + chunk::HEAD]);
}

#[test]
fn a_hole_of_a_terabyte_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.mmt");
    build(&path, &header(), &[]);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let last = 1 << 40;
    file.set_len(last).unwrap();
    // A chunk of a kind that no reader knows, behind the hole: its size makes no sense.
    std::os::unix::fs::FileExt::write_all_at(&file, b"MMCK", last - 4096).unwrap();
    let trace = Trace::open(&path).unwrap();
    let error = trace.events().next().unwrap().unwrap_err().to_string();
    assert!(error.contains(&format!("byte {}", last - 4096)), "{error}");
}

#[test]
fn foreign_and_newer_files_are_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.mmt");
    let message = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let message = Trace::open(&path).err().unwrap().to_string();
        assert_eq!(message.lines().count(), 1);
        message
    };
    assert!(message(b"").ends_with("not a trace; `memoman record` writes one"));
    assert!(message(b"#!/bin/sh\necho").contains("not a trace"));
    assert!(message(b"memomanT\x02\0\0\0").contains("version 2, which"));
    assert!(
        Trace::open(folder.path())
            .err()
            .unwrap()
            .to_string()
            .contains("not a file")
    );
    let none = Trace::open(folder.path().join("none"))
        .err()
        .unwrap()
        .to_string();
    assert!(none.contains("cannot open it: No such file"));
}
