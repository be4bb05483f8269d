//! The fixed records that firmware sends (`docs/book/firmware-records.md`), as events.

use std::collections::HashMap;

use crate::event::{Event, Kind};

/// What the records say.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the stream, which is that of the calls.
    pub events: Vec<Event>,
    /// Recorders that have sent.
    pub heaps: usize,
    /// Bytes of the firmware's pointers.
    pub pointer: u32,
    /// Records that did not arrive, as far as their numbers show.
    pub lost: u64,
    /// Bytes that belong to no record.
    pub skipped: u64,
    /// The last record has no end.
    pub cut: bool,
}

const RECORD: usize = 16;
const HEADER: u8 = 255;
const BEFORE: u8 = 254;
const VERSION: u8 = 1;
const MAGIC: &[u8] = b"MMR1";

/// A recorder: what its latest header says, and what comes next.
struct Source {
    rate: u32,
    unit: u32,
    next: u8,
    time: u32,
    ticks: u64,
    /// Nanoseconds at `ticks` 0.
    base: u64,
    /// The old pointer and block size of a `before` record.
    before: Option<(u64, u64)>,
    pools: HashMap<u64, u64>,
}

fn word(record: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}

fn is_header(record: &[u8]) -> bool {
    record.len() >= RECORD && record[0] == HEADER && record[3] == 0 && &record[4..8] == MAGIC
}

/// Whether what follows goes on as it must: else bytes were lost, and records start elsewhere.
fn goes_on(bytes: &[u8], sources: &HashMap<u8, Source>) -> bool {
    let mut numbers = HashMap::<u8, u8>::new();
    for record in bytes.chunks_exact(RECORD).take(3) {
        let (kind, heap, number) = (record[0], record[2], record[3]);
        if kind == HEADER {
            if !is_header(record) {
                return false;
            }
        } else if !matches!(kind, 1..=10 | BEFORE) || !sources.contains_key(&heap) {
            return false;
        }
        if numbers
            .get(&heap)
            .is_some_and(|&before| before.wrapping_add(1) != number)
        {
            return false;
        }
        numbers.insert(heap, number);
    }
    true
}

/// Reads a stream of records, from its first header on; or says why it is none.
pub fn decode(bytes: &[u8]) -> Result<Found, String> {
    let mut found = Found::default();
    let mut sources = HashMap::<u8, Source>::new();
    let mut at = 0;
    let mut now = 0;
    // A stream that is entered late begins at its first header.
    let mut in_step = false;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.len() < RECORD {
            found.cut = in_step;
            found.skipped += if in_step { 0 } else { rest.len() as u64 };
            break;
        }
        let record = &rest[..RECORD];
        let header = is_header(record);
        if !in_step && !header {
            at += 1;
            found.skipped += 1;
            continue;
        }
        in_step = true;
        let (kind, heap, number) = (record[0], record[2], record[3]);
        if header {
            header_record(record, &mut sources, &mut found, now)?;
            at += RECORD;
            continue;
        }
        let Some(source) = sources.get_mut(&heap) else {
            in_step = false;
            continue;
        };
        let missed = number.wrapping_sub(source.next);
        let known = matches!(kind, 1..=10 | BEFORE);
        if (missed != 0 || !known) && !goes_on(rest, &sources) {
            // One of a kind that is not known yet has its number.
            let skip = missed == 0 && kind != HEADER;
            if skip && let Some(source) = sources.get_mut(&heap) {
                source.next = number.wrapping_add(1);
                at += RECORD;
            } else {
                in_step = false;
                at += 1;
                found.skipped += 1;
            }
            continue;
        }
        if let Some(source) = sources.get_mut(&heap) {
            found.lost += u64::from(missed);
            if missed != 0 {
                source.before = None;
            }
            source.next = number.wrapping_add(1);
            if kind == BEFORE {
                let old = u64::from(word(record, 4)) << source.unit;
                source.before = Some((old, u64::from(word(record, 8))));
            } else {
                let event = event(record, source, now);
                now = event.time;
                found.events.push(event);
            }
        }
        at += RECORD;
    }
    if sources.is_empty() {
        return Err("no header record (MMR1) in it: not a stream of memoman/record.h".to_owned());
    }
    found.heaps = sources.len();
    Ok(found)
}

/// A header: a recorder begins, or repeats its header once in 256 records.
fn header_record(
    record: &[u8],
    sources: &mut HashMap<u8, Source>,
    found: &mut Found,
    now: u64,
) -> Result<(), String> {
    if record[1] != VERSION {
        return Err(format!(
            "records of version {}, which needs a newer memoman",
            record[1]
        ));
    }
    found.pointer = found.pointer.max(u32::from(record[12]));
    let (rate, unit) = (word(record, 8), u32::from(record[13]).min(12));
    match sources.get_mut(&record[2]) {
        Some(source) => {
            let missed = 0u8.wrapping_sub(source.next);
            found.lost += u64::from(missed);
            source.next = 1;
            (source.rate, source.unit) = (rate, unit);
        }
        None => {
            sources.insert(
                record[2],
                Source {
                    rate,
                    unit,
                    next: 1,
                    time: 0,
                    ticks: u64::MAX,
                    base: now,
                    before: None,
                    pools: HashMap::new(),
                },
            );
        }
    }
    Ok(())
}

fn event(record: &[u8], source: &mut Source, now: u64) -> Event {
    let time = word(record, 12);
    if source.ticks == u64::MAX {
        source.ticks = 0;
    } else {
        source.ticks += u64::from(time.wrapping_sub(source.time));
    }
    source.time = time;
    // Without a clock, each event takes a microsecond.
    let time = match source.rate {
        0 => now.saturating_add(1000),
        rate => {
            let passed = u128::from(source.ticks) * 1_000_000_000 / u128::from(rate);
            source
                .base
                .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
        }
    };
    let pointer = u64::from(word(record, 4)) << source.unit;
    let bytes = u64::from(word(record, 8));
    let align = match record[1] {
        0 => 0,
        log => 1u64.checked_shl(u32::from(log)).unwrap_or(0),
    };
    let mut event = Event {
        // The order of the stream is that of the calls.
        time: time.max(now),
        heap: u32::from(record[2]) + 1,
        pointer,
        size: bytes,
        align,
        ..Event::default()
    };
    match record[0] {
        1 => event.kind = Kind::Malloc,
        2 => event.kind = Kind::Calloc,
        3 => event.kind = Kind::Memalign,
        4 => {
            // Without its `before`, the old block is unknown.
            if let Some((old, _)) = source.before.take() {
                (event.kind, event.old) = (Kind::Realloc, old);
            }
        }
        5 => {
            (event.kind, event.old, event.pointer) = (Kind::Free, pointer, 0);
            event.size = 0;
            event.block = bytes;
        }
        6 => {
            event.kind = Kind::Failed;
            event.pointer = 0;
            event.old = source.before.take().map_or(0, |(old, _)| old);
        }
        7 => {
            event.kind = Kind::PoolAdded;
            source.pools.insert(pointer, bytes);
        }
        8 => {
            event.kind = Kind::PoolExtended;
            // The trace has what was added.
            let before = source.pools.insert(pointer, bytes).unwrap_or(0);
            event.size = bytes.saturating_sub(before);
        }
        9 => {
            event.kind = Kind::PoolRemoved;
            let known = source.pools.remove(&pointer).unwrap_or(0);
            event.size = if bytes == 0 { known } else { bytes };
        }
        _ => event.kind = Kind::Reset,
    }
    if !matches!(event.kind, Kind::Memalign | Kind::Failed) {
        event.align = 0;
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, heap: u8, number: u8, pointer: u32, bytes: u32, time: u32) -> [u8; 16] {
        let mut record = [0; 16];
        record[0] = kind;
        (record[2], record[3]) = (heap, number);
        record[4..8].copy_from_slice(&pointer.to_le_bytes());
        record[8..12].copy_from_slice(&bytes.to_le_bytes());
        record[12..].copy_from_slice(&time.to_le_bytes());
        record
    }

    fn header(heap: u8, rate: u32) -> [u8; 16] {
        let mut header = record(HEADER, heap, 0, u32::from_le_bytes(*b"MMR1"), rate, 0);
        header[1] = VERSION;
        header[12] = 4;
        header
    }

    /// A header and so many mallocs, the header repeated where it must be.
    fn stream(mallocs: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut number = 0u8;
        for index in 0..mallocs {
            if number == 0 {
                bytes.extend(header(3, 1_000_000));
                number = 1;
            }
            bytes.extend(record(
                1,
                3,
                number,
                0x2000_0000 + 16 * index,
                index,
                50 * index,
            ));
            number = number.wrapping_add(1);
        }
        bytes
    }

    #[test]
    fn records_become_events() {
        let mut bytes = header(0, 1000).to_vec();
        bytes.extend(record(7, 0, 1, 0x1000, 4096, 4_294_967_290));
        bytes.extend(record(1, 0, 2, 0x1010, 24, 4_294_967_294));
        bytes.extend(record(BEFORE, 0, 3, 0x1010, 28, 2));
        bytes.extend(record(4, 0, 4, 0x1040, 100, 4));
        bytes.extend(record(BEFORE, 0, 5, 0x1040, 0, 5));
        bytes.extend(record(6, 0, 6, 0, 9000, 6));
        bytes.extend(record(5, 0, 7, 0x1040, 104, 7));
        bytes.extend(record(8, 0, 8, 0x1000, 8192, 8));
        let found = decode(&bytes).unwrap();
        assert_eq!(
            (found.lost, found.skipped, found.cut, found.pointer),
            (0, 0, false, 4)
        );
        let of: Vec<_> = found
            .events
            .iter()
            .map(|e| (e.kind, e.pointer, e.old, e.size, e.time / 1_000_000))
            .collect();
        assert_eq!(
            of,
            [
                (Kind::PoolAdded, 0x1000, 0, 4096, 0),
                (Kind::Malloc, 0x1010, 0, 24, 4),
                (Kind::Realloc, 0x1040, 0x1010, 100, 10),
                (Kind::Failed, 0, 0x1040, 9000, 12),
                (Kind::Free, 0, 0x1040, 0, 13),
                (Kind::PoolExtended, 0x1000, 0, 4096, 14),
            ]
        );
    }

    #[test]
    fn what_was_lost_is_counted() {
        let whole = stream(600);
        assert_eq!(decode(&whole).unwrap().events.len(), 600);
        // Whole records, a part of one, the beginning, the end.
        let mut bytes = whole.clone();
        bytes.drain(16 * 10..16 * 13);
        let found = decode(&bytes).unwrap();
        assert_eq!((found.lost, found.skipped, found.events.len()), (3, 0, 597));
        let mut bytes = whole.clone();
        bytes.drain(165..170);
        let found = decode(&bytes).unwrap();
        // Up to the next header.
        assert_eq!(found.events.len() as u64 + found.lost, 600);
        assert!(found.events.len() >= 600 - 256 && found.skipped > 0);
        let found = decode(&whole[100..]).unwrap();
        assert_eq!(found.events.len(), 600 - 255);
        assert!(!found.cut);
        let found = decode(&whole[..whole.len() - 1]).unwrap();
        assert_eq!((found.events.len(), found.cut), (599, true));
    }

    #[test]
    fn foreign_and_newer_streams_are_refused() {
        assert!(decode(b"").unwrap_err().contains("no header record"));
        assert!(decode(&[7; 100]).unwrap_err().contains("no header record"));
        let mut newer = header(0, 0);
        newer[1] = 2;
        assert!(decode(&newer).unwrap_err().contains("version 2"));
    }

    #[test]
    fn no_stream_is_too_bad() {
        let mut state = 1u64;
        for _ in 0..2000 {
            let mut bytes = stream(40);
            for _ in 0..8 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let at = (state >> 33) as usize % bytes.len().max(1);
                if bytes.is_empty() {
                    break;
                }
                match state % 3 {
                    0 => bytes[at] = (state >> 20) as u8,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            if let Ok(found) = decode(&bytes) {
                assert!(found.events.is_sorted_by_key(|event| event.time));
                assert!(found.events.len() <= 40);
            }
        }
    }
}
