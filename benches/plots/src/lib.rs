//! The plots of `benches/results`: each is a function of the csv files there and of nothing else.
//!
//! `make plots` draws them anew; the measurements draw theirs after each run. The tests fail when
//! a committed svg differs from what its csv draws.

mod bars;
mod canvas;
mod curves;
mod figures;
mod page;
mod style;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::fs;
use std::path::Path;

/// One plot: its file, the csv file that it draws, and how.
pub struct Plot {
    /// File name of the svg.
    pub svg: &'static str,
    /// File name of the csv, in the same folder.
    pub csv: &'static str,
    draw: fn(&table::Table) -> Result<String, String>,
}

/// Time of a call in eight workloads.
pub static BENCH: Plot = Plot {
    svg: "bench.svg",
    csv: "bench.csv",
    draw: figures::bench,
};

/// How much of a pool can be handed out.
pub static FIT: Plot = Plot {
    svg: "fit.svg",
    csv: "fit.csv",
    draw: figures::fit,
};

/// Time of single calls, by percentile.
pub static LATENCY: Plot = Plot {
    svg: "latency.svg",
    csv: "latency_histogram.csv",
    draw: figures::latency,
};

/// The slowest calls of malloc, for a reader who has ten seconds.
pub static README: Plot = Plot {
    svg: "readme.svg",
    csv: "latency.csv",
    draw: figures::readme,
};

/// Processor time and peak memory under preloaded allocators.
pub static GLOBAL: Plot = Plot {
    svg: "global.svg",
    csv: "global.csv",
    draw: figures::global,
};

/// Time of single calls under preloaded allocators.
pub static LATENCY_GLOBAL: Plot = Plot {
    svg: "latency_global.svg",
    csv: "latency_global.csv",
    draw: figures::latency_global,
};

/// Every plot.
pub static ALL: [&Plot; 6] = [&BENCH, &FIT, &LATENCY, &README, &GLOBAL, &LATENCY_GLOBAL];

impl Plot {
    /// The svg text that `csv` draws.
    ///
    /// # Errors
    /// The file cannot be read, its first line names no glibc version, a column is missing, or a
    /// workload or an allocator has no entry in `words` or `style`.
    pub fn draw(&self, csv: &Path) -> Result<String, String> {
        table::Table::read(csv)
            .and_then(|table| (self.draw)(&table))
            .map_err(|error| format!("{}: {error}", csv.display()))
    }

    /// Draws `csv` into the file `svg`.
    ///
    /// # Errors
    /// Those of [`Plot::draw`], and a file that cannot be written.
    pub fn save(&self, csv: &Path, svg: &Path) -> Result<(), String> {
        let text = self.draw(csv)?;
        fs::write(svg, text).map_err(|error| format!("{}: {error}", svg.display()))
    }
}
