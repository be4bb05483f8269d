//! `make fit`: how much of its pool each allocator can hand out.

use std::path::PathBuf;

use crate::peers::{self, Growth, Heap, Kind, Peer};
use crate::random::Random;
use crate::region::Region;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Operations of each measure
    #[arg(long, default_value_t = 1_000_000)]
    operations: usize,
    /// Seeds, each with sequences of its own
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// The results file; the plot lies beside it
    #[arg(long, default_value = "benches/results/fit.csv")]
    out: PathBuf,
    /// The command to name in the results file
    #[arg(long, default_value = "make fit")]
    command: String,
}

const MIB: usize = 1 << 20;

/// Live blocks and their requested sizes.
struct Held<'a> {
    heap: Heap<'a>,
    blocks: Vec<(*mut u8, usize)>,
    requested: usize,
}

impl<'a> Held<'a> {
    fn new(peer: &'a Peer, region: &Region, pool: usize) -> Held<'a> {
        Held {
            // SAFETY: the region holds no live heap: the blocks of the last one are out of use.
            heap: unsafe { Heap::new(peer, region, pool) },
            blocks: Vec::new(),
            requested: 0,
        }
    }

    fn take(&mut self, bytes: usize) -> bool {
        let block = self.heap.malloc(bytes);
        if block.is_null() {
            return false;
        }
        self.blocks.push((block, bytes));
        self.requested += bytes;
        true
    }

    fn drop_one(&mut self, random: &mut Random) {
        if self.blocks.is_empty() {
            return;
        }
        let (block, bytes) = self.blocks.swap_remove(random.below(self.blocks.len()));
        self.requested -= bytes;
        // SAFETY: `blocks` holds live blocks of this heap with their sizes; this one has left it.
        unsafe { self.heap.free(block, bytes) };
    }
}

/// Live blocks of one size that a pool of 1 MiB holds.
fn density(peer: &Peer, region: &Region, bytes: usize) -> f64 {
    let mut held = Held::new(peer, region, MIB);
    while held.take(bytes) {}
    held.blocks.len() as f64
}

/// Share of a 16 MiB pool that requests of 1 to 10,000 B, log-uniform, hold at the first failure:
/// in a new heap, and again after `operations` replacements of random blocks with nine tenths of
/// the first share live.
fn churn(peer: &Peer, region: &Region, operations: usize, seed: u64) -> (f64, f64) {
    let pool = 16 * MIB;
    let mut random = Random::new(seed);
    let mut held = Held::new(peer, region, pool);
    let fill = |held: &mut Held, random: &mut Random| {
        while held.take(random.log_uniform(1, 10_000)) {}
        held.requested as f64 / pool as f64
    };
    let fresh = fill(&mut held, &mut random);
    let level = (fresh * 0.9 * pool as f64) as usize;
    for _ in 0..operations {
        while held.requested > level {
            held.drop_one(&mut random);
        }
        // A failed request costs one live block; the next operation makes another request.
        if !held.take(random.log_uniform(1, 10_000)) {
            held.drop_one(&mut random);
        }
    }
    (fresh, fill(&mut held, &mut random))
}

/// Mean share of the pool that is held when a request fails, under permanent pressure: a failed
/// request is repeated, each time after a random block is freed, until it is served, so that the
/// mix of sizes stays that of the requests. The first tenth of the operations, in which the pool
/// fills, does not count. An operation is a request or a free.
fn pressure(
    peer: &Peer,
    region: &Region,
    pool: usize,
    operations: usize,
    random: &mut Random,
    size: impl Fn(&mut Random) -> usize,
) -> f64 {
    let mut held = Held::new(peer, region, pool);
    let (mut sum, mut failures) = (0.0, 0);
    let mut operation = 0;
    while operation < operations {
        let bytes = size(random);
        if !held.take(bytes) {
            if operation > operations / 10 {
                sum += held.requested as f64 / pool as f64;
                failures += 1;
            }
            operation += 1;
            loop {
                held.drop_one(random);
                operation += 2;
                if held.take(bytes) {
                    break;
                }
            }
        } else {
            operation += 1;
        }
    }
    sum / f64::from(failures)
}

/// The measures of one allocator with one seed.
fn measure(peer: &Peer, region: &Region, operations: usize, seed: u64) -> Vec<(&'static str, f64)> {
    let (fresh, churned) = churn(peer, region, operations, seed);
    let mut random = Random::new(seed + 1000);
    let log_uniform = |random: &mut Random| random.log_uniform(1, 10_000);
    let mixed = pressure(peer, region, 16 * MIB, operations, &mut random, log_uniform);
    // Ten recurring sizes.
    let mut random = Random::new(seed + 2000);
    let sizes: Vec<usize> = (0..10).map(|_| random.log_uniform(1, 10_000)).collect();
    let ten = |random: &mut Random| sizes[random.below(10)];
    let recurring = pressure(peer, region, MIB, operations, &mut random, ten);
    vec![
        ("fresh", fresh),
        ("churn", churned),
        ("pressure", mixed),
        ("recurring", recurring),
    ]
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let region = Region::new(16 * MIB);
    let mut rows = Vec::new();
    let add = |measure: &str, name: &'static str, figures: &[f64], rows: &mut Vec<Vec<String>>| {
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = figures.iter().copied().fold(0.0, f64::max);
        println!("fit {measure} {name} {least:.3} {mean:.3} {most:.3}");
        let mut row = vec![measure.to_owned(), name.to_owned()];
        row.extend([least, mean, most].map(|figure| format!("{figure:.4}")));
        row.push(figures.len().to_string());
        rows.push(row);
    };
    // A search that grows with the heap would need hours.
    let compared = peers::PEERS
        .iter()
        .filter(|peer| match peer.kind {
            Kind::Pool => peer.growth != Growth::Linear,
            kind => kind == Kind::Cached,
        });
    for peer in compared {
        for (name, bytes) in [("blocks-24", 24), ("blocks-64", 64), ("blocks-1024", 1024)] {
            add(name, peer.name, &[density(peer, &region, bytes)], &mut rows);
        }
        let by_seed: Vec<_> = (1..=arguments.seeds)
            .map(|seed| measure(peer, &region, arguments.operations, seed))
            .collect();
        for index in 0..by_seed[0].len() {
            let figures: Vec<f64> = by_seed.iter().map(|measures| measures[index].1).collect();
            add(by_seed[0][index].0, peer.name, &figures, &mut rows);
        }
    }
    let comment = record::comment(
        &arguments.command,
        &[format!(
            "{} operations, seeds 1 to {}",
            arguments.operations, arguments.seeds
        )],
    );
    let out = record::root().join(&arguments.out);
    let columns = ["measure", "allocator", "least", "mean", "most", "seeds"];
    record::write(&out, &comment, &columns, &rows)
        .map_err(|error| format!("{}: {error}", out.display()))?;
    plots::FIT.save(&out, &out.with_extension("svg"))?;
    Ok(true)
}
