//! `make bench`: every workload with every allocator, interleaved; medians, less the cost of the
//! harness.

use std::path::PathBuf;

use crate::peers::{self, Growth, Heap, Kind, Peer};
use crate::region::{self, Region};
use crate::workloads::{Description, POOL, WORKLOADS};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Repetitions of each workload with each allocator
    #[arg(long, default_value_t = 9)]
    repetitions: usize,
    /// Milliseconds of each repetition
    #[arg(long, default_value_t = 120)]
    milliseconds: u64,
    /// Seven short repetitions: for a look, not for a record
    #[arg(long)]
    quick: bool,
    /// Only these workloads
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Only these allocators, besides the null one and memoman
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// The results file; the plot lies beside it
    #[arg(long, default_value = "benches/results/bench.csv")]
    out: PathBuf,
    /// The command to name in the results file
    #[arg(long, default_value = "make bench")]
    command: String,
}

/// Nanoseconds for one call of one allocator in one workload, harness included.
struct Cell {
    peer: &'static Peer,
    times: Vec<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let (repetitions, milliseconds) = if arguments.quick {
        (7, 20)
    } else {
        (arguments.repetitions.max(7), arguments.milliseconds)
    };
    region::pin();
    let region = Region::new(POOL);
    let wanted =
        |name: &str, list: &[String]| list.is_empty() || list.iter().any(|item| item == name);
    let workloads: Vec<&Description> = WORKLOADS
        .iter()
        .filter(|workload| wanted(workload.name, &arguments.workloads))
        .collect();
    let mut table: Vec<Vec<Cell>> = workloads
        .iter()
        .map(|workload| {
            peers::all()
                .into_iter()
                .filter(|peer| {
                    peer.kind == Kind::Null
                        || peer.name.starts_with("memoman")
                        || wanted(peer.name, &arguments.peers)
                })
                .filter(|peer| !workload.needs_memalign || peer.memalign.is_some())
                .map(|peer| Cell {
                    peer,
                    times: Vec::new(),
                })
                .collect()
        })
        .collect();

    for repetition in 0..repetitions {
        for (workload, cells) in workloads.iter().zip(&mut table) {
            // Each repetition begins with another allocator: none always follows the same one.
            let count = cells.len();
            for turn in 0..count {
                let cell = &mut cells[(turn + repetition) % count];
                if let Some(time) = measure(workload, cell.peer, &region, milliseconds * 1_000_000)
                {
                    cell.times.push(time);
                }
            }
        }
        eprintln!("bench: repetition {} of {repetitions}", repetition + 1);
    }
    report(arguments, &workloads, &table, repetitions, milliseconds)
}

/// Nanoseconds for one call; None when the allocator runs out of memory.
fn measure(workload: &Description, peer: &Peer, region: &Region, budget: u64) -> Option<f64> {
    // SAFETY: the region holds no live heap: `finish` has freed the blocks of the last one.
    let heap = unsafe { Heap::new(peer, region, POOL) };
    let mut workload = (workload.begin)();
    // An allocator that searches may need seconds for calls that take others a millisecond: it gets
    // fewer calls between two looks at the clock.
    let mut timed = || -> Result<f64, crate::workloads::Exhausted> {
        workload.prepare(&heap)?;
        for measured in [false, true] {
            let limit = if measured { budget } else { budget / 4 };
            let start = region::thread_time();
            let mut calls = 0;
            loop {
                calls += workload.go_on(
                    &heap,
                    if peer.growth == Growth::Linear {
                        200
                    } else {
                        4096
                    },
                )?;
                let spent = region::thread_time() - start;
                if spent >= limit {
                    if measured {
                        return Ok(spent as f64 / calls as f64);
                    }
                    break;
                }
            }
        }
        Err(crate::workloads::Exhausted)
    };
    let time = timed();
    workload.finish(&heap);
    time.ok()
}

pub(crate) fn median(times: &[f64]) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[n / 2]),
        n => Some((sorted[n / 2 - 1] + sorted[n / 2]) / 2.0),
    }
}

fn report(
    arguments: &Arguments,
    workloads: &[&Description],
    table: &[Vec<Cell>],
    repetitions: usize,
    milliseconds: u64,
) -> Result<bool, String> {
    let mut rows = Vec::new();
    let mut ratios = [Vec::new(), Vec::new(), Vec::new()];
    for (workload, cells) in workloads.iter().zip(table) {
        println!("# {} {}", workload.name, workload.what);
        let of = |kind: Kind| cells.iter().filter(move |cell| cell.peer.kind == kind);
        let null = of(Kind::Null)
            .find_map(|cell| median(&cell.times))
            .ok_or("the null allocator was not measured")?;
        let net = |cell: &Cell| median(&cell.times).map(|gross| gross - null);
        for cell in cells {
            let Some(gross) = median(&cell.times) else {
                println!("{:4} {:24} out of memory", workload.name, cell.peer.name);
                continue;
            };
            let least = cell.times.iter().copied().fold(f64::INFINITY, f64::min);
            let most = cell.times.iter().copied().fold(0.0, f64::max);
            println!(
                "{:4} {:24} {:9.2} ns a call, net {:9.2}",
                workload.name,
                cell.peer.name,
                gross,
                gross - null
            );
            rows.push(vec![
                workload.name.to_owned(),
                cell.peer.name.to_owned(),
                format!("{:?}", cell.peer.kind).to_lowercase(),
                format!("{gross:.3}"),
                format!("{:.3}", gross - null),
                format!("{least:.3}"),
                format!("{most:.3}"),
                cell.times.len().to_string(),
            ]);
        }
        let memoman = |kind| {
            of(kind)
                .find(|cell| cell.peer.name.starts_with("memoman"))
                .and_then(net)
        };
        let kinds = [
            (Kind::Pool, false),
            (Kind::Pool, true),
            (Kind::Cached, false),
        ];
        for (list, (kind, only_constant)) in ratios.iter_mut().zip(kinds) {
            let memoman = memoman(kind);
            let best = of(Kind::Pool)
                .filter(|cell| cell.peer.name != "memoman")
                .filter(|cell| !only_constant || cell.peer.growth == Growth::Constant)
                .filter_map(|cell| net(cell).map(|time| (time, cell.peer.name)))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            if let (Some(memoman), Some((best, name))) = (memoman, best) {
                list.push((workload.name, memoman / best, name));
            }
        }
    }
    // memoman over the best pool allocator, over the best one whose calls are O(1), and, with its
    // cache, over the best pool allocator.
    let names = ["ratio", "ratio-among-constant-time", "ratio-cached"];
    for (list, what) in ratios.iter().zip(names) {
        for (workload, ratio, name) in list {
            println!("{what} {workload} {ratio:.3} {name}");
        }
        if !list.is_empty() {
            let sum: f64 = list.iter().map(|(_, ratio, _)| ratio.ln()).sum();
            println!(
                "{what} mean {:.3} geometric",
                (sum / list.len() as f64).exp()
            );
        }
    }

    let comment = record::comment(
        &arguments.command,
        &[
            format!("{repetitions} repetitions of {milliseconds} ms"),
            "thread time; net: less the null allocator's".to_owned(),
        ],
    );
    let columns = [
        "workload",
        "allocator",
        "kind",
        "median_ns_per_call",
        "net_ns_per_call",
        "least_ns",
        "most_ns",
        "repetitions",
    ];
    let out = record::root().join(&arguments.out);
    record::write(&out, &comment, &columns, &rows)
        .map_err(|error| format!("{}: {error}", out.display()))?;
    plots::BENCH.save(&out, &out.with_extension("svg"))?;
    Ok(true)
}
