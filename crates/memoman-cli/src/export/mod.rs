//! `memoman export`: a trace in the formats of other viewers.

mod csv;

use std::path::PathBuf;

use clap::ValueEnum;

use crate::error::Error;
use crate::input;

/// Writes a trace in the format of another viewer.
#[derive(clap::Args)]
#[command(after_help = "Example: memoman export app.mmt --to csv -o app.csv")]
pub(crate) struct Args {
    /// The trace.
    trace: PathBuf,
    /// The format.
    #[arg(long)]
    to: Format,
    /// The file to write; - is the standard output.
    #[arg(short, long, default_value = "-")]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One line an event.
    Csv,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let trace = input::open(&args.trace)?;
    input::warn(&trace);
    match args.to {
        Format::Csv => csv::write(&trace, &args.output),
    }
}
