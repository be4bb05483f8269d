//! Plots as svg, in colours that can be read on a light and on a dark page: no background, mid-tone lines and text.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

type Failure = Box<dyn std::error::Error>;

const TEXT: RGBColor = RGBColor(122, 128, 138);
/// memoman's, then the others'.
const MEMOMAN: RGBColor = RGBColor(226, 88, 34);
const OTHERS: [RGBColor; 8] = [
    RGBColor(58, 134, 196),
    RGBColor(46, 160, 110),
    RGBColor(150, 110, 200),
    RGBColor(190, 140, 40),
    RGBColor(190, 80, 130),
    RGBColor(90, 150, 170),
    RGBColor(130, 130, 130),
    RGBColor(110, 120, 190),
];

/// One workload, or one measure: an allocator's name and its figure.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<(&'static str, f64)>,
}

/// The same one in every panel and plot.
fn colour(name: &str) -> RGBColor {
    if name == "memoman" {
        return MEMOMAN;
    }
    let place = crate::peers::all()
        .iter()
        .position(|peer| peer.name == name);
    OTHERS[place.unwrap_or(0) % OTHERS.len()]
}

fn write<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    text: &str,
    at: (i32, i32),
    size: i32,
    anchor: HPos,
) -> Result<(), Failure> {
    let style = ("sans-serif", size)
        .into_font()
        .color(&TEXT)
        .pos(Pos::new(anchor, VPos::Center));
    area.draw_text(text, &style, at)?;
    Ok(())
}

/// Horizontal bars, two panels in a row. What is over four times memoman's is cut off, with its figure beside it.
pub(crate) fn bars(path: &Path, title: &str, panels: &[Panel]) -> Result<(), Failure> {
    let rows = panels
        .iter()
        .map(|panel| panel.bars.len())
        .max()
        .unwrap_or(1) as i32;
    let (width, bar, left) = (480, 16, 150);
    let height = 40 + rows * bar;
    let lines = panels.len().div_ceil(2) as i32;
    let root =
        SVGBackend::new(path, (2 * width as u32, (40 + lines * height) as u32)).into_drawing_area();
    write(&root, title, (12, 18), 16, HPos::Left)?;
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = (index as i32 % 2 * width, 40 + index as i32 / 2 * height);
        write(&root, &panel.title, (x + left, y + 8), 15, HPos::Left)?;
        let own = panel
            .bars
            .iter()
            .find(|(name, _)| *name == "memoman")
            .map(|(_, figure)| *figure);
        let greatest = panel
            .bars
            .iter()
            .map(|(_, figure)| *figure)
            .fold(0.0, f64::max);
        let limit = own
            .map_or(greatest, |own| greatest.min(4.0 * own))
            .max(f64::MIN_POSITIVE);
        for (row, (name, figure)) in panel.bars.iter().enumerate() {
            let top = y + 20 + row as i32 * bar;
            let length = (figure.clamp(0.0, limit) / limit * f64::from(width - left - 70)) as i32;
            write(&root, name, (x + left - 6, top + 6), 12, HPos::Right)?;
            root.draw(&Rectangle::new(
                [(x + left, top), (x + left + length.max(1), top + bar - 4)],
                colour(name).filled(),
            ))?;
            let more = if *figure > limit { "… " } else { "" };
            let digits = if *figure < 1.5 {
                format!("{figure:.3}")
            } else if *figure >= 500.0 {
                format!("{figure:.0}")
            } else {
                format!("{figure:.1}")
            };
            write(
                &root,
                &format!("{more}{digits}"),
                (x + left + length + 6, top + 6),
                12,
                HPos::Left,
            )?;
        }
    }
    root.present()?;
    Ok(())
}

/// One allocator's curve.
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    /// Share of calls that take longer, and how long the call at that place takes.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Curves side by side, both axes logarithmic: to the right the rarer, upwards the slower.
pub(crate) fn curves(
    path: &Path,
    title: &str,
    panels: &[(String, Vec<Curve>)],
) -> Result<(), Failure> {
    let (width, height) = (480, 380);
    let lines = panels.len().div_ceil(2) as u32;
    let root = SVGBackend::new(path, (2 * width, 40 + lines * height)).into_drawing_area();
    write(&root, title, (12, 18), 16, HPos::Left)?;
    let (_, rest) = root.split_vertically(40);
    let areas = rest.split_evenly((lines as usize, 2));
    for ((name, curves), area) in panels.iter().zip(&areas) {
        let all = || curves.iter().flat_map(|curve| curve.points.iter());
        let highest = all().map(|point| point.1).fold(10.0, f64::max);
        let lowest = all().map(|point| point.1).fold(highest, f64::min).max(1.0);
        let rarest = all()
            .map(|point| point.0)
            .filter(|&share| share > 0.0)
            .fold(0.1, f64::min);
        let text = ("sans-serif", 12).into_font().color(&TEXT);
        let mut chart = ChartBuilder::on(area)
            .caption(name, ("sans-serif", 15).into_font().color(&TEXT))
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(48)
            .build_cartesian_2d(
                (0.0..-rarest.log10()).step(1.0),
                (lowest..highest * 1.2).log_scale(),
            )?;
        chart
            .configure_mesh()
            .bold_line_style(TEXT.mix(0.3))
            .light_line_style(TEXT.mix(0.08))
            .axis_style(TEXT)
            .label_style(text.clone())
            .axis_desc_style(text.clone())
            .x_desc("percentile")
            .y_desc("ns")
            .x_label_formatter(&|digits| {
                let share = 100.0 * (1.0 - 10f64.powf(-digits));
                format!("{share:.*}", (digits - 2.0).max(0.0) as usize)
            })
            .draw()?;
        for curve in curves {
            let colour = colour(curve.name);
            let line = if curve.name == "memoman" { 3 } else { 1 };
            chart
                .draw_series(LineSeries::new(
                    curve
                        .points
                        .iter()
                        .map(|&(share, time)| (-share.max(rarest).log10(), time.max(lowest))),
                    colour.stroke_width(line),
                ))?
                .label(curve.name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(line))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(text)
            .border_style(TRANSPARENT)
            .draw()?;
    }
    root.present()?;
    Ok(())
}
