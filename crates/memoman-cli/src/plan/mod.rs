//! `memoman plan`: a pool size that is guaranteed for every order of calls within a promise, from
//! the classes of blocks alone.
//!
//! `input` reads the promise; `geometry` has the sizes of blocks; `bound` the formulas; `game` and
//! `attack` play against memoman's own core; `code` and `evidence` write what follows.

#[allow(unsafe_code, reason = "frees and resizes blocks of the played heap")]
mod attack;
mod bound;
mod code;
mod evidence;
#[allow(unsafe_code, reason = "frees and resizes blocks of the played heap")]
mod game;
mod geometry;
mod input;
mod text;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;
use crate::output::Output;
use bound::{Part, Single};
use input::Promise;

/// Plans a pool that serves every order of calls, from the classes of blocks alone.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: memoman plan classes.toml --code heap.h --evidence heap.md")]
pub(crate) struct Args {
    /// The classes: [[class]] with name, size, count; align, varies, lifetime where they matter.
    classes: PathBuf,
    /// Word size of the target, 32 or 64; default: the file's, else this machine's.
    #[arg(long, value_name = "N")]
    bits: Option<u32>,
    /// Most states of the game that looks for the exact size; 0: no game.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    states: usize,
    /// Writes the C code to a file, not to the output.
    #[arg(long, value_name = "FILE")]
    code: Option<PathBuf>,
    /// Writes a page for reviewers: assumptions, proof, figures, what remains for them.
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Everything that follows from a promise.
#[derive(Serialize)]
struct Plan {
    file: String,
    promise: Promise,
    single: Single,
    /// What the game has shown of the single pool.
    game: Game,
    /// Bytes for blocks that an adversarial search took of the single pool.
    searched: Option<Searched>,
    parts: Vec<Part>,
    parts_total: u64,
    /// Bytes of the single pool, the game's size where it has one, and its control structure.
    single_total: u64,
    advice: Advice,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Advice {
    Parts,
    Single,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase", tag = "result")]
enum Game {
    /// The smallest size for blocks that no order of calls exhausts.
    Exact {
        usable: u64,
        states: usize,
        one_quantum_less_is_refused: bool,
    },
    /// The cap of states was reached: no order among those refuted the size by formula.
    Unfinished { states: usize, worst: u64 },
    /// Not played.
    None { why: String },
}

#[derive(Serialize)]
struct Searched {
    sequences: usize,
    worst: u64,
}

/// Calls of the adversarial search: about a second.
const CALLS: usize = 3_000_000;
const SEED: u64 = 17;

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let name = args.classes.display();
    let fails = |what: &dyn std::fmt::Display| Error::failed(format_args!("{name}: {what}"));
    let text = fs::read_to_string(&args.classes).map_err(|error| fails(&error))?;
    let promise = input::parse(&text, args.bits).map_err(|error| fails(&error))?;
    let plan = plan(name.to_string(), promise, args.states).map_err(Error::Failed)?;
    if let Some(path) = &args.evidence {
        Output::write(path, &evidence::page(&plan))?;
    }
    if let Some(path) = &args.code {
        Output::write(path, &code::header(&plan))?;
    }
    let mut out = Output::create(Path::new("-"))?;
    if args.json {
        out.json(&plan)?;
    } else {
        out.bytes(text::report(&plan).as_bytes())?;
        if args.code.is_none() {
            out.line(format_args!("\nC code:\n\n{}", code::header(&plan)))?;
        }
    }
    out.finish()
}

fn plan(file: String, promise: Promise, states: usize) -> Result<Plan, String> {
    let mut single = bound::single(&promise);
    let parts = bound::partition(&promise);
    let most = 1 << (promise.bits.min(48) - 1);
    if single.pool >= most || parts.iter().any(|part| part.pool >= most) {
        return Err(format!(
            "{file}: the blocks take more than any pool has: {} bytes",
            most
        ));
    }
    let game = play(&file, &promise, &single, states)?;
    let searched = if promise.bits == usize::BITS && promise.order == input::Order::Any {
        attack::search(&promise, single.usable, CALLS, SEED)
    } else {
        None
    };
    if searched.is_some_and(|found| found.refused) {
        return Err(refuted(&file));
    }
    if let Game::Exact { usable, .. } = game {
        single.pool = usable + promise.geometry().pool_cost();
    }
    let parts_total = parts.iter().map(Part::total).sum();
    let single_total = single.total();
    Ok(Plan {
        file,
        promise,
        single,
        game,
        searched: searched.map(|found| Searched {
            sequences: found.sequences,
            worst: found.worst,
        }),
        parts,
        parts_total,
        single_total,
        advice: if parts_total <= single_total {
            Advice::Parts
        } else {
            Advice::Single
        },
    })
}

fn refuted(file: &str) -> String {
    format!("{file}: the core refused a request in a pool of the size by formula; please report it")
}

fn play(file: &str, promise: &Promise, single: &Single, states: usize) -> Result<Game, String> {
    let none = |why: &str| Ok(Game::None { why: why.into() });
    if let Some(why) = game::unplayable(promise) {
        return none(why);
    }
    if states == 0 {
        return none("--states 0");
    }
    let Some(played) = game::play(promise, single.usable, states) else {
        return none("the pool is too large for the game");
    };
    if played.refused.is_some() {
        return Err(refuted(file));
    }
    if !played.complete {
        return Ok(Game::Unfinished {
            states: played.states,
            worst: played.worst,
        });
    }
    Ok(
        match game::exact(promise, played.worst, single.usable, states) {
            Some(exact) => Game::Exact {
                usable: exact.usable,
                states: exact.states,
                one_quantum_less_is_refused: exact.one_less.is_some(),
            },
            None => Game::Unfinished {
                states: played.states,
                worst: played.worst,
            },
        },
    )
}
