//! `make mispredict`: conditional branches that a predictor gets wrong, and instructions, for one
//! call of each allocator in each workload of `make bench`.
//!
//! The counts repeat exactly, unlike time; both are less those of the null allocator, the harness.

mod tage;
mod trace;

use std::path::PathBuf;

use clap::Args;

use crate::peers::{self, Growth, Heap, Kind, Peer};
use crate::region::Region;
use crate::workloads::{Description, POOL, WORKLOADS};
use trace::{Branch, Code, Counts, Length};

/// Calls of a piece, the unit in which a run is warmed up and counted.
const PIECE: usize = 512;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Counted calls; as many go before them
    #[arg(long, default_value_t = 20_000)]
    calls: usize,
    /// Instructions after which the counting ends before that number of calls, and so the warm-up:
    /// most calls of W5 copy
    #[arg(long, default_value_t = 25_000_000)]
    instructions: u64,
    /// Only these workloads
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// The allocators, or `all`
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "memoman,rlsf,talc,o1heap"
    )]
    peers: Vec<String>,
    /// Print so many of each allocator's branches, the worst first
    #[arg(long, default_value_t = 0)]
    top: usize,
    /// The results file
    #[arg(long, default_value = "benches/results/mispredict.csv")]
    out: PathBuf,
    /// The command to name in the results file
    #[arg(long, default_value = "make mispredict")]
    command: String,
}

/// The run that lackey traces.
#[derive(Args)]
pub(crate) struct Traced {
    workload: String,
    allocator: String,
    pieces: usize,
}

const NO_MEMORY: &str = "out of memory";

/// Figures for one call.
#[derive(Clone, Copy)]
struct Figures {
    missed: f64,
    branches: f64,
    instructions: f64,
}

impl Figures {
    fn of(counts: &Counts) -> Figures {
        let calls = counts.calls as f64;
        let sum = |of: fn(&Branch) -> u64| counts.branches.iter().map(of).sum::<u64>() as f64;
        Figures {
            missed: sum(|branch| branch.missed) / calls,
            branches: sum(|branch| branch.executed) / calls,
            instructions: counts.instructions as f64 / calls,
        }
    }

    fn less(self, null: Figures) -> Figures {
        Figures {
            missed: self.missed - null.missed,
            branches: self.branches - null.branches,
            instructions: self.instructions - null.instructions,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let code = Code::of_this_program()?;
    let wanted = |name: &str, list: &[String]| {
        list.is_empty() || list.iter().any(|item| item == name || item == "all")
    };
    let length = Length {
        pieces: arguments.calls.div_ceil(PIECE),
        instructions: arguments.instructions,
    };
    let mut rows = Vec::new();
    for workload in &WORKLOADS {
        if !wanted(workload.name, &arguments.workloads) {
            continue;
        }
        println!("# {} {}", workload.name, workload.what);
        let null = Figures::of(&code.run(workload.name, "null", length)?);
        let compared = peers::PEERS.iter().filter(|peer| {
            !matches!(peer.kind, Kind::Null | Kind::System)
                && peer.growth != Growth::Linear
                && wanted(peer.name, &arguments.peers)
                && (!workload.needs_memalign || peer.memalign.is_some())
        });
        for peer in compared {
            let counts = code.run(workload.name, peer.name, length)?;
            let net = Figures::of(&counts).less(null);
            println!(
                "mispredict {} {:16} {:6.3} of {:6.2} branches, {:7.1} instructions a call",
                workload.name, peer.name, net.missed, net.branches, net.instructions
            );
            print_worst(&counts, arguments.top);
            let mut row = vec![workload.name.to_owned(), peer.name.to_owned()];
            row.extend(
                [net.missed, net.branches, net.instructions].map(|value| format!("{value:.3}")),
            );
            rows.push(row);
        }
    }
    let comment = record::comment(
        &arguments.command,
        &[
            format!(
                "{} calls or {} instructions, after as many",
                length.pieces * PIECE,
                length.instructions
            ),
            "net: less the null allocator's".to_owned(),
        ],
    );
    let columns = [
        "workload",
        "allocator",
        "mispredictions_per_call",
        "branches_per_call",
        "instructions_per_call",
    ];
    let out = record::root().join(&arguments.out);
    record::write(&out, &comment, &columns, &rows)
        .map_err(|error| format!("{}: {error}", out.display()))?;
    Ok(true)
}

/// Prints the branches that are mispredicted most often.
fn print_worst(counts: &Counts, most: usize) {
    let mut branches = counts.branches.clone();
    branches.sort_by_key(|branch| std::cmp::Reverse(branch.missed));
    let calls = counts.calls as f64;
    for branch in branches.iter().take(most) {
        println!(
            "    {:.4} of {:.3}, taken {:.3}: {}",
            branch.missed as f64 / calls,
            branch.executed as f64 / calls,
            branch.taken as f64 / calls,
            branch.place
        );
    }
}

/// Runs one workload, marked for the trace.
pub(crate) fn traced(arguments: &Traced) -> Result<bool, String> {
    let find = |name: &str| format!("no '{name}'");
    let workload: &Description = WORKLOADS
        .iter()
        .find(|workload| workload.name == arguments.workload)
        .ok_or_else(|| find(&arguments.workload))?;
    let peer: &Peer = peers::PEERS
        .iter()
        .find(|peer| peer.name == arguments.allocator)
        .ok_or_else(|| find(&arguments.allocator))?;
    let region = Region::new(POOL);
    // SAFETY: the region holds no other heap.
    let heap = unsafe { Heap::new(peer, &region, POOL) };
    let mut workload = (workload.begin)();
    workload.prepare(&heap).map_err(|_| NO_MEMORY)?;
    // Until the reader of the trace has seen enough; nothing is freed at the end, which would be
    // traced, too.
    for _ in 0..arguments.pieces {
        trace::mark();
        let calls = workload.go_on(&heap, PIECE);
        trace::mark();
        eprintln!("calls {}", calls.map_err(|_| NO_MEMORY)?);
    }
    Ok(true)
}

/// Prints where the marked function lies.
pub(crate) fn place() -> Result<bool, String> {
    trace::print_place();
    Ok(true)
}
