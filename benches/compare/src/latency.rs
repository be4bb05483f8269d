//! `make latency`: how long single calls take. The same calls are replayed several times, each time
//! in a new heap, and each call counts with its smallest time: disturbances of the machine drop
//! out, the allocator's own work stays.

use std::path::PathBuf;

use crate::peers::{self, Growth, Heap, Kind, Peer};
use crate::random::Random;
use crate::region::{self, Region};
use crate::workloads::POOL;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Calls of each pattern
    #[arg(long, default_value_t = 400_000)]
    calls: usize,
    /// Replays of each pattern with each allocator
    #[arg(long, default_value_t = 9)]
    replays: usize,
    /// The results file; the histogram and the plots lie beside it
    #[arg(long, default_value = "benches/results/latency.csv")]
    out: PathBuf,
    /// The command to name in the results file
    #[arg(long, default_value = "make latency")]
    command: String,
}

/// One call of a pattern. A request goes into a slot, a free empties one.
#[derive(Clone, Copy)]
enum Call {
    Malloc { slot: u32, bytes: u32 },
    Free { slot: u32 },
}

/// Calls that are timed, and untimed calls before them.
struct Pattern {
    name: &'static str,
    slots: usize,
    before: Vec<Call>,
    timed: Vec<Call>,
}

/// W1: 10,000 live blocks of 8 to 1,024 B, log-uniform; each turn replaces a random one.
fn steady(calls: usize) -> Pattern {
    let mut random = Random::new(11);
    let sizes = random.sizes(8, 1024);
    let slots = 10_000;
    let size = |random: &mut Random| sizes[random.next() as usize % 4096];
    let before = (0..slots)
        .map(|slot| Call::Malloc {
            slot,
            bytes: size(&mut random),
        })
        .collect();
    let mut timed = Vec::with_capacity(calls);
    while timed.len() < calls {
        let slot = random.below(slots as usize) as u32;
        timed.push(Call::Free { slot });
        timed.push(Call::Malloc {
            slot,
            bytes: size(&mut random),
        });
    }
    Pattern {
        name: "W1",
        slots: slots as usize,
        before,
        timed,
    }
}

/// The worst states of search and coalescing, in turns: a bin full of blocks a little too small for
/// the requests of that bin, and nothing larger; frees between two free neighbours; the smallest
/// request out of one large block.
fn adversarial(calls: usize) -> Pattern {
    let mut random = Random::new(12);
    let (row, large, asked) = (2000u32, 600u32, 200u32);
    let slots = row + large + asked;
    let mut timed = Vec::with_capacity(calls + 2 * slots as usize);
    while timed.len() < calls {
        for slot in 0..row {
            let bytes = if slot % 2 == 0 { 4096 - 8 } else { 40 };
            timed.push(Call::Malloc { slot, bytes });
        }
        // Takes all larger blocks; the last of these calls fail.
        for slot in row..row + large {
            let bytes = match (slot - row) * 6 / large {
                0..=2 => 1 << 20,
                3 => 1 << 16,
                4 => 1 << 13,
                _ => 5000,
            };
            timed.push(Call::Malloc { slot, bytes });
        }
        // Each hole stands alone.
        for slot in (0..row).step_by(2) {
            timed.push(Call::Free { slot });
        }
        // Three of four requests are too large for the holes of their bin.
        for slot in row + large..slots {
            let bytes = if random.next().is_multiple_of(4) {
                4000
            } else {
                4096 + 8
            };
            timed.push(Call::Malloc { slot, bytes });
        }
        // The smallest request, served from a hole.
        for _ in 0..32 {
            timed.push(Call::Malloc { slot: 0, bytes: 1 });
            timed.push(Call::Free { slot: 0 });
        }
        // Each free has a hole on both sides, or on one.
        let mut order: Vec<u32> = (1..row).step_by(2).chain(row..slots).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        timed.extend(order.into_iter().map(|slot| Call::Free { slot }));
        // The smallest request, served from one large block.
        for _ in 0..32 {
            timed.push(Call::Malloc { slot: 0, bytes: 1 });
            timed.push(Call::Free { slot: 0 });
        }
    }
    Pattern {
        name: "adversarial",
        slots: slots as usize,
        before: Vec::new(),
        timed,
    }
}

/// The processor's time stamp, after all instructions before it and before all that follow.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn stamp() -> u64 {
    use std::arch::x86_64::{__rdtscp, _mm_lfence};
    let mut processor = 0;
    // SAFETY: every x86-64 processor of the last fifteen years has both instructions.
    unsafe {
        let time = __rdtscp(&mut processor);
        _mm_lfence();
        time
    }
}

/// Stamps per nanosecond.
fn stamps_per_ns() -> f64 {
    let (start, first) = (std::time::Instant::now(), stamp());
    while start.elapsed().as_millis() < 100 {}
    (stamp() - first) as f64 / start.elapsed().as_nanos() as f64
}

/// Replays the pattern once, in a new heap, and lowers `least` to each call's smallest time. The
/// free of a failed request is left out.
#[inline(never)]
fn replay(pattern: &Pattern, heap: &Heap, slots: &mut [(*mut u8, u32)], least: &mut [u32]) {
    let run = |call: Call, slots: &mut [(*mut u8, u32)]| -> Option<u64> {
        match call {
            Call::Malloc { slot, bytes } => {
                let start = stamp();
                let block = heap.malloc(bytes as usize);
                let time = stamp() - start;
                slots[slot as usize] = (block, bytes);
                if !block.is_null() {
                    // SAFETY: a block has at least one byte.
                    unsafe { block.write(1) };
                }
                Some(time)
            }
            Call::Free { slot } => {
                let (block, bytes) = slots[slot as usize];
                slots[slot as usize] = (std::ptr::null_mut(), 0);
                if block.is_null() {
                    return None;
                }
                let start = stamp();
                // SAFETY: the slot held a live block of this heap with its size, and is empty.
                unsafe { heap.free(block, bytes as usize) };
                Some(stamp() - start)
            }
        }
    };
    for &call in &pattern.before {
        run(call, slots);
    }
    for (&call, least) in pattern.timed.iter().zip(least) {
        if let Some(time) = run(call, slots) {
            *least = (*least).min(u32::try_from(time).unwrap_or(u32::MAX));
        }
    }
    for (block, bytes) in slots.iter_mut().filter(|slot| !slot.0.is_null()) {
        // SAFETY: the slot holds a live block of this heap with its size, and is emptied.
        unsafe { heap.free(*block, *bytes as usize) };
        *block = std::ptr::null_mut();
    }
}

const SHARES: [(&str, f64); 4] = [
    ("p50", 0.5),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    region::pin();
    let region = Region::new(POOL);
    let rate = stamps_per_ns();
    let mut rows = Vec::new();
    let mut histogram = Vec::new();
    let mut summary: Vec<(String, &str, Vec<f64>)> = Vec::new();
    for pattern in [steady(arguments.calls), adversarial(arguments.calls)] {
        let mut measured: Vec<(&Peer, Vec<u32>)> = peers::all()
            .into_iter()
            .filter(|peer| peer.growth != Growth::Linear)
            .map(|peer| (peer, vec![u32::MAX; pattern.timed.len()]))
            .collect();
        let mut slots = vec![(std::ptr::null_mut(), 0); pattern.slots];
        for turn in 0..arguments.replays.max(3) {
            // Merging buddies searches lists: three replays take long enough.
            for (peer, least) in &mut measured {
                if peer.name == "buddy_system_allocator" && turn >= 3 {
                    continue;
                }
                // SAFETY: the region holds no live heap: `replay` frees all blocks of each.
                let heap = unsafe { Heap::new(peer, &region, POOL) };
                replay(&pattern, &heap, &mut slots, least);
            }
            eprintln!("latency: {} replay {}", pattern.name, turn + 1);
        }
        // The time of two stamps and an empty call.
        let null = measured
            .iter()
            .find(|(peer, _)| peer.kind == Kind::Null)
            .and_then(|(_, least)| least.iter().min().copied())
            .ok_or("the null allocator is not measured")?;
        for (name, is_malloc) in [("malloc", true), ("free", false)] {
            let title = format!("{} {name}", pattern.name);
            for (peer, least) in &measured {
                if peer.kind == Kind::Null {
                    continue;
                }
                let mut times: Vec<f64> = pattern
                    .timed
                    .iter()
                    .zip(least)
                    .filter(|&(call, &time)| {
                        matches!(call, Call::Malloc { .. }) == is_malloc && time != u32::MAX
                    })
                    .map(|(_, &time)| f64::from(time.saturating_sub(null)) / rate)
                    .collect();
                times.sort_by(f64::total_cmp);
                let at = |share: f64| {
                    times[((times.len() as f64 * share) as usize).min(times.len() - 1)]
                };
                let mut figures: Vec<f64> = SHARES.iter().map(|(_, share)| at(*share)).collect();
                figures.push(times[times.len() - 1]);
                let printed: Vec<String> = figures
                    .iter()
                    .map(|figure| format!("{figure:.0}"))
                    .collect();
                println!(
                    "latency {} {name} {} {}",
                    pattern.name,
                    peer.name,
                    printed.join(" ")
                );
                let mut row = vec![
                    pattern.name.to_owned(),
                    name.to_owned(),
                    peer.name.to_owned(),
                ];
                row.extend(figures.iter().map(|figure| format!("{figure:.1}")));
                rows.push(row);
                histogram.extend(buckets(&times).into_iter().map(|(ns, count)| {
                    vec![
                        pattern.name.to_owned(),
                        name.to_owned(),
                        peer.name.to_owned(),
                        format!("{ns}"),
                        count.to_string(),
                    ]
                }));
                summary.push((title.clone(), peer.name, figures));
            }
        }
    }
    ratios(&summary);
    let comment = record::comment(
        &arguments.command,
        &[
            format!(
                "{} replays, the smallest time of each call",
                arguments.replays
            ),
            format!("ns, {rate:.3} stamps each, less two stamps and an empty call"),
        ],
    );
    let out = record::root().join(&arguments.out);
    let columns = [
        "pattern",
        "call",
        "allocator",
        "p50",
        "p99",
        "p99.9",
        "p99.99",
        "max",
    ];
    record::write(&out, &comment, &columns, &rows)
        .map_err(|error| format!("{}: {error}", out.display()))?;
    let histograms = out.with_file_name("latency_histogram.csv");
    let columns = ["pattern", "call", "allocator", "from_ns", "calls"];
    record::write(&histograms, &comment, &columns, &histogram)
        .map_err(|error| format!("{}: {error}", histograms.display()))?;
    plots::LATENCY.save(&histograms, &out.with_extension("svg"))?;
    plots::README.save(&out, &out.with_file_name(plots::README.svg))?;
    Ok(true)
}

/// Lower ends of classes, ns, with numbers of calls. A class is 1 ns wide below 100 ns, and one
/// unit of the second digit wide above.
fn buckets(sorted: &[f64]) -> Vec<(u64, usize)> {
    let mut buckets: Vec<(u64, usize)> = Vec::new();
    for &time in sorted {
        let mut from = time as u64;
        if from >= 100 {
            let step = 10u64.pow(from.ilog10() - 1);
            from = from / step * step;
        }
        match buckets.last_mut() {
            Some((last, count)) if *last == from => *count += 1,
            _ => buckets.push((from, 1)),
        }
    }
    buckets
}

/// Prints memoman's p99.99 and largest time over the best peer's of each.
fn ratios(summary: &[(String, &str, Vec<f64>)]) {
    for (title, name, own) in summary {
        if *name != "memoman" {
            continue;
        }
        for (index, what) in [(3, "p99.99"), (4, "max")] {
            let best = summary
                .iter()
                .filter(|(other, peer, _)| other == title && *peer != "memoman")
                .min_by(|a, b| a.2[index].total_cmp(&b.2[index]));
            if let Some((_, peer, figures)) = best {
                println!(
                    "latency-ratio {title} {what} {:.3} {peer}",
                    own[index] / figures[index].max(1.0)
                );
            }
        }
    }
}
