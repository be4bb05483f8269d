//! `make plots`: draws every plot of `benches/results` from the csv files there.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Draws the plots of the results folder from its csv files; measures nothing.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The folder of the csv files and the plots
    #[arg(long, default_value = "benches/results")]
    results: PathBuf,
}

fn main() -> ExitCode {
    let results = record::root().join(Arguments::parse().results);
    let mut outcome = ExitCode::SUCCESS;
    for plot in plots::ALL {
        match plot.save(&results.join(plot.csv), &results.join(plot.svg)) {
            Ok(()) => println!("plot {} {}", plot.svg, plot.csv),
            Err(error) => {
                eprintln!("plots: {error}");
                outcome = ExitCode::FAILURE;
            }
        }
    }
    outcome
}
