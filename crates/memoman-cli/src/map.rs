//! `memoman map`: a picture of one dump (`docs/book/dump-format.md`).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
use crate::output::Output;
use crate::text;

/// Draws a dump of mm_dump (JSON lines): each pool in rows, addresses from left to right.
#[derive(clap::Args)]
#[command(after_help = "Example: memoman map dump.jsonl -o map.svg")]
pub(crate) struct Args {
    /// The dump; - is the standard input.
    dump: PathBuf,
    /// The picture to write; - is the standard output.
    #[arg(short, long)]
    output: PathBuf,
    /// Bytes in a row; 0 chooses.
    #[arg(long, default_value_t = 0)]
    row: u64,
}

/// A line of the dump: the keys that the picture needs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    memoman_dump: Option<u32>,
    header: u64,
    pools: Vec<Pool>,
    pool: Option<usize>,
    at: u64,
    size: u64,
    state: String,
    bin: Option<u64>,
    broken: Option<serde_json::Value>,
    end: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
struct Pool {
    at: u64,
    size: u64,
}

struct Block {
    pool: usize,
    /// The first byte of its header.
    start: u64,
    size: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Used,
    Free,
    Wilderness,
    Quarantine,
}

/// A dump.
struct Dump {
    pools: Vec<Pool>,
    blocks: Vec<Block>,
    /// Lines about faults.
    broken: Vec<String>,
    whole: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let text = if args.dump == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(&args.dump)
    };
    let name = args.dump.display();
    let text = text.map_err(|error| Error::failed(format_args!("cannot read {name}: {error}")))?;
    let dump = parse(&text).map_err(|why| Error::failed(format_args!("{name}: {why}")))?;
    if !dump.whole {
        eprintln!("memoman: {name}: the dump is cut: the picture shows what is there");
    }
    for line in &dump.broken {
        eprintln!("memoman: {name}: {line}");
    }
    let mut out = Output::create(&args.output)?;
    out.bytes(draw(&dump, args.row).as_bytes())?;
    out.finish()
}

fn parse(text: &str) -> Result<Dump, String> {
    let mut lines = text.lines();
    let first: Line = lines
        .next()
        .filter(|line| line.starts_with('{'))
        .and_then(|line| serde_json::from_str(line).ok())
        .ok_or("not a dump of mm_dump with MM_DUMP_JSON")?;
    match first.memoman_dump {
        Some(1) => {}
        Some(version) => {
            return Err(format!(
                "a dump of version {version}, which needs a newer memoman"
            ));
        }
        None => return Err("not a dump of mm_dump with MM_DUMP_JSON".to_owned()),
    }
    let mut dump = Dump {
        pools: first.pools,
        blocks: Vec::new(),
        broken: Vec::new(),
        whole: false,
    };
    for (number, line) in lines.enumerate() {
        // The last line of a dump that was cut may have no end.
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            dump.broken.push(format!("line {} is no JSON", number + 2));
            continue;
        };
        if let Some(fault) = line.broken.filter(|fault| fault.is_object()) {
            dump.broken.push(format!("broken: {fault}"));
        }
        dump.whole |= line.end.is_some();
        let Some(pool) = line.pool else { continue };
        let state = match (line.state.as_str(), line.bin) {
            ("used", _) => State::Used,
            ("free", Some(0)) => State::Wilderness,
            ("free", _) => State::Free,
            _ => State::Quarantine,
        };
        let start = line.at.saturating_sub(first.header);
        let inside = dump.pools.get(pool).is_some_and(|place| {
            start >= place.at
                && start.saturating_add(line.size) <= place.at.saturating_add(place.size)
        });
        if !inside {
            dump.broken
                .push(format!("line {}: the block is in no pool", number + 2));
            continue;
        }
        dump.blocks.push(Block {
            pool,
            start,
            size: line.size,
            state,
        });
    }
    Ok(dump)
}

const WIDTH: f64 = 960.0;
const ROW: f64 = 14.0;
const STYLE: &str = "\
svg{font:12px sans-serif;background:#fff}text{fill:#333}.p{fill:#ddd}.u{fill:#2f6f9f}.f{fill:#fff}\
.w{fill:#f2f7ea}.q{fill:#c98a2b}rect{stroke:#fff;stroke-width:.4}\
@media(prefers-color-scheme:dark){svg{background:#181818}text{fill:#ccc}.p{fill:#444}\
.u{fill:#6db3e6}.f{fill:#181818}.w{fill:#24301a}.q{fill:#e0a94a}rect{stroke:#181818}}";

/// The picture: a row is a stretch of addresses of one pool.
fn draw(dump: &Dump, row: u64) -> String {
    use std::fmt::Write;
    let total: u64 = dump
        .pools
        .iter()
        .map(|pool| pool.size)
        .fold(0, u64::saturating_add);
    let row = match row {
        // At most some 96 rows in all.
        0 => (total / 96).next_power_of_two().max(256),
        given => given.max(total / 4096).max(16),
    };
    let mut body = String::new();
    let mut y = 44.0;
    let (mut used, mut free) = (0u64, 0u64);
    for (index, pool) in dump.pools.iter().enumerate() {
        let _ = write!(
            body,
            "<text x=\"10\" y=\"{:.0}\">pool {index}: {:#x}, {}</text>",
            y + 12.0,
            pool.at,
            text::bytes(pool.size)
        );
        y += 20.0;
        let mut piece = |start: u64, size: u64, class: &str, title: &str| {
            // A block may go over several rows.
            let mut from = start - pool.at;
            let end = from + size;
            while from < end {
                let line = from / row;
                let to = end.min((line + 1).saturating_mul(row));
                let scale = WIDTH / row as f64;
                let _ = write!(
                    body,
                    "<rect class=\"{class}\" x=\"{:.2}\" y=\"{:.1}\" width=\"{:.2}\" \
                     height=\"{ROW}\">\
                     <title>{title}</title></rect>",
                    10.0 + (from - line * row) as f64 * scale,
                    y + line as f64 * (ROW + 1.0),
                    (to - from) as f64 * scale,
                );
                from = to;
            }
        };
        piece(
            pool.at,
            pool.size,
            "p",
            "the pool's own, or missing from the dump",
        );
        for block in dump.blocks.iter().filter(|block| block.pool == index) {
            let (class, state) = match block.state {
                State::Used => ("u", "used"),
                State::Free => ("f", "free"),
                State::Wilderness => ("w", "free, the wilderness"),
                State::Quarantine => ("q", "quarantine"),
            };
            match block.state {
                State::Used | State::Quarantine => used += block.size,
                State::Free | State::Wilderness => free += block.size,
            }
            let title = format!("{:#x}: {} bytes, {state}", block.start, block.size);
            piece(block.start, block.size, class, &title);
        }
        y += (pool.size.div_ceil(row) as f64) * (ROW + 1.0) + 10.0;
    }
    let cut = if dump.whole { "" } else { "; the dump is cut" };
    let broken = match dump.broken.len() {
        0 => String::new(),
        count => format!("; {count} fault(s)"),
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 980 {y:.0}\" width=\"980\" \
         height=\"{y:.0}\"><style>{STYLE}</style><text x=\"10\" y=\"20\">{} used, {} free, {} in a \
         row{cut}{broken}</text><text x=\"10\" y=\"38\">blue used, empty free, green the \
         wilderness, \
         orange quarantine, grey the pool's own</text>{body}</svg>\n",
        text::bytes(used),
        text::bytes(free),
        text::bytes(row),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = r#"{"memoman_dump":1,"header":8,"pools":[{"at":96512,"size":4096}]}
{"pool":0,"at":96560,"size":112,"state":"used"}
{"pool":0,"at":96672,"size":208,"state":"free","bin":13}
{"pool":0,"at":96880,"size":304,"state":"used"}
{"pool":0,"at":97184,"size":3424,"state":"free","bin":0}
{"end":4,"broken":0}
"#;

    #[test]
    fn a_dump_is_drawn() {
        let dump = parse(DUMP).unwrap();
        assert!(dump.whole && dump.broken.is_empty());
        let picture = draw(&dump, 4096);
        assert_eq!(picture.matches("class=\"u\"").count(), 2);
        assert_eq!(picture.matches("class=\"f\"").count(), 1);
        assert_eq!(picture.matches("class=\"w\"").count(), 1);
        assert!(picture.contains("416 B used, 3.55 KiB free"));
        assert!(!picture.contains("cut"));
        // In rows of 256 bytes, the wilderness takes 14 or 15.
        let rows = draw(&dump, 256).matches("class=\"w\"").count();
        assert!((14..=15).contains(&rows));
    }

    #[test]
    fn what_a_dump_lacks_is_said() {
        let cut = &DUMP[..DUMP.len() - 30];
        let dump = parse(cut).unwrap();
        assert!(!dump.whole);
        assert!(draw(&dump, 0).contains("the dump is cut"));
        let outside = DUMP.replace("\"at\":96880", "\"at\":5");
        assert_eq!(parse(&outside).unwrap().broken.len(), 1);
        let fault = DUMP.replace("{\"end\"", "{\"broken\":{\"invariant\":5}}\n{\"end\"");
        assert_eq!(parse(&fault).unwrap().broken.len(), 1);
        assert!(parse("").is_err() && parse("[1]\n").is_err());
        assert!(
            parse("{\"memoman_dump\":2}")
                .err()
                .unwrap()
                .contains("version 2")
        );
    }
}
