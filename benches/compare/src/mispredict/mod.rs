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
use trace::{Branch, Code, Counts};

/// Calls between two looks at their number.
const PIECE: usize = 4096;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Counted calls; as many go before them
    #[arg(long, default_value_t = 20_000)]
    calls: usize,
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
    calls: usize,
}

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
    let mut rows = Vec::new();
    for workload in &WORKLOADS {
        if !wanted(workload.name, &arguments.workloads) {
            continue;
        }
        println!("# {} {}", workload.name, workload.what);
        let null = Figures::of(&code.run(workload.name, "null", arguments.calls)?);
        let compared = peers::PEERS.iter().filter(|peer| {
            !matches!(peer.kind, Kind::Null | Kind::System)
                && peer.growth != Growth::Linear
                && wanted(peer.name, &arguments.peers)
                && (!workload.needs_memalign || peer.memalign.is_some())
        });
        for peer in compared {
            let counts = code.run(workload.name, peer.name, arguments.calls)?;
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
            format!("{} calls, after as many", arguments.calls),
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
    let mut go = || -> Result<u64, crate::workloads::Exhausted> {
        workload.prepare(&heap)?;
        let mut counted = 0;
        for phase in 1..=2 {
            trace::mark(phase);
            counted = 0;
            while counted < arguments.calls as u64 {
                counted += workload.go_on(&heap, PIECE)? as u64;
            }
        }
        trace::mark(3);
        Ok(counted)
    };
    let calls = go().map_err(|_| "out of memory".to_owned())?;
    workload.finish(&heap);
    eprintln!("calls {calls}");
    Ok(true)
}

/// Prints where the marked function lies.
pub(crate) fn place() -> Result<bool, String> {
    trace::print_place();
    Ok(true)
}
