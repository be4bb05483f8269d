//! Panels of percentile curves: to the right the rarer calls, upwards the slower ones, both
//! logarithmic. The legend stands above all panels.

use crate::canvas::{Anchor, Canvas, Point, font};
use crate::page::{self, MARGIN, Sizes};
use crate::style::{self, GRID, MUTED};
use crate::table::Caption;

/// One allocator's curve.
pub(crate) struct Curve {
    pub(crate) allocator: String,
    /// Nines (the decimal logarithm of one in how many calls takes longer), and nanoseconds.
    pub(crate) points: Vec<Point>,
    /// Indices of the points that carry a marker.
    pub(crate) marked: Vec<usize>,
}

pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) curves: Vec<Curve>,
}

/// What all panels of a plot share.
pub(crate) struct Layout {
    pub(crate) columns: usize,
    /// Of a panel, axis labels included.
    pub(crate) size: (f64, f64),
    /// The longest name of the legend takes this much.
    pub(crate) legend: f64,
    /// Nines, and what the axis writes there; the first and the last are its ends.
    pub(crate) percentiles: &'static [(f64, &'static str)],
}

/// Nanoseconds, and what the axis writes there; the first and the last are its ends.
const TIMES: [(f64, &str); 6] = [
    (10.0, "10 ns"),
    (100.0, "100 ns"),
    (1e3, "1 µs"),
    (10e3, "10 µs"),
    (100e3, "100 µs"),
    (1e6, "1 ms"),
];

const SIZES: Sizes = page::DOCUMENT;
/// Distance from one line of the legend to the next.
const LEGEND: f64 = 20.0;
/// Around a panel's curves: on the left, above, on the right, below.
const FRAME: [f64; 4] = [52.0, 34.0, 18.0, 46.0];

pub(crate) fn draw(
    layout: &Layout,
    titles: [&str; 2],
    panels: &[Panel],
    caption: &Caption,
) -> Result<String, String> {
    let mut names: Vec<&str> = Vec::new();
    for curve in panels.iter().flat_map(|panel| &panel.curves) {
        if !names.contains(&curve.allocator.as_str()) {
            names.push(&curve.allocator);
        }
    }
    let width = layout.columns as f64 * layout.size.0;
    let entries = (width / layout.legend) as usize;
    let legend = SIZES.top() + LEGEND / 2.0;
    let panels_top = SIZES.top() + 10.0 + names.len().div_ceil(entries) as f64 * LEGEND;
    let lines = panels.len().div_ceil(layout.columns) as f64;
    let height = panels_top - SIZES.top() + lines * layout.size.1;
    let mut canvas = page::begin(SIZES, (width, height), titles, caption);
    for (index, name) in names.iter().enumerate() {
        let x = MARGIN + (index % entries) as f64 * layout.legend;
        let y = legend + (index / entries) as f64 * LEGEND;
        let look = style::of(name)?;
        canvas.curve(&[(x, y), (x + 42.0, y)], look);
        canvas.marker((x + 21.0, y), look);
        canvas.text(
            (x + 50.0, y + 0.35 * SIZES.text),
            Anchor::Start,
            font(SIZES.text),
            name,
        );
    }
    for (index, one) in panels.iter().enumerate() {
        let corner = (
            MARGIN + (index % layout.columns) as f64 * layout.size.0,
            panels_top + (index / layout.columns) as f64 * layout.size.1,
        );
        panel(&mut canvas, layout, corner, one)?;
    }
    canvas.finish()
}

fn panel(canvas: &mut Canvas, layout: &Layout, corner: Point, panel: &Panel) -> Result<(), String> {
    let percentiles = layout.percentiles;
    let (left, top) = (corner.0 + FRAME[0], corner.1 + FRAME[1]);
    let right = corner.0 + layout.size.0 - FRAME[2];
    let bottom = corner.1 + layout.size.1 - FRAME[3];
    let ends = [percentiles[0].0, percentiles[percentiles.len() - 1].0];
    let x = |nines: f64| {
        left + (nines.clamp(ends[0], ends[1]) - ends[0]) / (ends[1] - ends[0]) * (right - left)
    };
    let times = [TIMES[0].0.log10(), TIMES[TIMES.len() - 1].0.log10()];
    let y = |ns: f64| {
        let height = (ns.max(TIMES[0].0).log10() - times[0]) / (times[1] - times[0]);
        bottom - height * (bottom - top)
    };

    canvas.text(
        (corner.0, top - 14.0),
        Anchor::Start,
        font(SIZES.text + 1.0).bold(),
        &panel.title,
    );
    let label = font(SIZES.caption).colour(MUTED);
    for (ns, name) in TIMES {
        canvas.line((left, y(ns)), (right, y(ns)), GRID, 1.0);
        canvas.text((left - 6.0, y(ns) + 4.0), Anchor::End, label, name);
    }
    for &(nines, name) in percentiles {
        canvas.line((x(nines), top), (x(nines), bottom), GRID, 1.0);
        canvas.text((x(nines), bottom + 17.0), Anchor::Middle, label, name);
    }
    canvas.text(
        ((left + right) / 2.0, bottom + 32.0),
        Anchor::Middle,
        label,
        "percentile of the calls",
    );
    // The first allocator is drawn last, above the others.
    for curve in panel.curves.iter().rev() {
        let look = style::of(&curve.allocator)?;
        let points: Vec<Point> = curve
            .points
            .iter()
            .map(|&(nines, ns)| (x(nines), y(ns)))
            .collect();
        canvas.curve(&points, look);
        for &index in &curve.marked {
            canvas.marker(points[index], look);
        }
    }
    Ok(())
}
