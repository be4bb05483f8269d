//! Streams of several threads are merged by time; a `realloc` spans two moments.

use memoman_trace::{Event, Kind, Trace};
use memoman_trace_format::layout::{HEADER, MAGIC, VERSION, chunk, header, op};
use memoman_trace_format::number;

/// A chunk of records, each its first byte and its numbers.
fn part(stream: u32, sequence: u64, ticks: u64, records: &[(u8, &[u64])]) -> Vec<u8> {
    let mut bytes = vec![0; chunk::HEAD];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &chunk::MAGIC.to_le_bytes());
    put(chunk::KIND, &chunk::EVENTS.to_le_bytes());
    put(chunk::BYTES, &4096u64.to_le_bytes());
    put(chunk::STREAM, &stream.to_le_bytes());
    put(chunk::SEQUENCE, &sequence.to_le_bytes());
    put(chunk::TICKS, &ticks.to_le_bytes());
    for (first, numbers) in records {
        bytes.push(op::PRESENT | first);
        for &value in *numbers {
            let mut room = [0; number::NUMBER_MAX];
            let length = number::write(&mut room, value);
            bytes.extend(&room[..length]);
        }
    }
    bytes.resize(4096, 0);
    bytes
}

fn read(parts: &[Vec<u8>]) -> Vec<Event> {
    let mut bytes = vec![0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[header::VERSION..header::VERSION + 4].copy_from_slice(&VERSION.to_le_bytes());
    bytes[header::RATE..header::RATE + 8].copy_from_slice(&1_000_000_000u64.to_le_bytes());
    bytes.extend(parts.concat());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.mmt");
    std::fs::write(&path, bytes).unwrap();
    Trace::open(&path)
        .unwrap()
        .events()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn to(base: u64, address: u64) -> u64 {
    number::difference(base, address, false)
}

const A: u64 = 0x10000;
const B: u64 = 0x20000;
const C: u64 = 0x30000;

/// Thread 0 has A and moves it to B between 20 and 60.
fn mover() -> Vec<u8> {
    part(
        0,
        0,
        0,
        &[
            (op::THREAD, &[0, 0]),
            (op::MALLOC, &[10, to(0, A), 100]),
            (op::REALLOC, &[10, 40, to(A, B), 200, to(B, A)]),
            (op::FREE, &[20, to(B, B)]),
        ],
    )
}

fn seen(events: &[Event]) -> Vec<(u64, u32, Kind, u64, u64)> {
    events
        .iter()
        .map(|e| (e.time, e.thread, e.kind, e.pointer, e.old))
        .collect()
}

#[test]
fn a_move_is_one_event_at_its_end() {
    let other = part(
        1,
        0,
        0,
        &[(op::THREAD, &[1, 0]), (op::MALLOC, &[30, to(0, C), 8])],
    );
    assert_eq!(
        seen(&read(&[mover(), other])),
        [
            (10, 0, Kind::Malloc, A, 0),
            (30, 1, Kind::Malloc, C, 0),
            (60, 0, Kind::Realloc, B, A),
            (80, 0, Kind::Free, 0, B),
        ]
    );
}

#[test]
fn a_move_is_split_when_another_thread_gets_the_old_address() {
    let records: [(u8, &[u64]); 3] = [
        (op::THREAD, &[1, 0]),
        (op::MALLOC, &[30, to(0, A), 8]),
        (op::FREE, &[1, to(A, A)]),
    ];
    assert_eq!(
        seen(&read(&[mover(), part(1, 0, 0, &records)])),
        [
            (10, 0, Kind::Malloc, A, 0),
            (30, 0, Kind::Free, 0, A),
            (30, 1, Kind::Malloc, A, 0),
            (31, 1, Kind::Free, 0, A),
            (60, 0, Kind::Malloc, B, 0),
            (80, 0, Kind::Free, 0, B),
        ]
    );
}

#[test]
fn blocks_are_given_up_before_others_are_handed_out() {
    // Both at tick 70: the free of A by thread 1, in the later stream, comes first.
    let frees = part(
        1,
        0,
        0,
        &[(op::THREAD, &[1, 0]), (op::FREE, &[70, to(0, A)])],
    );
    let takes = part(
        0,
        0,
        0,
        &[(op::THREAD, &[0, 0]), (op::MALLOC, &[70, to(0, A), 1])],
    );
    assert_eq!(
        seen(&read(&[takes, frees])),
        [(70, 1, Kind::Free, 0, A), (70, 0, Kind::Malloc, A, 0)]
    );
}

#[test]
fn chunks_are_read_in_their_order_and_threads_follow_each_other() {
    let first = part(
        5,
        0,
        0,
        &[
            (op::THREAD, &[3, 0]),
            (op::MALLOC, &[1, to(0, A), 1]),
            (op::THREAD, &[4, 0]),
            (op::MALLOC, &[1, to(A, B), 2]),
        ],
    );
    let second = part(
        5,
        1,
        100,
        &[(op::THREAD, &[6, 0]), (op::FREE, &[1, to(0, A)])],
    );
    // Reserved, and not begun.
    let empty = vec![0; 4096];
    assert_eq!(
        seen(&read(&[second, empty, first])),
        [
            (1, 3, Kind::Malloc, A, 0),
            (2, 4, Kind::Malloc, B, 0),
            (101, 6, Kind::Free, 0, A),
        ]
    );
}
