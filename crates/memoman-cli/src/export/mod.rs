//! `memoman export`: a trace in the formats of other viewers.

mod csv;
mod dhat;
mod folded;
mod heaptrack;
mod pprof;

use std::path::PathBuf;

use clap::ValueEnum;

use crate::error::Error;
use crate::input;

/// Writes a trace in the format of another viewer.
#[derive(clap::Args)]
#[command(after_help = "\
Example: memoman export app.mmt --to pprof -o app.pb.gz && go tool pprof -top app.pb.gz

Record with --stacks, else there are no functions to show.")]
pub(crate) struct Args {
    /// The trace.
    trace: PathBuf,
    /// The format.
    #[arg(long)]
    to: Format,
    /// What a folded line counts.
    #[arg(long, default_value = "allocated")]
    measure: Measure,
    /// The file to write; - is the standard output.
    #[arg(short, long, default_value = "-")]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For `go tool pprof`: bytes and blocks, allocated and live at the end.
    Pprof,
    /// For heaptrack_print and heaptrack_gui.
    Heaptrack,
    /// For the DHAT viewer of valgrind (dh_view.html).
    Dhat,
    /// Stacks on lines, for flame graphs: speedscope, inferno, flamegraph.pl.
    Folded,
    /// One line an event.
    Csv,
}

/// What counts.
#[derive(Clone, Copy, ValueEnum)]
enum Measure {
    /// Bytes that were allocated.
    Allocated,
    /// Bytes that are live at the end.
    Live,
    /// Bytes that were live at the moment when most were.
    Peak,
    /// Blocks that were allocated.
    Blocks,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let trace = input::open(&args.trace)?;
    input::warn(&trace);
    if trace.header().stacks == 0 && !matches!(args.to, Format::Csv) {
        eprintln!(
            "memoman: {}: no stacks were recorded, so there are no functions; \
             `memoman record --stacks 32` records them",
            args.trace.display()
        );
    }
    match args.to {
        Format::Pprof => pprof::write(&trace, &args.output),
        Format::Heaptrack => heaptrack::write(&trace, &args.output),
        Format::Dhat => dhat::write(&trace, &args.output),
        Format::Folded => folded::write(&trace, &args.output, args.measure),
        Format::Csv => csv::write(&trace, &args.output),
    }
}
