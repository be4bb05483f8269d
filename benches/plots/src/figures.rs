//! The six plots: which rows of its csv each shows, and how.

use crate::bars::{self, Bar};
use crate::curves::{self, Curve};
use crate::table::{Row, Table};
use crate::words;

/// 12345.6 as "12,346".
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bar(row: Row, value: f64, label: String) -> Result<Bar, String> {
    Ok(Bar {
        allocator: row.text("allocator")?.to_owned(),
        value,
        label,
    })
}

fn greatest(bars: &[Bar]) -> f64 {
    bars.iter().map(|bar| bar.value).fold(0.0, f64::max)
}

/// Rows whose `column` holds `value`.
fn rows<'a>(table: &'a Table, column: &str, value: &str) -> Result<Vec<Row<'a>>, String> {
    let mut found = Vec::new();
    for row in table.rows() {
        if row.text(column)? == value {
            found.push(row);
        }
    }
    Ok(found)
}

pub(crate) fn bench(table: &Table) -> Result<String, String> {
    let mut panels = Vec::new();
    for workload in table.distinct("workload")? {
        let mut bars = Vec::new();
        for row in rows(table, "workload", workload)? {
            if row.text("kind")? == "null" {
                continue;
            }
            let ns = row.number("net_ns_per_call")?;
            let label = if ns < 100.0 {
                format!("{ns:.1}")
            } else {
                thousands(ns)
            };
            bars.push(bar(row, ns, label)?);
        }
        let own = bars.iter().find(|bar| bar.allocator == "memoman");
        let limit = own.map_or(f64::INFINITY, |own| 4.0 * own.value);
        panels.push(bars::Panel {
            title: words::title(&words::WORKLOADS, workload)?,
            limit: greatest(&bars).min(limit),
            bars,
            mark: None,
        });
    }
    bars::draw(
        &bars::PAGE,
        [
            "Time of one call, in nanoseconds",
            "Shorter is faster. Net of the harness.",
        ],
        &panels,
        &table.caption(),
    )
}

pub(crate) fn fit(table: &Table) -> Result<String, String> {
    let mut panels = Vec::new();
    for measure in table.distinct("measure")? {
        let is_share = !measure.starts_with("blocks-");
        let mut bars = Vec::new();
        for row in rows(table, "measure", measure)? {
            let mean = row.number("mean")?;
            let label = if is_share {
                format!("{:.1} %", 100.0 * mean)
            } else {
                thousands(mean)
            };
            bars.push(bar(row, mean, label)?);
        }
        panels.push(bars::Panel {
            title: if is_share {
                words::title(&words::MEASURES, measure)?
            } else {
                words::of(&words::MEASURES, measure)?.to_owned()
            },
            limit: if is_share { 1.0 } else { greatest(&bars) },
            bars,
            mark: None,
        });
    }
    bars::draw(
        &bars::PAGE,
        [
            "How much of its pool an allocator can hand out",
            "Longer is better. Blocks of one size in 1 MiB; share of the pool that requests of \
             1–10,000 bytes hold.",
        ],
        &panels,
        &table.caption(),
    )
}

/// The mean of ratios that treats twice and half alike.
fn geometric_mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// One panel of ratios to glibc.
fn over_glibc(title: &str, ratios: impl Iterator<Item = (String, f64)>) -> bars::Panel {
    bars::Panel {
        title: title.to_owned(),
        bars: ratios
            .map(|(allocator, value)| Bar {
                allocator,
                value,
                label: format!("{value:.2}"),
            })
            .collect(),
        limit: 3.0,
        mark: Some(1.0),
    }
}

pub(crate) fn global(table: &Table) -> Result<String, String> {
    // Of each allocator: ratios of time and of memory, one for each load.
    let allocators = table.distinct("allocator")?;
    let mut times = vec![Vec::new(); allocators.len()];
    let mut memory = vec![Vec::new(); allocators.len()];
    let mut loads = Vec::new();
    for load in table.distinct("load")? {
        let rows = rows(table, "load", load)?;
        let find = |allocator: &str| {
            rows.iter()
                .find(|row| row.text("allocator") == Ok(allocator))
                .ok_or(format!("{load} was not measured with {allocator}"))
        };
        let glibc = find("glibc")?;
        let mut ratios = Vec::new();
        for (index, allocator) in allocators.iter().enumerate() {
            let row = find(allocator)?;
            let time = row.number("seconds")? / glibc.number("seconds")?;
            times[index].push(time);
            memory[index].push(row.number("peak KiB")? / glibc.number("peak KiB")?);
            ratios.push(((*allocator).to_owned(), time));
        }
        let title = words::title(&words::LOADS, load)?;
        loads.push(over_glibc(&title, ratios.into_iter()));
    }
    let mean = |title: &str, ratios: &[Vec<f64>]| {
        let names = allocators.iter().map(|name| (*name).to_owned());
        let means = ratios.iter().map(|ratios| geometric_mean(ratios));
        over_glibc(title, names.zip(means))
    };
    let mut panels = vec![
        mean("all loads: time, geometric mean", &times),
        mean("all loads: peak memory, geometric mean", &memory),
    ];
    panels.extend(loads);
    bars::draw(
        &bars::PAGE,
        [
            "Preloaded allocators beside glibc's malloc",
            "Shorter is better. Processor time over glibc's; second panel: peak memory.",
        ],
        &panels,
        &table.caption(),
    )
}

/// Points of a curve: enough for a line without corners at this size.
const STEPS: usize = 60;

/// The curve of a histogram: lower ends of classes in ns, ascending, and numbers of calls.
/// Markers of curve number `index` stand beside those of the other curves.
fn percentiles(allocator: &str, classes: &[(f64, f64)], index: usize) -> Curve {
    let calls: f64 = classes.iter().map(|(_, count)| count).sum();
    let first = 2f64.log10();
    let points = (0..=STEPS)
        .map(|step| {
            let nines = first + (calls.log10() - first) * step as f64 / STEPS as f64;
            let place = (calls * (1.0 - 10f64.powf(-nines)))
                .floor()
                .min(calls - 1.0);
            let mut passed = 0.0;
            let class = classes.iter().find(|(_, count)| {
                passed += count;
                passed > place
            });
            (nines, class.map_or(0.0, |(ns, _)| *ns))
        })
        .collect();
    Curve {
        allocator: allocator.to_owned(),
        points,
        marked: (1 + index..=STEPS).step_by(10).collect(),
    }
}

pub(crate) fn latency(table: &Table) -> Result<String, String> {
    let mut panels = Vec::new();
    for pattern in table.distinct("pattern")? {
        for call in table.distinct("call")? {
            let mut curves = Vec::new();
            for (index, allocator) in table.distinct("allocator")?.into_iter().enumerate() {
                let mut classes = Vec::new();
                for row in rows(table, "pattern", pattern)? {
                    if row.text("call")? == call && row.text("allocator")? == allocator {
                        classes.push((row.number("from_ns")?, row.number("calls")?));
                    }
                }
                if !classes.is_empty() {
                    curves.push(percentiles(allocator, &classes, index));
                }
            }
            let workload = words::title(&words::WORKLOADS, pattern)?;
            panels.push(curves::Panel {
                title: format!("{}: {workload}", words::of(&words::CALLS, call)?),
                curves,
            });
        }
    }
    curves::draw(
        &curves::Layout {
            columns: 2,
            size: (440.0, 320.0),
            legend: 216.0,
            percentiles: &[
                (0.301, "50"),
                (1.0, "90"),
                (2.0, "99"),
                (3.0, "99.9"),
                (4.0, "99.99"),
                (5.0, "99.999"),
                (5.4, ""),
            ],
        },
        [
            "How long single calls take",
            "Lower is better; each curve ends at its slowest call. 10 ns is the lowest drawn.",
        ],
        &panels,
        &table.caption(),
    )
}

pub(crate) fn latency_global(table: &Table) -> Result<String, String> {
    const SHARES: [(&str, f64); 7] = [
        ("p50", 0.301),
        ("p90", 1.0),
        ("p99", 2.0),
        ("p99.9", 3.0),
        ("p99.99", 4.0),
        ("p99.999", 5.0),
        ("max", 6.0),
    ];
    let mut panels = Vec::new();
    for call in table.distinct("call")? {
        let mut curves = Vec::new();
        for row in rows(table, "call", call)? {
            let points = SHARES
                .iter()
                .map(|&(column, nines)| Ok((nines, row.number(column)?)))
                .collect::<Result<Vec<_>, String>>()?;
            curves.push(Curve {
                allocator: row.text("allocator")?.to_owned(),
                marked: (0..points.len()).collect(),
                points,
            });
        }
        panels.push(curves::Panel {
            title: words::of(&words::CALLS, call)?.to_owned(),
            curves,
        });
    }
    curves::draw(
        &curves::Layout {
            columns: 3,
            size: (370.0, 340.0),
            legend: 216.0,
            percentiles: &[
                (0.301, "50"),
                (1.0, "90"),
                (2.0, "99"),
                (3.0, "99.9"),
                (4.0, "99.99"),
                (5.0, "99.999"),
                (6.0, "max"),
            ],
        },
        [
            "How long single calls take under preloaded allocators, two threads busy",
            "Lower is better. The third panel times no call: interrupts, other programs.",
        ],
        &panels,
        &table.caption(),
    )
}

pub(crate) fn readme(table: &Table) -> Result<String, String> {
    const GROUPS: [(&str, &str); 3] = [
        ("p50", "Half of the calls take at most"),
        ("p99.99", "All but one in 10,000 take at most"),
        ("max", "The slowest call takes"),
    ];
    const SHOWN: [&str; 4] = ["memoman", "rlsf", "mimalloc", "glibc"];
    let mut panels = Vec::new();
    for (column, title) in GROUPS {
        let mut bars = Vec::new();
        for allocator in SHOWN {
            for row in rows(table, "allocator", allocator)? {
                if row.text("pattern")? == "adversarial" && row.text("call")? == "malloc" {
                    let ns = row.number(column)?;
                    bars.push(bar(row, ns, thousands(ns) + " ns")?);
                }
            }
        }
        panels.push(bars::Panel {
            title: title.to_owned(),
            bars,
            limit: 0.0,
            mark: None,
        });
    }
    // One scale for all, so that the groups compare.
    let limit = panels
        .iter()
        .map(|panel| greatest(&panel.bars))
        .fold(f64::MIN_POSITIVE, f64::max);
    for panel in &mut panels {
        panel.limit = limit;
    }
    let mut caption = table.caption();
    // The other notes are for those who measure.
    caption.notes.truncate(1);
    bars::draw(
        &bars::PHONE,
        [
            "How long one call of malloc takes",
            "in a heap full of holes a little too small; shorter is better",
        ],
        &panels,
        &caption,
    )
}
