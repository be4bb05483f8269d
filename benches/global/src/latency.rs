//! `make latency-global`: how long single calls of malloc and free take while two threads are busy,
//! under each preloaded allocator and under the shim in its real-time configuration. The program is
//! `benches/programs/latency.c`.
//!
//! The allocators take turns. Percentiles are those of all repetitions together. The largest time
//! is the least of the repetitions' largest times: a disturbance of the machine in one repetition
//! drops out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Turns of each thread in a repetition
    #[arg(long, default_value_t = 1_000_000)]
    turns: u64,
    /// Repetitions
    #[arg(long, default_value_t = 5)]
    repetitions: u32,
    /// The shim
    #[arg(long, default_value = "dist/libmemoman_preload.so")]
    shim: PathBuf,
    /// Where the results go, csv; the plot lies beside it
    #[arg(long, default_value = "benches/results/latency_global.csv")]
    out: PathBuf,
}

const CALLS: [&str; 3] = ["malloc", "free", "nothing"];
const SHARES: [f64; 6] = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
const REAL_TIME: &str = "memoman, real-time";

/// The times of one kind of call.
#[derive(Default)]
struct Times {
    /// Calls by nanoseconds; the key is the bit pattern of a positive `f64`, which keeps order.
    classes: BTreeMap<u64, u64>,
    calls: u64,
    sum: f64,
    greatest: Vec<f64>,
}

impl Times {
    /// The time that `share` of the calls do not exceed, rounded down to its class.
    fn at(&self, share: f64) -> f64 {
        let place = (share * self.calls as f64).ceil() as u64;
        let mut passed = 0;
        self.classes
            .iter()
            .find(|(_, count)| {
                passed += **count;
                passed >= place
            })
            .map_or(0.0, |(time, _)| f64::from_bits(*time))
    }

    fn mean(&self) -> f64 {
        self.sum / self.calls.max(1) as f64
    }

    fn greatest(&self) -> f64 {
        self.greatest.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Runs the program once and adds its counts to `into`.
fn run(
    program: &Path,
    turns: u64,
    peer: &Peer,
    into: &mut BTreeMap<&'static str, Times>,
) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg(turns.to_string()).env_remove("LD_PRELOAD");
    if let Some(library) = &peer.library {
        command.env("LD_PRELOAD", library);
    }
    command.envs(peer.environment.iter().copied());
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", peer.name, output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let bad = |line: &str| format!("{}: {line}?", peer.name);
    let mut rate = 0.0;
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if let ["rate", value] = fields[..] {
            rate = value.parse().map_err(|_| bad(line))?;
            continue;
        }
        let [what, ticks, count] = fields[..] else {
            return Err(bad(line));
        };
        let ticks: u64 = ticks.parse().map_err(|_| bad(line))?;
        let count: u64 = count.parse().map_err(|_| bad(line))?;
        if what == "ordinary" {
            if ticks != 0 {
                eprintln!(
                    "latency-global: SCHED_FIFO is not permitted: times include other programs"
                );
            }
            continue;
        }
        let (call, part) = what.split_once('-').unwrap_or((what, ""));
        let call = CALLS
            .into_iter()
            .find(|known| *known == call)
            .ok_or_else(|| bad(line))?;
        let times = into.entry(call).or_default();
        let nanoseconds = ticks as f64 / rate;
        match part {
            "sum" => {
                times.sum += nanoseconds;
                times.calls += count;
            }
            "most" => times.greatest.push(nanoseconds),
            _ => *times.classes.entry(nanoseconds.to_bits()).or_default() += count,
        }
    }
    Ok(())
}

struct Peer {
    name: &'static str,
    library: Option<PathBuf>,
    environment: &'static [(&'static str, &'static str)],
}

type Found = Vec<(&'static str, BTreeMap<&'static str, Times>)>;

pub(crate) fn measure(arguments: &Arguments) -> Result<(), String> {
    let root = record::root();
    let program = root.join("target/benches/latency-global-program");
    let built = Command::new("gcc")
        .args(["-O2", "-Wall", "-Wextra", "-o"])
        .arg(&program)
        .arg(root.join("benches/programs/latency.c"))
        .arg("-lpthread")
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("latency.c does not compile".into());
    }
    let shim = arguments
        .shim
        .canonicalize()
        .map_err(|error| format!("{}: {error}", arguments.shim.display()))?;
    let mut peers: Vec<Peer> = peers::allocators(&shim)
        .into_iter()
        .map(|allocator| Peer {
            name: allocator.name,
            library: allocator.library,
            environment: &[],
        })
        .collect();
    peers.insert(
        1,
        Peer {
            name: REAL_TIME,
            library: Some(shim),
            environment: &[
                ("MEMOMAN_RESERVE", "64M"),
                ("MEMOMAN_GROW", "0"),
                ("MEMOMAN_LOCK", "1"),
            ],
        },
    );
    let mut found: Found = peers
        .iter()
        .map(|peer| (peer.name, BTreeMap::new()))
        .collect();
    for repetition in 1..=arguments.repetitions {
        eprintln!(
            "latency-global: repetition {repetition} of {}",
            arguments.repetitions
        );
        for (peer, (_, times)) in peers.iter().zip(&mut found) {
            run(&program, arguments.turns, peer, times)?;
        }
    }
    report(arguments, &found)
}

fn report(arguments: &Arguments, found: &Found) -> Result<(), String> {
    let mut rows = Vec::new();
    for call in CALLS {
        for (name, calls) in found {
            let times = calls
                .get(call)
                .filter(|times| times.calls > 0)
                .ok_or(format!("{name}: no {call} is counted"))?;
            let mut figures: Vec<f64> = SHARES.iter().map(|share| times.at(*share)).collect();
            figures.extend([times.greatest(), times.mean()]);
            let figures = figures.iter().map(|figure| format!("{figure:.0}"));
            let mut row = vec![call.to_owned(), (*name).to_owned(), times.calls.to_string()];
            row.extend(figures);
            println!("latency {call} {} {}", name, row[3..].join(" "));
            rows.push(row);
        }
    }
    for call in ["malloc", "free"] {
        for (_, calls) in found.iter().filter(|(name, _)| *name == REAL_TIME) {
            let times = &calls[call];
            println!(
                "latency-max-over-mean {call} {:.0}",
                times.greatest() / times.mean()
            );
        }
    }
    let comment = record::comment(
        "make latency-global",
        &[format!(
            "{} repetitions of {} turns in each of 2 threads; ns; max: least of the repetitions'",
            arguments.repetitions, arguments.turns
        )],
    );
    record::write(
        &arguments.out,
        &comment,
        &[
            "call",
            "allocator",
            "calls",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "p99.99",
            "p99.999",
            "max",
            "mean",
        ],
        &rows,
    )
    .map_err(|error| error.to_string())?;
    plots::LATENCY_GLOBAL.save(&arguments.out, &arguments.out.with_extension("svg"))
}
