//! `make constant`: the same states in ever larger heaps cost the same instructions.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::wcet::Build;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The largest number of free blocks, and of calls in a heap's history
    #[arg(long, default_value_t = 1_000_000)]
    limit: u64,
    /// The folder of programs and builds
    #[arg(long, default_value = "target/instructions")]
    work: PathBuf,
    /// The results file
    #[arg(long, default_value = "benches/results/constant.csv")]
    out: PathBuf,
    /// The command to name in the results file
    #[arg(long, default_value = "make constant")]
    command: String,
}

/// The counts of one state in all surroundings.
#[derive(Default)]
struct Range {
    order: usize,
    measured: usize,
    least: Option<(u64, String)>,
    most: Option<(u64, String)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let root = record::root();
    let library = Build::Release.library(&root.join(&arguments.work))?;
    let program = library.program("constant")?;
    let counts = library.count(
        &program,
        &["--instr-atstart=no"],
        &[arguments.limit.to_string()],
    )?;

    let mut ranges: BTreeMap<String, Range> = BTreeMap::new();
    let mut surroundings: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for count in counts {
        let (state, around) = count
            .name
            .split_once(" @ ")
            .ok_or(format!("{} names no surroundings", count.name))?;
        if surroundings.last().is_none_or(|last| last != around) {
            surroundings.push(around.to_owned());
        }
        let order = ranges.len();
        let range = ranges.entry(state.to_owned()).or_insert(Range {
            order,
            ..Range::default()
        });
        range.measured += 1;
        let this = (count.instructions, around.to_owned());
        if range.least.as_ref().is_none_or(|least| this.0 < least.0) {
            range.least = Some(this.clone());
        }
        if range.most.as_ref().is_none_or(|most| this.0 > most.0) {
            range.most = Some(this);
        }
        rows.push(row(state, around, count.instructions));
    }

    let mut constant = !ranges.is_empty();
    let mut ranges: Vec<_> = ranges.into_iter().collect();
    ranges.sort_by_key(|(_, range)| range.order);
    for (state, range) in &ranges {
        let (Some((least, at_least)), Some((most, at_most))) = (&range.least, &range.most) else {
            continue;
        };
        println!("constant {state} {least} {most}");
        if least != most {
            eprintln!("constant: {state}: {least} with {at_least}; {most} with {at_most}");
            constant = false;
        }
        if range.measured != surroundings.len() {
            eprintln!(
                "constant: {state}: measured {} times in {} heaps",
                range.measured,
                surroundings.len()
            );
            constant = false;
        }
    }
    let comment = record::comment(
        &arguments.command,
        &[
            record::first_line("valgrind", &["--version"]),
            format!("{} heaps", surroundings.len()),
        ],
    );
    let columns = [
        "state",
        "varied",
        "free_blocks",
        "pools",
        "fill_percent",
        "history",
        "seed",
        "instructions",
    ];
    record::write(&root.join(&arguments.out), &comment, &columns, &rows)
        .map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    Ok(constant)
}

/// "pools free_blocks=1 pools=2 …" as columns.
fn row(state: &str, around: &str, instructions: u64) -> Vec<String> {
    let mut row = vec![state.to_owned()];
    row.extend(around.split(' ').map(|word| {
        word.split_once('=')
            .map_or(word, |(_, value)| value)
            .to_owned()
    }));
    row.push(instructions.to_string());
    row
}
