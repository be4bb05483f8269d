//! The commands and their arguments.

use clap::{Parser, Subcommand};

use crate::error::Error;
use crate::{advise, export, import, map, plan, record, replay, report, top};

/// Records a program's heap, shows it, replays it, sizes its pool.
#[derive(Parser)]
#[command(name = "memoman", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

// One line a command here, and one in `run`.
#[derive(Subcommand)]
enum Command {
    Record(record::Args),
    Report(report::Args),
    Advise(advise::Args),
    Plan(plan::Args),
    Replay(replay::Args),
    Export(export::Args),
    Import(import::Args),
    Map(map::Args),
    Top(top::Args),
}

/// Runs the command that the arguments name.
pub(crate) fn run() -> Result<(), Error> {
    match Cli::parse().command {
        Command::Record(args) => record::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Advise(args) => advise::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Map(args) => map::run(&args),
        Command::Top(args) => top::run(&args),
    }
}
