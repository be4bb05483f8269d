//! Runs a workload under valgrind's lackey, which writes each instruction's address, and follows
//! the conditional branches of this program's own code through the predictor.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use super::tage::Tage;

/// The function that is called before and after each piece of a run.
const MARK: &str = "mispredict_mark";

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn mispredict_mark(value: usize) -> usize {
    std::hint::black_box(value)
}

/// Marks the begin or the end of a piece.
pub(super) fn mark() {
    std::hint::black_box(mispredict_mark(0));
}

/// How much of a run is counted; as much goes before it. Whichever is reached first.
#[derive(Clone, Copy)]
pub(super) struct Length {
    pub(super) pieces: usize,
    pub(super) instructions: u64,
}

/// Whole pieces of a run.
#[derive(Clone, Copy, Default)]
struct Part {
    pieces: usize,
    instructions: u64,
}

impl Part {
    fn reaches(self, length: Length) -> bool {
        self.pieces >= length.pieces || self.instructions >= length.instructions
    }
}

/// A conditional branch of this program.
#[derive(Clone)]
pub(super) struct Branch {
    /// Function and offset.
    pub(super) place: String,
    pub(super) executed: u64,
    pub(super) taken: u64,
    pub(super) missed: u64,
}

/// This program's code as the trace shows it.
pub(super) struct Code {
    branches: HashMap<u64, String>,
    mark: u64,
}

/// What a run has counted.
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) instructions: u64,
    pub(super) branches: Vec<Branch>,
}

fn valgrind() -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--tool=lackey", "--basic-counts=no", "-q"]);
    command
}

fn this_program() -> Result<std::path::PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("the program's own file: {error}"))
}

impl Code {
    /// Disassembles this program. Under valgrind it always lies at the same address, which a first
    /// run prints.
    pub(super) fn of_this_program() -> Result<Code, String> {
        let program = this_program()?;
        let output = Command::new("objdump")
            .args(["-d", "-C", "--no-show-raw-insn"])
            .arg(&program)
            .output()
            .map_err(|error| format!("objdump: {error}: install binutils"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (mut function, mut start, mut mark) = (String::new(), 0, 0);
        let mut branches = HashMap::new();
        for line in text.lines() {
            if let Some((address, rest)) = line.split_once(" <")
                && let (Ok(address), Some(name)) =
                    (u64::from_str_radix(address, 16), rest.strip_suffix(">:"))
            {
                (function, start) = (name.to_owned(), address);
                if name == MARK {
                    mark = address;
                }
                continue;
            }
            let Some((address, code)) = line.split_once(":\t") else {
                continue;
            };
            let mnemonic = code.split_whitespace().next().unwrap_or_default();
            if mnemonic.starts_with('j')
                && !mnemonic.starts_with("jmp")
                && let Ok(address) = u64::from_str_radix(address.trim(), 16)
            {
                branches.insert(address, format!("{function}+{:#x}", address - start));
            }
        }
        if mark == 0 || branches.is_empty() {
            return Err("no conditional branches found: this measurement is for x86-64".to_owned());
        }
        let output = valgrind()
            .arg(&program)
            .arg("where")
            .output()
            .map_err(|error| format!("valgrind: {error}: install it"))?;
        let loaded: u64 = String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .map_err(|_| "valgrind does not run this program".to_owned())?;
        let base = loaded.wrapping_sub(mark);
        Ok(Code {
            branches: branches
                .into_iter()
                .map(|(address, place)| (address.wrapping_add(base), place))
                .collect(),
            mark: loaded,
        })
    }

    /// Runs a workload of one allocator and counts. The null allocator is one.
    pub(super) fn run(&self, workload: &str, peer: &str, length: Length) -> Result<Counts, String> {
        let mut child = valgrind()
            .args(["--trace-mem=yes", "--log-fd=1"])
            .arg(this_program()?)
            .args(["traced", workload, peer, &(2 * length.pieces).to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("valgrind: {error}: install it"))?;
        let output = child.stdout.take().expect("piped");
        let mut errors = child.stderr.take().expect("piped");
        let followed = self.follow(BufReader::with_capacity(1 << 20, output), length);
        // The counting ends before the run, or with it.
        let _ = child.kill();
        let ended = child.wait().map_err(|error| error.to_string())?;
        let mut said = String::new();
        let _ = errors.read_to_string(&mut said);
        let (mut counts, warmed, counted) = followed?;
        let calls: Vec<u64> = said
            .lines()
            .filter_map(|line| line.strip_prefix("calls ")?.parse().ok())
            .collect();
        let pieces = warmed.pieces..warmed.pieces + counted.pieces;
        if !counted.reaches(length) || calls.len() < pieces.end {
            return Err(format!("{workload} {peer}: {ended}: {}", said.trim()));
        }
        counts.calls = calls[pieces].iter().sum();
        Ok(counts)
    }

    /// Counts, and the lengths of the warm-up and of what is counted.
    fn follow(
        &self,
        mut trace: impl BufRead,
        length: Length,
    ) -> Result<(Counts, Part, Part), String> {
        let mut tage = Tage::new();
        let mut numbers: HashMap<u64, usize> = HashMap::new();
        let mut counts = Counts {
            calls: 0,
            instructions: 0,
            branches: Vec::new(),
        };
        let (mut warmed, mut counted) = (Part::default(), Part::default());
        let (mut inside, mut warm, mut line) = (false, false, Vec::new());
        // The branch before: its number and the address after it.
        let mut before: Option<(usize, u64, u64)> = None;
        loop {
            line.clear();
            let read = trace.read_until(b'\n', &mut line);
            if read.map_err(|error| format!("the trace: {error}"))? == 0 {
                return Ok((counts, warmed, counted));
            }
            let Some((address, size)) = instruction(&line) else {
                continue;
            };
            if address == self.mark {
                // By then, the run has printed how many calls the last piece had.
                if !inside && counted.reaches(length) {
                    return Ok((counts, warmed, counted));
                }
                inside = !inside;
                before = None;
                if !inside {
                    let part = if warm { &mut counted } else { &mut warmed };
                    part.pieces += 1;
                    warm = warmed.reaches(length);
                }
            }
            if let Some((number, from, next)) = before.take() {
                let taken = address != next;
                let missed = tage.is_missed(from as usize, taken);
                if warm {
                    let branch = &mut counts.branches[number];
                    branch.executed += 1;
                    branch.taken += u64::from(taken);
                    branch.missed += u64::from(missed);
                }
            }
            if !inside {
                continue;
            }
            let part = if warm { &mut counted } else { &mut warmed };
            part.instructions += 1;
            counts.instructions = counted.instructions;
            if let Some(place) = self.branches.get(&address) {
                let number = *numbers.entry(address).or_insert_with(|| {
                    counts.branches.push(Branch {
                        place: place.clone(),
                        executed: 0,
                        taken: 0,
                        missed: 0,
                    });
                    counts.branches.len() - 1
                });
                before = Some((number, address, address + size));
            }
        }
    }
}

/// Address and bytes of an instruction, from a line like `I  04001f30,3`.
fn instruction(line: &[u8]) -> Option<(u64, u64)> {
    let rest = line.strip_prefix(b"I  ")?;
    let comma = rest.iter().position(|&byte| byte == b',')?;
    let mut address = 0;
    for &byte in &rest[..comma] {
        address = address << 4 | u64::from((byte as char).to_digit(16)?);
    }
    let mut size = 0;
    for &byte in rest[comma + 1..].trim_ascii_end() {
        size = size * 10 + u64::from((byte as char).to_digit(10)?);
    }
    Some((address, size))
}

/// Prints where [`MARK`] lies in this process.
pub(super) fn print_place() {
    println!("{}", (mispredict_mark as *const ()).addr());
}
