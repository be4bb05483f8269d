//! Time over glibc's, a panel for each load, in colours that can be read on a light and on a dark page.

use std::path::Path;

use plotters::prelude::*;

const TEXT: RGBColor = RGBColor(122, 128, 138);
const MEMOMAN: RGBColor = RGBColor(226, 88, 34);
const OTHERS: RGBColor = RGBColor(58, 134, 196);

/// One load: each allocator's time over glibc's.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<(&'static str, f64)>,
}

/// Horizontal bars, two panels in a row. What is over three times glibc's is cut off, with its figure beside it.
pub(crate) fn bars(path: &Path, panels: &[Panel]) -> Result<(), Box<dyn std::error::Error>> {
    let rows = panels
        .iter()
        .map(|panel| panel.bars.len())
        .max()
        .unwrap_or(1) as i32;
    let (width, bar, left, unit) = (480, 16, 110, 100.0);
    let height = 34 + rows * bar;
    let lines = panels.len().div_ceil(2) as i32;
    let root =
        SVGBackend::new(path, (2 * width as u32, (36 + lines * height) as u32)).into_drawing_area();
    let font = |size: i32| ("sans-serif", size).into_font().color(&TEXT);
    root.draw_text("Processor time over glibc's", &font(16), (12, 10))?;
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = (index as i32 % 2 * width, 36 + index as i32 / 2 * height);
        root.draw_text(&panel.title, &font(15), (x + left, y))?;
        for (row, (name, ratio)) in panel.bars.iter().enumerate() {
            let top = y + 20 + row as i32 * bar;
            let end = x + left + (ratio.min(3.0) * unit) as i32;
            let colour = if *name == "memoman" { MEMOMAN } else { OTHERS };
            root.draw_text(name, &font(12), (x + 12, top))?;
            root.draw(&Rectangle::new(
                [(x + left, top + 2), (end, top + bar - 2)],
                colour.filled(),
            ))?;
            root.draw_text(&format!("{ratio:.2}"), &font(12), (end + 6, top))?;
        }
    }
    root.present()?;
    Ok(())
}
