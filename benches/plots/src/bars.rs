//! Panels of horizontal bars, each with its name on the left and its figure on the right.

use crate::canvas::{Anchor, Canvas, Point, font};
use crate::page::{self, MARGIN, Sizes};
use crate::style::{self, BACKGROUND, GRID, MUTED};
use crate::table::Caption;

pub(crate) struct Bar {
    pub(crate) allocator: String,
    pub(crate) value: f64,
    pub(crate) label: String,
}

pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
    /// The value of the longest bar drawn: a longer one is cut, with a gap that shows it.
    pub(crate) limit: f64,
    /// A value marked by a vertical line.
    pub(crate) mark: Option<f64>,
}

/// Widths and heights in pixels.
pub(crate) struct Layout {
    pub(crate) columns: usize,
    /// Width of a column: names, bars and figures.
    pub(crate) column: f64,
    /// Width of the figures.
    pub(crate) figures: f64,
    /// Distance from one bar to the next.
    pub(crate) row: f64,
    pub(crate) sizes: Sizes,
}

/// Two columns, for a page of documentation.
pub(crate) const PAGE: Layout = Layout {
    columns: 2,
    column: 450.0,
    figures: 62.0,
    row: 16.0,
    sizes: page::DOCUMENT,
};

/// One column with large text, for a phone.
pub(crate) const PHONE: Layout = Layout {
    columns: 1,
    column: 550.0,
    figures: 95.0,
    row: 25.0,
    sizes: page::LARGE,
};

pub(crate) fn draw(
    layout: &Layout,
    [title, subtitle]: [&str; 2],
    panels: &[Panel],
    caption: &Caption,
) -> Result<String, String> {
    let Layout { columns, sizes, .. } = *layout;
    let bars = || panels.iter().flat_map(|panel| &panel.bars);
    let widths = bars().map(|bar| font(sizes.text).bold().width(&bar.allocator));
    let names = widths.fold(0.0, f64::max) + 8.0;
    let most = panels.iter().map(|panel| panel.bars.len()).max();
    let height = 3.1 * sizes.text + most.unwrap_or(0) as f64 * layout.row;
    let body = (
        columns as f64 * layout.column,
        panels.len().div_ceil(columns) as f64 * height,
    );
    let cut = panels
        .iter()
        .any(|panel| panel.bars.iter().any(|bar| bar.value > panel.limit));
    let gap = if cut { " A bar with a gap is cut." } else { "" };
    let subtitle = format!("{subtitle}{gap}");
    let mut canvas = page::begin(sizes, body, [title, &subtitle], caption);
    for (index, panel) in panels.iter().enumerate() {
        let corner = (
            MARGIN + (index % columns) as f64 * layout.column,
            sizes.top() + (index / columns) as f64 * height,
        );
        draw_panel(&mut canvas, layout, corner, names, panel)?;
    }
    canvas.finish()
}

/// One panel, at `corner`; its bars begin `names` to the right of it.
fn draw_panel(
    canvas: &mut Canvas,
    layout: &Layout,
    corner: Point,
    names: f64,
    panel: &Panel,
) -> Result<(), String> {
    let (row, text) = (layout.row, layout.sizes.text);
    let (left, top) = (corner.0 + names, corner.1 + 2.1 * text);
    let end = top + panel.bars.len() as f64 * row;
    let scale = (layout.column - names - layout.figures) / panel.limit;
    canvas.text(
        (corner.0, corner.1 + 1.5 * text),
        Anchor::Start,
        font(text + 1.0).bold(),
        &panel.title,
    );
    if let Some(mark) = panel.mark {
        let x = left + mark * scale;
        canvas.line((x, top - 2.0), (x, end), GRID, 2.0);
    }
    for (place, bar) in panel.bars.iter().enumerate() {
        let top = top + place as f64 * row;
        let base = top + 0.5 * row + 0.35 * text;
        let own = bar.allocator == "memoman";
        let face = if own { font(text).bold() } else { font(text) };
        canvas.text((left - 8.0, base), Anchor::End, face, &bar.allocator);
        let length = (bar.value.clamp(0.0, panel.limit) * scale).max(1.5);
        let colour = style::of(&bar.allocator)?.colour;
        canvas.bar((left, top + 2.0), length, row - 4.0, colour);
        if bar.value > panel.limit {
            let x = left + length - 14.0;
            canvas.line((x, top + row), (x + 6.0, top), BACKGROUND, 3.0);
        }
        canvas.text((left + length + 6.0, base), Anchor::Start, face, &bar.label);
    }
    canvas.line((left, top - 2.0), (left, end), MUTED, 1.0);
    Ok(())
}
