//! Panels of percentile curves: to the right the rarer calls, upwards the slower ones, both
//! logarithmic. The legend stands above all panels.

use crate::canvas::{Anchor, Canvas, Point, font};
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

const MARGIN: f64 = 16.0;
const TITLE: f64 = 18.0;
const TEXT: f64 = 12.0;
const CAPTION: f64 = 11.0;
/// Around a panel's curves: on the left, above, on the right, below.
const FRAME: [f64; 4] = [52.0, 34.0, 18.0, 46.0];

pub(crate) fn draw(
    layout: &Layout,
    [title, subtitle]: [&str; 2],
    panels: &[Panel],
    caption: &Caption,
) -> Result<String, String> {
    let mut names: Vec<&str> = Vec::new();
    for curve in panels.iter().flat_map(|panel| &panel.curves) {
        if !names.contains(&curve.allocator.as_str()) {
            names.push(&curve.allocator);
        }
    }
    let width = 2.0 * MARGIN + layout.columns as f64 * layout.size.0;
    let small = font(CAPTION).colour(MUTED);
    let captions = caption.lines(((width - 2.0 * MARGIN) / small.width("x")) as usize);
    let entries = ((width - 2.0 * MARGIN) / layout.legend) as usize;
    let legend = MARGIN + TITLE + 3.4 * TEXT;
    let top = legend + names.len().div_ceil(entries) as f64 * 20.0;
    let lines = panels.len().div_ceil(layout.columns) as f64;
    let bottom = top + lines * layout.size.1;
    let height = bottom + captions.len() as f64 * 1.4 * CAPTION + MARGIN / 2.0;

    let mut canvas = Canvas::new(width, height, title);
    let start = Anchor::Start;
    let y = MARGIN + 0.8 * TITLE;
    canvas.text((MARGIN, y), start, font(TITLE).bold(), title);
    canvas.text(
        (MARGIN, y + 1.7 * TEXT),
        start,
        font(TEXT).colour(MUTED),
        subtitle,
    );
    for (index, name) in names.iter().enumerate() {
        let x = MARGIN + (index % entries) as f64 * layout.legend;
        let y = legend + (index / entries) as f64 * 20.0;
        let look = style::of(name)?;
        canvas.curve(&[(x, y), (x + 42.0, y)], look);
        canvas.marker((x + 21.0, y), look);
        canvas.text((x + 50.0, y + 0.35 * TEXT), start, font(TEXT), name);
    }
    for (index, one) in panels.iter().enumerate() {
        let corner = (
            MARGIN + (index % layout.columns) as f64 * layout.size.0,
            top + (index / layout.columns) as f64 * layout.size.1,
        );
        panel(&mut canvas, layout, corner, one)?;
    }
    for (line, caption) in captions.iter().enumerate() {
        let y = bottom + (line + 1) as f64 * 1.4 * CAPTION - 4.0;
        canvas.text((MARGIN, y), start, small, caption);
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
        font(TEXT + 1.0).bold(),
        &panel.title,
    );
    let label = font(CAPTION).colour(MUTED);
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
