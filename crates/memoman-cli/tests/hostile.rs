//! Every command on damaged and forged traces: it ends by itself, within bounded memory, with what
//! it was called for or with one line that says why not, and then without a part of the result.
//! `MEMOMAN_HOSTILE` is the number of traces; `fuzz/trace.c` has the reader alone, by coverage.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{Recording, memoman, run};

/// Numbers of a fixed sequence.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit.max(1)
    }
}

/// Bytes of a trace's header and of its units.
const UNIT: usize = 4096;

/// A trace with a few bytes changed, removed, added: in the header, in a chunk's head, in records.
fn damage(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..[1, 1, 2, 4, 16][random.below(5)] {
        let at = match random.below(5) {
            0 => random.below(160),
            1 => UNIT * (1 + random.below(bytes.len() / UNIT)) + random.below(64),
            _ => UNIT + 64 + random.below(2500),
        };
        if at + 9 > bytes.len() {
            continue;
        }
        match random.below(7) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at..][..random.below(9)].fill(0xff),
            3 => bytes[at..][..8].copy_from_slice(&(1u64 << random.below(64)).to_le_bytes()),
            4 => drop(bytes.drain(at..at + random.below(9))),
            5 => bytes.truncate(at),
            _ => bytes.extend_from_slice(&whole[UNIT..]),
        }
    }
    bytes
}

/// Runs it with at most 4 GiB of address space and a minute of processor time.
fn limited(command: &Command) -> Output {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -v 4194304; ulimit -t 60; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_remove("LD_PRELOAD");
    run(&mut shell)
}

/// The command ends as it must: the text is what it prints, the file what it writes.
fn ends_well(arguments: &[&str], trace: &Path, written: Option<&Path>) {
    if let Some(written) = written {
        let _ = std::fs::remove_file(written);
    }
    let mut command = memoman();
    command.arg(arguments[0]).arg(trace).args(&arguments[1..]);
    if let Some(written) = written {
        command.arg("-o").arg(written);
    }
    let output = limited(&command);
    let errors = String::from_utf8_lossy(&output.stderr);
    let kept = || {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile.mmt");
        let _ = std::fs::copy(trace, &kept);
        format!(
            "{arguments:?}, {}, {}: {errors}",
            kept.display(),
            output.status
        )
    };
    assert!(
        errors.lines().all(|line| line.starts_with("memoman: ")),
        "{}",
        kept()
    );
    match output.status.code() {
        Some(0) => assert!(
            written.is_none_or(Path::exists) && (written.is_some() || !output.stdout.is_empty()),
            "{}",
            kept()
        ),
        Some(1) => {
            assert!(!errors.is_empty() && output.stdout.is_empty(), "{}", kept());
            assert!(written.is_none_or(|path| !path.exists()), "{}", kept());
        }
        _ => panic!("{}", kept()),
    }
}

const COMMANDS: [&[&str]; 10] = [
    &["report"],
    &["advise", "--json"],
    &["export", "--to", "pprof"],
    &["replay", "--runs", "1"],
    &["export", "--to", "heaptrack"],
    &["report", "--by", "events"],
    &["advise"],
    &["export", "--to", "dhat"],
    &["export", "--to", "folded", "--measure", "peak"],
    &["export", "--to", "csv"],
];

/// How many traces.
fn count() -> usize {
    std::env::var("MEMOMAN_HOSTILE").map_or(20, |count| {
        count.parse().expect("MEMOMAN_HOSTILE is a number")
    })
}

#[test]
fn damaged_traces_end_in_a_result_or_in_a_line() {
    let recorded = [&["kinds"][..], &["stacks"]]
        .map(|arguments| Recording::work(&["--stacks", "8"], arguments).succeeded());
    let whole = recorded
        .iter()
        .map(|recording| std::fs::read(recording.path()).unwrap());
    let whole: Vec<_> = whole.collect();
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("hostile.mmt");
    let written = folder.path().join("written");
    let mut random = Random(17);
    for round in 0..count() {
        let bytes = damage(&whole[round % whole.len()], &mut random);
        std::fs::write(&trace, bytes).unwrap();
        for offset in 0..3 {
            let arguments = COMMANDS[(round * 3 + offset) % COMMANDS.len()];
            let to_file = matches!(arguments[0], "report" | "export");
            ends_well(arguments, &trace, to_file.then_some(written.as_path()));
        }
    }
}

/// Sizes, addresses, alignments and times at the edges of their types, in a sound file.
#[test]
fn forged_events_end_in_a_result_or_in_a_line() {
    use memoman_trace::{Builder, Ended, Event, Header, Kind};
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("forged.mmt");
    let written = folder.path().join("written");
    let edges = [
        0,
        1,
        15,
        16,
        4096,
        1 << 31,
        1 << 45,
        1 << 46,
        1 << 63,
        u64::MAX - 7,
        u64::MAX,
    ];
    let kinds = [
        Kind::Malloc,
        Kind::Memalign,
        Kind::Realloc,
        Kind::Free,
        Kind::Failed,
        Kind::PoolAdded,
        Kind::PoolExtended,
        Kind::PoolRemoved,
        Kind::Reset,
    ];
    let mut random = Random(4);
    for round in 0..count() * 3 / 5 {
        let header = Header {
            pid: u32::MAX,
            started: edges[round % edges.len()],
            sample: if round % 12 == 11 { u64::MAX } else { 0 },
            ..Header::default()
        };
        let mut builder = Builder::create(&trace, &header).unwrap();
        let mut time = 0u64;
        // The later files have edges only; the first ones are sound but for a few events.
        let strange = [40, 10, 2, 1][round % 12 / 3];
        for number in 0..400u64 {
            let edge = (number as usize).is_multiple_of(strange);
            let mut word = |usual: u64| match edge {
                true => edges[random.below(edges.len())],
                false => usual,
            };
            let event = Event {
                time,
                size: word(number % 300),
                pointer: word(0x10000 + number * 512),
                old: word(0x10000 + number.saturating_sub(9) * 512),
                block: word(0),
                align: word(0),
                thread: word(number % 3) as u32,
                heap: word(0) as u32 % 3,
                kind: match edge {
                    true => kinds[random.below(kinds.len())],
                    false => [Kind::Malloc, Kind::Free][number as usize % 2],
                },
                ..Event::default()
            };
            let step = if round % 4 == 3 { u64::MAX / 300 } else { 1000 };
            time = time.saturating_add(step);
            // Refused where it is too strange.
            let _ = builder.push(&event);
        }
        builder.finish(Ended::Complete, u64::MAX).unwrap();
        for arguments in COMMANDS {
            let to_file = matches!(arguments[0], "report" | "export");
            ends_well(arguments, &trace, to_file.then_some(written.as_path()));
        }
    }
}
