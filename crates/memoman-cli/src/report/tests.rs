//! The page's figures against sums over the whole run, kept in the simplest way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use memoman_trace::{Builder, Cut, Ended, Event, Header, Kind, Module, Trace};
use proptest::prelude::*;

use super::aggregate::By;
use super::{Report, SLICES, report};

/// A file that is removed at the end.
struct File(PathBuf);

impl File {
    fn new() -> File {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("memoman-report-{}-{number}.mmt", std::process::id());
        File(std::env::temp_dir().join(name))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn written(events: &[Event], stacks: &[Vec<u64>], ended: Ended) -> (File, Trace) {
    let file = File::new();
    let header = Header {
        program: "/bin/p</script>".into(),
        ..Header::default()
    };
    let mut builder = Builder::create(&file.0, &header).unwrap();
    let module = Module {
        path: "/bin/p".into(),
        start: 0x1000,
        end: 0x9000,
        offset: 0,
        build_id: Vec::new(),
    };
    builder.module(&module).unwrap();
    for stack in stacks {
        builder.stack(stack).unwrap();
    }
    for event in events {
        builder.push(event).unwrap();
    }
    builder.finish(ended, 0).unwrap();
    let trace = Trace::open(&file.0).unwrap();
    (file, trace)
}

fn of(events: &[Event], stacks: &[Vec<u64>]) -> Report {
    let (_file, trace) = written(events, stacks, Ended::Complete);
    report(&trace, None, By::Time).unwrap()
}

/// Events of a heap whose blocks lie apart.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (0u8..8, 0u64..40, 1u64..5000, 0u64..1000, 0u32..3);
    prop::collection::vec(one, 1..300).prop_map(|calls| {
        let mut time = 0;
        let mut live: BTreeMap<u64, u64> = BTreeMap::new();
        let mut events = Vec::new();
        for (what, place, size, wait, stack) in calls {
            time += wait;
            let pointer = 0x5000_0000 + place * 8192;
            let event = Event {
                time,
                stack,
                ..Event::default()
            };
            events.push(if live.remove(&pointer).is_some() {
                if what < 2 {
                    live.insert(pointer, size);
                    Event {
                        kind: Kind::Realloc,
                        old: pointer,
                        pointer,
                        size,
                        ..event
                    }
                } else {
                    Event {
                        kind: Kind::Free,
                        old: pointer,
                        stack: 0,
                        ..event
                    }
                }
            } else if what == 7 {
                Event {
                    kind: Kind::Failed,
                    size,
                    ..event
                }
            } else {
                live.insert(pointer, size);
                Event {
                    pointer,
                    size,
                    ..event
                }
            });
        }
        events
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn the_figures_are_those_of_the_run(events in events()) {
        let stacks = [vec![0x1234], vec![0x2345, 0x1234]];
        let data = of(&events, &stacks).data;
        let mut live: BTreeMap<u64, (u64, u32)> = BTreeMap::new();
        let (mut peak, mut at_peak, mut allocated) = (0, [0; 3], [0; 3]);
        let mut failed = 0;
        for event in &events {
            live.remove(&event.old);
            match event.kind {
                Kind::Failed => failed += 1,
                Kind::Free => {}
                _ => {
                    live.insert(event.pointer, (event.size, event.stack));
                    allocated[event.stack as usize] += event.size;
                }
            }
            let bytes: u64 = live.values().map(|block| block.0).sum();
            if bytes > peak {
                peak = bytes;
                at_peak = [0; 3];
                live.values().for_each(|block| at_peak[block.1 as usize] += block.0);
            }
        }
        let left: u64 = live.values().map(|block| block.0).sum();
        prop_assert_eq!(data.peak, peak);
        prop_assert_eq!((data.left_blocks, data.left), (live.len() as u64, left));
        prop_assert_eq!(data.failed_count, failed);
        prop_assert_eq!(data.slices.len(), SLICES);
        prop_assert_eq!(data.slices.iter().map(|slice| slice.peak).max(), Some(peak));
        let last = data.slices[SLICES - 1];
        prop_assert_eq!((last.live, last.events), (left, events.len() as u64));
        prop_assert_eq!(last.held > 0, left > 0);
        prop_assert_eq!(data.unknown, 0);
        // The root of the flame graph has the sums of all stacks.
        let root = serde_json::to_value(&data.flame[0]).unwrap();
        prop_assert_eq!(&root["sums"][0], &serde_json::json!(allocated.iter().sum::<u64>()));
        prop_assert_eq!(&root["sums"][2], &serde_json::json!(at_peak.iter().sum::<u64>()));
        let sites = serde_json::to_value(&data.sites).unwrap();
        for site in sites.as_array().unwrap() {
            let name = &data.names[site["name"].as_u64().unwrap() as usize];
            let stack = if name == "p+0x1233" { 1 } else { 2 };
            prop_assert_eq!(&site["bytes"], &serde_json::json!(allocated[stack]));
            prop_assert_eq!(&site["peak"], &serde_json::json!(at_peak[stack]));
        }
    }
}

/// The cells of a slice hold what is live, and nothing of what is gone.
#[test]
fn cells_empty_again() {
    let event = |time, kind, pointer, old, size| Event {
        time,
        kind,
        pointer,
        old,
        size,
        ..Event::default()
    };
    let mut events = Vec::new();
    for n in 0..50u64 {
        events.push(event(n, Kind::Malloc, 0x10_0000 + n * 4096, 0, 3000 + n));
    }
    for n in 0..50u64 {
        events.push(event(100 + n, Kind::Free, 0, 0x10_0000 + n * 4096, 0));
    }
    let (_file, trace) = written(&events, &[], Ended::Complete);
    let mut scan = super::scan::scan(&trace, 0).unwrap();
    let space = super::Space::new(scan.take_touched(), 512);
    let all = super::aggregate(&trace, 0, &scan, &space, &[], By::Time, 10).unwrap();
    let fill = |slice: usize| &all.planes[0][slice * space.cells..][..space.cells];
    assert!(fill(5).iter().any(|&byte| byte > 100));
    assert!(fill(9).iter().all(|&byte| byte == 0));
    assert_eq!((all.slices[9].held, all.slices[9].blocks), (0, 0));
    assert_eq!(all.slices[5].held, 50 * 4096);
}

#[test]
fn a_failed_request_shows_the_heap_at_its_moment() {
    let base = Event::default();
    let events = [
        Event {
            kind: Kind::PoolAdded,
            pointer: 0x10_0000,
            size: 65_536,
            ..base
        },
        Event {
            pointer: 0x10_0100,
            size: 1000,
            time: 10,
            ..base
        },
        Event {
            kind: Kind::Failed,
            size: 99_999,
            align: 64,
            time: 20,
            stack: 1,
            ..base
        },
        Event {
            kind: Kind::Free,
            old: 0x10_0100,
            time: 100,
            ..base
        },
    ];
    let data = of(&events, &[vec![0x1234]]).data;
    let failed = serde_json::to_value(&data.failed[0]).unwrap();
    assert_eq!(failed["size"], 99_999);
    assert_eq!(
        (&failed["live"], &failed["blocks"]),
        (&1000.into(), &1.into())
    );
    assert_eq!(failed["pools"], 65_536);
    let slice = failed["slice"].as_u64().unwrap() as usize;
    assert_eq!(data.slices[slice].live, 1000);
    assert_eq!(
        data.names[failed["frames"][0].as_u64().unwrap() as usize],
        "p+0x1233"
    );
}

#[test]
fn what_a_trace_lacks_is_on_the_page() {
    let events = [Event {
        pointer: 0x10_0000,
        size: 10,
        ..Event::default()
    }];
    let (_file, trace) = written(&events, &[], Ended::Cut(Cut::DiskFull));
    let Report { data, map } = report(&trace, None, By::Events).unwrap();
    let page = super::page::page("Heap", &data, &map).unwrap();
    assert!(page.contains("no space left on the device"));
    assert!(!page.contains("p</script>"));
    for word in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(word), "the page fetches: {word}");
    }
}

/// Damaged addresses and sizes end in a page or an error, within bounded memory.
#[test]
fn damaged_events_are_survived() {
    let mut events = Vec::new();
    for n in 0..2000u64 {
        let pointer = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        events.push(Event {
            pointer,
            size: pointer >> (n % 64),
            time: n,
            ..Event::default()
        });
    }
    let data = of(&events, &[]).data;
    assert!(data.cells <= 8192 + 256);
    assert_eq!(data.allocations, 2000);
}
