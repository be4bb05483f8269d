//! The frame of every plot: title and subtitle above, the origin of the figures below.

use crate::canvas::{Anchor, Canvas, font};
use crate::style::MUTED;
use crate::table::Caption;

/// Around the page, in pixels.
pub(crate) const MARGIN: f64 = 16.0;

/// Text sizes, in pixels.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) title: f64,
    pub(crate) text: f64,
    pub(crate) caption: f64,
}

/// For a page of documentation.
pub(crate) const DOCUMENT: Sizes = Sizes {
    title: 18.0,
    text: 12.0,
    caption: 11.0,
};

/// Readable at the width of a phone.
pub(crate) const LARGE: Sizes = Sizes {
    title: 23.0,
    text: 17.0,
    caption: 13.0,
};

impl Sizes {
    /// Where the panels begin.
    pub(crate) const fn top(self) -> f64 {
        MARGIN + self.title + 1.7 * self.text + 6.0
    }
}

/// A canvas with title, subtitle and caption, and room for `body` (width, height) between them,
/// from `MARGIN` and `sizes.top()` on.
pub(crate) fn begin(
    sizes: Sizes,
    body: (f64, f64),
    [title, subtitle]: [&str; 2],
    caption: &Caption,
) -> Canvas {
    let small = font(sizes.caption).colour(MUTED);
    let lines = caption.lines((body.0 / small.width("x")) as usize);
    let line = 1.4 * sizes.caption;
    let bottom = sizes.top() + body.1;
    let height = bottom + lines.len() as f64 * line + MARGIN / 2.0;
    let mut canvas = Canvas::new(body.0 + 2.0 * MARGIN, height, title);
    let y = MARGIN + 0.8 * sizes.title;
    let (start, bold) = (Anchor::Start, font(sizes.title).bold());
    canvas.text((MARGIN, y), start, bold, title);
    let y = y + 1.7 * sizes.text;
    canvas.text((MARGIN, y), start, font(sizes.text).colour(MUTED), subtitle);
    for (index, text) in lines.iter().enumerate() {
        let y = bottom + (index + 1) as f64 * line - 4.0;
        canvas.text((MARGIN, y), start, small, text);
    }
    canvas
}
