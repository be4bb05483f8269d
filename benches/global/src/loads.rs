//! `make bench-global`: the shim beside other preloaded allocators, in time and in peak memory.
//!
//! The loads are those of `benches/programs/loads.c`. Every repetition runs each load once under
//! each allocator in turn, so that a disturbance of the machine meets all of them; medians are
//! compared. Time is the processor time of all threads, user and system: other programs on the
//! machine do not count. The load reads its own peak memory at its end, because the peak that
//! `wait4` returns is never below the size of the parent.

use std::io::Read;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::peers::{Allocator, allocators};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Fewer and shorter repetitions, below a minute: for a look, not for a record
    #[arg(long)]
    quick: bool,
    /// The shim
    #[arg(long, default_value = "dist/libmemoman_preload.so")]
    shim: PathBuf,
    /// Where the results go, csv; the plot lies beside it
    #[arg(long, default_value = "benches/results/global.csv")]
    out: PathBuf,
    /// Only these loads
    loads: Vec<String>,
}

/// What one run cost.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    kib: f64,
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

/// Runs one load once under one allocator.
fn run(program: &Path, load: &str, times: u32, allocator: &Allocator) -> Result<Cost, String> {
    let mut command = Command::new(program);
    command
        .args([load, &times.to_string()])
        .stdout(Stdio::piped())
        .env_remove("LD_PRELOAD");
    if let Some(library) = &allocator.library {
        command.env("LD_PRELOAD", library);
    }
    let failed = |what: &str| format!("{load} under {}: {what}", allocator.name);
    let mut child = command
        .arg0("loads")
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    let mut printed = String::new();
    if let Some(mut output) = child.stdout.take() {
        output
            .read_to_string(&mut printed)
            .map_err(|error| failed(&error.to_string()))?;
    }
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the child is ours and not yet waited for; both results are live locals.
    let usage = unsafe {
        if libc::wait4(child.id() as i32, &mut status, 0, usage.as_mut_ptr()) < 0 {
            return Err(failed("wait4 fails"));
        }
        usage.assume_init()
    };
    if status != 0 {
        return Err(failed(&format!("wait status {status:#x}")));
    }
    let kib = printed
        .trim()
        .parse()
        .map_err(|_| failed(&format!("it printed {printed:?} for its peak")))?;
    Ok(Cost {
        seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        kib,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

pub(crate) fn measure(arguments: &Arguments) -> Result<(), String> {
    let root = record::root();
    let program = root.join("target/benches/loads");
    let built = Command::new("gcc")
        .args(["-O2", "-Wall", "-Wextra", "-o"])
        .arg(&program)
        .arg(root.join("benches/programs/loads.c"))
        .arg("-lpthread")
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("loads.c does not compile".into());
    }
    let shim = arguments
        .shim
        .canonicalize()
        .map_err(|error| format!("{}: {error}", arguments.shim.display()))?;
    let allocators = allocators(&shim);
    let listed = Command::new(&program)
        .output()
        .map_err(|error| error.to_string())?;
    let loads: Vec<String> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter(|load| arguments.loads.is_empty() || arguments.loads.iter().any(|one| one == load))
        .map(str::to_owned)
        .collect();
    let (repetitions, times) = if arguments.quick { (3, 500) } else { (9, 4000) };

    let mut rows = Vec::new();
    // For each allocator: its time and its memory in each load, over glibc's.
    let mut over_glibc = vec![(Vec::new(), Vec::new()); allocators.len()];
    // For each allocator: its time in each load, over that of the fastest other allocator.
    let mut over_best = vec![Vec::new(); allocators.len()];
    for load in &loads {
        let mut costs = vec![Vec::new(); allocators.len()];
        for _ in 0..repetitions {
            for (allocator, costs) in allocators.iter().zip(&mut costs) {
                costs.push(run(&program, load, times, allocator)?);
            }
        }
        let medians: Vec<Cost> = costs
            .iter()
            .map(|costs| Cost {
                seconds: median(costs.iter().map(|cost| cost.seconds).collect()).max(1e-4),
                kib: median(costs.iter().map(|cost| cost.kib).collect()),
            })
            .collect();
        let (own, glibc) = (medians[0], medians[1]);
        for ((time, memory), cost) in over_glibc.iter_mut().zip(&medians) {
            time.push(cost.seconds / glibc.seconds);
            memory.push(cost.kib / glibc.kib);
        }
        for (index, over_best) in over_best.iter_mut().enumerate() {
            let best = medians
                .iter()
                .enumerate()
                .filter(|&(other, _)| other != index)
                .map(|(_, cost)| cost.seconds)
                .fold(f64::INFINITY, f64::min);
            over_best.push(medians[index].seconds / best);
        }
        println!(
            "ratio {load} {:.2} {:.2} {:.2}",
            own.seconds / glibc.seconds,
            own.kib / glibc.kib,
            over_best[0][over_best[0].len() - 1]
        );
        for (allocator, cost) in allocators.iter().zip(&medians) {
            rows.push(vec![
                load.clone(),
                allocator.name.to_owned(),
                format!("{:.4}", cost.seconds),
                format!("{:.0}", cost.kib),
            ]);
        }
    }
    println!(
        "ratio geometric-mean {:.2} {:.2} {:.2}",
        geometric_mean(&over_glibc[0].0),
        geometric_mean(&over_glibc[0].1),
        geometric_mean(&over_best[0])
    );
    for (index, allocator) in allocators.iter().enumerate() {
        let (time, memory) = &over_glibc[index];
        println!(
            "mean {} {:.2} {:.2} {:.2} {}",
            allocator.name,
            geometric_mean(time),
            geometric_mean(memory),
            geometric_mean(&over_best[index]),
            time.iter().filter(|&&time| time > 1.05).count()
        );
    }
    let command = if arguments.quick {
        "make bench-global QUICK=1"
    } else {
        "make bench-global"
    };
    let comment = record::comment(command, &[format!("{repetitions} repetitions of {times}")]);
    record::write(
        &arguments.out,
        &comment,
        &["load", "allocator", "seconds", "peak KiB"],
        &rows,
    )
    .map_err(|error| error.to_string())?;
    plots::GLOBAL.save(&arguments.out, &arguments.out.with_extension("svg"))
}
